//! Channels, with their joins and catch-ups.

use std::sync::Arc;

use dust_protocol::channel::CAPVER;
use dust_protocol::{CommittedOp, OpKind, RawJson, envelope};
use dust_store::StoreError;

use super::connection::Client;
use super::frame::{Frame, Outgoing, Vsn};
use super::hub::{Membership, Order};
use super::message_context::{self, Crash, Refused};
use super::msgpack;
use super::queue::Queue;
use super::status::Capabilities;
use crate::json::{self, Object};
use crate::state::State;
use crate::stores::Held;
use crate::uri::Params;

/// The number of ops that a catch-up sends at a time.
const BATCH: usize = 1000;

/// A joined channel.
pub(super) struct Channel {
    pub(super) topic: Arc<str>,
    pub(super) join_ref: RawJson,
    pub(super) held: Held,
    pub(super) membership: Membership,
    pub(super) catch_up: Option<CatchUp>,
    /// True if a fault makes it hang.
    pub(super) hangs: bool,
}

/// The position of a catch-up.
#[derive(Clone)]
pub(super) struct CatchUp {
    /// The position that the client sent, or the last op sent to it.
    last: RawJson,
    pub(super) sent: usize,
    begun: bool,
}

/// Joins a store and answers the join. An error is the body of the refusal.
pub(super) fn join(
    state: &Arc<State>,
    client: &Client,
    frame: &Frame,
    queue: &Queue,
    no_reply: bool,
) -> Result<Channel, Refused> {
    let topic: Arc<str> = frame.topic.as_str().into();
    let crashed = || Refused::because("join crashed");
    let last = frame.payload.to::<Params>().ok().and_then(|payload| payload.get("last_store_seq").cloned());
    let last = last.ok_or_else(crashed)?;
    let held = find(state, topic.strip_prefix("store:").unwrap_or_default())?;
    message_context::authorise(&client.token, &held, "entries:read")?;

    // Every op is either included in the answer's `store_seq` or pushed later.
    let order = held.push_in_order();
    let Capabilities { permissions, scopes, store_access } = Capabilities::of(state, &client.token);
    let response = Object::new()
        .number("capver", CAPVER.into())
        .number("capver_min", CAPVER.into())
        .raw("permissions", &permissions)
        .raw("scopes", &scopes)
        .raw("store_access", &store_access)
        .number("store_seq", held.store.current_seq())
        .end();
    if !no_reply {
        let reply =
            message_context::reply(Some(frame.join_ref.clone()), frame.reference.clone(), &topic, true, &response);
        queue.send(Order::Send(reply));
    }
    let membership = Membership::of(state, &topic, queue.clone());
    drop(order);
    let catch_up = Some(CatchUp { last, sent: 0, begun: false });
    Ok(Channel { topic, join_ref: frame.join_ref.clone(), held, membership, catch_up, hangs: false })
}

