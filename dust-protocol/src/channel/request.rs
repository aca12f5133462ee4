use std::fmt::{self, Write as _};

use data_encoding::BASE64;

use super::MAX_OUTGOING;
use crate::value::{push_number, push_string};
use crate::{Fence, FileUpload, Mutation, Op, Precondition};

/// A request of a client, which is one frame.
///
/// ```
/// use dust_protocol::channel::{Request, topic};
///
/// let frame = Request::Join { last_store_seq: 5 }.encode(Some(1), 1, &topic("acme/main"))?;
/// assert_eq!(frame, r#"["1","1","store:acme/main","phx_join",{"last_store_seq":5}]"#);
/// # Ok::<(), dust_protocol::channel::RequestError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Opens the channel of a store and requests the ops after `last_store_seq`.
    Join {
        /// The sequence number of the last op that the client has.
        last_store_seq: u64,
    },
    /// Closes the channel.
    Leave,
    /// Keeps the socket open. Its topic is always `phoenix`.
    Heartbeat,
    /// Requests the status of the store. Not rate limited.
    Status,
    /// Applies an op.
    Write {
        /// The op to apply.
        op: &'a Op,
        /// The lease that must be held.
        fence: Option<&'a Fence>,
        /// The client's own id for it, which comes back with its event.
        client_op_id: &'a str,
    },
    /// Stores a file and writes a reference to it.
    PutFile {
        /// The file to store.
        file: &'a FileUpload,
        /// The client's own id for it, which comes back with its event.
        client_op_id: &'a str,
    },
}

/// The reason why a request has no frame. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The frame would be longer than [`MAX_OUTGOING`].
    #[error("a write of {bytes} bytes is too large: a server takes at most {MAX_OUTGOING} in one frame; split it")]
    TooLarge {
        /// The length of the frame, in bytes.
        bytes: usize,
    },
    /// A `put_file` of a reference: a reference to a file that was never stored breaks the next upload of the store.
    #[error("put_file of a reference: send the file itself")]
    FileReference,
    /// A write with the precondition [`IfSubtreeAbsent`](Precondition::IfSubtreeAbsent), which frames do not support.
    #[error("a write on condition that nothing is below a path: use if_absent for a leaf")]
    IfSubtreeAbsent,
}

impl Request<'_> {
    /// The frame as text.
    ///
    /// Fails, before anything is sent, for a write that has no form on the wire: one with
    /// [`IfSubtreeAbsent`](Precondition::IfSubtreeAbsent), a `put_file` of a reference (send the file itself), and a
    /// frame beyond [`MAX_OUTGOING`].
    pub fn encode(&self, join_ref: Option<u64>, reference: u64, topic: &str) -> Result<String, RequestError> {
        let (topic, event, room) = match self {
            Request::Join { .. } => (topic, "phx_join", 0),
            Request::Leave => (topic, "phx_leave", 0),
            Request::Heartbeat => ("phoenix", "heartbeat", 0),
            Request::Status => (topic, "status", 0),
            Request::Write { op, .. } => {
                (topic, "write", op.path.as_str().len() + op.value().map_or(0, |value| value.as_str().len()))
            }
            Request::PutFile { file, .. } => (topic, "put_file", file.path.as_str().len() + file.content.len() / 3 * 4),
        };
        let mut frame = String::with_capacity(room + topic.len() + 160);
        frame.push('[');
        for id in [join_ref, Some(reference)] {
            match id {
                Some(id) => {
                    frame.push('"');
                    push_number(id, &mut frame);
                    frame.push_str("\",");
                }
                None => frame.push_str("null,"),
            }
        }
        for text in [topic, event] {
            push_string(text, &mut frame);
            frame.push(',');
        }
        let mut payload = Members::begin(&mut frame);
        match self {
            Request::Join { last_store_seq } => payload.number("last_store_seq", last_store_seq),
            Request::Leave | Request::Heartbeat | Request::Status => {}
            Request::Write { op, fence, client_op_id } => {
                op_payload(op, &mut payload)?;
                if let Some(fence) = fence {
                    fence_payload(fence, &mut payload);
                }
                payload.text("client_op_id", client_op_id);
            }
            Request::PutFile { file, client_op_id } => file_payload(file, client_op_id, &mut payload),
        }
        payload.end();
        frame.push(']');
        if frame.len() > MAX_OUTGOING {
            return Err(RequestError::TooLarge { bytes: frame.len() });
        }
        Ok(frame)
    }
}

/// Members of an object, written one after the other.
struct Members<'f> {
    frame: &'f mut String,
    is_empty: bool,
}

impl<'f> Members<'f> {
    fn begin(frame: &'f mut String) -> Members<'f> {
        frame.push('{');
        Members { frame, is_empty: true }
    }

    /// Writes a key, which must need no escaping. The caller writes its value next.
    fn key(&mut self, key: &'static str) -> &mut String {
        self.frame.push_str(if std::mem::take(&mut self.is_empty) { "\"" } else { ",\"" });
        self.frame.push_str(key);
        self.frame.push_str("\":");
        self.frame
    }

    fn raw(&mut self, key: &'static str, value: &str) {
        self.key(key).push_str(value);
    }

    fn number(&mut self, key: &'static str, value: impl fmt::Display) {
        // Writing to a `String` never fails.
        let _ = write!(self.key(key), "{value}");
    }

    fn text(&mut self, key: &'static str, value: &str) {
        push_string(value, self.key(key));
    }

    fn end(self) {
        self.frame.push('}');
    }
}

fn op_payload(op: &Op, members: &mut Members<'_>) -> Result<(), RequestError> {
    members.text("op", op.kind().name());
    members.text("path", op.path.as_str());
    match &op.mutation {
        Mutation::PutFile(_) => return Err(RequestError::FileReference),
        Mutation::Lease { holder, ttl_ms } => {
            if let Some(holder) = holder {
                members.text("holder", holder);
            }
            members.number("ttl_ms", ttl_ms);
        }
        Mutation::Renew { token, ttl_ms } => {
            members.number("token", token);
            members.number("ttl_ms", ttl_ms);
        }
        Mutation::Release { token } => members.number("token", token),
        mutation => {
            if let Some(value) = mutation.value() {
                members.raw("value", value.as_str());
            }
        }
    }
    match op.precondition {
        Some(Precondition::IfMatch(revision)) => members.number("if_match", revision),
        Some(Precondition::IfLeafAbsent) => members.raw("if_absent", "true"),
        Some(Precondition::IfSubtreeAbsent) => return Err(RequestError::IfSubtreeAbsent),
        None => {}
    }
    Ok(())
}

fn fence_payload(fence: &Fence, members: &mut Members<'_>) {
    let mut lease = Members::begin(members.key("fence"));
    lease.text("key", fence.key.as_str());
    lease.number("token", fence.token);
    lease.end();
}

fn file_payload(file: &FileUpload, client_op_id: &str, members: &mut Members<'_>) {
    members.text("path", file.path.as_str());
    if let Some(filename) = &file.filename {
        members.text("filename", filename);
    }
    if let Some(content_type) = &file.content_type {
        members.text("content_type", content_type);
    }
    members.text("client_op_id", client_op_id);
    let content = members.key("content");
    content.push('"');
    BASE64.encode_append(&file.content, content);
    content.push('"');
}
