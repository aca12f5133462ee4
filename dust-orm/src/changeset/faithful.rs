//! Whether a field holds the value that it was given: some types round what they read, and some write less than they hold.

use serde_json::Value;

use super::decimal::Decimal;
use super::spelling::fraction;
use super::value::{View, view_field, widen};
use crate::entity::{Fields, round_trips};

/// The digits that every decimal keeps on its way through a number of 64 bits.
const TRUSTED_DIGITS: usize = f64::DIGITS as usize;

/// The floating-point numbers below 2^53 in size have a neighbour at every whole number.
const TRUSTED_SIZE: f64 = 9_007_199_254_740_992.0;

/// Whether what a field has read from a value is that value, and can be written.
pub(super) fn is_kept<A: Fields>(model: &A, position: usize, given: View<'_>) -> bool {
    // What cannot be looked at cannot be written: a number in it is not finite.
    let same = view_field(model, position, |held| has_same_numbers(given, held)).unwrap_or(false);
    let read_back = A::FIELDS.get(position).is_some_and(|field| field.read_back);
    same && (!read_back || round_trips(model, position))
}

/// Whether a number that was given is the number that is held, also inside of lists and objects. What is no number on both
/// sides is not judged.
fn has_same_numbers(given: View<'_>, held: View<'_>) -> bool {
    let inside = |given: &Value, held: &Value| has_same_numbers(View::of(given), View::of(held));
    match (given, held) {
        (View::Json(Value::Array(given)), View::Json(Value::Array(held))) if given.len() == held.len() => {
            given.iter().zip(held).all(|(given, held)| inside(given, held))
        }
        // A list from which the blank entries were left out, or a set.
        (View::Json(Value::Array(given)), View::Json(Value::Array(held))) => {
            held.iter().all(|held| given.iter().any(|given| inside(given, held)))
        }
        (View::Json(Value::Object(given)), View::Json(Value::Object(held))) => {
            held.iter().all(|(name, held)| given.get(name).is_none_or(|given| inside(given, held)))
        }
        (View::Str(given), View::Str(held)) if given == held => true,
        (View::Str(given), View::Str(held)) => match (Decimal::read(given), Decimal::read(held)) {
            (Some(given), Some(held)) => given == held,
            (None, Some(_)) => !has_separators(given),
            (_, None) => keeps_fraction(given, held),
        },
        (View::Str(given), View::Int(_) | View::Float(_) | View::Single(_)) => !has_separators(given),
        (View::Int(given), View::Str(held)) => is_held(&given.to_string(), held),
        (View::Single(given), View::Str(held)) => is_held(&widen(given).to_string(), held),
        // Whoever wrote the JSON may have written more digits than the number has kept.
        (View::Float(given), View::Str(held)) => {
            let text = given.to_string();
            let trusted = Decimal::read(&text).is_some_and(|number| number.significant() <= TRUSTED_DIGITS);
            is_held(&text, held) && (Decimal::read(held).is_none() || (trusted && given.abs() < TRUSTED_SIZE))
        }
        _ => true,
    }
}

fn is_held(given: &str, held: &str) -> bool {
    Decimal::read(held).is_none_or(|held| Decimal::read(given) == Some(held))
}

/// Whether a time has the fraction of a second that was given. What is no time on both sides is not judged.
fn keeps_fraction(given: &str, held: &str) -> bool {
    match (fraction(given), fraction(held)) {
        (Some(given), Some(held)) => given == held,
        _ => true,
    }
}

/// Whether a text is a number but for `_` between its digits, which some parsers pass over.
fn has_separators(text: &str) -> bool {
    text.contains('_') && Decimal::read(&text.replace('_', "")).is_some()
}
