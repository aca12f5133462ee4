//! Whether a field's value is read as it was written. Serde types may write less than they hold: chrono rounds the offset of
//! a time to minutes, and `Some(null)` is written as `None` is.

use sea_orm::ActiveModelTrait;
use serde_json::Serializer;

use super::finite::Finite;
use super::leaf::LeafText;
use super::{FieldState, Fields};

/// Whether a field's value comes back from the text that it was serialized to.
pub(crate) fn comes_back<A: Fields>(model: &A, position: usize, text: &str) -> bool {
    let mut read = <A as ActiveModelTrait>::default();
    read.deserialize_field(position, LeafText::new(text)).is_ok() && read.same_value(model, position)
}

/// Whether a field's value can be written and is then read as it is.
pub(crate) fn reads_back<A: Fields>(model: &A, position: usize) -> bool {
    text_of(model, position).is_some_and(|text| comes_back(model, position, &text))
}

/// Makes `Some(null)` what it is read as: `None`. `null` is the only word that there is for both.
pub(crate) fn settle_nulls<A: Fields>(model: &mut A) {
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
    // A longer value does not fit, and is not written to its end.
    let mut text = [0; 4];
    let written = model.serialize_field(position, &mut Serializer::new(&mut text[..]));
    written.is_ok() && text == *b"null"
}

fn text_of<A: Fields>(model: &A, position: usize) -> Option<String> {
    let mut text = Vec::new();
    model.serialize_field(position, Finite(&mut Serializer::new(&mut text))).ok()?;
    String::from_utf8(text).ok()
}

/// The length of a field's value as text, in bytes; 0 for one that cannot be written.
pub(crate) fn written_bytes<A: Fields>(model: &A, position: usize) -> usize {
    text_of(model, position).map_or(0, |text| text.len())
}
