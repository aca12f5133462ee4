//! JSON in the style of a Dust server: sorted keys, short floats, its own escapes.

use std::collections::BTreeMap;

use dust_protocol::RawJson;

/// The float from which on an exponent is always written: not every larger integer is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a string as JSON.
pub(crate) fn push_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A string as JSON.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(text, &mut out);
    out
}

/// A number, or `null`.
pub(crate) fn number_or_null(number: Option<u64>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

/// An integer as a value.
pub(crate) fn integer(number: u64) -> RawJson {
    RawJson::from(serde_json::Value::from(number))
}

/// A text as a value.
pub(crate) fn text(text: &str) -> RawJson {
    RawJson::from(serde_json::Value::from(text))
}

/// Appends a stored value with floats and strings in the style of a server.
pub(crate) fn push_value(value: &RawJson, out: &mut String) {
    let text = value.as_str();
    let mut rest = text;
    while let Some(byte) = rest.bytes().next() {
        let length = match byte {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len()),
            // Punctuation, literals and white space, up to the next string or number.
            _ => rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()).unwrap_or(rest.len()),
        };
        let (token, tail) = rest.split_at(length);
        match byte {
            b'"' if token.contains('\\') => match serde_json::from_str::<String>(token) {
                Ok(unescaped) => push_string(&unescaped, out),
                Err(_) => out.push_str(token),
            },
            b'-' | b'0'..=b'9' => push_number(token, out),
            _ => out.push_str(token),
        }
        rest = tail;
    }
}

/// The length of the string that a text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn push_number(token: &str, out: &mut String) {
    let float = if token.contains(['.', 'e', 'E']) { token.parse::<f64>().ok() } else { None };
    match float.filter(|float| float.is_finite()) {
        Some(float) => push_float(float, out),
        None => out.push_str(if token == "-0" { "0" } else { token }),
    }
}

/// Appends a finite float with the fewest digits that parse to it, in the shorter of the plain and the exponent form;
/// if both are equally long, the plain one. There is always a fraction.
pub(crate) fn push_float(float: f64, out: &mut String) {
    // `d.ddde<exponent>`: the shortest digits.
    let scientific = format!("{:e}", float.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float.is_sign_negative() {
        out.push('-');
    }
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let exponent_length = exponent.to_string().len() as i32 + if count == 1 { 4 } else { count + 2 };
    let plain_length = match exponent {
        ..0 => 1 - exponent + count,
        _ if exponent >= count - 1 => exponent + 3,
        _ => count + 1,
    };
    if float.abs() >= EXACT || exponent_length < plain_length {
        let (first, others) = digits.split_at(1);
        let others = if others.is_empty() { "0" } else { others };
        out.push_str(&format!("{first}.{others}e{exponent}"));
        return;
    }
    match usize::try_from(exponent) {
        Err(_) => {
            out.push_str("0.");
            out.push_str(&"0".repeat(usize::try_from(-exponent - 1).unwrap_or(0)));
            out.push_str(&digits);
        }
        Ok(point) if point + 1 >= digits.len() => {
            out.push_str(&digits);
            out.push_str(&"0".repeat(point + 1 - digits.len()));
            out.push_str(".0");
        }
        Ok(point) => {
            let (whole, fraction) = digits.split_at(point + 1);
            out.push_str(&format!("{whole}.{fraction}"));
        }
    }
}

/// Makes a list of JSON texts.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// Writes an object member by member. The caller names them in order.
#[derive(Default)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Object {
        Object::default()
    }

    /// Adds a member with a JSON text.
    pub(crate) fn raw(mut self, key: &str, json: &str) -> Object {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_string(key, &mut self.0);
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    pub(crate) fn string(self, key: &str, text: &str) -> Object {
        self.raw(key, &string(text))
    }

    pub(crate) fn number(self, key: &str, number: u64) -> Object {
        self.raw(key, &number.to_string())
    }

    pub(crate) fn value(mut self, key: &str, value: &RawJson) -> Object {
        self = self.raw(key, "");
        push_value(value, &mut self.0);
        self
    }

    pub(crate) fn end(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// A value in the notation of the server's language, as in error details.
pub(crate) fn inspect(value: &RawJson) -> String {
    let mut out = String::new();
    inspect_into(value, 0, &mut out);
    out
}

fn inspect_into(value: &RawJson, depth: usize, out: &mut String) {
    // The largest depth of values, and the number of items shown.
    const MAX_DEPTH: usize = 100;
    const MAX_ITEMS: usize = 50;
    let text = value.as_str();
    if depth > MAX_DEPTH {
        out.push_str("...");
        return;
    }
    match text.bytes().next() {
        Some(b'n') => out.push_str("nil"),
        Some(b'"') => inspect_string(&value.to::<String>().unwrap_or_default(), out),
        Some(b'[') => {
            let items: Vec<RawJson> = value.to().unwrap_or_default();
            out.push('[');
            for (index, item) in items.iter().take(MAX_ITEMS).enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                inspect_into(item, depth + 1, out);
            }
            out.push_str(if items.len() > MAX_ITEMS { ", ...]" } else { "]" });
        }
        Some(b'{') => {
            let members: BTreeMap<String, RawJson> = value.to().unwrap_or_default();
            out.push_str("%{");
            for (index, (key, item)) in members.iter().take(MAX_ITEMS).enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                inspect_string(key, out);
                out.push_str(" => ");
                inspect_into(item, depth + 1, out);
            }
            out.push_str(if members.len() > MAX_ITEMS { ", ...}" } else { "}" });
        }
        _ => push_value(value, out),
    }
}

