use std::sync::Arc;

use super::validate::blank_error;
use super::{BASE, Changeset, name};
use crate::entity::{FieldState, Fields};
use crate::error::{Errors, FieldError};

/// What is done with the model that a changeset gives, for [`apply_action`](Changeset::apply_action).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A record is written under the key that the changes have, or else the data.
    Insert,
    /// The record that the data names is changed.
    Update,
    /// The record that the data names is removed.
    Delete,
}

impl<A: Fields> Changeset<A> {
    /// Adds a function that sees the changeset just before it is written, and may still change it.
    ///
    /// It runs only for a valid changeset, only when a repo writes it (not in [`apply`](Changeset::apply)), after those
    /// that were added before it. Errors that it adds refuse the write.
    pub fn prepare_changes(mut self, function: impl Fn(Changeset<A>) -> Changeset<A> + Send + Sync + 'static) -> Self {
        self.fresh.clear();
        self.prepare.push(Arc::new(function));
        self
    }

    /// Runs the functions of [`prepare_changes`](Changeset::prepare_changes), as a repo does just before it writes. For
    /// writing with SeaORM itself: `changeset.prepare().apply()?.insert(&db).await?`.
    pub fn prepare(mut self) -> Self {
        self.fresh.clear();
        if !self.is_valid() {
            return self;
        }
        let functions = std::mem::take(&mut self.prepare);
        functions.iter().fold(self, |changeset, function| function(changeset))
    }

    /// The model with the changes in it, or the errors.
    ///
    /// Changed fields are `Set`; all others are as the data has them. A field that was emptied although its type has no
    /// word for that is refused with `can't be blank`, even when nobody asked
    /// [`validate_required`](Changeset::validate_required).
    ///
    /// A key that was read is not changed: where the data has it as `Unchanged` and the changes have another one, that is
    /// the error `cannot be changed` (code `key`) on the key's field, because SeaORM would update the other row. Say with
    /// [`apply_action`](Changeset::apply_action) that the model is for an insert, where a copy under another key is meant.
    ///
    /// ```
    /// use dust_orm::Changeset;
    /// use dust_orm::sea_orm::IntoActiveModel;
    /// use dust_orm::tests_cfg::link::{ActiveModel, Column, Model};
    ///
    /// let link = Model { slug: "dust".into(), title: "Dust".into(), url: "https://dustlayer.io".into(), note: None };
    /// let edit = Changeset::change(link.into_active_model()).put_change(Column::Slug, "another");
    /// assert_eq!(edit.apply().unwrap_err().to_string(), "slug cannot be changed");
    /// ```
    ///
    /// # Errors
    ///
    /// All errors of the changeset, by field.
    pub fn apply(self) -> Result<A, Errors> {
        self.apply_where(|state| state == FieldState::Unchanged)
    }

    /// As [`apply`](Changeset::apply), for a model that is then inserted, updated or deleted. A repo does this itself.
    ///
    /// - [`Insert`](Action::Insert) takes the key that the changes have, whatever key the data has: the new record is a
    ///   copy under that key.
    /// - [`Update`](Action::Update) and [`Delete`](Action::Delete) refuse every key but the one that the data has, also
    ///   where the data has it as `Set`. Data without a key takes the one of the changes.
    ///
    /// ```
    /// use dust_orm::Changeset;
    /// use dust_orm::changeset::Action;
    /// use dust_orm::sea_orm::{IntoActiveModel, Set};
    /// use dust_orm::tests_cfg::link::{ActiveModel, Column, Model};
    ///
    /// let link = Model { slug: "dust".into(), title: "Dust".into(), url: "https://dustlayer.io".into(), note: None };
    /// let copy = Changeset::change(link.into_active_model()).put_change(Column::Slug, "copy");
    /// assert_eq!(copy.clone().apply_action(Action::Insert).unwrap().slug, Set("copy".into()));
    /// assert!(copy.apply_action(Action::Update).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// All errors of the changeset, by field.
    pub fn apply_action(self, action: Action) -> Result<A, Errors> {
        self.apply_where(|state| action != Action::Insert && state != FieldState::NotSet)
    }

    /// Applies the changes. `keeps` says of the state that a key has in the data whether the key must stay as it is.
    fn apply_where(self, keeps: impl Fn(FieldState) -> bool) -> Result<A, Errors> {
        let Changeset { mut data, changes, emptied, mut errors, .. } = self;
        for field in emptied.into_iter().map(name::<A>) {
            if errors.get(field).is_empty() {
                errors.push(field, blank_error());
            }
        }
        let changed = |position: &usize| changes.state(*position) == FieldState::Set;
        let kept: Vec<usize> = key_positions::<A>().filter(|position| keeps(data.state(*position))).collect();
        for position in kept.iter().copied().filter(changed) {
            if !changes.same_value(&data, position) {
                errors.push(name::<A>(position), FieldError::new("cannot be changed", "key"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // Equal keys may still be written differently (`1.0`, `1.00`): the one of the data names the record.
        for position in (0..A::FIELDS.len()).filter(changed).filter(|position| !kept.contains(position)) {
            data.copy_field(&changes, position);
        }
        Ok(data)
    }

    /// Joins two changesets of the same data: changes and parameters of the other come first, errors are added without
    /// repeating any, and the functions of [`prepare_changes`](Changeset::prepare_changes) run in the order of the two.
    ///
    /// Different data is an error of [`BASE`], and nothing of the other is taken over.
    pub fn merge(mut self, other: Changeset<A>) -> Self {
        self.fresh.clear();
        if !(0..A::FIELDS.len()).all(|position| same_field(&self.data, &other.data, position)) {
            self.fail(BASE, FieldError::new("different data when merging changesets", "merge"));
            return self;
        }
        for position in 0..A::FIELDS.len() {
            if other.is_changed(position) {
                self.forget(position);
                self.changes.copy_field(&other.changes, position);
            } else if other.is_emptied(position) {
                self.forget(position);
                self.emptied.push(position);
            }
        }
        self.params = match (self.params, other.params) {
            (Some(mut params), Some(more)) => {
                params.extend(more);
                Some(params)
            }
            (params, more) => params.or(more),
        };
        for (field, errors) in other.errors {
            for error in errors {
                if !self.errors.get(&field).contains(&error) {
                    self.errors.push(field.clone(), error);
                }
            }
        }
        self.prepare.extend(other.prepare);
        self
    }
}

/// The positions of the fields that make up the primary key.
fn key_positions<A: Fields>() -> impl Iterator<Item = usize> {
    A::FIELDS.iter().enumerate().filter(|(_, field)| field.key).map(|(position, _)| position)
}

/// Whether a field is unknown in both, or has the same value.
fn same_field<A: Fields>(one: &A, other: &A, position: usize) -> bool {
    let unknown = |model: &A| model.state(position) == FieldState::NotSet;
    one.same_value(other, position) || (unknown(one) && unknown(other))
}
