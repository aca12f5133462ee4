//! Checks that a field holds exactly the value that was read into it: some types round a value, and some serialize less
//! than they hold.

use serde_json::Value;

use super::decimal::Decimal;
use super::spelling::fraction;
use super::value::{View, view_field, widen};
use crate::entity::{Fields, round_trips};

/// The number of digits of a decimal that an `f64` always preserves.
const TRUSTED_DIGITS: usize = f64::DIGITS as usize;

/// The size up to which an `f64` represents every integer: 2^53.
const TRUSTED_SIZE: f64 = 9_007_199_254_740_992.0;

/// True if a field holds the value that was read into it, and can be serialized.
pub(super) fn is_kept<A: Fields>(model: &A, position: usize, given: View<'_>) -> bool {
    // A value without a view cannot be written either: it holds a number that is not finite.
    let same = view_field(model, position, |held| has_same_numbers(given, held)).unwrap_or(false);
    let read_back = A::FIELDS.get(position).is_some_and(|field| field.read_back);
    same && (!read_back || round_trips(model, position))
}

/// True if the given numbers equal the held ones, also inside of lists and objects. Values of which one is not a number
/// count as equal.
fn has_same_numbers(given: View<'_>, held: View<'_>) -> bool {
    let inside = |given: &Value, held: &Value| has_same_numbers(View::of(given), View::of(held));
    match (given, held) {
        (View::Json(Value::Array(given)), View::Json(Value::Array(held))) if given.len() == held.len() => {
            given.iter().zip(held).all(|(given, held)| inside(given, held))
        }
        // The held list lacks the blank entries, or is a set.
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
        // The JSON text may have had more digits than the parsed number preserves.
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

/// True if a time has the given fraction of a second. Texts of which one is not a time count as equal.
fn keeps_fraction(given: &str, held: &str) -> bool {
    match (fraction(given), fraction(held)) {
        (Some(given), Some(held)) => given == held,
        _ => true,
    }
}

/// True if a text is a number with `_` between its digits, which some parsers ignore.
fn has_separators(text: &str) -> bool {
    text.contains('_') && Decimal::read(&text.replace('_', "")).is_some()
}
