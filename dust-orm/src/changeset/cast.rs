use serde::Serialize;
use serde_json::{Map, Value};

use super::read::{Manner, Read, read_field};
use super::value::{View, to_json};
use super::{BASE, Changeset, ColumnOf, IntoChangeset, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Takes the permitted columns from untrusted parameters, as typed changes.
    ///
    /// - `data` is an `ActiveModel`, or a changeset to which more is cast.
    /// - `params` is anything that serializes as an object: `serde_json::Value`, a form struct, a map of texts. Its keys
    ///   are the serde names of the fields; unknown and unpermitted keys are ignored. Anything else than an object is
    ///   an error of [`BASE`]. They are taken as JSON, which has no number that is not finite: it would be `null`.
    /// - A value equal to the present one is no change. A value of a wrong type is the error `is invalid` (code `cast`,
    ///   parameter `type`) on its field.
    /// - `null` clears an `Option`. So does a text of white space only, whatever the field's type is; blank entries of a
    ///   list are left out. A field with `#[serde(default)]` gets its default. Any other field is emptied, which
    ///   [`validate_required`](Changeset::validate_required) reports.
    /// - Form posts know only texts: `"42"`, `"0.5"`, `"true"`, `"1"` are read as numbers and truth values where the field
    ///   is one. Dates, decimals, enums and ids are read as serde reads them; for the dates of the crate `time` to be read as
    ///   `2026-11-22T20:30:00Z`, say so with `#[serde(with = "time::serde::rfc3339")]`.
    ///
    /// The primary key is cast like any other column, if it is permitted. Fields that serde skips are never cast.
    pub fn cast<D>(data: D, params: impl Serialize, permitted: impl IntoIterator<Item = ColumnOf<A>>) -> Changeset<A>
    where
        D: IntoChangeset<ActiveModel = A>,
    {
        let mut changeset = data.into_changeset();
        changeset.fresh.clear();
        match to_json(&params) {
            Ok(Value::Object(params)) => {
                for column in permitted {
                    changeset.cast_field(A::position(column), &params);
                }
                changeset.keep_params(params);
            }
            // Parameters that are cast in two steps are wrong once.
            _ if changeset.errors.get(BASE).iter().any(|error| error.code() == "cast") => {}
            _ => changeset.fail(BASE, cast_error(Some("map"))),
        }
        changeset
    }

    fn cast_field(&mut self, position: usize, params: &Map<String, Value>) {
        let Some(field) = A::FIELDS.get(position).filter(|field| !field.skipped) else { return };
        if let Some(value) = params.get(field.name) {
            self.read(position, View::of(value), Manner::Lenient);
        }
    }

    /// Reads a value into the changes. A value that the data has already is no change.
    pub(super) fn read(&mut self, position: usize, view: View<'_>, manner: Manner) {
        self.force(position, view, manner);
        if self.changes.same_value(&self.data, position) {
            self.forget(position);
        }
    }

    /// Reads a value into the changes, whatever the data has.
    pub(super) fn force(&mut self, position: usize, view: View<'_>, manner: Manner) {
        match read_field(&mut self.changes, position, view, manner) {
            Read::Value => self.emptied.retain(|emptied| *emptied != position),
            Read::Nothing => {
                self.forget(position);
                self.emptied.push(position);
            }
            Read::Mismatch(expected) => self.fail(name::<A>(position), cast_error(expected)),
        }
    }

    fn keep_params(&mut self, params: Map<String, Value>) {
        match &mut self.params {
            Some(known) => known.extend(params),
            None => self.params = Some(params),
        }
    }
}

pub(super) fn cast_error(expected: Option<&'static str>) -> FieldError {
    let mut error = FieldError::new("is invalid", "cast");
    if let Some(expected) = expected {
        error.param("type", expected);
    }
    error
}
