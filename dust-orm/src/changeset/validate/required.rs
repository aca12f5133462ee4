use crate::changeset::{Changeset, ColumnOf, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that each of the columns has a value, in the changes or in the data: `can't be blank`.
    ///
    /// `NotSet`, `null` and texts of white space only count as missing; zero, `false` and empty lists are values. The
    /// change of a field that fails is removed. A field that already has an error gets no second one.
    pub fn validate_required(mut self, columns: impl IntoIterator<Item = ColumnOf<A>>) -> Self {
        self.fresh.clear();
        for column in columns {
            let position = A::position(column);
            let field = name::<A>(position);
            if self.errors.get(field).is_empty() && self.field_missing(column) {
                self.forget(position);
                self.fail(field, blank_error());
            }
        }
        self
    }
}

pub(in crate::changeset) fn blank_error() -> FieldError {
    FieldError::new("can't be blank", "required")
}
