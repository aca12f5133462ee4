use super::MAX_OUTGOING;
use super::frame::encode;
use crate::error::DustErr;
use crate::protocol::value::push_string;
use crate::protocol::{FileUpload, Op, Precondition, Write};

/// What a client asks for in one frame.
///
/// ```
/// use dust_orm::protocol::channel::{Request, topic};
///
/// let frame = Request::Join { last_store_seq: 5 }.encode(Some(1), 1, &topic("acme/main"))?;
/// assert_eq!(frame, r#"["1","1","store:acme/main","phx_join",{"last_store_seq":5}]"#);
/// # Ok::<(), dust_orm::DustErr>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Opens the channel of a store and asks for the ops after one.
    Join {
        /// The last op the client has.
        last_store_seq: u64,
    },
    /// Closes the channel.
    Leave,
    /// Keeps the socket open; its topic is `phoenix`, whatever is given.
    Heartbeat,
    /// Asks where the store is. Not rate limited.
    Status,
    /// Writes.
    Write {
        /// What.
        write: &'a Write,
        /// The client's own id for it, which comes back with its event.
        client_op_id: &'a str,
    },
    /// Stores a file and refers to it.
    PutFile {
        /// What.
        file: &'a FileUpload,
        /// The client's own id for it, which comes back with its event.
        client_op_id: &'a str,
    },
}

impl Request<'_> {
    /// The frame as text.
    ///
    /// Fails, before anything is sent, for a write that has no form on the wire: one with
    /// [`IfVacant`](Precondition::IfVacant), a `put_file` of a reference (send the file itself), and a frame beyond
    /// [`MAX_OUTGOING`].
    pub fn encode(&self, join_ref: Option<u64>, reference: u64, topic: &str) -> Result<String, DustErr> {
        let (topic, event, payload) = match self {
            Request::Join { last_store_seq } => {
                (topic, "phx_join", format!(r#"{{"last_store_seq":{last_store_seq}}}"#))
            }
            Request::Leave => (topic, "phx_leave", "{}".to_owned()),
            Request::Heartbeat => ("phoenix", "heartbeat", "{}".to_owned()),
            Request::Status => (topic, "status", "{}".to_owned()),
            Request::Write { write, client_op_id } => (topic, "write", write_payload(write, client_op_id)?),
            Request::PutFile { file, client_op_id } => (topic, "put_file", file_payload(file, client_op_id)),
        };
        let join_ref = join_ref.map(|join_ref| join_ref.to_string());
        let frame = encode(join_ref.as_deref(), Some(&reference.to_string()), topic, event, &payload);
        if frame.len() > MAX_OUTGOING {
            return Err(DustErr::InvalidParams(format!(
                "a write of {} bytes is too large: a server takes at most {MAX_OUTGOING} in one frame; split it",
                frame.len()
            )));
        }
        Ok(frame)
    }
}

/// Members of an object, written one after the other.
struct Members(String);

impl Members {
    fn new() -> Members {
        Members("{".to_owned())
    }

    fn raw(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_string(key, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, "");
        push_string(value, &mut self.0);
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn write_payload(write: &Write, client_op_id: &str) -> Result<String, DustErr> {
    let mut members = Members::new();
    members.text("op", write.op.kind().name());
    members.text("path", write.path.as_str());
    match &write.op {
        Op::Set(value) | Op::Merge(value) | Op::Increment(value) | Op::Add(value) | Op::Remove(value) => {
            members.raw("value", value.as_str());
        }
        Op::Delete => {}
        Op::Lease { holder, ttl_ms } => {
            if let Some(holder) = holder {
                members.text("holder", holder);
            }
            members.raw("ttl_ms", &ttl_ms.to_string());
        }
        Op::Renew { token, ttl_ms } => {
            members.raw("token", &token.to_string());
            members.raw("ttl_ms", &ttl_ms.to_string());
        }
        Op::Release { token } => members.raw("token", &token.to_string()),
        // A reference to a file that was never stored breaks the next upload of the whole store.
        Op::PutFile(_) => return Err(unsupported("put_file of a reference", "send the file itself")),
    }
    match write.precondition {
        Some(Precondition::IfMatch(revision)) => members.raw("if_match", &revision.to_string()),
        Some(Precondition::IfAbsent) => members.raw("if_absent", "true"),
        Some(Precondition::IfVacant) => {
            return Err(unsupported("a write on condition that nothing is below a path", "use if_absent for a leaf"));
        }
        None => {}
    }
    if let Some(fence) = &write.fence {
        let mut key = Members::new();
        key.text("key", fence.key.as_str());
        key.raw("token", &fence.token.to_string());
        members.raw("fence", &key.finish());
    }
    members.text("client_op_id", client_op_id);
    Ok(members.finish())
}

fn file_payload(file: &FileUpload, client_op_id: &str) -> String {
    let mut members = Members::new();
    members.text("path", file.path.as_str());
    if let Some(filename) = &file.filename {
        members.text("filename", filename);
    }
    if let Some(content_type) = &file.content_type {
        members.text("content_type", content_type);
    }
    members.text("client_op_id", client_op_id);
    members.text("content", &base64(&file.content));
    members.finish()
}

fn unsupported(operation: &str, hint: &str) -> DustErr {
    DustErr::NotSupported { operation: operation.to_owned(), transport: "realtime", hint: hint.to_owned() }
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(ALPHABET[(word >> (18 - 6 * place) & 63) as usize].into());
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_padded() {
        let table = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("hello", "aGVsbG8="), ("hi", "aGk=")];
        for (plain, encoded) in table {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
