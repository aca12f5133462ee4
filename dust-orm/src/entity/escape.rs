//! Values that a Dust store would not give back as they were written, and how they are kept all the same.
//!
//! An object becomes one leaf per scalar, so an empty object leaves nothing behind, an empty key is refused, an object
//! that looks like a typed envelope comes back as a bare string, and of an object with the key `_scalar` a catch-up
//! brings that member only. An array, on the other hand, is one leaf and is kept to the letter. A value that would be
//! lost is therefore written as the array `["$json", value]`, and so is an array that begins with that marker itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use dust_protocol::value::CLAIM;
use dust_protocol::{RawJson, envelope};

const MARKER: &str = r#"["$json","#;

/// Makes a field's value, which was written from a place in a text on, into what to write for it. `nullable` says whether
/// `null` stands for `None`; where it does not (a JSON column that is not an `Option`), `null` is kept as a value of its own.
pub(crate) fn escape_from(start: usize, text: &mut Vec<u8>, nullable: bool) {
    let value = &text[start..];
    let lost = match value.first() {
        // What is no text is no JSON either, and found out later.
        Some(b'{') => str::from_utf8(value).is_ok_and(object_is_lost),
        Some(b'[') => value.starts_with(MARKER.as_bytes()) || value == CLAIM.as_bytes(),
        Some(b'n') => !nullable,
        _ => false,
    };
    if lost {
        text.splice(start..start, MARKER.bytes());
        text.push(b']');
    }
}

/// The field's value behind the leaf that was read: without the marker, and a decimal or datetime envelope as the bare
/// string that it stands for.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        // White space is possible where another client wrote the array, so the marker is read, not compared.
        Some(b'[') => match serde_json::from_str::<(&str, &RawValue)>(text) {
            Ok(("$json", value)) => Cow::Borrowed(value.get()),
            _ => Cow::Borrowed(text),
        },
        Some(b'{') => Cow::Owned(envelope::to_plain(&RawJson::from_trusted(text)).as_str().to_owned()),
        _ => Cow::Borrowed(text),
    }
}

fn object_is_lost(text: &str) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    // An object that was just serialized parses; were it not so, the array would keep it too.
    json.deserialize_map(IsLost).unwrap_or(true)
}

/// Whether an object holds, outside of arrays, anything that a store would drop or change.
struct IsLost;

impl<'de> Visitor<'de> for IsLost {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut empty, mut lost, mut kept_whole) = (true, false, false);
        let (mut has_type, mut has_typed, mut taken_for_its_member) = (false, false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            empty = false;
            match &*key {
                "_type" => {
                    has_type = true;
                    let kind: &RawValue = map.next_value()?;
                    // A file or lease is one leaf, whatever is in it.
                    kept_whole = matches!(kind.get(), r#""file""# | r#""lease""#);
                    lost |= kind.get().starts_with('{');
                    continue;
                }
                "_typed" => has_typed = true,
                // A server keeps a value that is no object as `{"_scalar": x}`, and takes every value with that key for
                // one; it takes a body `{"_json": x}` for `x`.
                "_scalar" | "_json" => taken_for_its_member = true,
                "" => lost = true,
                _ => {}
            }
            let value: &RawValue = map.next_value()?;
            lost |= value.get().starts_with('{') && object_is_lost(value.get());
        }
        Ok(empty || (has_type && has_typed) || taken_for_its_member || (lost && !kept_whole))
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
    fn writes_ordinary_values_as_they_are() {
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
    fn keeps_what_a_store_would_lose() {
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
    fn reads_envelopes_as_the_strings_they_stand_for() {
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
        fn unescape_undoes_escape(value in any_json(), nullable: bool) {
            let written = escape(value.to_string(), nullable);
            prop_assert_eq!(unescape(&written), value.to_string());
        }
    }
}
