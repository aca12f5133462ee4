//! Values: the checks of a write, the stored form, and the type of a leaf.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::entry::LeafKind;
use super::envelope;
use super::json::RawJson;
use super::path::PathError;

/// The largest depth of nested objects and arrays in one value. Most JSON parsers stop a little later.
pub const MAX_DEPTH: usize = 100;

/// The reason why a value is refused. [`name`](ValueError::name) is a stable name for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An object with an empty key, where keys become path segments.
    #[error("empty_segment: an object key becomes a path segment and cannot be empty; name the key under `{0}`")]
    EmptyKey(String),
    /// Objects or arrays that are nested too deep.
    #[error("invalid_value: objects and arrays may be nested {MAX_DEPTH} deep at the most; flatten the value")]
    TooDeep,
    /// A number beyond the range of a double.
    #[error("invalid_value: the number {0} is out of range; write it as a string")]
    NumberOutOfRange(String),
    /// A text that is not JSON, such as a string with half of a surrogate pair.
    #[error("invalid_value: {0}")]
    NotJson(String),
    /// An envelope that servers store and cannot read.
    #[error("invalid_value: `{text}` is not a {kind}; {hint}")]
    BadEnvelope {
        /// The type of the envelope.
        kind: &'static str,
        /// The text in the envelope.
        text: String,
        /// Advice.
        hint: &'static str,
    },
}

impl ValueError {
    /// `empty_segment` (the server's name) or `invalid_value`.
    pub fn name(&self) -> &'static str {
        match self {
            ValueError::EmptyKey(_) => PathError::EmptySegment.name(),
            _ => "invalid_value",
        }
    }
}

impl LeafKind {
    /// The type a store gives a leaf that is set to this value.
    ///
    /// ```
    /// use dust_protocol::{LeafKind, RawJson};
    ///
    /// assert_eq!(LeafKind::of(&RawJson::parse("1.0")?), LeafKind::Float);
    /// assert_eq!(LeafKind::of(&RawJson::parse("[1]")?), LeafKind::String);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn of(value: &RawJson) -> LeafKind {
        let text = value.as_str();
        match text.as_bytes().first() {
            Some(b'{') if type_name(text).as_deref() == Some("lease") => LeafKind::Lease,
            Some(b'{') => LeafKind::Map,
            Some(b't' | b'f') => LeafKind::Boolean,
            Some(b'n') => LeafKind::Null,
            Some(b'-' | b'0'..=b'9') if is_integer(text) => LeafKind::Integer,
            Some(b'-' | b'0'..=b'9') => LeafKind::Float,
            _ => LeafKind::String,
        }
    }
}

/// True if a value is an object that becomes several leaves or none.
pub fn is_subtree(value: &RawJson) -> bool {
    value.is_object() && !is_envelope(value)
}

/// True if a value is an object that stays one leaf: a file, a lease, or any with `_type` and `_typed`.
pub fn is_envelope(value: &RawJson) -> bool {
    value.is_object() && members(value.as_str()).is_ok_and(|members| is_envelope_of(&members))
}

/// As [`is_envelope`], for the members of an object.
pub fn is_envelope_of(members: &Members<'_>) -> bool {
    match members.get("_type") {
        None => false,
        Some(kind) => members.contains_key("_typed") || matches!(kind.get(), "\"file\"" | "\"lease\""),
    }
}

/// Checks a value and returns the form in which a store keeps it: without white space, keys sorted, the first of equal
/// keys, strings unescaped if JSON allows it. Every digit of a number stays.
///
/// # Errors
///
/// Strings that are not Unicode, numbers beyond a double, values nested deeper than [`MAX_DEPTH`], and decimal and
/// datetime envelopes that do not parse. Inside a list no object is an envelope. Empty keys pass: they matter only
/// where keys become path segments.
pub fn normalise(value: &RawJson) -> Result<RawJson, ValueError> {
    render(value.as_str(), true).map(RawJson::from_trusted)
}

