use crate::changeset::{Changeset, ColumnOf, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Each of the columns must have a value, in the changes or in the data: `can't be blank`.
    ///
    /// `NotSet`, `null` and texts of white space only count as missing; zero, `false` and empty lists are values. A field
    /// that fails loses its change. A field that has an error already gets no second one.
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
