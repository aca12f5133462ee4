//! Tests that every message refuses an array in place of an object.

use crate::channel::{Incoming, Message, Refusal};
use crate::testing::objects_as_arrays;

/// True if a payload is accepted in a frame of an event.
fn is_read(event: &str, payload: &str) -> bool {
    Incoming::decode(&format!(r#"["1","2","store:a/b","{event}",{payload}]"#)).is_ok()
}

/// True if a body is accepted as the answer to any request.
fn answers(response: &str) -> [bool; 3] {
    let text = format!(r#"["1","2","store:a/b","phx_reply",{{"response":{response},"status":"ok"}}]"#);
    let Message::Reply { outcome: Ok(answer), .. } = Incoming::decode(&text).unwrap().message else { panic!() };
    [answer.joined().is_ok(), answer.status().is_ok(), answer.written().is_ok()]
}

#[test]
fn array_as_payload_is_refused() {
    for (event, payload) in [
        ("phx_reply", r#"{"status":"ok","response":1}"#),
        ("event", r#"{"store_seq":7,"op":"set","path":"a","value":1,"device_id":"d","client_op_id":"x"}"#),
        ("event", r#"{"store_seq":7,"op":"delete","path":"a"}"#),
        ("snapshot", r#"{"snapshot_seq":7345537943495759726,"entries":{}}"#),
        ("snapshot", r#"{"snapshot_seq":10,"entries":{"a":{"type":"integer","value":1}}}"#),
        ("catch_up_complete", r#"{"through_seq":7}"#),
        ("phx_error", "{}"),
        ("phx_close", "{}"),
    ] {
        assert!(is_read(event, payload), "{event} {payload}");
        for array in objects_as_arrays(payload) {
            assert!(!is_read(event, &array), "{event} {array}");
        }
    }
}

#[test]
fn array_as_response_is_refused() {
    for (response, expected) in [
        (r#"{"store_seq":12,"permissions":{"read":true,"write":false},"scopes":["x"]}"#, [true, false, true]),
        (r#"{"current_seq":12,"entry_count":3}"#, [false, true, true]),
        (r#"{"store_seq":4,"token":4,"expires_at":1,"holder":null}"#, [true, false, true]),
    ] {
        assert_eq!(answers(response), expected, "{response}");
        for array in objects_as_arrays(response) {
            let has_members = array.starts_with('{');
            // Permissions are no part of the answer to a write.
            assert_eq!(answers(&array), [false, false, has_members], "{array}");
        }
    }
}

#[test]
fn array_as_refusal_is_the_reason() {
    let body = r#"{"reason":"conflict","message":"m","scope":"s"}"#;
    assert_eq!(Refusal::read(body).reason, "conflict");
    for array in objects_as_arrays(body) {
        assert_eq!(Refusal::read(&array), Refusal { reason: array, ..Refusal::default() });
    }
}
