use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::frame::{FrameError, Id, Text, read_frame, read_object};
use super::refusal::Refusal;
use crate::{CommittedOp, JsonObject, LeafKind, LeafRef, OpKind, PackedLeaves, Path, RawJson, envelope};

/// A message of a server, in one frame.
///
/// ```
/// use dust_protocol::channel::{Incoming, Message};
///
/// let text = r#"[null,null,"store:acme/main","event",{"client_op_id":"x","device_id":"d","op":"set","path":"n",
///     "path_segments":["n"],"store_seq":7,"value":123456789012345678901234567890}]"#;
/// let Message::Event(op) = Incoming::decode(text)?.message else { panic!("it is an event") };
/// assert_eq!((op.store_seq, op.value.as_str()), (7, "123456789012345678901234567890"));
/// # Ok::<(), dust_protocol::channel::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// The join it belongs to; live events have none.
    pub join_ref: Option<Cow<'a, str>>,
    /// The channel.
    pub topic: Cow<'a, str>,
    /// The message.
    pub message: Message<'a>,
}

/// The kinds of messages.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message<'a> {
    /// The answer to a request.
    Reply {
        /// The request's reference.
        reference: Option<Cow<'a, str>>,
        /// The result. Its content depends on the request.
        outcome: Result<Response<'a>, Refusal>,
    },
    /// The whole store, as the log no longer holds the ops that the client lacks.
    Snapshot(Snapshot),
    /// A committed op: live if the frame has no `join_ref`, otherwise of a catch-up.
    Event(CommittedOp),
    /// The end of the catch-up of a join. Its number is the client's own and is ignored.
    CaughtUp,
    /// The channel crashed (`phx_error`): join again.
    Crashed,
    /// The channel was closed (`phx_close`): left, or replaced by another join.
    Closed,
    /// A message that this version does not know.
    Unknown,
}

/// The whole store as of one op.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The `store_seq` of the snapshot.
    pub seq: u64,
    /// The leaves with their values unwrapped. A snapshot has no revisions: each leaf gets `seq`, the largest possible.
    pub leaves: PackedLeaves,
}

/// The body of a successful reply.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a>(&'a RawValue);

/// The answer to a join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Joined {
    /// The store's last `store_seq`.
    pub store_seq: u64,
    /// The permissions of the token.
    #[serde(default, deserialize_with = "JsonObject::field")]
    pub permissions: Permissions,
    /// The scopes of the token, such as `entries:write`. Empty if the server does not list them.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// The permissions of a token in a store. A permission that the server does not list counts as granted: the server
/// refuses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Permissions {
    /// Read.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Upload files.
    #[serde(skip)]
    pub files: bool,
}

impl Default for Permissions {
    fn default() -> Permissions {
        Permissions { read: true, write: true, files: true }
    }
}

impl Permissions {
    /// True if a scope is granted, or is not one of these three.
    pub fn has(&self, scope: &str) -> bool {
        match scope {
            "entries:read" => self.read,
            "entries:write" => self.write,
            "files:write" => self.files,
            _ => true,
        }
    }
}

/// The answer to a write or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The `store_seq` of the op; `None` if a release changed nothing.
    pub store_seq: Option<u64>,
    /// The result of the op if it is known: for `lease` and `renew` the lease. A reply has no more; the committed op
    /// also has the new value of an `increment`, `add` or `remove`, and the reference to a file.
    pub value: Option<RawJson>,
}

/// The used part of the answer to `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StatusReport {
    /// The store's last `store_seq`.
    pub current_seq: u64,
    /// The number of leaves.
    #[serde(default)]
    pub entry_count: u64,
}

/// A frame that is parsed in one pass: its event decides the type of its payload.
struct Framed<'a> {
    join_ref: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    topic: Cow<'a, str>,
    body: Body<'a>,
}

enum Body<'a> {
    Reply(ReplyBody<'a>),
    Event(EventBody<'a>),
    Snapshot(SnapshotBody),
    CaughtUp,
    Crashed,
    Closed,
    Unknown,
}

#[derive(Deserialize)]
struct ReplyBody<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    response: &'a RawValue,
}

#[derive(Deserialize)]
struct EventBody<'a> {
    store_seq: u64,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    device_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    client_op_id: Option<Id<'a>>,
}

#[derive(Deserialize)]
struct SnapshotBody {
    snapshot_seq: u64,
    entries: Entries,
}

#[derive(Deserialize)]
struct SnapshotLeaf<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// The leaves of a snapshot in their order, packed while they are parsed, as there may be millions.
struct Entries(Result<PackedLeaves, FrameError>);

#[derive(Deserialize)]
struct WrittenBody<'a> {
    store_seq: Option<u64>,
    token: Option<u64>,
    expires_at: Option<i64>,
    #[serde(borrow, default)]
    holder: Option<&'a RawValue>,
}

