//! From the fields of an ActiveModel to the values of leaves.

use dust_protocol::RawJson;
use dust_protocol::value::{check_depth, nul_key};
use serde_json::Serializer;

use super::escape::escape_from;
use super::finite::Finite;
use super::read_back::comes_back;
use super::{Field, FieldState, Fields};
use crate::error::{DustErr, Errors};

/// Room for the text of an ordinary field.
const FIELD: usize = 64;

/// Which fields of an ActiveModel a write takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldSelection {
    /// Those that were set, as an update does.
    Changed,
    /// Those that have a value, as an insert does.
    All,
}

impl FieldSelection {
    pub(crate) fn takes(self, state: FieldState) -> bool {
        match self {
            FieldSelection::Changed => state == FieldState::Set,
            FieldSelection::All => state != FieldState::NotSet,
        }
    }
}

/// Appends a field's value as the text of its leaf, or of its subtree.
fn push_field<A: Fields>(model: &A, position: usize, text: &mut Vec<u8>) -> Result<(), DustErr> {
    let field = &A::FIELDS[position];
    let start = text.len();
    model
        .serialize_field(position, Finite(&mut Serializer::new(&mut *text)))
        .map_err(|error| unwritable(field.name, &error))?;
    if field.read_back {
        let written = str::from_utf8(&text[start..]).map_err(|error| unwritable(field.name, &error))?;
        if !comes_back(model, position, written) {
            let reason = format_args!("its type writes it as {written} and reads that as another value");
            return Err(unwritable(field.name, &reason));
        }
    }
    escape_from(start, text, field.nullable);
    check_keys(field.name, &text[start..])
}

/// Refuses an object that no store could keep or give back: nested too deep, or with a NUL in a key.
fn check_keys(name: &str, value: &[u8]) -> Result<(), DustErr> {
    // Scalars, which most fields are, have no keys. What is no text is found out later.
    let Some(text) =
        value.first().filter(|first| matches!(first, b'{' | b'[')).and_then(|_| str::from_utf8(value).ok())
    else {
        return Ok(());
    };
    check_depth(text).map_err(|error| unwritable(name, &error))?;
    match nul_key(text, false) {
        Some(key) => Err(unwritable(
            name,
            &format!("its key {key:?} holds a NUL character, and a server loses leaves whose path has one"),
        )),
        None => Ok(()),
    }
}

fn unwritable(name: &str, reason: &dyn std::fmt::Display) -> DustErr {
    DustErr::invalid_params(format!("field `{name}` cannot be written: {reason}"))
}

/// A field's value as the text of its leaf, or of its subtree.
fn encode_field<A: Fields>(model: &A, position: usize, text: &mut Vec<u8>) -> Result<RawJson, DustErr> {
    text.clear();
    push_field(model, position, text)?;
    let text = str::from_utf8(text).map_err(|error| unwritable(A::FIELDS[position].name, &error))?;
    Ok(RawJson::from_trusted(text))
}

/// The fields a write takes, by position, each with its text. Never the key, which is the record's path.
pub(crate) fn encode_fields<A: Fields>(model: &A, take: FieldSelection) -> Result<Vec<(usize, RawJson)>, DustErr> {
    let mut fields = Vec::with_capacity(A::FIELDS.len());
    let mut text = Vec::with_capacity(FIELD);
    for (position, field) in A::FIELDS.iter().enumerate() {
        if is_leaf(field) && take.takes(model.state(position)) {
            fields.push((position, encode_field(model, position, &mut text)?));
        }
    }
    Ok(fields)
}

/// The record as one object: every field that has a value.
pub(crate) fn encode_object<A: Fields>(model: &A) -> Result<RawJson, DustErr> {
    object_of(model, FieldSelection::All)
}

/// The fields that were set as one object.
pub(crate) fn encode_set<A: Fields>(model: &A) -> Result<RawJson, DustErr> {
    object_of(model, FieldSelection::Changed)
}

fn object_of<A: Fields>(model: &A, take: FieldSelection) -> Result<RawJson, DustErr> {
    let mut object = Vec::with_capacity(A::FIELDS.len() * FIELD);
    object.push(b'{');
    for (position, field) in A::FIELDS.iter().enumerate() {
        if !is_leaf(field) || !take.takes(model.state(position)) {
            continue;
        }
        if object.len() > 1 {
            object.push(b',');
        }
        serde_json::to_writer(&mut object, field.name).map_err(|error| unwritable(field.name, &error))?;
        object.push(b':');
        push_field(model, position, &mut object)?;
    }
    object.push(b'}');
    let object =
        str::from_utf8(&object).map_err(|error| DustErr::invalid_params(error.to_string()).with_source(error))?;
    Ok(RawJson::from_trusted(object))
}

/// Whether a field has a leaf of its own.
pub(crate) fn is_leaf<C>(field: &Field<C>) -> bool {
    !field.key && !field.skipped
}

/// Names every required field that a write would leave without a value: options that are required and set to `None`, and,
/// where the write is to make the record whole, fields left `NotSet`.
pub(crate) fn check_required<A: Fields>(model: &A, take: FieldSelection) -> Result<(), DustErr> {
    let mut errors = Errors::default();
    let mut text = Vec::new();
    for (position, field) in A::FIELDS.iter().enumerate() {
        let is_blank = match model.state(position) {
            FieldState::NotSet => take == FieldSelection::All,
            state if field.required && field.nullable && take.takes(state) => {
                encode_field(model, position, &mut text)?.is_null()
            }
            _ => false,
        };
        if field.required && is_blank {
            errors.add(field.name, "can't be blank", "required");
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}
