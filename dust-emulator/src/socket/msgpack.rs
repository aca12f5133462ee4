//! Frames of `vsn=3.0.0`: MessagePack from JSON text, and back.
//!
//! MessagePack has no integer beyond 64 bits, over which a server crashes. It has timestamps, which a server stores as
//! datetime envelopes, and bytes, which a server stores as text.

use std::collections::BTreeMap;

use dust_protocol::envelope::iso;
use dust_protocol::value::push_string;
use rmpv::Value;
use serde_json::value::RawValue;

/// The deepest nesting of a frame: the depth that a store takes, and the frame around it.
const MAX_DEPTH: usize = 120;

/// The type number of a timestamp among MessagePack's extensions.
const TIMESTAMP: i8 = -1;

/// A time: seconds since 1970, and nanoseconds.
pub(super) type Timestamp = (i64, u32);

/// The error for JSON without a form in MessagePack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EncodeError {
    #[error("the integer {0} takes more than 64 bits, which MessagePack does not have")]
    WideInteger(String),
    #[error("it is not JSON")]
    NotJson,
}

/// The JSON text of MessagePack bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) json: String,
    /// The first string that is not UTF-8; the text has replacement characters for its bad bytes.
    pub(super) not_utf8: Option<NotUtf8>,
}

/// A string that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8 {
    pub(super) bytes: Vec<u8>,
    /// The index of the first bad byte.
    pub(super) bad_at: usize,
}

/// Converts a JSON text. Integers stay integers and floats stay floats.
pub(super) fn from_json(json: &str) -> Result<Value, EncodeError> {
    let not_json = |_| EncodeError::NotJson;
    match json.trim_start().as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(not_json)?;
            items.into_iter().map(|item| from_json(item.get())).collect::<Result<_, _>>().map(Value::Array)
        }
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(not_json)?;
            let pairs = members.into_iter().map(|(key, value)| Ok((key.into(), from_json(value.get())?)));
            pairs.collect::<Result<_, _>>().map(Value::Map)
        }
        _ => scalar(json, serde_json::from_str(json).map_err(not_json)?),
    }
}

fn scalar(json: &str, value: serde_json::Value) -> Result<Value, EncodeError> {
    Ok(match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => flag.into(),
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(integer), _, _) => integer.into(),
            (_, Some(integer), _) => integer.into(),
            // serde_json parses "-0" as a float, and an integer beyond 64 bits too.
            (_, _, Some(float)) if json.contains(['.', 'e', 'E']) => float.into(),
            _ if json.trim() == "-0" => 0.into(),
            _ => return Err(EncodeError::WideInteger(json.trim().to_owned())),
        },
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => return Err(EncodeError::NotJson),
    })
}

/// The bytes of a value.
pub(super) fn to_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector has no errors.
    let _ = rmpv::encode::write_value(&mut bytes, value);
    bytes
}

/// Replaces the member `value` of a frame's payload.
pub(super) fn set_payload_value(frame: &mut Value, replacement: Value) {
    let Value::Array(parts) = frame else { return };
    let Some(Value::Map(members)) = parts.last_mut() else { return };
    if let Some((_, value)) = members.iter_mut().find(|(key, _)| key.as_str() == Some("value")) {
        *value = replacement;
    }
}

/// A time in the shortest of MessagePack's three forms that holds it.
pub(super) fn timestamp((seconds, nanos): Timestamp) -> Value {
    let bytes = match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(seconds), _) if nanos == 0 => seconds.to_be_bytes().to_vec(),
        (_, Ok(seconds)) if seconds >> 34 == 0 => (u64::from(nanos) << 34 | seconds).to_be_bytes().to_vec(),
        _ => [&nanos.to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    };
    Value::Ext(TIMESTAMP, bytes)
}

/// Reads one value as JSON text; `None` if a server crashes over it.
///
/// The text of a timestamp is a datetime envelope. A key that is not a string becomes the string of its JSON.
pub(super) fn to_json(mut bytes: &[u8]) -> Option<Decoded> {
    // rmpv counts an array or map twice: as a value, and as the list of its items.
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, 2 * MAX_DEPTH).ok()?;
    let mut decoded = Decoded { json: String::new(), not_utf8: None };
    decoded.push(&value)?;
    bytes.is_empty().then_some(decoded)
}

