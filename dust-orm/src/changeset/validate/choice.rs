use std::cell::LazyCell;
use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value;

use super::number::compare_mixed;
use crate::changeset::coerce::{ReadOutcome, Strictness, read_field};
use crate::changeset::value::{View, to_json, untouched, view};
use crate::changeset::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that the value is one of `values`: `is invalid`.
    ///
    /// They are compared as values of the field's own type, so decimals with different trailing zeros are equal. For a
    /// range of numbers [`validate_number`](Changeset::validate_number) is faster.
    ///
    /// ```
    /// use dust_orm::Changeset;
    /// use dust_orm::tests_cfg::link::{ActiveModel, Column};
    ///
    /// let link = Changeset::change(ActiveModel::default())
    ///     .put_change(Column::Slug, "admin")
    ///     .put_change(Column::Note, "later")
    ///     .validate_exclusion(Column::Slug, ["admin", "new"])
    ///     .validate_inclusion(Column::Note, ["read", "unread"])
    ///     .message("is none of %{enum}");
    /// assert_eq!(link.errors().to_string(), "slug is reserved; note is none of read, unread");
    /// ```
    pub fn validate_inclusion<T: Serialize>(self, column: ColumnOf<A>, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        let included = self.is_one_of(A::position(column), &values);
        self.check(column, |_| (!included).then(|| choice_error("is invalid", "inclusion", &values)))
    }

    /// Requires that the value is none of `values`: `is reserved`.
    pub fn validate_exclusion<T: Serialize>(self, column: ColumnOf<A>, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        let included = self.is_one_of(A::position(column), &values);
        self.check(column, |_| included.then(|| choice_error("is reserved", "exclusion", &values)))
    }

    /// Requires that every item of a list is one of `values`: `has an invalid entry`. A field that is not a list gets
    /// the same error.
    ///
    /// They are compared as items of the field's own type, as in [`validate_inclusion`](Changeset::validate_inclusion).
    pub fn validate_subset<T: Serialize>(self, column: ColumnOf<A>, values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        let position = A::position(column);
        self.check(column, |list| {
            let fits = match list {
                View::Json(Value::Array(items)) => {
                    let allowed: Vec<Value> = values.iter().filter_map(|value| to_json(value).ok()).collect();
                    let typed: LazyCell<Vec<A>, _> =
                        LazyCell::new(|| allowed.iter().filter_map(|value| list_of(position, value)).collect());
                    let is_typed = |item: &Value| {
                        let item = list_of::<A>(position, item);
                        item.is_some_and(|item| typed.iter().any(|value| value.same_value(&item, position)))
                    };
                    items.iter().all(|item| allowed.iter().any(|value| same(value, item)) || is_typed(item))
                }
                _ => false,
            };
            (!fits).then(|| choice_error("has an invalid entry", "subset", &values))
        })
    }

    /// True if a field has changed to one of the values, each read as the field's type.
    fn is_one_of<T: Serialize>(&self, position: usize, values: &[T]) -> bool {
        if !self.is_changed(position) {
            return false;
        }
        let mut scratch: A = untouched();
        values.iter().any(|value| {
            let read = view(value, |value| read_choice(&mut scratch, position, value));
            matches!(read, Ok(true)) && self.changes.same_value(&scratch, position)
        })
    }
}

/// Reads a value from the application's source code as the field's type.
fn read_choice<A: Fields>(model: &mut A, position: usize, value: View<'_>) -> bool {
    let mut reads = |value: View<'_>| read_field(model, position, value, Strictness::Strict) == ReadOutcome::Value;
    match value {
        // A decimal refuses a float that may have lost digits. A float literal in the source has lost none.
        View::Float(number) => reads(value) || (reads(View::Int(0)) && reads(View::Str(&number.to_string()))),
        _ => reads(value),
    }
}

/// A model whose field holds a list of one item; `None` if the field's type has no such item.
fn list_of<A: Fields>(position: usize, item: &Value) -> Option<A> {
    let mut model: A = untouched();
    let list = Value::Array(vec![item.clone()]);
    (read_field(&mut model, position, View::Json(&list), Strictness::Strict) == ReadOutcome::Value).then_some(model)
}

/// True if two JSON values are equal. Unlike in `serde_json`, `1` equals `1.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (View::of(one), View::of(other)) {
        (View::Int(int), View::Float(float)) | (View::Float(float), View::Int(int)) => {
            compare_mixed(int, float) == Some(Ordering::Equal)
        }
        _ => one == other,
    }
}

fn choice_error<T: Serialize>(message: &'static str, code: &'static str, values: &[T]) -> FieldError {
    let texts = values.iter().filter_map(|value| match to_json(value).ok()? {
        Value::String(text) => Some(text),
        value => Some(value.to_string()),
    });
    FieldError::new(message, code).with("enum", texts.collect::<Vec<String>>())
}
