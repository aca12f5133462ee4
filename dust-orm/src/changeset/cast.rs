use serde::Serialize;
use serde_json::{Map, Value};

use super::coerce::{ReadOutcome, Strictness, read_field};
use super::params::parameters;
use super::value::{View, to_json};
use super::{BASE, Changeset, ColumnOf, IntoChangeset, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Converts the permitted columns of untrusted parameters to typed changes.
    ///
    /// - `data` is an `ActiveModel`, or a changeset, to which the new changes are added.
    /// - `params` is a value that serializes as an object (`serde_json::Value`, a form struct, a map of texts), or as a
    ///   list of pairs, like a form that is decoded into a `Vec<(String, String)>`. The names are the serde names of
    ///   the fields, otherwise those of `#[serde(alias)]`; unknown and unpermitted ones are ignored. Any other value is
    ///   an error of [`BASE`]. Parameters are read as JSON, in which a number that is not finite is `null`.
    /// - A value equal to the present one is not a change. A value of a wrong type, or one that the type would shorten
    ///   (a digit of a decimal, an exponent out of its range), is the error `is invalid` (code `cast`, parameter
    ///   `type`) on its field. A JSON number for a decimal can have at most 15 digits, because it is read as 64 bits:
    ///   send a text for more.
    /// - `null` clears an `Option`. So does a text of white space only, for every type of field; blank entries of a
    ///   list are dropped. A field with `#[serde(default)]` gets its default. Any other field is emptied, which
    ///   [`validate_required`](Changeset::validate_required) reports.
    /// - Forms contain only texts: `"42"`, `"0.5"`, `"true"`, `"1"`, `"on"` are read as numbers and booleans if the
    ///   field is one, and dates and times in the form that inputs send, `"2026-11-22T20:30"` and `"20:30"`, for the
    ///   types of `chrono` and `time`. A date and time without an offset is in UTC if the type needs an offset.
    ///   Decimals, enums and ids are read as serde reads them.
    /// - In a list of pairs, a name that occurs several times or ends with `[]` has a list of values. A field that is
    ///   not a list uses the last value, as for a checkbox after a hidden input; a list also accepts a single value.
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
            Some((params, strictness)) => {
                for column in permitted {
                    changeset.cast_field(A::position(column), &params, strictness);
                }
                changeset.keep_params(params);
            }
            // Parameters that are cast in two steps get this error only once.
            _ if changeset.errors.get(BASE).iter().any(|error| error.code() == "cast") => {}
            _ => changeset.fail(BASE, cast_error(Some("map"))),
        }
        changeset
    }

    fn cast_field(&mut self, position: usize, params: &Map<String, Value>, strictness: Strictness) {
        let Some(field) = A::FIELDS.get(position).filter(|field| !field.skipped) else { return };
        if let Some(value) = field.names().find_map(|name| params.get(name)) {
            self.read(position, View::of(value), strictness);
        }
    }

    /// Reads a value into the changes. A value equal to that of the data is not a change.
    pub(super) fn read(&mut self, position: usize, view: View<'_>, strictness: Strictness) {
        self.force(position, view, strictness);
        if self.changes.same_value(&self.data, position) {
            self.forget(position);
        }
    }

    /// Reads a value into the changes, also if the data has the same value.
    pub(super) fn force(&mut self, position: usize, view: View<'_>, strictness: Strictness) {
        match read_field(&mut self.changes, position, view, strictness) {
            ReadOutcome::Value => self.emptied.retain(|emptied| *emptied != position),
            ReadOutcome::Empty => {
                self.forget(position);
                self.emptied.push(position);
            }
            ReadOutcome::Mismatch(expected) => self.fail(name::<A>(position), cast_error(expected)),
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