impl Decoded {
    fn push(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::Nil => self.json.push_str("null"),
            Value::Boolean(flag) => self.json.push_str(if *flag { "true" } else { "false" }),
            Value::Integer(number) => self.json.push_str(&number.to_string()),
            Value::F32(float) => self.push_float((*float).into())?,
            Value::F64(float) => self.push_float(*float)?,
            Value::String(text) => self.push_text(text.as_bytes()),
            Value::Binary(bytes) => self.push_text(bytes),
            Value::Array(items) => {
                self.json.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.push_comma(at);
                    self.push(item)?;
                }
                self.json.push(']');
            }
            Value::Map(members) => {
                self.json.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    self.push_comma(at);
                    self.push_key(key)?;
                    self.json.push(':');
                    self.push(value)?;
                }
                self.json.push('}');
            }
            Value::Ext(TIMESTAMP, bytes) => {
                let text = iso_text(bytes)?;
                self.json.push_str(&format!(r#"{{"_type":"datetime","_typed":"{text}"}}"#));
            }
            Value::Ext(..) => return None,
        }
        Some(())
    }

    fn push_comma(&mut self, at: usize) {
        if at > 0 {
            self.json.push(',');
        }
    }

    fn push_float(&mut self, float: f64) -> Option<()> {
        self.json.push_str(&serde_json::Number::from_f64(float)?.to_string());
        Some(())
    }

    fn push_text(&mut self, bytes: &[u8]) {
        if let Err(error) = std::str::from_utf8(bytes) {
            let bad_at = error.valid_up_to();
            self.not_utf8.get_or_insert_with(|| NotUtf8 { bytes: bytes.to_vec(), bad_at });
        }
        push_string(&String::from_utf8_lossy(bytes), &mut self.json);
    }

    fn push_key(&mut self, key: &Value) -> Option<()> {
        if matches!(key, Value::Array(_) | Value::Map(_) | Value::Ext(..)) {
            return None;
        }
        let start = self.json.len();
        self.push(key)?;
        if !self.json[start..].starts_with('"') {
            let key = self.json.split_off(start);
            push_string(&key, &mut self.json);
        }
        Some(())
    }
}

