//! Escapes values that a Dust store would not return unchanged.
//!
//! A store splits an object into one leaf per scalar. So an empty object leaves no leaf, an empty key is refused, an
//! object that looks like a typed envelope is returned as a plain string, and of an object with the key `_scalar` a
//! catch-up returns only that member. An array is one leaf, and is returned unchanged. A value that a store would
//! change is therefore written as the array `["$json", value]`, and so is an array that begins with that marker.
//!
//! | value | written as |
//! |---|---|
//! | `{"a": 1}` | `{"a": 1}` |
//! | `{}` | `["$json", {}]` |
//! | `{"a": {}}` | `["$json", {"a": {}}]` |
//! | `["$json", 1]` | `["$json", ["$json", 1]]` |
//! | `null` in a field that is not an `Option` | `["$json", null]` |

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use dust_protocol::value::CLAIM;
use dust_protocol::{RawJson, envelope};

const MARKER: &str = r#"["$json","#;

/// Escapes the value that begins at `start` and ends with the text, if a store would change it.
///
/// `nullable` is true if `null` means `None`. Otherwise (a JSON column that is not an `Option`) `null` is a value and
/// is escaped.
pub(crate) fn escape_from(start: usize, text: &mut Vec<u8>, nullable: bool) {
    let value = &text[start..];
    let changes_in_store = match value.first() {
        // The caller refuses bytes that are not UTF-8.
        Some(b'{') => str::from_utf8(value).is_ok_and(object_changes_in_store),
        Some(b'[') => value.starts_with(MARKER.as_bytes()) || value == CLAIM.as_bytes(),
        Some(b'n') => !nullable,
        _ => false,
    };
    if changes_in_store {
        text.splice(start..start, MARKER.bytes());
        text.push(b']');
    }
}

/// Reverts [`escape_from`]: removes the marker, and converts a decimal or datetime envelope to its plain string.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        // Another client may have written white space in the array, so the marker is parsed.
        Some(b'[') => match serde_json::from_str::<(&str, &RawValue)>(text) {
            Ok(("$json", value)) => Cow::Borrowed(value.get()),
            _ => Cow::Borrowed(text),
        },
        Some(b'{') => Cow::Owned(envelope::to_plain(&RawJson::from_trusted(text)).as_str().to_owned()),
        _ => Cow::Borrowed(text),
    }
}

fn object_changes_in_store(text: &str) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    // A serialized object parses. If it did not, the array would preserve it.
    json.deserialize_map(ChangesInStore).unwrap_or(true)
}

/// Determines whether an object holds, outside of arrays, a value that a store would drop or change.
struct ChangesInStore;

impl<'de> Visitor<'de> for ChangesInStore {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut is_empty, mut has_changed_member, mut is_one_leaf) = (true, false, false);
        let (mut has_type, mut has_typed, mut is_unwrapped) = (false, false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            is_empty = false;
            match &*key {
                "_type" => {
                    has_type = true;
                    let kind: &RawValue = map.next_value()?;
                    // The store keeps a file or a lease as one leaf, with all its members.
                    is_one_leaf = matches!(kind.get(), r#""file""# | r#""lease""#);
                    has_changed_member |= kind.get().starts_with('{');
                    continue;
                }
                "_typed" => has_typed = true,
                // A server stores a value `x` that is not an object as `{"_scalar": x}`, and reads every object with
                // that key as its member. It reads a body `{"_json": x}` as `x`.
                "_scalar" | "_json" => is_unwrapped = true,
                "" => has_changed_member = true,
                _ => {}
            }
            let value: &RawValue = map.next_value()?;
            has_changed_member |= value.get().starts_with('{') && object_changes_in_store(value.get());
        }
        Ok(is_empty || (has_type && has_typed) || is_unwrapped || (has_changed_member && !is_one_leaf))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{RawJson, escape_from};

    fn escape(text: String, nullable: bool) -> String {
        let mut whole = b"before".to_vec();
        whole.extend(text.bytes());
        escape_from("before".len(), &mut whole, nullable);
        String::from_utf8(whole).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    fn unescape(text: &str) -> String {
        super::unescape(RawJson::parse(text).unwrap().as_str()).into_owned()
    }

    #[test]
    fn ordinary_value_is_written_unchanged() {
        for value in [
            json!(1),
            json!("x"),
            json!(true),
            json!([]),
            json!([{}]),
            json!({"a": 1}),
            json!({"a": {"b": []}}),
            json!({"_type": "other"}),
            json!({"_type": "file", "meta": {}}),
            json!([{"_scalar": 1}]),
        ] {
            assert_eq!(escape(value.to_string(), true), value.to_string());
        }
        assert_eq!(escape("null".into(), true), "null");
    }

    #[test]
    fn value_that_a_store_would_change_is_escaped() {
        for value in [
            json!({}),
            json!({"a": {}}),
            json!({"a": {"b": {}}, "c": 1}),
            json!({"": 1}),
            json!({"_json": 5}),
            json!({"_type": "decimal", "_typed": "1.20"}),
            json!({"at": {"_typed": "x", "_type": {}}}),
            json!({"_type": "file", "_scalar": 1}),
            json!({"_scalar": 1}),
            json!({"_scalar": {"b": 1}, "x": 1}),
            json!({"a": {"b": {"_scalar": null}}}),
            json!({"_json": 1, "_type": "lease"}),
            json!(["$json", 1]),
            json!(["$claim"]),
        ] {
            let written = escape(value.to_string(), true);
            assert_eq!(written, format!(r#"["$json",{value}]"#));
            assert_eq!(unescape(&written), value.to_string());
        }
        assert_eq!(escape("null".into(), false), r#"["$json",null]"#);
    }

    #[test]
    fn envelope_is_read_as_its_string() {
        assert_eq!(unescape(r#"{"_type":"decimal","_typed":"1.20"}"#), r#""1.20""#);
        assert_eq!(unescape(r#"{"_typed":"2026-01-02T03:04:05Z", "_type":"datetime"}"#), r#""2026-01-02T03:04:05Z""#);
        assert_eq!(unescape(r#"{"_type":"file","hash":"x"}"#), r#"{"_type":"file","hash":"x"}"#);
        assert_eq!(unescape(r#"[ "$json" , {} ]"#), "{}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![4 => "[a-c]{0,2}", 1 => Just("_type".to_owned()), 1 => Just("_typed".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop_oneof![".{0,4}", Just("$json".to_owned()), Just("decimal".to_owned()), Just("file".to_owned())]
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn unescape_reverts_escape(value in any_json(), nullable: bool) {
            let written = escape(value.to_string(), nullable);
            prop_assert_eq!(unescape(&written), value.to_string());
        }
    }
}
