//! What is known of one store: how far its mirror is, which ops wait, and how its channel stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dust_protocol::CommittedOp;
use dust_protocol::channel::{Permissions, topic};
use dust_protocol::list::MAX_BATCH_OPS;

use super::StoreState;
use super::timeout::Timeout;
use super::unanswered::Unanswered;
use crate::error::DustErr;
use crate::realtime::Mirror;

/// How many ops may wait for earlier ones. The latest of more are dropped, and asked for again.
const MAX_EARLY: usize = 10_000;
/// How many bytes they may take together, about. A batch that takes more is not kept together.
const MAX_EARLY_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) topic: String,
    /// The last op that was handed on: there is no hole before it.
    pub(super) cursor: u64,
    /// The id of that op, where it came as an op and not as part of a snapshot.
    pub(super) last_id: Option<Arc<str>>,
    /// Whether the store of this connection may be another than that of the one before: restored from a backup, and grown
    /// since. A join then begins one op earlier, and compares that op with the last one.
    pub(super) is_doubtful: bool,
    /// Whether that op is on its way. Until it is here nothing is handed on.
    pub(super) is_comparing: bool,
    /// The last op that the store is known to have.
    pub(super) seen: u64,
    /// The last op that was heard of since the store was last asked how far it is.
    pub(super) heard_since: u64,
    /// When to join again, because it is known to have more than was handed on.
    pub(super) fetch_at: Option<Duration>,
    /// Ops whose predecessors are missing, or whose batch is not complete.
    pub(super) early: BTreeMap<u64, CommittedOp>,
    /// How much memory they take.
    pub(super) early_bytes: usize,
    /// How many ops after the cursor wait for the rest of their batch.
    pub(super) held: u64,
    pub(super) phase: Phase,
    /// Joins in a row that failed or left a hole.
    pub(super) failed_joins: u32,
    /// Catch-ups that have crashed since one last brought something.
    pub(super) broken_off: u32,
    /// How often in a row the channel closed soon after it was up to date.
    pub(super) crashes: u32,
    /// How often in a row what came did not fit into its mirror.
    pub(super) overflows: u32,
    /// Since when it is up to date.
    pub(super) useful_since: Option<Duration>,
    /// A store that is being fetched again from its beginning, aside. `cursor` is then its.
    pub(super) resync: Option<Mirror>,
    /// What was sent since it was joined.
    pub(super) unanswered: Unanswered,
    /// The `status` that was sent and is not answered.
    pub(super) status_sent: Option<Asked>,
    pub(super) status_at: Duration,
    /// How long after an answer it is asked again.
    pub(super) status_every: Duration,
    /// How often in a row it had to be given up because it did not answer.
    pub(super) hangs: u32,
    pub(super) permissions: Permissions,
    pub(super) announced: StoreState,
}

/// A question how far a store is.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) reference: u64,
    /// The cursor when it was sent.
    pub(super) cursor: u64,
    /// For the answer.
    pub(super) wait: Timeout,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Not joined. Without a time it waits for a connection.
    Closed { join_at: Option<Duration> },
    Joining {
        join_ref: u64,
        /// For the answer.
        wait: Timeout,
        /// The cursor when it was sent.
        from: u64,
    },
    CatchingUp {
        join_ref: u64,
        through: u64,
        /// The cursor when it was joined.
        from: u64,
        /// For the next part of it.
        wait: Timeout,
    },
    /// To be joined again, when everything that was sent on it is answered. Nothing is sent until then.
    Draining { join_ref: u64 },
    Live {
        join_ref: u64,
        /// When to join again, to fill a hole that the last join left.
        rejoin_at: Option<Duration>,
    },
    Refused {
        error: DustErr,
        retry_at: Duration,
        /// Whether a new connection changes nothing about it: what the server sends is not taken here.
        is_lasting: bool,
    },
}

impl Channel {
    pub(super) fn new(name: String, cursor: u64) -> Channel {
        Channel {
            topic: topic(&name),
            name,
            cursor,
            last_id: None,
            is_doubtful: true,
            is_comparing: false,
            seen: cursor,
            heard_since: 0,
            fetch_at: None,
            early: BTreeMap::new(),
            early_bytes: 0,
            held: 0,
            phase: Phase::Closed { join_at: None },
            failed_joins: 0,
            broken_off: 0,
            crashes: 0,
            overflows: 0,
            useful_since: None,
            resync: None,
            unanswered: Unanswered::default(),
            status_sent: None,
            status_at: Duration::ZERO,
            status_every: Duration::MAX,
            hangs: 0,
            permissions: Permissions::default(),
            announced: StoreState::Offline,
        }
    }