/// The ISO 8601 text, in UTC, of a timestamp's bytes, with the fraction of the second that it has, down to
/// microseconds; `None` outside of the years 0 to 9999.
fn iso_text(bytes: &[u8]) -> Option<String> {
    let (seconds, nanos) = if let Ok(seconds) = <[u8; 4]>::try_from(bytes) {
        (u32::from_be_bytes(seconds).into(), 0)
    } else if let Ok(bits) = <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes) {
        ((bits & 0x3_ffff_ffff) as i64, bits >> 34)
    } else {
        let (nanos, seconds) = bytes.split_at_checked(4)?;
        let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
        (i64::from_be_bytes(seconds.try_into().ok()?), nanos.into())
    };
    let whole = iso(seconds.checked_mul(1000)?, 3);
    let whole = whole.strip_suffix(".000Z").filter(|whole| whole.len() == "2026-01-02T03:04:05".len())?;
    let micros = (nanos < 1_000_000_000).then(|| format!("{:06}", nanos / 1000))?;
    let fraction = micros.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{whole}Z") } else { format!("{whole}.{fraction}Z") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(json: &str) -> Vec<u8> {
        to_bytes(&from_json(json).unwrap())
    }

    fn decoded(bytes: &[u8]) -> String {
        let Decoded { json, not_utf8 } = to_json(bytes).unwrap();
        assert_eq!(not_utf8, None);
        json
    }

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn recorded_bytes_convert_both_ways() {
        for (bytes, json) in [
            (
                "95a131a131b373746f72653a61636d652f6733656565373534a87068785f6a6f696e81ae6c6173745f73746f72655f7365\
                 7100",
                r#"["1","1","store:acme/g3eee754","phx_join",{"last_store_seq":0}]"#,
            ),
            (
                "95a131c0b573746f72653a61636d652f67336474656565373534b163617463685f75705f636f6d706c65746581ab746872\
                 6f7567685f73657101",
                r#"["1",null,"store:acme/g3dteee754","catch_up_complete",{"through_seq":1}]"#,
            ),
        ] {
            assert_eq!(decoded(&from_hex(bytes)), json);
            assert_eq!(encoded(json), from_hex(bytes));
        }
    }

    #[test]
    fn value_round_trips_with_its_kind() {
        let long = format!("{:?}", "é".repeat(40_000));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        for json in [
            "null",
            "true",
            "127",
            "18446744073709551615",
            "-9223372036854775808",
            "1.5",
            "-0.0",
            "5e-324",
            r#""a\"b\n\\""#,
            r#"{"a":[1,{"b":null}],"c":{}}"#,
            "[]",
            &long,
            &deep,
        ] {
            assert_eq!(decoded(&encoded(json)), json);
        }
        for (json, back) in
            [("1.10", "1.1"), ("1e3", "1000.0"), ("1e22", "1e+22"), ("-0", "0"), (" [ 1 ,\n{ } ] ", "[1,{}]")]
        {
            assert_eq!(decoded(&encoded(json)), back);
        }
    }

    #[test]
    fn integer_beyond_64_bits_is_refused() {
        for wide in ["18446744073709551616", "-9223372036854775809", &"9".repeat(400)] {
            let refused = from_json(&format!(r#"{{"a":[{wide}]}}"#));
            // serde_json has no number for 400 digits.
            assert!(matches!(refused, Err(EncodeError::WideInteger(_) | EncodeError::NotJson)), "{refused:?}");
        }
    }

    #[test]
    fn timestamp_becomes_an_envelope() {
        for (moment, text) in [
            ((1_767_323_045, 0), "2026-01-02T03:04:05Z"),
            ((1_767_323_045, 500_000_000), "2026-01-02T03:04:05.5Z"),
            ((1_767_323_045, 1_000), "2026-01-02T03:04:05.000001Z"),
            ((-1, 0), "1969-12-31T23:59:59Z"),
            ((-62_167_219_200, 0), "0000-01-01T00:00:00Z"),
            ((253_402_300_799, 999_999_999), "9999-12-31T23:59:59.999999Z"),
        ] {
            let expected = format!(r#"{{"_type":"datetime","_typed":"{text}"}}"#);
            assert_eq!(decoded(&to_bytes(&timestamp(moment))), expected);
        }
        for beyond in [(253_402_300_800, 0), (i64::MIN, 0), (i64::MAX, 0), (0, 1_000_000_000)] {
            assert_eq!(to_json(&to_bytes(&timestamp(beyond))), None, "{beyond:?}");
        }
    }

    #[test]
    fn odd_key_and_bytes_become_text() {
        assert_eq!(decoded(&[0x81, 0x01, 0xa1, b'a']), r#"{"1":"a"}"#);
        assert_eq!(decoded(&[0x81, 0xc0, 0xc0]), r#"{"null":null}"#);
        assert_eq!(decoded(&[0xc4, 1, b'x']), "\"x\"");
        let decoded = to_json(&[0x92, 0xc4, 2, 0x00, 0xff, 0xa1, 0xfe]).unwrap();
        assert_eq!(decoded.not_utf8, Some(NotUtf8 { bytes: vec![0x00, 0xff], bad_at: 1 }));
        assert_eq!(decoded.json, "[\"\\u0000\u{fffd}\",\"\u{fffd}\"]");
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        let deep = [vec![0x91; 200_000], vec![0xc0]].concat();
        let table: [&[u8]; 10] = [
            &[],
            &[0xa5, b'a'],
            &[0x92, 1],
            &[1, 1],
            &[0xd4, 5, 0],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0xff, 0xff, 0xff, 0xff],
            &[0x81, 0x91, 1, 1],
            &deep,
            &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
        ];
        for bytes in table {
            assert_eq!(to_json(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_become_json_that_converts_back(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), 0x80..=0x9f_u8, 0xa0..=0xa8_u8, 0xc0..=0xdf_u8, 0x00..=0x08_u8],
            0..96,
        )) {
            if let Some(Decoded { json, .. }) = to_json(&bytes) {
                let value: serde_json::Value = serde_json::from_str(&json).unwrap();
                let back = to_json(&encoded(&json)).unwrap().json;
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&back).unwrap(), value);
            }
        }
    }
}
