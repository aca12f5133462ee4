//! Property tests: parsing never panics.

use proptest::prelude::*;
use serde_json::Value;

use crate::Path;
use crate::channel::{Frame, FrameError, Incoming, MAX_INCOMING, Message, Response};
use crate::testing::{json, segment};

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

/// A second parser to compare with: it reads the parts of a frame first, and then the payload.
fn check_against_parts(text: &str, read: &Result<Incoming<'_>, FrameError>) {
    let (frame, incoming) = match (Frame::decode(text), read) {
        (Ok(frame), Ok(incoming)) => (frame, incoming),
        (Err(error), read) => return assert!(read.is_err(), "{error}: {text}"),
        // The payload does not fit the event.
        (Ok(frame), Err(error)) => {
            assert!(
                matches!(
                    &*frame.event,
                    "phx_reply" | "event" | "snapshot" | "catch_up_complete" | "phx_error" | "phx_close"
                ),
                "{error}: {text}"
            );
            return;
        }
    };
    assert_eq!((&incoming.join_ref, &incoming.topic), (&frame.join_ref, &frame.topic));
    let is_known = !matches!(incoming.message, Message::Unknown);
    assert!(!is_known || frame.payload.get().starts_with('{'), "{text}");
    let payload = || serde_json::from_str::<Value>(frame.payload.get());
    match &incoming.message {
        Message::Reply { reference, outcome } => {
            assert_eq!((&*frame.event, reference), ("phx_reply", &frame.reference));
            // Texts that serde_json does not parse as a value, such as a number beyond a double, are skipped.
            if let Ok(payload) = payload() {
                assert_eq!(outcome.is_ok(), payload["status"] == "ok", "{text}");
            }
        }
        Message::Event(op) => {
            assert_eq!(&*frame.event, "event");
            if let Ok(payload) = payload() {
                assert_eq!((payload["store_seq"].as_u64(), &payload["op"]), (Some(op.store_seq), &op.op.name().into()));
                assert_eq!(payload["path"], op.path.as_str());
                assert_eq!(payload["value"], op.value.to::<Value>().unwrap());
                let id = |key: &str| match &payload[key] {
                    Value::Null => Some(String::new()),
                    Value::String(id) => Some(id.clone()),
                    // Kept as it is written.
                    _ => None,
                };
                assert!(id("client_op_id").is_none_or(|id| *id == *op.client_op_id), "{text}");
                assert!(id("device_id").is_none_or(|id| *id == *op.device_id), "{text}");
            }
        }
        Message::Snapshot(snapshot) => {
            assert_eq!(&*frame.event, "snapshot");
            if let Ok(payload) = payload() {
                assert_eq!(payload["snapshot_seq"].as_u64(), Some(snapshot.seq));
            }
        }
        Message::CaughtUp => assert_eq!(&*frame.event, "catch_up_complete"),
        Message::Crashed => assert_eq!(&*frame.event, "phx_error"),
        Message::Closed => assert_eq!(&*frame.event, "phx_close"),
        Message::Unknown => assert!(
            !["phx_reply", "event", "snapshot", "catch_up_complete", "phx_error", "phx_close"].contains(&&*frame.event),
            "{text}"
        ),
    }
}

