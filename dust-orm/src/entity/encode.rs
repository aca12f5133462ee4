//! Encodes the fields of an ActiveModel as the values of leaves.

use dust_protocol::RawJson;
use dust_protocol::value::{check_depth, nul_key};
use serde_json::Serializer;

use super::escape::escape_from;
use super::finite::Finite;
use super::read_back::text_round_trips;
use super::{Field, FieldState, Fields};
use crate::error::{DustErr, Errors, FieldError};

/// Initial capacity for the text of one field, in bytes.
const FIELD_CAPACITY: usize = 64;

/// The fields of an ActiveModel that a write contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldSelection {
    /// The fields that are `Set`, as in an update.
    Changed,
    /// The fields that have a value, as in an insert.
    All,
}

impl FieldSelection {
    /// True if a field in this state belongs to the selection.
    pub(crate) fn includes(self, state: FieldState) -> bool {
        match self {
            FieldSelection::Changed => state == FieldState::Set,
            FieldSelection::All => state != FieldState::NotSet,
        }
    }
}

/// Appends the text of a field's leaf, or of its subtree.
fn push_field<A: Fields>(model: &A, position: usize, text: &mut Vec<u8>) -> Result<(), DustErr> {
    let field = &A::FIELDS[position];
    let start = text.len();
    model
        .serialize_field(position, Finite(&mut Serializer::new(&mut *text)))
        .map_err(|error| unwritable(field.name, &error))?;
    if field.read_back {
        let written = str::from_utf8(&text[start..]).map_err(|error| unwritable(field.name, &error))?;
        if !text_round_trips(model, position, written) {
            let reason = format_args!("its type writes it as {written} and reads that as another value");
            return Err(unwritable(field.name, &reason));
        }
    }
    escape_from(start, text, field.nullable);
    check_keys(field.name, &text[start..])
}

/// Refuses a value that no store could return unchanged: one that is nested too deep, or has a NUL in a key.
fn check_keys(name: &str, value: &[u8]) -> Result<(), DustErr> {
    // Scalars, the values of most fields, have no keys. The caller refuses bytes that are not UTF-8.
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

/// Encodes a field as the text of its leaf, or of its subtree. `text` is a buffer that the caller reuses.
fn encode_field<A: Fields>(model: &A, position: usize, text: &mut Vec<u8>) -> Result<RawJson, DustErr> {
    text.clear();
    push_field(model, position, text)?;
    let text = str::from_utf8(text).map_err(|error| unwritable(A::FIELDS[position].name, &error))?;
    Ok(RawJson::from_trusted(text))
}

/// Encodes the selected fields, by position. The key is never among them: it is the record's path.
pub(crate) fn encode_fields<A: Fields>(model: &A, selection: FieldSelection) -> Result<Vec<(usize, RawJson)>, DustErr> {
    let mut fields = Vec::with_capacity(A::FIELDS.len());
    let mut text = Vec::with_capacity(FIELD_CAPACITY);
    for (position, field) in A::FIELDS.iter().enumerate() {
        if is_leaf(field) && selection.includes(model.state(position)) {
            fields.push((position, encode_field(model, position, &mut text)?));
        }
    }
    Ok(fields)
}

/// Encodes every field that has a value as one object.
pub(crate) fn encode_object<A: Fields>(model: &A) -> Result<RawJson, DustErr> {
    object_of(model, FieldSelection::All)
}

/// Encodes the fields that are `Set` as one object.
pub(crate) fn encode_set<A: Fields>(model: &A) -> Result<RawJson, DustErr> {
    object_of(model, FieldSelection::Changed)
}

fn object_of<A: Fields>(model: &A, selection: FieldSelection) -> Result<RawJson, DustErr> {
    let mut object = Vec::with_capacity(A::FIELDS.len() * FIELD_CAPACITY);
    object.push(b'{');
    for (position, field) in A::FIELDS.iter().enumerate() {
        if !is_leaf(field) || !selection.includes(model.state(position)) {
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

/// True if the field is stored as a leaf: it is neither the key nor skipped.
pub(crate) fn is_leaf<C>(field: &Field<C>) -> bool {
    !field.key && !field.skipped
}

/// Refuses a write that would leave required fields without a value, and names each of them: a required `Option` that
/// is set to `None`, and, if the write contains the whole record, a field that is `NotSet`.
pub(crate) fn check_required<A: Fields>(model: &A, selection: FieldSelection) -> Result<(), DustErr> {
    let mut errors = Errors::default();
    let mut text = Vec::new();
    for (position, field) in A::FIELDS.iter().enumerate() {
        let is_blank = match model.state(position) {
            FieldState::NotSet => selection == FieldSelection::All,
            state if field.required && field.nullable && selection.includes(state) => {
                encode_field(model, position, &mut text)?.is_null()
            }
            _ => false,
        };
        if field.required && is_blank {
            errors.add(field.name, FieldError::new("can't be blank", "required"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}