impl<'a> Incoming<'a> {
    /// Parses a text frame.
    pub fn decode(text: &'a str) -> Result<Incoming<'a>, FrameError> {
        let Framed { join_ref, reference, topic, body } = read_frame(text)?;
        let message = match body {
            Body::Reply(ReplyBody { status, response }) => {
                let is_ok = status == "ok";
                let outcome = if is_ok { Ok(Response(response)) } else { Err(Refusal::read(response.get())) };
                Message::Reply { reference, outcome }
            }
            Body::Event(body) => Message::Event(committed(body)?),
            Body::Snapshot(body) => Message::Snapshot(snapshot(body)?),
            Body::CaughtUp => Message::CaughtUp,
            Body::Crashed => Message::Crashed,
            Body::Closed => Message::Closed,
            Body::Unknown => Message::Unknown,
        };
        Ok(Incoming { join_ref, topic, message })
    }
}

fn committed(body: EventBody<'_>) -> Result<CommittedOp, FrameError> {
    let op = OpKind::from_name(&body.op).ok_or_else(|| FrameError(format!("the op {:?} is not known", body.op)))?;
    let id = |id: Option<Id<'_>>| id.and_then(|Id(text)| text).unwrap_or_default().into();
    Ok(CommittedOp {
        store_seq: place(body.store_seq)?,
        op,
        path: path(&body.path)?,
        value: body.value.map_or_else(RawJson::null, |value| RawJson::from_trusted(value.get())),
        device_id: id(body.device_id),
        client_op_id: id(body.client_op_id),
    })
}

fn snapshot(body: SnapshotBody) -> Result<Snapshot, FrameError> {
    let SnapshotBody { snapshot_seq, entries: Entries(entries) } = body;
    let seq = place(snapshot_seq)?;
    let mut leaves = entries?;
    leaves.set_revisions(seq);
    Ok(Snapshot { seq, leaves })
}

/// A `store_seq` of at most half the range of `u64`, so that its successor never overflows.
fn place(seq: u64) -> Result<u64, FrameError> {
    let is_possible = seq <= i64::MAX.unsigned_abs();
    is_possible.then_some(seq).ok_or_else(|| FrameError(format!("{seq} is not a place in a store's order")))
}

fn path(rendered: &str) -> Result<Path, FrameError> {
    Path::parse(rendered).map_err(|error| FrameError(format!("the path {rendered:?}: {error}")))
}

impl Response<'_> {
    /// Parses the answer to a join.
    pub fn joined(self) -> Result<Joined, FrameError> {
        let mut joined: Joined = read_object(self.0.get())?;
        place(joined.store_seq)?;
        joined.permissions.files = joined.scopes.is_empty() || joined.scopes.iter().any(|scope| scope == "files:write");
        Ok(joined)
    }

    /// Parses the answer to `status`.
    pub fn status(self) -> Result<StatusReport, FrameError> {
        let status: StatusReport = read_object(self.0.get())?;
        place(status.current_seq)?;
        Ok(status)
    }

    /// Parses the answer to a write or a file.
    pub fn written(self) -> Result<Written, FrameError> {
        let body: WrittenBody<'_> = read_object(self.0.get())?;
        let value = match (body.token, body.expires_at) {
            (Some(token), Some(expires_at)) => {
                let holder = body.holder.map_or("null", RawValue::get);
                let lease =
                    format!(r#"{{"_type":"lease","expires_at":{expires_at},"holder":{holder},"token":{token}}}"#);
                Some(RawJson::from_trusted(lease))
            }
            _ => None,
        };
        Ok(Written { store_seq: body.store_seq.map(place).transpose()?, value })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Framed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Framed<'a>, D::Error> {
        struct FramedVisitor;

        impl<'de> Visitor<'de> for FramedVisitor {
            type Value = Framed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frame: an array of join_ref, ref, topic, event and payload")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Framed<'de>, A::Error> {
                let Id(join_ref) = part(&mut seq, 0)?;
                let Id(reference) = part(&mut seq, 1)?;
                let Text(topic) = part(&mut seq, 2)?;
                let Text(event) = part(&mut seq, 3)?;
                let body = match &*event {
                    "phx_reply" => Body::Reply(payload(&mut seq)?),
                    "event" => Body::Event(payload(&mut seq)?),
                    "snapshot" => Body::Snapshot(payload(&mut seq)?),
                    "catch_up_complete" => payload(&mut seq).map(|IgnoredAny| Body::CaughtUp)?,
                    "phx_error" => payload(&mut seq).map(|IgnoredAny| Body::Crashed)?,
                    "phx_close" => payload(&mut seq).map(|IgnoredAny| Body::Closed)?,
                    _ => part(&mut seq, 4).map(|IgnoredAny| Body::Unknown)?,
                };
                Ok(Framed { join_ref, reference, topic, body })
            }
        }

        deserializer.deserialize_tuple(5, FramedVisitor)
    }
}

/// The next part of a frame.
fn part<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A, place: usize) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::invalid_length(place, &"a frame of five parts"))
}

/// The last part of a frame, whose event is known.
fn payload<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    part(seq, 4).map(|JsonObject(payload)| payload)
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        struct EntriesVisitor;

        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Result<PackedLeaves, FrameError>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of leaves by path")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut leaves = Ok(PackedLeaves::default());
                while let Some((Key(rendered), JsonObject(leaf))) =
                    map.next_entry::<Key<'de>, JsonObject<SnapshotLeaf<'de>>>()?
                {
                    leaves = leaves.and_then(|mut leaves| {
                        path(&rendered)?;
                        let value = envelope::unwrap(&RawJson::from_trusted(leaf.value.get()));
                        let (value, kind) = (value.as_str(), LeafKind::from_name(&leaf.kind));
                        leaves.push(LeafRef { path: &rendered, value, kind, revision: 0 });
                        Ok(leaves)
                    });
                }
                Ok(leaves)
            }
        }

        deserializer.deserialize_map(EntriesVisitor).map(Entries)
    }
}
