//! The parameters of a cast: an object, or the pairs of a form.

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::coerce::Strictness;

/// The parameters by name, and the strictness with which to read them; `None` if they are neither form.
pub(super) fn parameters(params: Value) -> Option<(Map<String, Value>, Strictness)> {
    match params {
        Value::Object(params) => Some((params, Strictness::Lenient)),
        // A form whose boxes are all unticked sends no pairs: an empty list is a form.
        Value::Array(pairs) => Some((form(pairs)?, Strictness::Form)),
        _ => None,
    }
}

/// Converts the pairs of a form to an object. A name that occurs several times, or ends with `[]`, has a list of
/// values.
fn form(pairs: Vec<Value>) -> Option<Map<String, Value>> {
    let mut params = Map::new();
    for pair in pairs {
        let Value::Array(pair) = pair else { return None };
        let Ok([Value::String(name), value]) = <[Value; 2]>::try_from(pair) else { return None };
        let (name, value) = match name.strip_suffix("[]") {
            Some(list) => (list.to_owned(), Value::Array(vec![value])),
            None => (name, value),
        };
        match params.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(mut known) => append(known.get_mut(), value),
        }
    }
    Some(params)
}

/// Appends a value to a known one: the result is the list of the values of both.
fn append(known: &mut Value, value: Value) {
    let mut values = match known.take() {
        Value::Array(values) => values,
        one => vec![one],
    };
    match value {
        Value::Array(more) => values.extend(more),
        one => values.push(one),
    }
    *known = Value::Array(values);
}
