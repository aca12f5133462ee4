use proptest::prelude::*;
use rmpv::Value as Packed;
use serde_json::Value;

use super::decode::decode_within;
use super::*;
use crate::testing;

fn encoded(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode(json, &mut out).unwrap();
    out
}

fn decoded(bytes: &[u8]) -> String {
    let Decoded { json, not_utf8 } = decode(bytes, Moments::Text).unwrap();
    assert_eq!(not_utf8, None);
    json
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What another reader takes the bytes for.
fn read_by_another(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = rmpv::decode::read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    plain(&value)
}

fn plain(value: &Packed) -> Value {
    match value {
        Packed::Nil => Value::Null,
        Packed::Boolean(flag) => (*flag).into(),
        Packed::Integer(number) => number.as_u64().map_or_else(|| number.as_i64().into(), Value::from),
        Packed::F64(float) => (*float).into(),
        Packed::String(text) => text.as_str().unwrap().into(),
        Packed::Array(items) => items.iter().map(plain).collect(),
        Packed::Map(members) => {
            members.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), plain(value))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_bytes() {
    let frames = [
        (
            "95a131a131b373746f72653a61636d652f6733656565373534a87068785f6a6f696e81ae6c6173745f73746f72655f73657100",
            r#"["1","1","store:acme/g3eee754","phx_join",{"last_store_seq":0}]"#,
        ),
        (
            "95a131a132b373746f72653a61636d652f6733656565373534a5777269746584a26f70a3736574a470617468a16ba576616c7565a176ac\
             636c69656e745f6f705f6964a46f702d31",
            r#"["1","2","store:acme/g3eee754","write",{"op":"set","path":"k","value":"v","client_op_id":"op-1"}]"#,
        ),
        (
            "95a131a132b373746f72653a61636d652f6733656565373534a97068785f7265706c7982a6737461747573a26f6ba8726573706f6e7365\
             81a973746f72655f73657101",
            r#"["1","2","store:acme/g3eee754","phx_reply",{"status":"ok","response":{"store_seq":1}}]"#,
        ),
        (
            "95a131c0b573746f72653a61636d652f67336474656565373534b163617463685f75705f636f6d706c65746581ab7468726f7567685f73\
             657101",
            r#"["1",null,"store:acme/g3dteee754","catch_up_complete",{"through_seq":1}]"#,
        ),
    ];
    for (bytes, json) in frames {
        assert_eq!(decoded(&hex(bytes)), json);
        assert_eq!(encoded(json), hex(bytes));
    }
}

#[test]
fn every_value_comes_back() {
    let long = format!("{:?}", "é".repeat(40_000));
    let many = format!("[{}]", vec!["1"; 70_000].join(","));
    let members: Vec<String> = (0..20).map(|key| format!("\"{key}\":{key}")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let table = [
        "null",
        "true",
        "false",
        "0",
        "127",
        "128",
        "255",
        "256",
        "65535",
        "65536",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "18446744073709551615",
        "-1",
        "-32",
        "-33",
        "-128",
        "-129",
        "-32768",
        "-32769",
        "-2147483648",
        "-2147483649",
        "-9223372036854775808",
        "1.5",
        "-0.0",
        "1e22",
        "5e-324",
        "\"\"",
        r#""a\"b\n\\""#,
        "\"0123456789012345678901234567890\"",
        "\"01234567890123456789012345678901\"",
        r#"{"a":[1,{"b":null}],"c":{}}"#,
        "[]",
        &wide,
        &long,
        &many,
        &deep,
    ];
    for json in table {
        assert_eq!(decoded(&encoded(json)), json);
    }
}

#[test]
fn numbers_keep_their_value_and_their_kind() {
    for (json, back) in [("1.10", "1.1"), ("1e3", "1000.0"), ("10E-1", "1.0"), ("-0", "0"), ("0.10e+1", "1.0")] {
        assert_eq!(decoded(&encoded(json)), back);
    }
    for wide in ["18446744073709551616", "-9223372036854775809", &"9".repeat(400)] {
        let error = encode(&format!(r#"{{"a":[{wide}]}}"#), &mut Vec::new()).unwrap_err();
        let EncodeError::WideInteger(shown) = &error else { panic!("{error}") };
        assert!(wide.starts_with(shown.trim_end_matches('…')));
        assert!(error.to_string().len() < 120);
    }
}

#[test]
fn white_space_means_nothing_and_escapes_are_read() {
    assert_eq!(decoded(&encoded(" { \"a\" : [ 1 ,\n\t{ } , [ ] ] , \"b\":\"x\" }\r\n")), r#"{"a":[1,{},[]],"b":"x"}"#);
    assert_eq!(decoded(&encoded(r#""\u00e9\ud83d\ude00\/\u0000""#)), "\"é😀/\\u0000\"");
}

#[test]
fn what_is_not_json_is_refused() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(encode(&deep, &mut Vec::new()), Err(EncodeError::TooDeep));
    for text in [
        "",
        " ",
        "nul",
        "truex",
        "01",
        "-",
        "-01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e999",
        "--1",
        "1-2",
        "Infinity",
        "\"a",
        "\"\\x\"",
        "\"\\ud800\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "1 2",
        "é",
        "\"\\",
    ] {
        assert!(matches!(encode(text, &mut Vec::new()), Err(EncodeError::NotJson(_))), "{text}");
    }
}

#[test]
fn moments() {
    let packed = |moment| {
        let mut out = Vec::new();
        encode_with_moment(r#"{"other":{"value":1},"value":[2]}"#, Some(moment), &mut out).unwrap();
        out
    };
    let table = [
        ((1_767_323_045, 0), "2026-01-02T03:04:05Z"),
        ((1_767_323_045, 500_000_000), "2026-01-02T03:04:05.5Z"),
        ((1_767_323_045, 1_000), "2026-01-02T03:04:05.000001Z"),
        ((-1, 0), "1969-12-31T23:59:59Z"),
        ((-62_167_219_200, 0), "0000-01-01T00:00:00Z"),
        ((253_402_300_799, 999_999_999), "9999-12-31T23:59:59.999999Z"),
    ];
    for (at, text) in table {
        let bytes = packed(at);
        assert_eq!(decoded(&bytes), format!(r#"{{"other":{{"value":1}},"value":"{text}"}}"#));
        let kept = decode(&bytes, Moments::Envelope).unwrap().json;
        assert_eq!(kept, format!(r#"{{"other":{{"value":1}},"value":{{"_type":"datetime","_typed":"{text}"}}}}"#));
    }
    for beyond in [(253_402_300_800, 0), (i64::MIN, 0), (i64::MAX, 0), (0, 1_000_000_000)] {
        assert!(decode(&packed(beyond), Moments::Text).is_err(), "{beyond:?}");
    }
}

#[test]
fn odd_keys_and_bytes() {
    assert_eq!(decoded(&[0x81, 0x01, 0xa1, b'a']), r#"{"1":"a"}"#);
    assert_eq!(decoded(&[0x81, 0xc0, 0xc0]), r#"{"null":null}"#);
    assert_eq!(decoded(&[0xc4, 1, b'x']), "\"x\"");
    let decoded = decode(&[0x92, 0xc4, 2, 0x00, 0xff, 0xa1, 0xfe], Moments::Text).unwrap();
    assert_eq!(decoded.not_utf8, Some(NotUtf8 { bytes: vec![0x00, 0xff], bad_at: 1 }));
    assert_eq!(decoded.json, "[\"\\u0000\u{fffd}\",\"\u{fffd}\"]");
}

#[test]
fn what_is_no_value_is_refused() {
    let deep = [vec![0x91; 200_000], vec![0xc0]].concat();
    let table: [&[u8]; 12] = [
        &[],
        &[0xc1],
        &[0xa5, b'a'],
        &[0x92, 1],
        &[1, 1],
        &[0xd4, 5, 0],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0x91, 1, 1],
        &deep,
        &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
    ];
    for bytes in table {
        let error = decode(bytes, Moments::Text).unwrap_err().to_string();
        assert!(error.starts_with("MessagePack that cannot be read: "), "{error}");
    }
}

#[test]
fn a_text_that_would_outgrow_its_limit_is_refused_on_the_way() {
    let nulls = [vec![0xdc, 0x03, 0xe8], vec![0xc0; 1000]].concat();
    assert_eq!(decode_within(&nulls, Moments::Text, 5001).unwrap().json.len(), 5001);
    assert!(decode_within(&nulls, Moments::Text, 5000).unwrap_err().to_string().contains("too long"));
    let string = [vec![0xda, 0x03, 0xe8], vec![0; 1000]].concat();
    assert!(decode_within(&string, Moments::Text, 5999).is_err());
    assert_eq!(decode_within(&string, Moments::Text, 6002).unwrap().json.len(), 6002);
}

/// Random bytes with the markers of MessagePack more often than chance has them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let marker = prop_oneof![any::<u8>(), 0x80..=0x9f_u8, 0xa0..=0xa8_u8, 0xc0..=0xdf_u8, 0x00..=0x08_u8];
    prop::collection::vec(marker, 0..96)
}

proptest! {
    #[test]
    fn json_comes_back_and_others_read_it(value in testing::json()) {
        let bytes = encoded(&value.to_string());
        prop_assert_eq!(&serde_json::from_str::<Value>(&decoded(&bytes)).unwrap(), &value);
        prop_assert_eq!(&read_by_another(&bytes), &value);
    }

    #[test]
    fn floats_come_back_to_the_bit(float in any::<f64>().prop_filter("finite", |float| float.is_finite())) {
        let json = decoded(&encoded(&format!("{float:?}")));
        prop_assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), float.to_bits());
    }

    #[test]
    fn whatever_is_read_is_json_and_comes_back(bytes in bytes()) {
        if let Ok(Decoded { json, .. }) = decode(&bytes, Moments::Envelope) {
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
            prop_assert_eq!(decode(&encoded(&json), Moments::Envelope).unwrap().json, json);
        }
    }

    #[test]
    fn whatever_text_is_taken_is_json(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\ untrfalse]{0,12}") {
        let taken = encode(&text, &mut Vec::new());
        let is_json = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert!(taken.is_err() || is_json, "{} is taken", text);
        prop_assert!(taken.is_ok() || !is_json || matches!(taken, Err(EncodeError::WideInteger(_))), "{} is refused", text);
    }
}
