//! The context of a message, which answers it.

use std::sync::Arc;

use dust_protocol::{CommittedOp, RawJson};

use super::frame::Outgoing;
use super::hub::Order;
use super::queue::Queue;
use crate::auth::Token;
use crate::json::{self, Object};
use crate::limits::{Bucket, Verdict};
use crate::state::State;
use crate::stores::Held;

/// The effects of a fault on the frames that answer a message (default: none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyFault {
    /// The reply is not sent.
    pub no_reply: bool,
    /// The event is not sent.
    pub no_event: bool,
    /// The event is sent twice.
    pub event_twice: bool,
    /// The reply is sent before the event.
    pub reply_first: bool,
    /// A join is answered, and its catch-up is never sent.
    pub no_catch_up: bool,
    /// A `put_file` crashes the channel if its store has a file already.
    pub one_file: bool,
}

/// The channel and the sender of a message.
#[derive(Clone)]
pub(super) struct MessageContext {
    pub(super) state: Arc<State>,
    pub(super) token: Arc<Token>,
    pub(super) device_id: Arc<str>,
    pub(super) held: Held,
    pub(super) topic: Arc<str>,
    /// The `join_ref` of the channel.
    pub(super) join_ref: RawJson,
    pub(super) reference: RawJson,
    pub(super) queue: Queue,
    pub(super) reply_fault: ReplyFault,
}

/// A crash of the channel, after which the client receives `phx_error`. The text is for the emulator's own log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crash(pub(super) String);

/// The body of a refusal.
pub(super) struct Refused(pub(super) String);

impl Refused {
    pub(super) fn because(reason: &str) -> Refused {
        Refused(Object::new().string("reason", reason).end())
    }
}

/// The reason why a message is not applied.
pub(super) enum Failure {
    Refused(Refused),
    Crash(Crash),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Refused(refused)
    }
}

impl From<Crash> for Failure {
    fn from(crash: Crash) -> Failure {
        Failure::Crash(crash)
    }
}

impl MessageContext {
    /// Answers the message.
    pub(super) fn reply(&self, ok: bool, response: &str) {
        if !self.reply_fault.no_reply {
            let frame = reply(Some(self.join_ref.clone()), self.reference.clone(), &self.topic, ok, response);
            self.queue.send(Order::Send(frame));
        }
    }

    /// Pushes an op to all members of the channel, and replies to the sender.
    pub(super) fn committed(&self, op: &CommittedOp, client_op_id: &RawJson, response: &str) {
        if self.reply_fault.reply_first {
            self.reply(true, response);
        }
        let times = if self.reply_fault.no_event { 0 } else { 1 + usize::from(self.reply_fault.event_twice) };
        let frame = event(&self.topic, None, op, client_op_id, &op.value);
        for _ in 0..times {
            self.state.hub.push(&frame);
        }
        if !self.reply_fault.reply_first {
            self.reply(true, response);
        }
    }

    /// Checks that the token has a scope in this store.
    pub(super) fn authorise(&self, scope: &str) -> Result<(), Refused> {
        authorise(&self.token, &self.held, scope)
    }

    /// Counts a write for the rate limit, together with those over HTTP. The time to wait in a refusal is always the
    /// whole window.
    pub(super) fn count(&self) -> Result<(), Refused> {
        match self.state.limits.hit(&self.token.id, Bucket::Writes, self.state.clock.wall_ms()) {
            Verdict::Denied { .. } => {
                Err(Refused(Object::new().string("reason", "rate_limited").number("retry_after_ms", 60_000).end()))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn authorise(token: &Token, held: &Held, scope: &str) -> Result<(), Refused> {
    if !token.sees_org(held.name.org()) || !token.reaches(&held.name) {
        let message = "Token does not have access to this store";
        return Err(Refused(Object::new().string("message", message).string("reason", "store_not_allowed").end()));
    }
    if !token.has_scope(scope) {
        let message = format!("Token is missing {scope} scope");
        let body = Object::new().string("message", &message).string("reason", "missing_scope").string("scope", scope);
        return Err(Refused(body.end()));
    }
    Ok(())
}

pub(super) fn reply(
    join_ref: Option<RawJson>,
    reference: RawJson,
    topic: &Arc<str>,
    ok: bool,
    response: &str,
) -> Outgoing {
    let status = if ok { "ok" } else { "error" };
    Outgoing {
        join_ref,
        reference: Some(reference),
        topic: Arc::clone(topic),
        event: "phx_reply",
        payload: Object::new().raw("response", response).string("status", status).end().into(),
        moment: None,
    }
}

/// The frame of an op: a live one without a `join_ref`, in a catch-up with that of the join.
pub(super) fn event(
    topic: &Arc<str>,
    join_ref: Option<RawJson>,
    op: &CommittedOp,
    client_op_id: &RawJson,
    value: &RawJson,
) -> Outgoing {
    let segments = json::array(op.path.segments().map(|segment| json::string(&segment)));
    let payload = Object::new()
        .value("client_op_id", client_op_id)
        .string("device_id", &op.device_id)
        .string("op", op.op.name())
        .string("path", op.path.as_str())
        .raw("path_segments", &segments)
        .number("store_seq", op.store_seq)
        .value("value", value)
        .end();
    Outgoing {
        join_ref,
        reference: None,
        topic: Arc::clone(topic),
        event: "event",
        payload: payload.into(),
        moment: None,
    }
}
