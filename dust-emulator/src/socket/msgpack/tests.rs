use proptest::prelude::*;

use super::*;

fn encoded(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode(json, &mut out).unwrap();
    out
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn recorded_bytes() {
    let join = "95a131a131b373746f72653a61636d652f6733656565373534a87068785f6a6f696e81ae6c6173745f73746f72655f73657100";
    let json = r#"["1","1","store:acme/g3eee754","phx_join",{"last_store_seq":0}]"#;
    assert_eq!(decode(&hex(join)).unwrap(), Decoded { json: json.to_owned(), not_utf8: None });
    assert_eq!(encoded(json), hex(join));
    let reply = "95a131a132b373746f72653a61636d652f6733656565373534a97068785f7265706c7982a6737461747573a26f6ba8726573706f6e736581a973746f72655f73657101";
    let json = r#"["1","2","store:acme/g3eee754","phx_reply",{"status":"ok","response":{"store_seq":1}}]"#;
    assert_eq!(encoded(json), hex(reply));
}

#[test]
fn every_value_comes_back() {
    let long = format!("{:?}", "é".repeat(40_000));
    let many = format!("[{}]", vec!["1"; 70_000].join(","));
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
        "1.0e22",
        "\"\"",
        "\"a\\\"b\\n\"",
        r#"{"a":[1,{"b":null}],"c":{}}"#,
        "[]",
        &long,
        &many,
    ];
    for json in table {
        assert_eq!(decode(&encoded(json)).unwrap().json, json);
    }
    let large = "100000000000000000000000000000";
    assert_eq!(decode(&encoded(large)).unwrap().json, "1.0e29");
}

#[test]
fn moments() {
    let moment = |moment| {
        let mut out = Vec::new();
        encode_with_moment(r#"{"value":1}"#, Some(moment), &mut out).unwrap();
        decode(&out).unwrap().json
    };
    let table = [
        ((1_767_323_045, 0), "2026-01-02T03:04:05Z"),
        ((1_767_323_045, 500_000_000), "2026-01-02T03:04:05.5Z"),
        ((-1, 0), "1969-12-31T23:59:59Z"),
    ];
    for (at, text) in table {
        assert_eq!(moment(at), format!(r#"{{"value":{{"_type":"datetime","_typed":"{text}"}}}}"#));
    }
}

#[test]
fn odd_keys_and_bytes() {
    assert_eq!(decode(&[0x81, 0x01, 0xa1, b'a']).unwrap().json, r#"{"1":"a"}"#);
    let decoded = decode(&[0xc4, 2, 0x00, 0xff]).unwrap();
    let reason = r#"%Jason.EncodeError{message: "invalid byte 0xFF in <<0, 255>>"}"#;
    assert_eq!(decoded.not_utf8.as_deref(), Some(reason));
    assert_eq!(decode(&[0xc4, 1, b'x']).unwrap(), Decoded { json: "\"x\"".to_owned(), not_utf8: None });
}

#[test]
fn what_is_no_value_is_refused() {
    let deep = [vec![0x91; 200], vec![0xc0]].concat();
    let table: [&[u8]; 9] = [
        &[],
        &[0xc1],
        &[0xa5, b'a'],
        &[0x92, 1],
        &[1, 1],
        &[0xd4, 5, 0],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &deep,
        &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
    ];
    for bytes in table {
        assert_eq!(decode(bytes), None, "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_read_is_json_and_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(Decoded { json, .. }) = decode(&bytes) {
            let again = decode(&encoded(&json)).unwrap();
            prop_assert_eq!(again.json, json);
        }
    }
}
