use std::sync::Arc;

use super::validate::blank_error;
use super::{BASE, Changeset, name};
use crate::entity::{FieldState, Fields, key_fields};
use crate::error::{Errors, FieldError};

/// The use of the model that a changeset produces, for [`apply_action`](Changeset::apply_action).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Writes a record under the key of the changes, or without one under the key of the data.
    Insert,
    /// Changes the record that has the key of the data.
    Update,
    /// Removes the record that has the key of the data.
    Delete,
}

impl<A: Fields> Changeset<A> {
    /// Adds a function that receives the changeset just before it is written, and returns the one to write.
    ///
    /// It runs only for a valid changeset and only when a repo writes it (not in [`apply`](Changeset::apply)), after
    /// the functions that were added before it. If it adds errors, nothing is written.
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

    /// Applies the changes to the model.
    ///
    /// Changed fields are `Set`; all others are as in the data. A field that was emptied although its type cannot be
    /// empty gets the error `can't be blank`, even without [`validate_required`](Changeset::validate_required).
    ///
    /// A key that was read cannot be changed: if the data has it as `Unchanged` and the changes have another one, the
    /// key's field gets the error `cannot be changed` (code `key`), because SeaORM would update the other row. For a
    /// copy under another key, use [`apply_action`](Changeset::apply_action) with [`Action::Insert`].
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

    /// Like [`apply`](Changeset::apply), for a model that is then inserted, updated or deleted. A repo does this
    /// itself.
    ///
    /// - [`Insert`](Action::Insert) uses the key of the changes, also if the data has another one: the new record is a
    ///   copy under that key.
    /// - [`Update`](Action::Update) and [`Delete`](Action::Delete) refuse every key but that of the data, also if the
    ///   data has it as `Set`. If the data has no key, they use the key of the changes.
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

    /// Applies the changes. `is_kept` receives the state of a key in the data, and returns true if it must not change.
    fn apply_where(self, is_kept: impl Fn(FieldState) -> bool) -> Result<A, Errors> {
        let Changeset { mut data, changes, emptied, mut errors, .. } = self;
        for field in emptied.into_iter().map(name::<A>) {
            if errors.get(field).is_empty() {
                errors.add(field, blank_error());
            }
        }
        let changed = |position: &usize| changes.state(*position) == FieldState::Set;
        let kept: Vec<usize> =
            key_fields::<A>().map(|(position, _)| position).filter(|position| is_kept(data.state(*position))).collect();
        for position in kept.iter().copied().filter(changed) {
            if !changes.same_value(&data, position) {
                errors.add(name::<A>(position), FieldError::new("cannot be changed", "key"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // Equal keys can have different texts (`1.0`, `1.00`): the text in the data is the one in the record's path.
        for position in (0..A::FIELDS.len()).filter(changed).filter(|position| !kept.contains(position)) {
            data.copy_field(&changes, position);
        }
        Ok(data)
    }

    /// Merges another changeset of the same data into this one. Changes and parameters of the other replace those of
    /// this one, errors are added without duplicates, and the functions of
    /// [`prepare_changes`](Changeset::prepare_changes) of this one run before those of the other.
    ///
    /// If the data differs, that is an error of [`BASE`], and nothing else changes.
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
                    self.errors.add(field.clone(), error);
                }
            }
        }
        self.prepare.extend(other.prepare);
        self
    }
}

/// True if a field is `NotSet` in both models, or has the same value in both.
fn same_field<A: Fields>(one: &A, other: &A, position: usize) -> bool {
    let unknown = |model: &A| model.state(position) == FieldState::NotSet;
    one.same_value(other, position) || (unknown(one) && unknown(other))
}
