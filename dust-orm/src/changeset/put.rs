use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cast::cast_error;
use super::coerce::Strictness;
use super::value::view;
use super::{Changeset, ColumnOf, IntoChangeset, name};
use crate::entity::Fields;

impl<A: Fields> Changeset<A> {
    /// A changeset without changes, for those that the application makes itself.
    pub fn change<D: IntoChangeset<ActiveModel = A>>(data: D) -> Changeset<A> {
        data.into_changeset()
    }

    /// Changes a field to a value of its own type, unasked and unvalidated; a value that the data has is no change.
    ///
    /// The value is anything that serializes as the field's type does: a `&str` for a `String`, an `i32` for an `i64`.
    /// One that does not is the error `is invalid` on the field. Texts are taken as they are, blank ones too.
    pub fn put_change(mut self, column: ColumnOf<A>, value: impl Serialize) -> Self {
        self.fresh.clear();
        let position = A::position(column);
        if view(&value, |value| self.read(position, value, Strictness::Strict)).is_err() {
            self.fail(name::<A>(position), cast_error(None));
        }
        self
    }

    /// Like [`put_change`](Changeset::put_change), but a value that the data has already is a change, and is written.
    pub fn force_change(mut self, column: ColumnOf<A>, value: impl Serialize) -> Self {
        self.fresh.clear();
        let position = A::position(column);
        if view(&value, |value| self.force(position, value, Strictness::Strict)).is_err() {
            self.fail(name::<A>(position), cast_error(None));
        }
        self
    }

    /// Changes a change: the function gets the new value, if there is one, and its answer is
    /// [put](Changeset::put_change) in its place.
    pub fn update_change<T, U>(self, column: ColumnOf<A>, function: impl FnOnce(T) -> U) -> Self
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        match self.get_change(column) {
            Some(value) => self.put_change(column, function(value)),
            None => self,
        }
    }

    /// Takes a change back: the field is as the data has it.
    pub fn delete_change(mut self, column: ColumnOf<A>) -> Self {
        self.fresh.clear();
        self.forget(A::position(column));
        self
    }
}
