//! Every recorded frame is read as what it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::LeafKind;
use crate::channel::{Frame, Incoming, Message};

/// A recorded frame.
struct Recorded {
    file: String,
    from_server: bool,
    text: String,
}

/// The recorded frames. The recorder shows MessagePack frames as JSON too.
fn recorded() -> Vec<Recorded> {
    let wire = recordings::folder();
    let mut frames = Vec::new();
    for file in std::fs::read_dir(wire).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        for line in std::fs::read_to_string(file.path()).unwrap().lines() {
            let framed = |way: &str, form: &str| line.split_once(&format!("] {way} {form} ")).map(|(_, frame)| frame);
            for form in ["text", "binary msgpack"] {
                let received = framed("<-", form).map(|frame| (true, frame));
                if let Some((from_server, text)) = received.or(framed("->", form).map(|frame| (false, frame))) {
                    frames.push(Recorded { file: name.clone(), from_server, text: text.trim().to_owned() });
                }
            }
        }
    }
    frames
}

/// The expected content of a payload, parsed without the code under test.
fn parts(frame: &str) -> (Value, Value, String, String, Value) {
    let [join_ref, reference, topic, event, payload]: [Value; 5] =
        serde_json::from_str::<Vec<Value>>(frame).unwrap().try_into().unwrap();
    let text = |value: Value| value.as_str().unwrap().to_owned();
    (join_ref, reference, text(topic), text(event), payload)
}

#[test]
fn every_recorded_frame_is_read() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for Recorded { file, from_server, text } in recorded() {
        let (join_ref, reference, topic, event, payload) = parts(&text);
        let frame = Frame::decode(&text).unwrap_or_else(|error| panic!("{file}: {error}: {text}"));
        assert_eq!(frame.join_ref.as_deref(), join_ref.as_str(), "{text}");
        assert_eq!((&*frame.topic, &*frame.event), (topic.as_str(), event.as_str()));
        // A reference that a client gave as a number is written as a string.
        if !reference.is_number() {
            let written = serde_json::from_str::<Value>(&frame.encode()).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(&text).unwrap());
        }
        if !from_server {
            continue;
        }
        *seen.entry(event.clone()).or_default() += 1;

        let incoming = Incoming::decode(&text).unwrap_or_else(|error| panic!("{file}: {error}: {text}"));
        assert_eq!((incoming.join_ref.as_deref(), &*incoming.topic), (join_ref.as_str(), topic.as_str()));
        match (event.as_str(), incoming.message) {
            ("phx_reply", Message::Reply { reference: read, outcome }) => {
                let expected = reference.as_str().map(str::to_owned).or(reference.as_u64().map(|id| id.to_string()));
                assert_eq!(read.as_deref(), expected.as_deref());
                let response = &payload["response"];
                assert_eq!(outcome.is_ok(), payload["status"] == "ok", "{text}");
                match outcome {
                    Err(refusal) => assert_eq!(refusal.reason, response["reason"].as_str().unwrap()),
                    Ok(answer) if response.get("capver").is_some() => {
                        let joined = answer.joined().unwrap();
                        assert_eq!(joined.store_seq, response["store_seq"].as_u64().unwrap());
                        assert_eq!(joined.permissions.write, response["permissions"]["write"].as_bool().unwrap());
                        assert_eq!(joined.scopes.len(), response["scopes"].as_array().unwrap().len());
                    }
                    Ok(answer) if response.get("current_seq").is_some() => {
                        let status = answer.status().unwrap();
                        assert_eq!(status.current_seq, response["current_seq"].as_u64().unwrap());
                        assert_eq!(status.entry_count, response["entry_count"].as_u64().unwrap());
                    }
                    Ok(answer) => {
                        let written = answer.written().unwrap();
                        assert_eq!(written.store_seq, response["store_seq"].as_u64());
                        assert_eq!(written.value.is_some(), response.get("token").is_some());
                    }
                }
            }
            ("event", Message::Event(op)) => {
                assert_eq!(op.store_seq, payload["store_seq"].as_u64().unwrap());
                assert_eq!(op.op.name(), payload["op"]);
                assert_eq!(op.path.as_str(), payload["path"]);
                let segments: Vec<_> = op.path.segments().map(|segment| Value::from(segment.as_ref())).collect();
                assert_eq!(Value::from(segments), payload["path_segments"]);
                assert_eq!(op.value.to::<Value>().unwrap(), payload["value"]);
                assert_eq!(*op.device_id, *payload["device_id"].as_str().unwrap());
                let id = &payload["client_op_id"];
                assert_eq!(*op.client_op_id, *id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            }
            ("snapshot", Message::Snapshot(snapshot)) => {
                assert_eq!(snapshot.seq, payload["snapshot_seq"].as_u64().unwrap());
                let entries = payload["entries"].as_object().unwrap();
                assert_eq!(snapshot.leaves.len(), entries.len());
                for leaf in snapshot.leaves.iter() {
                    let expected = &entries[leaf.path];
                    let value: Value = serde_json::from_str(leaf.value).unwrap();
                    assert_eq!(&value, expected["value"].get("_scalar").unwrap_or(&expected["value"]));
                    assert_eq!((leaf.kind.name(), leaf.revision), (expected["type"].as_str().unwrap(), snapshot.seq));
                }
            }
            ("catch_up_complete", Message::CaughtUp)
            | ("phx_error", Message::Crashed)
            | ("phx_close", Message::Closed) => {}
            (event, message) => panic!("{event} was read as {message:?}"),
        }
    }
    let kinds: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["catch_up_complete", "event", "phx_close", "phx_error", "phx_reply", "snapshot"]);
    assert!(seen["event"] > 100 && seen["phx_reply"] > 100, "{seen:?}");
}

#[test]
fn a_lease_comes_back_as_the_store_has_it() {
    let text = r#"["64","76","store:a/b","phx_reply",{"response":{"expires_at":1795332467168,"holder":"me","store_seq":40,"token":40},"status":"ok"}]"#;
    let Message::Reply { outcome: Ok(answer), .. } = Incoming::decode(text).unwrap().message else { panic!() };
    let lease = answer.written().unwrap().value.unwrap();
    assert_eq!(lease.as_str(), r#"{"_type":"lease","expires_at":1795332467168,"holder":"me","token":40}"#);
    assert_eq!(LeafKind::of(&lease), LeafKind::Lease);
    let text = r#"[null,"92","store:a/b","phx_reply",{"response":{"released":false},"status":"ok"}]"#;
    let Message::Reply { outcome: Ok(answer), .. } = Incoming::decode(text).unwrap().message else { panic!() };
    assert_eq!(answer.written().unwrap().store_seq, None);
}

#[test]
fn ids_may_be_strings_numbers_and_null() {
    for (id, expected) in [("\"op-1\"", "op-1"), ("7", "7"), ("null", ""), ("\"\\u0061\"", "a")] {
        let text = format!(
            r#"[null,null,"store:a/b","event",{{"client_op_id":{id},"op":"delete","path":"p","store_seq":1,"value":null}}]"#
        );
        let Message::Event(op) = Incoming::decode(&text).unwrap().message else { panic!() };
        assert_eq!(&*op.client_op_id, expected);
        assert!(op.value.is_null());
    }
}
