use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::coerce::read;
use super::value::{View, field_to_json, view_field};
use super::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::Errors;

impl<A: Fields> Changeset<A> {
    /// True if there are no errors.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors found so far.
    pub fn errors(&self) -> &Errors {
        &self.errors
    }

    /// The original model, without the changes.
    pub fn data(&self) -> &A {
        &self.data
    }

    /// The parameters that were cast; `None` if none were cast, or if they were not an object.
    pub fn params(&self) -> Option<&Map<String, Value>> {
        self.params.as_ref()
    }

    /// The changes by field, as JSON.
    pub fn changes(&self) -> Map<String, Value> {
        let fields = A::FIELDS.iter().enumerate().filter(|(position, _)| self.is_changed(*position));
        fields
            .map(|(position, field)| {
                (field.name.to_owned(), field_to_json(&self.changes, position).unwrap_or_default())
            })
            .collect()
    }

    /// True if the field has a change.
    pub fn changed(&self, column: ColumnOf<A>) -> bool {
        self.is_changed(A::position(column))
    }

    /// The new value of a field that has changed, read as `T`: the field's type, or the type inside its `Option`.
    ///
    /// `None` if the field has not changed, or the value is not a `T`: for a note that was changed to `None`,
    /// `get_change::<String>` is `None` and `get_change::<Option<String>>` is `Some(None)`.
    pub fn get_change<T: DeserializeOwned>(&self, column: ColumnOf<A>) -> Option<T> {
        let position = A::position(column);
        if self.is_changed(position) { view_field(&self.changes, position, read).ok()? } else { None }
    }

    /// The value that the field will have: its change, or without a change the value of the data. `None` if both are
    /// missing, or the value is not a `T`.
    pub fn get_field<T: DeserializeOwned>(&self, column: ColumnOf<A>) -> Option<T> {
        let position = A::position(column);
        view_field(self.holder(position)?, position, read).ok()?
    }

    /// True if the field will have no value: it is `NotSet`, `null`, emptied, or a text of white space only.
    pub fn field_missing(&self, column: ColumnOf<A>) -> bool {
        let position = A::position(column);
        let missing = |value: View<'_>| value == View::Null || value.is_blank();
        match self.holder(position) {
            Some(holder) => view_field(holder, position, missing).unwrap_or(false),
            None => true,
        }
    }
}
