//! Whatever arrives, reading it does not panic.

use proptest::prelude::*;

use crate::protocol::Path;
use crate::protocol::channel::{Frame, Incoming, MAX_INCOMING, Message, Response};
use crate::protocol::testing::{json, segment};

const SAMPLES: [&str; 8] = [
    r#"["1","1","store:a/b","phx_reply",{"response":{"capver":3,"permissions":{"read":true,"write":true},"scopes":["x"],"store_seq":12},"status":"ok"}]"#,
    r#"["1",null,"store:a/b","event",{"client_op_id":"x","device_id":"d","op":"set","path":"a/b","store_seq":7,"value":{"a":[1.50]}}]"#,
    r#"["1",null,"store:a/b","snapshot",{"entries":{"a":{"type":"integer","value":{"_scalar":1}}},"snapshot_seq":10}]"#,
    r#"["1",null,"store:a/b","catch_up_complete",{"through_seq":null}]"#,
    r#"["1","2","store:a/b","phx_reply",{"response":{"reason":"conflict"},"status":"error"}]"#,
    r#"["1","3","store:a/b","phx_reply",{"response":{"expires_at":1,"holder":null,"store_seq":4,"token":4},"status":"ok"}]"#,
    r#"["1","1","store:a/b","phx_error",{}]"#,
    r#"[null,"5","phoenix","phx_reply",{"response":{},"status":"ok"}]"#,
];

fn look_into(text: &str) {
    let Ok(incoming) = Incoming::decode(text) else { return };
    if let Message::Reply { outcome: Ok(answer), .. } = incoming.message {
        let read: [fn(Response<'_>) -> bool; 3] =
            [|answer| answer.joined().is_ok(), |answer| answer.status().is_ok(), |answer| answer.written().is_ok()];
        for read in read {
            read(answer);
        }
    }
}

#[test]
fn frames_that_are_none_are_refused() {
    for text in [
        "",
        "not json",
        "{}",
        "[]",
        "[1,2]",
        "[null,null,\"t\",\"event\",{}]",
        "[null,null,null,null,{}]",
        r#"["1","1","t","phx_reply",[]]"#,
        r#"["1",null,"t","event",{"op":"nope","path":"a","store_seq":1}]"#,
        r#"["1",null,"t","event",{"op":"set","path":"a//b","store_seq":1,"value":1}]"#,
        r#"["1",null,"t","snapshot",{"entries":{"":{"type":"x","value":1}},"snapshot_seq":1}]"#,
        r#"["1",null,"t","event",{}] "#,
        r#"["1",null,"t","phx_close",{}]]"#,
    ] {
        assert!(Incoming::decode(text).is_err(), "{text}");
    }
    let unknown = Incoming::decode(r#"["1",null,"t","presence_state",{}]"#).unwrap();
    assert!(matches!(unknown.message, Message::Unknown));
}

#[test]
fn deep_and_long_frames_do_no_harm() {
    let deep = format!(
        r#"[null,null,"t","event",{{"op":"set","path":"a","store_seq":1,"value":{}1{}}}]"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    look_into(&deep);
    let long = " ".repeat(MAX_INCOMING + 1);
    assert!(Frame::decode(&long).unwrap_err().to_string().contains("is the most"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        look_into(&text);
    }

    #[test]
    fn mutated_frames_are_read_or_refused(
        sample in prop::sample::select(SAMPLES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte, how) in changes {
            if bytes.is_empty() { break; }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        look_into(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_payload_is_read_or_refused(event in prop::sample::select(vec!["event", "snapshot", "phx_reply"]), payload in json()) {
        look_into(&serde_json::to_string(&(Some("1"), Some("2"), "store:a/b", event, payload)).unwrap());
    }

    #[test]
    fn an_event_keeps_its_path_and_value(segments in prop::collection::vec(segment(), 1..4), value in json(), seq in 1_u64..1 << 63) {
        let path = Path::from_segments(&segments).unwrap();
        let payload = serde_json::json!({
            "op": "set", "path": path.as_str(), "store_seq": seq, "value": value, "device_id": "d", "client_op_id": "c",
        });
        let text = serde_json::to_string(&(None::<&str>, None::<&str>, "store:a/b", "event", payload)).unwrap();
        let Message::Event(op) = Incoming::decode(&text).unwrap().message else { panic!() };
        prop_assert_eq!((op.path, op.store_seq), (path, seq));
        prop_assert_eq!(op.value.to::<serde_json::Value>().unwrap(), value);
    }

    #[test]
    fn frames_come_back(join_ref in prop::option::of("\\PC{0,8}"), topic in "\\PC{0,8}", event in "\\PC{0,8}", payload in json()) {
        let payload = serde_json::value::to_raw_value(&payload).unwrap();
        let frame = Frame {
            join_ref: join_ref.as_deref().map(Into::into),
            reference: None,
            topic: topic.as_str().into(),
            event: event.as_str().into(),
            payload: &payload,
        };
        let text = frame.encode();
        let back = Frame::decode(&text).unwrap();
        prop_assert_eq!(back.join_ref, frame.join_ref);
        prop_assert_eq!((back.topic, back.event), (frame.topic, frame.event));
        prop_assert_eq!(back.payload.get(), payload.get());
    }
}
