//! Validation rules, one file for each kind.

mod choice;
mod format;
mod length;
mod number;
mod params;
mod required;
mod slug;

use serde::de::DeserializeOwned;

use super::coerce::read;
use super::value::{View, view_field};
use super::{Changeset, ColumnOf, name};
use crate::entity::Fields;
use crate::error::FieldError;

pub use length::Length;
pub use number::{Amount, Number};
pub(super) use required::blank_error;

impl<A: Fields> Changeset<A> {
    /// Runs a custom rule: the function receives the new value and returns its errors, as an `Option`, an array or a
    /// `Vec` of messages or [`FieldError`]s.
    ///
    /// `T` is the field's type, or the type inside its `Option`; for a value that is not a `T` the field gets the error
    /// `is invalid`. Like every rule it checks only a field that has changed to a value other than `null`.
    ///
    /// ```
    /// use dust_orm::tests_cfg::link::{ActiveModel, Column};
    /// use dust_orm::{Changeset, FieldError};
    ///
    /// let link = Changeset::change(ActiveModel::default())
    ///     .put_change(Column::Title, "dust")
    ///     .put_change(Column::Note, "fix me")
    ///     .validate_change(Column::Title, |title: String| {
    ///         title.starts_with(char::is_lowercase).then_some("should start with a capital")
    ///     })
    ///     .validate_change(Column::Note, |note: String| {
    ///         let words = note.split(' ').filter(|word| ["fix", "todo"].contains(word));
    ///         let error = |word: &str| FieldError::new("says %{word}", "todo").with("word", word.to_owned());
    ///         words.map(error).collect::<Vec<_>>()
    ///     });
    /// assert_eq!(link.errors().to_string(), "title should start with a capital; note says fix");
    /// ```
    pub fn validate_change<T, E>(self, column: ColumnOf<A>, rule: impl FnOnce(T) -> E) -> Self
    where
        T: DeserializeOwned,
        E: IntoIterator<Item: Into<FieldError>>,
    {
        self.check(column, |value| match read(value) {
            Some(value) => rule(value).into_iter().map(Into::into).collect(),
            None => vec![FieldError::new("is invalid", "change")],
        })
    }

    /// Runs a rule on a field that has changed to a value other than `null`.
    fn check<E>(mut self, column: ColumnOf<A>, rule: impl FnOnce(View<'_>) -> E) -> Self
    where
        E: IntoIterator<Item = FieldError> + Default,
    {
        self.fresh.clear();
        let position = A::position(column);
        if !self.is_changed(position) {
            return self;
        }
        let rule = |value: View<'_>| if value == View::Null { E::default() } else { rule(value) };
        match view_field(&self.changes, position, rule) {
            Ok(errors) => errors.into_iter().for_each(|error| self.fail(name::<A>(position), error)),
            // The type's own `Serialize` fails, so the value could not be written either.
            Err(_) => self.fail(name::<A>(position), super::cast::cast_error(None)),
        }
        self
    }
}
