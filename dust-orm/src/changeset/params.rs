//! The parameters of a cast: an object, or the pairs of a form.

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::coerce::Strictness;

/// The parameters by name, and how their values are read; `None` for anything else.
pub(super) fn parameters(params: Value) -> Option<(Map<String, Value>, Strictness)> {
    match params {
        Value::Object(params) => Some((params, Strictness::Lenient)),
        // A form of which no box is ticked sends nothing at all.
        Value::Array(pairs) => Some((form(pairs)?, Strictness::Form)),
        _ => None,
    }
}

/// The pairs of a form as an object: a name that comes several times, or ends with `[]`, has a list of values.
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

/// Makes a value a list of itself and one more, or of the values of both.
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
