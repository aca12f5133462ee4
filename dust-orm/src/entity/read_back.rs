//! Checks that a field's serialized value is read back as the same value. A type may serialize less than it holds:
//! chrono rounds the offset of a time to minutes, and `Some(null)` has the same text as `None`.

use sea_orm::ActiveModelTrait;
use serde_json::Serializer;

use super::finite::Finite;
use super::leaf::LeafText;
use super::{FieldState, Fields};

/// True if a field's value is read back from the text that it was serialized to.
pub(crate) fn text_round_trips<A: Fields>(model: &A, position: usize, text: &str) -> bool {
    let mut read = <A as ActiveModelTrait>::default();
    read.deserialize_field(position, LeafText::new(text)).is_ok() && read.same_value(model, position)
}

/// True if a field's value can be serialized and is read back as the same value.
pub(crate) fn round_trips<A: Fields>(model: &A, position: usize) -> bool {
    text_of(model, position).is_some_and(|text| text_round_trips(model, position, &text))
}

/// Replaces `Some(null)` by `None`: both are written as `null`, which is read as `None`.
pub(crate) fn normalize_nulls<A: Fields>(model: &mut A) {
    let may_be = |position: &usize| A::FIELDS[*position].nullable && A::FIELDS[*position].read_back;
    for position in (0..A::FIELDS.len()).filter(may_be) {
        let state = model.state(position);
        if state == FieldState::NotSet || !is_written_as_null(model, position) {
            continue;
        }
        if model.deserialize_field(position, LeafText::new("null")).is_ok() {
            model.set_state(position, state);
        }
    }
}

fn is_written_as_null<A: Fields>(model: &A, position: usize) -> bool {
    // A longer value does not fit, so serializing it fails.
    let mut text = [0; 4];
    let written = model.serialize_field(position, &mut Serializer::new(&mut text[..]));
    written.is_ok() && text == *b"null"
}

fn text_of<A: Fields>(model: &A, position: usize) -> Option<String> {
    let mut text = Vec::new();
    model.serialize_field(position, Finite(&mut Serializer::new(&mut text))).ok()?;
    String::from_utf8(text).ok()
}

/// The length of a field's serialized value, in bytes; 0 for one that cannot be serialized.
pub(crate) fn written_bytes<A: Fields>(model: &A, position: usize) -> usize {
    text_of(model, position).map_or(0, |text| text.len())
}
