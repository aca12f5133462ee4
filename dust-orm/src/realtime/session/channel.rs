//! The state of one store: the position of its mirror, what the server is known to have, and its channel.

use std::sync::Arc;
use std::time::Duration;

use dust_protocol::CommittedOp;
use dust_protocol::channel::topic;

use super::StoreState;
use super::early_ops::EarlyOps;
use super::phase::{Open, Phase, Stage};
use crate::error::DustErr;
use crate::realtime::Mirror;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) topic: String,
    pub(super) phase: Phase,
    /// The last op that was delivered: there is no hole before it.
    pub(super) cursor: u64,
    /// The id of that op; `None` where it came as part of a snapshot.
    pub(super) last_id: Option<Arc<str>>,
    pub(super) history: HistoryCheck,
    pub(super) known: KnownOps,
    pub(super) early: EarlyOps,
    /// A copy that is fetched from the beginning and replaces the mirror when it is complete. `cursor` is then the
    /// copy's.
    pub(super) resync: Option<Mirror>,
    pub(super) failures: Failures,
    /// The time at which the store first was up to date since its channel was last closed.
    pub(super) useful_since: Option<Duration>,
    /// The interval of `status` requests, if shorter than [`Timing::status`](super::Timing::status).
    pub(super) status_interval: Duration,
    pub(super) announced: StoreState,
}

/// The check that the store of this connection has the history of the mirror. A store that was restored from a backup,
/// and has grown since, has not: then the op at the cursor has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistoryCheck {
    /// The store has the mirror's history, as far as it can be compared.
    Done,
    /// The next join begins one op early, if that op's id is known.
    Needed,
    /// The op at the cursor is requested again. No op is delivered before it arrives.
    Running,
}

/// The ops that the store is known to have.
#[derive(Debug)]
pub(super) struct KnownOps {
    /// The last one.
    pub(super) last: u64,
    /// The last one of which this session has learned since it last requested the store's position.
    since_request: u64,
    /// The time to join again, because the store has more ops than were delivered.
    pub(super) fetch_at: Option<Duration>,
}

impl KnownOps {
    fn new(last: u64) -> KnownOps {
        KnownOps { last, since_request: 0, fetch_at: None }
    }

    /// Notes that the store has, or had, this op.
    pub(super) fn note(&mut self, seq: u64) {
        self.last = self.last.max(seq);
        self.since_request = self.since_request.max(seq);
    }

    /// Notes that the store's position is requested.
    pub(super) fn position_requested(&mut self) {
        self.since_request = 0;
    }
}

/// Failures in a row, by kind. A success resets its kind to 0.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Joins that failed or left a hole.
    pub(super) joins: u32,
    /// Catch-ups that crashed before they delivered anything.
    pub(super) catch_up_crashes: u32,
    /// Channels that closed within `STEADY` of being up to date.
    pub(super) early_closes: u32,
    /// Contents that did not fit into the mirror or into a frame.
    pub(super) overflows: u32,
    /// Channels that were given up because they did not answer. The store is offline until it answers a `status`.
    pub(super) timeouts: u32,
}

impl Channel {
    pub(super) fn new(name: String, cursor: u64) -> Channel {
        Channel {
            topic: topic(&name),
            name,
            phase: Phase::Closed { join_at: None },
            cursor,
            last_id: None,
            history: HistoryCheck::Needed,
            known: KnownOps::new(cursor),
            early: EarlyOps::default(),
            resync: None,
            failures: Failures::default(),
            useful_since: None,
            status_interval: Duration::MAX,
            announced: StoreState::Offline,
        }
    }

    /// Ends the channel with its connection. The store may be another one on the next connection (restored from a
    /// backup), so what was known of it is discarded; ops that were not delivered are sent again.
    pub(super) fn disconnect(&mut self) {
        if !matches!(self.phase, Phase::Refused { outlasts_connection: true, .. }) {
            self.phase = Phase::Closed { join_at: None };
        }
        self.useful_since = None;
        self.history = HistoryCheck::Needed;
        self.early.clear();
        self.known.last = self.cursor;
        self.known.fetch_at = None;
    }

    /// Discards the ops after `seq`, as if they had not arrived.
    pub(super) fn rewind_to(&mut self, seq: u64) {
        self.cursor = seq;
        self.last_id = None;
        self.disconnect();
    }

    /// The last op through which a rewound store is not recognised on the next connection.
    pub(super) fn undetected_rewind_limit(&self) -> u64 {
        if self.last_id.is_some() { 0 } else { self.cursor }
    }

    /// Begins the history check of a join where one is needed. True if the join has to begin one op early.
    pub(super) fn begin_history_check(&mut self) -> bool {
        if self.history != HistoryCheck::Done {
            let has_op = self.last_id.is_some() && self.cursor > 0;
            self.history = if has_op { HistoryCheck::Running } else { HistoryCheck::Needed };
        }
        self.history == HistoryCheck::Running
    }