fn look_into(text: &str) {
    let read = Incoming::decode(text);
    check_against_parts(text, &read);
    let Ok(incoming) = read else { return };
    if let Message::Reply { outcome: Ok(answer), .. } = incoming.message {
        let read: [fn(Response<'_>) -> bool; 3] =
            [|answer| answer.joined().is_ok(), |answer| answer.status().is_ok(), |answer| answer.written().is_ok()];
        for read in read {
            read(answer);
        }
    }
}

#[test]
fn invalid_frame_is_refused() {
    for text in [
        "",
        "not json",
        "{}",
        "[]",
        "[1,2]",
        "[null,null,\"t\",\"event\",{}]",
        "[null,null,null,null,{}]",
        r#"["1","1","t","phx_reply",[]]"#,
        r#"["1",null,"t","snapshot",[7345537943495759726,{}]]"#,
        r#"["1",null,"t","event",{"op":"nope","path":"a","store_seq":1}]"#,
        r#"["1",null,"t","event",{"op":"set","path":"a//b","store_seq":1,"value":1}]"#,
        r#"["1",null,"t","snapshot",{"entries":{"":{"type":"x","value":1}},"snapshot_seq":1}]"#,
        r#"["1",null,"t","event",{}] "#,
        r#"["1",null,"t","phx_close",{}]]"#,
        r#"["1",null,"t","phx_close"]"#,
        r#"["1",null,"t","phx_close",{},{}]"#,
        r#"["1",null,"t","phx_close",{]"#,
        r#"["1",null,"t",7,{}]"#,
        r#"["1",null,"t","event",7]"#,
        "[\"1\n\",null,\"t\",\"phx_close\",{}]",
        r#"["\ud800",null,"t","phx_close",{}]"#,
        r#"["1",null,"t","event",{"op":"set","path":"a","store_seq":1,"store_seq":2,"value":1}]"#,
        r#"["1",null,"t","event",{"op":"set","path":"a","store_seq":9223372036854775808,"value":1}]"#,
    ] {
        assert!(Incoming::decode(text).is_err(), "{text}");
    }
    let unknown = Incoming::decode(r#"["1",null,"t","presence_state",{}]"#).unwrap();
    assert!(matches!(unknown.message, Message::Unknown));
}

#[test]
fn escaped_text_is_equal() {
    let text = r#"["\u0031","\"2\\","st\u006fre:a/b","ev\u0065nt",{"\u006fp":"s\u0065t","path":"\u0061","store_seq":1,"value":"\u0061"}]"#;
    let incoming = Incoming::decode(text).unwrap();
    assert_eq!((incoming.join_ref.as_deref(), &*incoming.topic), (Some("1"), "store:a/b"));
    let Message::Event(op) = incoming.message else { panic!() };
    assert_eq!((op.path.as_str(), op.value.as_str()), ("a", r#""\u0061""#));
    let text = r#" [ 7 , "\"2\\" , "t" , "phx_reply" , { "status" : "\u006fk" , "response" : { } } ] "#;
    let incoming = Incoming::decode(text).unwrap();
    assert_eq!(incoming.join_ref.as_deref(), Some("7"));
    let Message::Reply { reference, outcome: Ok(_) } = incoming.message else { panic!() };
    assert_eq!(reference.as_deref(), Some("\"2\\"));
}

#[test]
fn deep_and_long_frames_are_refused() {
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
    fn any_payload_is_parsed_or_refused(
        event in prop::sample::select(vec!["event", "snapshot", "phx_reply"]),
        payload in json(),
    ) {
        look_into(&serde_json::to_string(&(Some("1"), Some("2"), "store:a/b", event, payload)).unwrap());
    }

    #[test]
    fn a_known_message_has_an_object_as_its_payload(
        event in prop::sample::select(
            vec!["event", "snapshot", "phx_reply", "catch_up_complete", "phx_error", "phx_close"],
        ),
        seq in 0..1_u64 << 63,
        rest in prop::collection::vec(prop_oneof![json(), Just(serde_json::json!({})), Just("set".into())], 0..6),
    ) {
        // The members in their order, which a derived `Deserialize` accepts for a struct.
        let payload: Vec<Value> = std::iter::once(seq.into()).chain(rest).collect();
        let text = serde_json::to_string(&(Some("1"), Some("2"), "store:a/b", event, payload)).unwrap();
        prop_assert!(Incoming::decode(&text).is_err(), "{}", text);
    }

    #[test]
    fn event_keeps_its_path_and_value(
        segments in prop::collection::vec(segment(), 1..4),
        value in json(),
        seq in 1_u64..1 << 63,
    ) {
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
    fn encoded_frame_decodes_to_itself(
        join_ref in prop::option::of("\\PC{0,8}"),
        topic in "\\PC{0,8}",
        event in "\\PC{0,8}",
        payload in json(),
    ) {
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
