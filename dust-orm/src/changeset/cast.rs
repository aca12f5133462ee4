use serde::Serialize;
use serde_json::{Map, Value};

use super::coerce::{Read, Strictness, read_field};
use super::params::parameters;
use super::value::{View, to_json};
use super::{BASE, Changeset, ColumnOf, IntoChangeset, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Takes the permitted columns from untrusted parameters, as typed changes.
    ///
    /// - `data` is an `ActiveModel`, or a changeset to which more is cast.
    /// - `params` is anything that serializes as an object: `serde_json::Value`, a form struct, a map of texts; or as a
    ///   list of pairs, as a form is decoded into a `Vec<(String, String)>`. The names are the serde names of the
    ///   fields, otherwise those of `#[serde(alias)]`; unknown and unpermitted ones are ignored. Anything else is an
    ///   error of [`BASE`]. They are taken as JSON, which has no number that is not finite: it would be `null`.
    /// - A value equal to the present one is no change. A value of a wrong type, or one of which the type would lose a
    ///   part (a digit of a decimal, an exponent out of its range), is the error `is invalid` (code `cast`, parameter
    ///   `type`) on its field. A JSON number for a decimal has at most 15 digits, as it comes through 64 bits: send a
    ///   text.
    /// - `null` clears an `Option`. So does a text of white space only, whatever the field's type is; blank entries of
    ///   a list are left out. A field with `#[serde(default)]` gets its default. Any other field is emptied, which
    ///   [`validate_required`](Changeset::validate_required) reports.
    /// - Form posts know only texts: `"42"`, `"0.5"`, `"true"`, `"1"`, `"on"` are read as numbers and truth values
    ///   where the field is one, and dates and times as their inputs send them, `"2026-11-22T20:30"` and `"20:30"`,
    ///   for the types of `chrono` and `time`. A date and time without an offset are in UTC where the type needs one.
    ///   Decimals, enums and ids are read as serde reads them.
    /// - In a list of pairs a name that comes several times is a list, and so is one that ends with `[]`. A field that
    ///   is no list takes the last value, as for a checkbox with a hidden input before it; a list takes a single value
    ///   too.
    ///
    /// ```
    /// use dust_orm::Changeset;
    /// use dust_orm::tests_cfg::page::{ActiveModel, Column};
    /// use serde_json::{Value, json};
    ///
    /// // hits=7&tags=rust&tags=dust, in axum a `Form<Vec<(String, String)>>`
    /// let form = [("hits", "7"), ("tags", "rust"), ("tags", "dust")];
    /// let page = Changeset::cast(ActiveModel::default(), form, [Column::Hits, Column::Tags]);
    /// assert_eq!(Value::Object(page.changes()), json!({"hits": 7, "tags": ["rust", "dust"]}));
    /// ```
    ///
    /// The primary key is cast like any other column, if it is permitted: permit it for new records only. Fields that
    /// serde skips are never cast.
    pub fn cast<D>(data: D, params: impl Serialize, permitted: impl IntoIterator<Item = ColumnOf<A>>) -> Changeset<A>
    where
        D: IntoChangeset<ActiveModel = A>,
    {
        let mut changeset = data.into_changeset();
        changeset.fresh.clear();
        match to_json(&params).ok().and_then(parameters) {
            Some((params, manner)) => {
                for column in permitted {
                    changeset.cast_field(A::position(column), &params, manner);
                }
                changeset.keep_params(params);
            }
            // Parameters that are cast in two steps are wrong once.
            _ if changeset.errors.get(BASE).iter().any(|error| error.code() == "cast") => {}
            _ => changeset.fail(BASE, cast_error(Some("map"))),
        }
        changeset
    }

    fn cast_field(&mut self, position: usize, params: &Map<String, Value>, manner: Strictness) {
        let Some(field) = A::FIELDS.get(position).filter(|field| !field.skipped) else { return };
        if let Some(value) = field.names().find_map(|name| params.get(name)) {
            self.read(position, View::of(value), manner);
        }
    }

    /// Reads a value into the changes. A value that the data has already is no change.
    pub(super) fn read(&mut self, position: usize, view: View<'_>, manner: Strictness) {
        self.force(position, view, manner);
        if self.changes.same_value(&self.data, position) {
            self.forget(position);
        }
    }

    /// Reads a value into the changes, whatever the data has.
    pub(super) fn force(&mut self, position: usize, view: View<'_>, manner: Strictness) {
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
