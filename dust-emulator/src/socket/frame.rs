//! Frames of a server: `[join_ref, ref, topic, event, payload]`.

use std::sync::Arc;

use dust_protocol::RawJson;
use tokio_tungstenite::tungstenite::Message;

use super::msgpack::{self, EncodeError, NotUtf8, Timestamp};
use crate::json;

/// The form of the frames on one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vsn {
    /// `2.0.0`: JSON in text frames.
    Json,
    /// `3.0.0`: MessagePack in binary frames. JSON in text frames is read too.
    MessagePack,
}

/// A frame from a client.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The reference, any JSON: a server returns it unchanged.
    pub(super) join_ref: RawJson,
    pub(super) reference: RawJson,
    pub(super) topic: String,
    pub(super) event: String,
    pub(super) payload: RawJson,
    /// The refusal if a string in the payload is not UTF-8.
    pub(super) not_utf8: Option<String>,
}

/// A frame for a client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) join_ref: Option<RawJson>,
    pub(super) reference: Option<RawJson>,
    pub(super) topic: Arc<str>,
    pub(super) event: &'static str,
    /// An object.
    pub(super) payload: Arc<str>,
    /// The MessagePack form of the payload's member `value`, if it is a time.
    pub(super) moment: Option<Timestamp>,
}

impl Vsn {
    pub(super) fn of(vsn: &str) -> Option<Vsn> {
        let patch = vsn.strip_prefix("2.0.").filter(|patch| !patch.is_empty());
        match patch {
            Some(patch) if patch.bytes().all(|byte| byte.is_ascii_digit()) => Some(Vsn::Json),
            _ => (vsn == "3.0.0").then_some(Vsn::MessagePack),
        }
    }

    /// Parses a text frame; `None` if a server crashes.
    pub(super) fn decode_text(text: &str) -> Option<Frame> {
        Frame::read(text, None)
    }

    /// Parses a binary frame; `None` if a server crashes.
    pub(super) fn decode_binary(self, bytes: &[u8]) -> Option<Frame> {
        if self == Vsn::Json {
            return None;
        }
        let decoded = msgpack::to_json(bytes)?;
        Frame::read(&decoded.json, decoded.not_utf8.map(|text| refusal(&text)))
    }

    pub(super) fn encode(self, frame: &Outgoing) -> Result<Message, EncodeError> {
        let id = |id: &Option<RawJson>| id.as_ref().map_or_else(|| "null".to_owned(), RawJson::to_string);
        let mut head = format!("{},{},", id(&frame.join_ref), id(&frame.reference));
        json::push_string(&frame.topic, &mut head);
        head.push(',');
        json::push_string(frame.event, &mut head);
        let text = format!("[{head},{}]", frame.payload);
        if self == Vsn::Json {
            return Ok(Message::text(text));
        }
        let mut value = msgpack::from_json(&text)?;
        if let Some(moment) = frame.moment {
            msgpack::set_payload_value(&mut value, msgpack::timestamp(moment));
        }
        Ok(Message::binary(msgpack::to_bytes(&value)))
    }
}

/// The server's error for a string that is not UTF-8, which it detects when it stores the string.
fn refusal(NotUtf8 { bytes, bad_at }: &NotUtf8) -> String {
    let bad = bytes.get(*bad_at).copied().unwrap_or_default();
    let shown: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let message = format!("invalid byte 0x{bad:02X} in <<{}>>", shown.join(", "));
    let mut reason = String::from("%Jason.EncodeError{message: ");
    json::inspect_string(&message, &mut reason);
    reason.push('}');
    reason
}

impl Frame {
    fn read(text: &str, not_utf8: Option<String>) -> Option<Frame> {
        let (join_ref, reference, topic, event, payload) = serde_json::from_str(text).ok()?;
        Some(Frame { join_ref, reference, topic, event, payload, not_utf8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_selects_the_form() {
        for (vsn, expected) in [
            ("2.0.0", Some(Vsn::Json)),
            ("2.0.1", Some(Vsn::Json)),
            ("3.0.0", Some(Vsn::MessagePack)),
            ("3.0.1", None),
            ("1.0.0", None),
            ("2.1.0", None),
            ("2.0.", None),
            ("2.0.x", None),
            ("", None),
        ] {
            assert_eq!(Vsn::of(vsn), expected, "{vsn}");
        }
    }

    #[test]
    fn frame_is_parsed_or_refused() {
        let frame = Vsn::decode_text(r#"[1, "2", "phoenix", "heartbeat", {"a": 1}]"#).unwrap();
        assert_eq!((frame.join_ref.as_str(), frame.reference.as_str()), ("1", "\"2\""));
        assert_eq!((&*frame.topic, &*frame.event, frame.payload.as_str()), ("phoenix", "heartbeat", "{\"a\": 1}"));
        for text in ["not json", "{}", "[]", "[1,2,\"a\",\"b\"]", "[1,2,\"a\",\"b\",{},6]", "[1,2,3,\"b\",{}]"] {
            assert!(Vsn::decode_text(text).is_none(), "{text}");
        }
        assert!(Vsn::Json.decode_binary(&[0x95, 1, 2, 0xa1, b'a', 0xa1, b'b', 0x80]).is_none());
        assert_eq!(Vsn::MessagePack.decode_binary(&[0x95, 1, 2, 0xa1, b'a', 0xa1, b'b', 0x80]).unwrap().topic, "a");
    }

    #[test]
    fn both_forms_have_the_same_content() {
        let frame = Outgoing {
            join_ref: None,
            reference: Some(RawJson::parse("\"7\"").unwrap()),
            topic: "store:acme/main".into(),
            event: "phx_reply",
            payload: r#"{"response":{},"status":"ok"}"#.into(),
            moment: None,
        };
        let text = r#"[null,"7","store:acme/main","phx_reply",{"response":{},"status":"ok"}]"#;
        assert_eq!(Vsn::Json.encode(&frame).unwrap(), Message::text(text));
        let binary = Vsn::MessagePack.encode(&frame).unwrap().into_data();
        assert_eq!(msgpack::to_json(&binary).unwrap().json, text);
    }

    #[test]
    fn invalid_utf8_is_refused_as_by_a_server() {
        let decode = |bytes: &[u8]| {
            let head = [0x95, 1, 2, 0xa1, b'a', 0xa1, b'b'];
            Vsn::MessagePack.decode_binary(&[&head, bytes].concat()).unwrap().not_utf8
        };
        let reason = r#"%Jason.EncodeError{message: "invalid byte 0xFF in <<0, 255>>"}"#;
        assert_eq!(decode(&[0xc4, 2, 0x00, 0xff]).as_deref(), Some(reason));
        assert_eq!(decode(&[0xc4, 1, b'x']), None);
    }
}
