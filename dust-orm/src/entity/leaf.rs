//! Deserializes the text of a leaf.

use serde::de::{Deserializer, Visitor};
use serde_json::Error;
use serde_json::de::StrRead;

/// A deserializer that reads a JSON value as `serde_json` does. It borrows a string without escapes, the most common
/// leaf, without parsing it, which is faster.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafText<'a> {
    /// Valid JSON, without white space around it.
    json: &'a str,
    /// The content of a string without escapes; `None` for every other value.
    plain: Option<&'a str>,
}

impl<'a> LeafText<'a> {
    pub(super) fn new(json: &'a str) -> LeafText<'a> {
        // A loop without an early exit is faster for texts this short.
        let has_escape = |text: &[u8]| text.iter().fold(false, |found, byte| found | (*byte == b'\\'));
        let plain = match json.as_bytes() {
            [b'"', inside @ .., b'"'] if !has_escape(inside) => json.get(1..json.len() - 1),
            _ => None,
        };
        LeafText { json, plain }
    }

    /// A deserializer that leaves every value to `serde_json`, whose errors have a position in the text.
    pub(super) fn exact(self) -> LeafText<'a> {
        LeafText { plain: None, ..self }
    }

    fn read(self) -> serde_json::Deserializer<StrRead<'a>> {
        serde_json::Deserializer::from_str(self.json)
    }
}

macro_rules! as_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Error> {
            self.read().$method($($argument,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for LeafText<'de> {
    type Error = Error;

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.plain {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.read().deserialize_str(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.plain.is_some() { visitor.visit_some(self) } else { self.read().deserialize_option(visitor) }
    }

    as_json! {
        deserialize_any() deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_bytes() deserialize_byte_buf()
        deserialize_unit() deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier() deserialize_ignored_any()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    enum Colour {
        Red,
        Blue(String),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(String);

    /// Asserts that a value is read as `serde_json` reads it, with the same error messages.
    fn check<'a, T: Deserialize<'a> + Debug>(json: &'a str) {
        let mut expected = serde_json::Deserializer::from_str(json);
        let expected = format!("{:?}", T::deserialize(&mut expected).map_err(|error| error.to_string()));
        let exact = T::deserialize(LeafText::new(json).exact()).map_err(|error| error.to_string());
        assert_eq!(format!("{exact:?}"), expected, "{json}");
        match T::deserialize(LeafText::new(json)) {
            Ok(value) => assert_eq!(format!("{:?}", Ok::<T, String>(value)), expected, "{json}"),
            Err(_) => assert!(expected.starts_with("Err"), "{json}"),
        }
    }

    fn check_all(json: &str) {
        check::<String>(json);
        check::<&str>(json);
        check::<Option<String>>(json);
        check::<Option<Option<&str>>>(json);
        check::<Wrapped>(json);
        check::<Colour>(json);
        check::<Option<Colour>>(json);
        check::<char>(json);
        check::<i64>(json);
        check::<Option<f64>>(json);
        check::<bool>(json);
        check::<()>(json);
        check::<Vec<String>>(json);
        check::<serde_json::Value>(json);
        check::<Option<&RawValue>>(json);
        check::<Box<RawValue>>(json);
        check::<&[u8]>(json);
    }

    #[test]
    fn sample_leaf_reads_as_in_serde_json() {
        for json in [
            r#""""#,
            r#""x""#,
            r#""Red""#,
            r#""a \" b""#,
            r#""\\""#,
            r#""é""#,
            "null",
            "true",
            "-7",
            "1.5",
            "[]",
            r#"["a"]"#,
            r#"{"Blue":"b"}"#,
            "123456789012345678901234567890",
        ] {
            check_all(json);
        }
        assert_eq!(<&str>::deserialize(LeafText::new(r#""borrowed""#)).unwrap(), "borrowed");
    }

    proptest! {
        #[test]
        fn any_text_reads_as_in_serde_json(text in "[\\PC\\\\\"\n]{0,12}") {
            check_all(&serde_json::to_string(&text).unwrap());
        }
    }
}