/// The canonical text of a value, the same for equal values: as [`normalise`], and `1.0`, `1.00` and `10e-1` are one
/// float. `1` and `1.0` stay different.
pub fn comparable(value: &str) -> Result<String, ValueError> {
    render(value, false)
}

/// The value of the leaf by which an insert claims a record before it writes it. Readers ignore such a leaf.
pub const CLAIM: &str = r#"["$claim"]"#;

/// True if the value of a leaf is a claim.
pub fn is_claim(value: &str) -> bool {
    value == CLAIM
}

/// The first key with a NUL character among those that become path segments if an object is set; `None` if there is
/// none. A server loses leaves with such a path. Keys inside an array are part of its text and allowed.
///
/// `merged` is true for a `merge`, which splits the first level even if it has the form of an envelope.
pub fn nul_key(value: &str, merged: bool) -> Option<String> {
    // JSON has no other form of this character.
    if !value.starts_with('{') || !value.contains("\\u0000") {
        return None;
    }
    let members = members(value).ok()?;
    if !merged && is_envelope_of(&members) {
        return None;
    }
    let nul = members.keys().find(|key| key.contains('\0')).map(|key| key.clone().into_owned());
    nul.or_else(|| members.values().find_map(|value| nul_key(value.get(), false)))
}

/// Refuses a text that is nested deeper than [`MAX_DEPTH`], in one pass without recursion, so that later passes may
/// recurse.
pub fn check_depth(text: &str) -> Result<(), ValueError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ValueError::TooDeep);
        }
    }
    Ok(())
}

/// The members of an object, sorted by key, the first of equal keys.
pub type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Reads the members of an object.
pub fn members(object: &str) -> Result<Members<'_>, ValueError> {
    let FirstWins(members) = serde_json::from_str(object).map_err(not_json)?;
    Ok(members)
}

/// Reads the items of an array.
pub fn items(array: &str) -> Result<Vec<&RawValue>, ValueError> {
    serde_json::from_str(array).map_err(not_json)
}

/// True if a number is written without fraction and exponent.
pub fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

fn type_name(object: &str) -> Option<String> {
    let members = members(object).ok()?;
    serde_json::from_str(members.get("_type")?.get()).ok()
}

fn not_json(error: serde_json::Error) -> ValueError {
    ValueError::NotJson(error.to_string())
}

fn render(text: &str, floats_as_written: bool) -> Result<String, ValueError> {
    check_depth(text)?;
    let mut renderer = Renderer { out: String::with_capacity(text.len()), floats_as_written, lists: 0 };
    renderer.render(text)?;
    Ok(renderer.out)
}

struct Renderer {
    out: String,
    floats_as_written: bool,
    /// The number of open lists.
    lists: usize,
}

impl Renderer {
    fn render(&mut self, text: &str) -> Result<(), ValueError> {
        match text.as_bytes().first() {
            Some(b'{') => self.object(text),
            Some(b'[') => {
                self.out.push('[');
                self.lists += 1;
                for (index, item) in items(text)?.into_iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.render(item.get())?;
                }
                self.lists -= 1;
                self.out.push(']');
                Ok(())
            }
            Some(b'"') => self.string(text),
            Some(b'-' | b'0'..=b'9') => self.number(text),
            _ => {
                self.out.push_str(text);
                Ok(())
            }
        }
    }

    fn object(&mut self, text: &str) -> Result<(), ValueError> {
        let members = members(text)?;
        if self.lists == 0 {
            envelope::check(&members)?;
        }
        self.out.push('{');
        for (index, (key, value)) in members.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            push_string(&key, &mut self.out);
            self.out.push(':');
            self.render(value.get())?;
        }
        self.out.push('}');
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), ValueError> {
        if text.contains('\\') {
            let unescaped: String = serde_json::from_str(text).map_err(not_json)?;
            push_string(&unescaped, &mut self.out);
        } else {
            self.out.push_str(text);
        }
        Ok(())
    }

    fn number(&mut self, text: &str) -> Result<(), ValueError> {
        if text.len() < 300 && is_integer(text) {
            self.out.push_str(if text == "-0" { "0" } else { text });
            return Ok(());
        }
        let double: f64 = text.parse().unwrap_or(f64::NAN);
        if !double.is_finite() {
            let shown = if text.len() > 40 { format!("{}…", &text[..40]) } else { text.to_owned() };
            return Err(ValueError::NumberOutOfRange(shown));
        }
        if self.floats_as_written || is_integer(text) {
            self.out.push_str(text);
        } else {
            push_float(double, &mut self.out);
        }
        Ok(())
    }
}

