//! The effects of faults, and the answers that they put in place of a server's.

use dust_protocol::JsonObject;
use serde::{Deserialize, Serialize};

use crate::http::{Answer, reason};

/// The effect of a fault on the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// No effect on the answer, which is only late.
    Delay,
    /// The answer is replaced.
    Status(#[serde(deserialize_with = "JsonObject::field")] Other),
    /// The connection is closed instead.
    Close,
    /// The connection is closed after the first bytes of the answer.
    Truncate(#[serde(deserialize_with = "JsonObject::field")] Cut),
    /// A message on a WebSocket is applied, and its reply is not sent.
    SwallowReply,
    /// The event of a write on a WebSocket is not sent.
    SwallowEvent,
    /// The event of a write on a WebSocket is sent twice to every socket.
    DuplicateEvent,
    /// The reply to a write on a WebSocket is sent before its event.
    ReplyFirst,
    /// The channel of a message crashes.
    Crash,
    /// The channel of a message hangs: it reads neither this message nor a later one, while the socket stays open.
    Hang,
    /// A join is answered, and its catch-up is never sent.
    StallCatchUp,
    /// A `put_file` crashes the channel of a store that has a file.
    OneFile,
    /// A message is refused, with this as the body of the reply.
    Refuse(#[serde(deserialize_with = "JsonObject::field")] Reply),
}

/// The replacement of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Other {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) content_type: Option<String>,
    #[serde(default)]
    pub(super) retry_after: Option<u64>,
}

/// The length at which an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) bytes: usize,
}

/// The reply that refuses a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) response: String,
}

impl Effect {
    /// The replacement of the answer, if there is one.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let Effect::Status(Other { status, body, content_type, retry_after }) = self else { return None };
        let mut answer = match (body, status) {
            (Some(body), _) if body.starts_with('{') => Answer::json(*status, body.clone()),
            (Some(body), _) => Answer::html(*status, body.clone()),
            (None, 401) => Answer::error(401, "unauthorized"),
            (None, 403) => Answer::forbidden(),
            (None, 404) => Answer::not_found(),
            (None, 429) => Answer::error(429, "rate_limited"),
            (None, 500..) => Answer::broken(*status),
            (None, _) => Answer::html(*status, reason(*status).to_owned()),
        };
        if let Some(content_type) = content_type {
            answer.headers.retain(|(name, _)| *name != "content-type");
            answer = answer.with("content-type", content_type.clone());
        }
        if let Some(seconds) = retry_after {
            answer = answer.with("retry-after", seconds.to_string());
        }
        Some(answer)
    }
}
