use std::sync::Arc;

use super::validate::blank_error;
use super::{BASE, Changeset, name};
use crate::entity::{FieldState, Fields};
use crate::error::{Errors, FieldError};

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
    pub fn apply(self) -> Result<A, Errors> {
        let Changeset { mut data, changes, emptied, mut errors, .. } = self;
        for field in emptied.into_iter().map(name::<A>) {
            if errors.get(field).is_empty() {
                errors.push(field, blank_error());
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for position in 0..A::FIELDS.len() {
            if changes.state(position) == FieldState::Set {
                data.copy_field(&changes, position);
            }
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

/// Whether a field is unknown in both, or has the same value.
fn same_field<A: Fields>(one: &A, other: &A, position: usize) -> bool {
    let unknown = |model: &A| model.state(position) == FieldState::NotSet;
    one.same_value(other, position) || (unknown(one) && unknown(other))
}