/// A quoted string in the notation of the server's language.
pub(crate) fn inspect_string(text: &str, out: &mut String) {
    out.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '#' if characters.peek() == Some(&'{') => out.push_str("\\#"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{7f}' => out.push_str("\\d"),
            control if control.is_control() => out.push_str(&format!("\\x{{{:X}}}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        push_value(&RawJson::parse(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn float_is_written_short() {
        let table = [
            ("1.0", "1.0"),
            ("1e3", "1.0e3"),
            ("100.0", "100.0"),
            ("100000.0", "1.0e5"),
            ("1100.0", "1.1e3"),
            ("1110.0", "1110.0"),
            ("123456.0", "123456.0"),
            ("1e22", "1.0e22"),
            ("9007199254740993.0", "9.007199254740992e15"),
            ("1.5e-7", "1.5e-7"),
            ("0.1", "0.1"),
            ("0.001", "0.001"),
            ("0.00135", "0.00135"),
            ("1.3500000000000003e-4", "1.3500000000000003e-4"),
            ("-0.0", "-0.0"),
            ("-12.5", "-12.5"),
            ("3.14159265358979323846", "3.141592653589793"),
            ("1.7976931348623157e308", "1.7976931348623157e308"),
            ("5e-324", "5.0e-324"),
        ];
        for (text, expected) in table {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn written_float_parses_to_itself() {
        for float in [0.1, 1.0 / 3.0, 1e-5, 123.456, 1e16, 4.35e200, f64::MIN_POSITIVE, 2f64.powi(53) - 1.0] {
            let mut out = String::new();
            push_float(float, &mut out);
            assert_eq!(out.parse::<f64>().unwrap(), float);
        }
    }

    #[test]
    fn other_values_are_unchanged() {
        for text in [
            "null",
            "true",
            "123456789012345678901234567890",
            "-5",
            r#"{"a":[1,2,{"b":"1.50 e"}],"c\\":null}"#,
            "\"1e3 é \\\" \\\\\"",
            "[]",
            "{}",
        ] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written("[1.50,{\"a\":2e0,\"b\":\"x\"},-1]"), "[1.5,{\"a\":2.0,\"b\":\"x\"},-1]");
        assert_eq!(written(r#""\u001f\u0008\u0000""#), r#""\u001F\b\u0000""#);
    }

    #[test]
    fn object_is_written_by_member() {
        assert_eq!(Object::new().end(), "{}");
        let value = RawJson::parse("1e3").unwrap();
        let object = Object::new().string("a", "x\"").number("b", 1).value("c", &value).raw("d", "null");
        assert_eq!(object.end(), r#"{"a":"x\"","b":1,"c":1.0e3,"d":null}"#);
        assert_eq!(array(["1".to_owned(), "2".to_owned()]), "[1,2]");
    }

    #[test]
    fn detail_shows_value_in_server_notation() {
        let table = [
            ("null", "nil"),
            ("\"3\"", "\"3\""),
            ("0", "0"),
            ("1.50", "1.5"),
            ("[\"keys\",null]", "[\"keys\", nil]"),
            (r#"{"b":1,"a":[]}"#, r#"%{"a" => [], "b" => 1}"#),
            (r#""a\"b\\c\n#{x} # é\u0001""#, r#""a\"b\\c\n\#{x} # é\x{1}""#),
        ];
        for (text, expected) in table {
            assert_eq!(inspect(&RawJson::parse(text).unwrap()), expected);
        }
    }
}