/// Appends a string as JSON.
pub fn push_string(text: &str, out: &mut String) {
    out.push('"');
    // Runs of unchanged characters are copied at once. An escaped character is one byte.
    let mut kept_from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.push_str(text.get(kept_from..at).unwrap_or_default());
        kept_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
    }
    out.push_str(text.get(kept_from..).unwrap_or_default());
    out.push('"');
}

/// Appends a number in decimal digits.
pub fn push_number(number: u64, out: &mut String) {
    if number > 9 {
        push_number(number / 10, out);
    }
    // The digit is below ten.
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Appends a finite float so that it reads back as a float: with a fraction or an exponent.
pub fn push_float(float: f64, out: &mut String) {
    out.push_str(&format!("{float:?}"));
}

struct FirstWins<'a>(Members<'a>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for FirstWins<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FirstWins<'de>, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = FirstWins<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FirstWins<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.entry(key).or_insert(value);
                }
                Ok(FirstWins(members))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::testing::json;
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text).unwrap()
    }

    fn normal(text: &str) -> String {
        normalise(&raw(text)).unwrap().as_str().to_owned()
    }

    #[test]
    fn leaf_has_the_type_of_a_server() {
        let table = [
            ("null", LeafKind::Null),
            ("true", LeafKind::Boolean),
            ("false", LeafKind::Boolean),
            ("0", LeafKind::Integer),
            ("-12", LeafKind::Integer),
            ("123456789012345678901234567890", LeafKind::Integer),
            ("1.0", LeafKind::Float),
            ("-0.0", LeafKind::Float),
            ("1e3", LeafKind::Float),
            ("1E3", LeafKind::Float),
            ("\"\"", LeafKind::String),
            ("[]", LeafKind::String),
            ("[1,[2]]", LeafKind::String),
            (r#"{"_type":"decimal","_typed":"1"}"#, LeafKind::Map),
            (r#"{"_type":"file"}"#, LeafKind::Map),
            (r#"{"_type":"lease"}"#, LeafKind::Lease),
            (r#"{"_\u0074ype":"leas\u0065"}"#, LeafKind::Lease),
            (r#"{"_type":1}"#, LeafKind::Map),
        ];
        for (text, kind) in table {
            assert_eq!(LeafKind::of(&raw(text)), kind, "{text}");
        }
    }

    #[test]
    fn envelope_stays_one_leaf() {
        for text in [
            r#"{"_type":"file"}"#,
            r#"{"_type":"lease","token":1}"#,
            r#"{"_type":"decimal","_typed":"1"}"#,
            r#"{"_type":"other","_typed":"x","more":1}"#,
            r#"{"_type":null,"_typed":null}"#,
        ] {
            assert!(is_envelope(&raw(text)) && !is_subtree(&raw(text)), "{text}");
        }
        for text in [r#"{"_type":"map"}"#, r#"{"_typed":"x"}"#, r#"{"_scalar":5}"#, "{}", r#"{"a":1}"#] {
            assert!(!is_envelope(&raw(text)) && is_subtree(&raw(text)), "{text}");
        }
        for text in ["[]", "1", "\"{\"", "null"] {
            assert!(!is_envelope(&raw(text)) && !is_subtree(&raw(text)), "{text}");
        }
    }

    #[test]
    fn normalise_returns_one_form() {
        assert_eq!(normal(r#"{ "b" : [ 1 , {"z":1,"y":2} ], "a":"x" }"#), r#"{"a":"x","b":[1,{"y":2,"z":1}]}"#);
        assert_eq!(normal(r#"{"a":1,"a":2}"#), r#"{"a":1}"#);
        assert_eq!(normal(r#"{"a":1,"\u0061":2}"#), r#"{"a":1}"#);
        assert_eq!(normal(r#""\ud83d\ude00 \u00e9 \/ \u0000""#), "\"😀 é / \\u0000\"");
        assert_eq!(normal("-0"), "0");
        for text in ["-0.0", "1.00", "1e3", "3.14159265358979323846", "123456789012345678901234567890"] {
            assert_eq!(normal(text), text);
        }
        assert_eq!(normal(r#"{"":1}"#), r#"{"":1}"#);
    }

    #[test]
    fn unreadable_value_is_refused() {
        let error = |text: &str| normalise(&raw(text)).unwrap_err();
        assert_eq!(error("1E400"), ValueError::NumberOutOfRange("1E400".into()));
        assert!(matches!(error(&"9".repeat(400)), ValueError::NumberOutOfRange(_)));
        assert!(matches!(error(r#"["\ud800"]"#), ValueError::NotJson(_)));
        assert!(matches!(error(r#"{"\udfff":1}"#), ValueError::NotJson(_)));
        assert_eq!(error(&format!("{}1{}", "[".repeat(101), "]".repeat(101))), ValueError::TooDeep);
        assert!(normalise(&raw(&format!("{}1{}", "[".repeat(100), "]".repeat(100)))).is_ok());
        for text in [
            r#"{"_type":"decimal","_typed":"abc"}"#,
            r#"{"_type":"decimal","_typed":1.5}"#,
            r#"{"_type":"datetime","_typed":"nope"}"#,
            r#"{"at":{"_type":"datetime","_typed":null}}"#,
        ] {
            assert!(matches!(error(text), ValueError::BadEnvelope { .. }), "{text}");
            assert_eq!(error(text).name(), "invalid_value");
        }
    }

    #[test]
    fn object_in_a_list_is_no_envelope() {
        for text in [r#"[{"_type":"decimal","_typed":"abc"}]"#, r#"{"a":[[{"_type":"datetime","_typed":null}]]}"#] {
            assert_eq!(normal(text), text);
        }
    }

    #[test]
    fn very_deep_text_is_refused_without_recursion() {
        let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
        assert_eq!(normalise(&raw(&deep)), Err(ValueError::TooDeep));
    }

    #[test]
    fn equal_values_have_one_text_and_integers_are_not_floats() {
        let same = |a: &str, b: &str| comparable(a).unwrap() == comparable(b).unwrap();
        assert!(same("1.0", "1.00") && same("1.0", "10e-1") && same(r#"{"a":1,"b":[]}"#, r#"{ "b":[],"a":1}"#));
        assert!(same(r#""a""#, r#""\u0061""#) && same("0", "-0"));
        assert!(!same("1", "1.0") && !same("1", "\"1\"") && !same("[1,2]", "[2,1]") && !same("null", "false"));
    }

    proptest! {
        #[test]
        fn normalising_keeps_the_value_and_is_stable(value in json()) {
            let once = normalise(&RawJson::from(&value)).unwrap();
            prop_assert_eq!(&once.to::<Value>().unwrap(), &value);
            prop_assert_eq!(normalise(&once).unwrap(), once);
        }

        #[test]
        fn strings_read_back(text in prop_oneof!["\\PC{0,12}", "[\\x00-\\x21\"\\\\é😀a]{0,12}"]) {
            let mut out = String::new();
            push_string(&text, &mut out);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_are_written_as_ever(number in prop_oneof![any::<u64>(), 0..1000_u64]) {
            let mut out = String::new();
            push_number(number, &mut out);
            prop_assert_eq!(out, number.to_string());
        }

        #[test]
        fn floats_read_back(float in any::<f64>().prop_filter("finite", |float| float.is_finite())) {
            let mut text = String::new();
            push_float(float, &mut text);
            prop_assert!(!is_integer(&text));
            prop_assert_eq!(RawJson::parse(&text).unwrap().to::<f64>().unwrap(), float);
        }
    }
}