/// The store of a topic, by its name or its id.
fn find(state: &State, reference: &str) -> Result<Held, Refused> {
    let found = match reference.split_once('/') {
        Some((org, name)) => state.stores.get(org, name),
        None if !is_uuid(reference) => return Err(Refused::because("join crashed")),
        None => state.stores.by_id(reference),
    };
    found.ok_or_else(|| Refused::because("unauthorized"))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

impl Channel {
    /// A frame that belongs to the join.
    fn frame(&self, event: &'static str, payload: String) -> Outgoing {
        Outgoing {
            join_ref: Some(self.join_ref.clone()),
            reference: None,
            topic: Arc::clone(&self.topic),
            event,
            payload: payload.into(),
            moment: None,
        }
    }

    /// `phx_close` or `phx_error`.
    pub(super) fn ended(&self, event: &'static str) -> Outgoing {
        Outgoing { reference: Some(self.join_ref.clone()), ..self.frame(event, "{}".to_owned()) }
    }

    /// True if the catch-up waits for a test: it has begun, and sent as many events as allowed.
    pub(super) fn is_held(&self, hold: Option<usize>) -> bool {
        self.catch_up.as_ref().is_some_and(|catch_up| catch_up.begun && hold.is_some_and(|most| catch_up.sent >= most))
    }

    /// Sends the next frames of the catch-up. An error crashes the channel after the frames so far.
    pub(super) fn step(&mut self, vsn: Vsn, hold: Option<usize>, frames: &mut Vec<Outgoing>) -> Result<(), Crash> {
        let Some(CatchUp { mut last, mut sent, .. }) = self.catch_up.take() else { return Ok(()) };
        let failed = |error: StoreError| Crash(format!("the store cannot be read: {error}"));
        let store = &self.held.store;
        if let Some(snapshot) = store.snapshot().map_err(failed)?
            && is_behind(&last, snapshot.seq)
        {
            let mut entries = Object::new();
            for leaf in &snapshot.leaves {
                let wrapped = envelope::to_snapshot_leaf(&leaf.value);
                let entry = Object::new().string("type", leaf.kind.name()).value("value", &wrapped);
                entries = entries.raw(leaf.path.as_str(), &entry.end());
            }
            let payload = Object::new().raw("entries", &entries.end()).number("snapshot_seq", snapshot.seq);
            let payload = payload.end();
            check_packs(vsn, &payload, || format!("the snapshot {}", snapshot.seq))?;
            frames.push(self.frame("snapshot", payload));
            last = json::integer(snapshot.seq);
        }
        let room = hold.map_or(BATCH, |after| after.saturating_sub(sent).min(BATCH));
        let ops = match after(&last) {
            Some(seq) => store.ops_since(seq, room).map_err(failed)?,
            None => Vec::new(),
        };
        for op in &ops {
            frames.push(self.event(vsn, op)?);
            last = json::integer(op.store_seq);
            sent += 1;
        }
        let all = ops.len() < room;
        if all {
            let payload = Object::new().value("through_seq", &last).end();
            frames.push(self.frame("catch_up_complete", payload));
        } else {
            self.catch_up = Some(CatchUp { last, sent, begun: true });
        }
        Ok(())
    }

    /// An op in the form of a catch-up: a decimal or datetime as a plain string, and of an object with a `_scalar` only
    /// that.
    fn event(&self, vsn: Vsn, op: &CommittedOp) -> Result<Outgoing, Crash> {
        let client_op_id = json::text(&op.client_op_id);
        check_packs(vsn, op.value.as_str(), || format!("`{}` at op {}", op.path, op.store_seq))?;
        let value = envelope::to_plain(&envelope::unwrap(&op.value));
        let mut event = message_context::event(&self.topic, Some(self.join_ref.clone()), op, &client_op_id, &value);
        let is_envelope = op.value.is_object() && value != op.value && op.op == OpKind::Set;
        if is_envelope && vsn == Vsn::MessagePack {
            let moment = value.to::<String>().ok().and_then(|text| envelope::unix_time(&text));
            event.moment = Some(moment.ok_or_else(|| {
                Crash(format!(
                    "a decimal envelope crashes a catch-up in MessagePack: `{}` at op {}",
                    op.path, op.store_seq
                ))
            })?);
        }
        Ok(event)
    }
}

/// A value without a form in MessagePack crashes the channel that has to send it.
fn check_packs(vsn: Vsn, json: &str, what: impl FnOnce() -> String) -> Result<(), Crash> {
    if vsn == Vsn::Json {
        return Ok(());
    }
    msgpack::from_json(json)
        .map(drop)
        .map_err(|error| Crash(format!("a catch-up in MessagePack crashes at {}: {error}", what())))
}

/// True if the client's position is a number before the snapshot.
fn is_behind(last: &RawJson, seq: u64) -> bool {
    last.to::<f64>().is_ok_and(|last| last < seq as f64)
}

/// The op after which a catch-up begins; `None` if there are none after it.
fn after(last: &RawJson) -> Option<u64> {
    let number = last.to::<f64>().or_else(|_| last.to::<String>().map(|text| text.parse().unwrap_or(f64::MAX)));
    number.ok().map(|number| number.max(0.0) as u64)
}