    /// Forgets what was known of a store that may be another one when it is back: restored from a backup. What was not
    /// handed on will be sent again.
    pub(super) fn disconnect(&mut self) {
        if matches!(self.phase, Phase::Refused { is_lasting: true, .. }) {
            self.forget_sent();
        } else {
            self.end(Phase::Closed { join_at: None });
        }
        self.useful_since = None;
        self.is_doubtful = true;
        self.is_comparing = false;
        self.forget_early();
        self.seen = self.cursor;
        self.fetch_at = None;
    }

    /// Forgets the ops after one, as if they had never come.
    pub(super) fn rewind_to(&mut self, seq: u64) {
        self.cursor = seq;
        self.last_id = None;
        self.disconnect();
    }

    /// Up to which op it would not be noticed that a store is another on the next connection.
    pub(super) fn undetected_rewind_limit(&self) -> u64 {
        if self.last_id.is_some() { 0 } else { self.cursor }
    }

    /// How much memory the ops take that wait, counted anew.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> usize {
        let bytes = self.early.values().map(CommittedOp::footprint).sum();
        assert_eq!(self.early_bytes, bytes);
        bytes
    }

    pub(super) fn forget_early(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
        self.held = 0;
    }

    /// Takes an op that came, and answers what can be handed on now that it is here.
    pub(super) fn take(&mut self, op: CommittedOp) -> Vec<CommittedOp> {
        // The usual case: nothing waits, for this op or with it.
        let is_catching_up = matches!(self.phase, Phase::CatchingUp { .. });
        if op.store_seq == self.cursor + 1 && self.early.is_empty() && !self.is_comparing && !is_catching_up {
            self.hand_on_through(Some(&op));
            return vec![op];
        }
        self.wait_for_earlier(op);
        self.take_ready()
    }

    /// Lets an op wait for earlier ones, and drops the latest when there are too many. Those that can be handed on next, and
    /// those held for the rest of their batch, stay.
    fn wait_for_earlier(&mut self, op: CommittedOp) {
        self.early_bytes += op.footprint();
        if let Some(same) = self.early.insert(op.store_seq, op) {
            self.early_bytes -= same.footprint();
        }
        let next = self.cursor + self.held + 1;
        while self.early.len() > MAX_EARLY || self.early_bytes > MAX_EARLY_BYTES {
            let Some(last) = self.early.last_entry().filter(|last| *last.key() > next) else { break };
            self.early_bytes -= last.remove().footprint();
        }
    }

    /// The last op that the mirror has been given.
    pub(super) fn visible(&self) -> u64 {
        if self.resync.is_some() { 0 } else { self.cursor }
    }

    /// Whether a frame belongs to the join that counts.
    pub(super) fn join_ref_is(&self, text: &str) -> bool {
        match self.phase {
            Phase::Joining { join_ref, .. }
            | Phase::CatchingUp { join_ref, .. }
            | Phase::Draining { join_ref }
            | Phase::Live { join_ref, .. } => text.parse() == Ok(join_ref),
            Phase::Closed { .. } | Phase::Refused { .. } => false,
        }
    }

    /// The store is known to have this op. If it does not come by itself until `due`, it is fetched.
    pub(super) fn know(&mut self, seq: u64, due: Duration) {
        self.hear_of(seq);
        if self.cursor < seq {
            self.fetch_at = Some(self.fetch_at.map_or(due, |earlier| earlier.min(due)));
        }
    }

    /// The store has, or had, this op.
    pub(super) fn hear_of(&mut self, seq: u64) {
        self.seen = self.seen.max(seq);
        self.heard_since = self.heard_since.max(seq);
    }

    /// The store has told how far it is. Later ops that it was known to have before it was asked are of a store that was
    /// restored from a backup since: there are no such ops any more.
    pub(super) fn told(&mut self, seq: u64) {
        self.seen = seq.max(self.heard_since).max(self.cursor);
        if self.cursor >= self.seen {
            self.fetch_at = None;
        }
    }

    /// Whether it is joined.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::CatchingUp { .. } | Phase::Draining { .. } | Phase::Live { .. })
    }

    /// The channel is not there any more, or not to be used: nothing that was sent will be answered.
    pub(super) fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.forget_sent();
    }

    fn forget_sent(&mut self) {
        self.unanswered = Unanswered::default();
        self.status_sent = None;
    }

    /// Ops were missed that somebody wrote past the socket: there may be more soon.
    pub(super) fn ask_soon(&mut self, now: Duration, soon: Duration) {
        self.status_every = soon;
        self.status_at = self.status_at.min(now.saturating_add(soon));
    }

    /// Whether it is known to have more than was handed on.
    pub(super) fn has_hole(&self) -> bool {
        self.cursor < self.seen || self.resync.is_some()
    }

    /// When something is due without anything from outside.
    pub(super) fn next_wake(&self, grace: Duration) -> Option<Duration> {
        let due = match &self.phase {
            Phase::Closed { join_at } => *join_at,
            Phase::Joining { wait, .. } | Phase::CatchingUp { wait, .. } => Some(wait.look_at()),
            Phase::Draining { .. } => self.unanswered.settled_at(grace),
            Phase::Live { rejoin_at: Some(at), .. } => Some(self.status_at.min(*at)),
            Phase::Live { rejoin_at: None, .. } => {
                Some(self.fetch_at.map_or(self.status_at, |at| at.min(self.status_at)))
            }
            Phase::Refused { retry_at, .. } => Some(*retry_at),
        };
        let status = self.status_sent.as_ref().map(|asked| asked.wait.look_at());
        due.into_iter().chain(self.unanswered.look_at()).chain(status).min()
    }

    /// Takes what can be handed on. A batch is handed on as a whole: nobody shall see half of one.
    ///
    /// Whether an op is the last of its batch is told by what follows it, or by the end of the catch-up, which is never in the
    /// middle of a batch. What is pushed is never part of one.
    pub(super) fn take_ready(&mut self) -> Vec<CommittedOp> {
        let through = match self.phase {
            Phase::CatchingUp { through, .. } => through,
            _ => 0,
        };
        if self.is_comparing {
            return Vec::new();
        }
        let is_too_large = self.early_bytes > MAX_EARLY_BYTES;
        let mut whole = self.cursor;
        let mut last = self.cursor + self.held;
        while let Some(op) = self.early.get(&(last + 1)) {
            if last > whole && self.early.get(&last).is_none_or(|before| !op.follows_in_batch(before)) {
                whole = last;
            }
            last += 1;
            if last >= through || !op.is_in_batch() || last - whole >= MAX_BATCH_OPS as u64 || is_too_large {
                whole = last;
            }
        }
        self.held = last - whole;
        let ready: Vec<CommittedOp> = (self.cursor + 1..=whole).filter_map(|seq| self.early.remove(&seq)).collect();
        self.early_bytes -= ready.iter().map(CommittedOp::footprint).sum::<usize>();
        self.hand_on_through(ready.last());
        ready
    }

    /// Notes that the ops up to one are handed on, if any is.
    fn hand_on_through(&mut self, last: Option<&CommittedOp>) {
        if let Some(last) = last {
            self.last_id = last.id().cloned();
            self.cursor = last.store_seq;
        }
        // Without an op, too: a snapshot may have brought what was to be fetched.
        if self.cursor >= self.seen {
            self.fetch_at = None;
        }
    }

    /// The error for a store whose next op the server cannot send.
    pub(super) fn breaks_off(&self) -> DustErr {
        DustErr::NotSupported {
            operation: format!("fetching what follows the op {} of the store `{}`", self.cursor, self.name),
            transport: "realtime",
            hint: "the server crashes over it each time; the cause is in the server's log".to_owned(),
        }
    }

    pub(super) fn state(&self) -> StoreState {
        match &self.phase {
            Phase::Refused { error, .. } => StoreState::Refused(error.clone()),
            Phase::Closed { join_at: None } => StoreState::Offline,
            // Nobody is to take the mirror for one that follows the store until the store has answered.
            _ if self.hangs > 0 => StoreState::Offline,
            Phase::Live { .. } if self.failed_joins == 0 => StoreState::Live { permissions: self.permissions },
            Phase::Closed { .. }
            | Phase::Joining { .. }
            | Phase::CatchingUp { .. }
            | Phase::Draining { .. }
            | Phase::Live { .. } => StoreState::CatchingUp,
        }
    }
}
