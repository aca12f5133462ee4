use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::MAX_INCOMING;
use crate::JsonObject;
use crate::excerpt::excerpt;
use crate::value::push_string;

/// One frame in either direction: `[join_ref, ref, topic, event, payload]`.
///
/// ```
/// use dust_protocol::channel::Frame;
///
/// let frame = Frame::decode(r#"["1","2","store:acme/main","write",{"op":"delete","path":"a","client_op_id":"x"}]"#)?;
/// assert_eq!((frame.join_ref.as_deref(), frame.reference.as_deref()), (Some("1"), Some("2")));
/// assert_eq!((&*frame.topic, &*frame.event), ("store:acme/main", "write"));
/// # Ok::<(), dust_protocol::channel::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The join it belongs to. Live events have none.
    pub join_ref: Option<Cow<'a, str>>,
    /// The reference of the request; a reply repeats it.
    pub reference: Option<Cow<'a, str>>,
    /// The channel: `store:org/name`, or `phoenix` for heartbeats.
    pub topic: Cow<'a, str>,
    /// The name of the event or request.
    pub event: Cow<'a, str>,
    /// The payload, as JSON text.
    pub payload: &'a RawValue,
}

/// The reason why a text is not a frame, or a payload does not fit its event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame that cannot be read: {}", excerpt(.0))]
pub struct FrameError(pub(super) String);

impl FrameError {
    /// The error with a reason, such as `bytes in place of text`.
    pub fn new(reason: impl Into<String>) -> FrameError {
        FrameError(reason.into())
    }

    /// The same with the text changed by a function, which gets the whole text, as it may quote the frame.
    pub fn map(self, change: impl FnOnce(String) -> String) -> FrameError {
        FrameError(change(self.0))
    }
}

#[derive(Deserialize)]
struct Wire<'a>(
    #[serde(borrow)] Id<'a>,
    #[serde(borrow)] Id<'a>,
    #[serde(borrow)] Text<'a>,
    #[serde(borrow)] Text<'a>,
    #[serde(borrow)] &'a RawValue,
);

/// A string that is borrowed from the frame unless it has an escape.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An id: any JSON scalar, because a server returns the id of the client. A string is its text, `null` is `None`.
pub(super) struct Id<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id<'a>, D::Error> {
        let Some(raw) = Option::<&'de RawValue>::deserialize(deserializer)? else { return Ok(Id(None)) };
        let text = raw.get();
        let within = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(Id(Some(match within {
            Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            Some(_) => serde_json::from_str::<Text<'de>>(text).map_err(serde::de::Error::custom)?.0,
            None => Cow::Borrowed(text),
        })))
    }
}

impl<'a> Frame<'a> {
    /// Parses a text frame.
    pub fn decode(text: &'a str) -> Result<Frame<'a>, FrameError> {
        let Wire(Id(join_ref), Id(reference), Text(topic), Text(event), payload) = read_frame(text)?;
        Ok(Frame { join_ref, reference, topic, event, payload })
    }

    /// The frame as text.
    pub fn encode(&self) -> String {
        let payload = self.payload.get();
        let mut out = String::with_capacity(payload.len() + self.topic.len() + self.event.len() + 32);
        out.push('[');
        for id in [&self.join_ref, &self.reference] {
            match id {
                Some(id) => push_string(id, &mut out),
                None => out.push_str("null"),
            }
            out.push(',');
        }
        for text in [&self.topic, &self.event] {
            push_string(text, &mut out);
            out.push(',');
        }
        out.push_str(payload);
        out.push(']');
        out
    }
}

/// Parses a whole frame unless it is too long.
pub(super) fn read_frame<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    if text.len() > MAX_INCOMING {
        return Err(FrameError(format!("{} bytes, where {MAX_INCOMING} is the most", text.len())));
    }
    read(text)
}

/// Reads a JSON object into a type that may borrow from it.
pub(super) fn read_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    read(text).map(|JsonObject(value)| value)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    serde_json::from_str(text).map_err(|error| FrameError(error.to_string()))
}