    /// Ends the history check without a last op to compare on later connections.
    pub(super) fn forget_history(&mut self) {
        self.last_id = None;
        self.history = HistoryCheck::Done;
    }

    /// Receives an op after the cursor, and returns the ops that can be delivered now.
    pub(super) fn receive(&mut self, op: CommittedOp) -> Vec<CommittedOp> {
        // The usual case: no op waits, before this one or with it.
        let is_alone = self.early.is_empty() && self.history != HistoryCheck::Running && !self.phase.is_catching_up();
        if op.store_seq == self.cursor + 1 && is_alone {
            self.advance(Some(&op));
            return vec![op];
        }
        self.early.insert(op, self.cursor);
        self.take_ready()
    }

    /// Removes the ops that can be delivered now.
    pub(super) fn take_ready(&mut self) -> Vec<CommittedOp> {
        if self.history == HistoryCheck::Running {
            return Vec::new();
        }
        let ready = self.early.take_ready(self.cursor, self.phase.catch_up_end());
        self.advance(ready.last());
        ready
    }

    /// Moves the cursor to the last op that is delivered, if any is.
    fn advance(&mut self, last: Option<&CommittedOp>) {
        if let Some(last) = last {
            self.last_id = last.id().cloned();
            self.cursor = last.store_seq;
        }
        // Without an op as well: a snapshot may have contained the ops that were to be fetched.
        self.clear_fetch_if_current();
    }

    fn clear_fetch_if_current(&mut self) {
        if self.cursor >= self.known.last {
            self.known.fetch_at = None;
        }
    }

    /// The last op that the mirror has received.
    pub(super) fn visible(&self) -> u64 {
        if self.resync.is_some() { 0 } else { self.cursor }
    }

    /// Notes that the store has this op. If it does not arrive by `due`, it is fetched.
    pub(super) fn expect_op(&mut self, seq: u64, due: Duration) {
        self.known.note(seq);
        if self.cursor < seq {
            self.known.fetch_at = Some(self.known.fetch_at.map_or(due, |earlier| earlier.min(due)));
        }
    }

    /// Notes the store's position in the reply to a join or a `status`. Later ops that were known before the request
    /// belong to a store that was restored from a backup since: they no longer exist.
    pub(super) fn position_answered(&mut self, seq: u64) {
        self.known.last = seq.max(self.known.since_request).max(self.cursor);
        self.clear_fetch_if_current();
    }

    /// True if the store is known to have more than was delivered.
    pub(super) fn has_hole(&self) -> bool {
        self.cursor < self.known.last || self.resync.is_some()
    }

    /// The time at which the channel has something to do without input.
    pub(super) fn next_wake(&self, grace: Duration) -> Option<Duration> {
        match &self.phase {
            Phase::Closed { join_at } => *join_at,
            Phase::Joining { timeout, .. } => Some(timeout.check_at()),
            Phase::Open(open) => self.next_open_wake(open, grace),
            Phase::Refused { retry_at, .. } => Some(*retry_at),
        }
    }

    fn next_open_wake(&self, open: &Open, grace: Duration) -> Option<Duration> {
        let due = match open.stage {
            Stage::CatchingUp { timeout, .. } => Some(timeout.check_at()),
            Stage::Draining => open.unanswered.settled_at(grace),
            Stage::Live { rejoin_at } => rejoin_at.or(self.known.fetch_at).into_iter().chain([open.status_at]).min(),
        };
        let status = open.status_request.as_ref().map(|request| request.timeout.check_at());
        due.into_iter().chain(open.unanswered.check_at()).chain(status).min()
    }

    /// The error for a store whose next op the server cannot send.
    pub(super) fn catch_up_crash_error(&self) -> DustErr {
        DustErr::NotSupported {
            operation: format!("fetching the ops after {} of the store `{}`", self.cursor, self.name),
            transport: "realtime",
            hint: "the server crashes at the same op each time; the cause is in the server's log".to_owned(),
        }
    }

    pub(super) fn state(&self) -> StoreState {
        match &self.phase {
            Phase::Refused { error, .. } => StoreState::Refused(error.clone()),
            Phase::Closed { join_at: None } => StoreState::Offline,
            // The mirror does not count as current until the store has answered again.
            _ if self.failures.timeouts > 0 => StoreState::Offline,
            Phase::Open(Open { stage: Stage::Live { .. }, permissions, .. }) if self.failures.joins == 0 => {
                StoreState::Live { permissions: *permissions }
            }
            Phase::Closed { .. } | Phase::Joining { .. } | Phase::Open(_) => StoreState::CatchingUp,
        }
    }
}
