use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cast::cast_error;
use super::coerce::Strictness;
use super::value::view;
use super::{Changeset, ColumnOf, IntoChangeset, name};
use crate::entity::Fields;

impl<A: Fields> Changeset<A> {
    /// Creates a changeset without changes, to which the application adds its own.
    pub fn change<D: IntoChangeset<ActiveModel = A>>(data: D) -> Changeset<A> {
        data.into_changeset()
    }

    /// Changes a field to a value of its own type, without validation. A value equal to that of the data is not a
    /// change.
    ///
    /// The value can have any type that serializes like the field's: a `&str` for a `String`, an `i32` for an `i64`.
    /// Otherwise the field gets the error `is invalid`. Texts are not trimmed, and blank ones are accepted.
    pub fn put_change(mut self, column: ColumnOf<A>, value: impl Serialize) -> Self {
        self.fresh.clear();
        let position = A::position(column);
        if view(&value, |value| self.read(position, value, Strictness::Strict)).is_err() {
            self.fail(name::<A>(position), cast_error(None));
        }
        self
    }

    /// Like [`put_change`](Changeset::put_change), but a value equal to that of the data is a change too, and is
    /// written.
    pub fn force_change(mut self, column: ColumnOf<A>, value: impl Serialize) -> Self {
        self.fresh.clear();
        let position = A::position(column);
        if view(&value, |value| self.force(position, value, Strictness::Strict)).is_err() {
            self.fail(name::<A>(position), cast_error(None));
        }
        self
    }

    /// Replaces the change of a field: the function receives the new value, if there is one, and its result is
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

    /// Removes the change of a field, so that it has the value of the data.
    pub fn delete_change(mut self, column: ColumnOf<A>) -> Self {
        self.fresh.clear();
        self.forget(A::position(column));
        self
    }
}
