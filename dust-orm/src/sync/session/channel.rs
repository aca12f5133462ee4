//! One store's channel: joining, catching up, finding holes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Output, STEADY, Session, Socket, StoreId, StoreState, Timing};
use crate::error::DustErr;
use crate::protocol::CommittedOp;
use crate::protocol::channel::{Frames, Permissions, Refusal, Request, Response, Snapshot, topic};
use crate::protocol::list::MAX_PAGE;
use crate::sync::Mirror;
use crate::sync::mirror::check_size;

/// How many ops may wait for earlier ones. The latest of more are dropped, and asked for again.
const MAX_EARLY: usize = 10_000;
/// How many bytes they may take together, about. A batch that takes more is not kept together.
const MAX_EARLY_BYTES: usize = 64 << 20;

/// The longest pause between two joins of a store.
const MAX_JOIN_PAUSE: Duration = Duration::from_secs(10);
/// The pause before the second join that brought nothing.
const MIN_JOIN_PAUSE: Duration = Duration::from_millis(100);
/// How many catch-ups in a row have to break off at the same op until it is not by chance: some three seconds.
const MAX_BROKEN_OFF: u32 = 6;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) topic: String,
    /// The last op that was handed on: there is no hole before it.
    cursor: u64,
    /// The id of that op, where it came as an op and not as part of a snapshot.
    last_id: Option<Arc<str>>,
    /// Whether the store of this connection may be another than that of the one before: restored from a backup, and grown
    /// since. A join then begins one op earlier, and compares that op with the last one.
    is_doubtful: bool,
    /// Whether that op is on its way. Until it is here nothing is handed on.
    is_comparing: bool,
    /// The last op that the store is known to have.
    seen: u64,
    /// When to join again, because it is known to have more than was handed on.
    fetch_at: Option<Duration>,
    /// Ops whose predecessors are missing, or whose batch is not complete.
    early: BTreeMap<u64, CommittedOp>,
    /// How much memory they take.
    early_bytes: usize,
    /// How many ops after the cursor wait for the rest of their batch.
    held: u64,
    pub(super) phase: Phase,
    /// Joins in a row that failed or left a hole.
    vain_joins: u32,
    /// Catch-ups that have crashed since one last brought something.
    broken_off: u32,
    /// How often in a row the channel closed soon after it was up to date.
    crashes: u32,
    /// Since when it is up to date.
    useful_since: Option<Duration>,
    /// A store that is being fetched again from its beginning, aside. `cursor` is then its.
    resync: Option<Mirror>,
    /// The reference of the `status` that was sent, and the cursor then.
    pub(super) status_sent: Option<(u64, u64)>,
    status_at: Duration,
    permissions: Permissions,
    announced: StoreState,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Not joined. Without a time it waits for a connection.
    Closed {
        join_at: Option<Duration>,
    },
    Joining {
        join_ref: u64,
        since: Duration,
        /// The cursor when it was sent.
        from: u64,
    },
    CatchingUp {
        join_ref: u64,
        through: u64,
    },
    Live {
        join_ref: u64,
        /// When to join again, to fill a hole that the last join left.
        rejoin_at: Option<Duration>,
    },
    Refused {
        error: DustErr,
        retry_at: Duration,
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
            fetch_at: None,
            early: BTreeMap::new(),
            early_bytes: 0,
            held: 0,
            phase: Phase::Closed { join_at: None },
            vain_joins: 0,
            broken_off: 0,
            crashes: 0,
            useful_since: None,
            resync: None,
            status_sent: None,
            status_at: Duration::ZERO,
            permissions: Permissions::default(),
            announced: StoreState::Offline,
        }
    }

    /// Forgets what was known of a store that may be another one when it is back: restored from a backup. What was not
    /// handed on will be sent again.
    pub(super) fn disconnect(&mut self) {
        self.phase = Phase::Closed { join_at: None };
        self.status_sent = None;
        self.useful_since = None;
        self.is_doubtful = true;
        self.is_comparing = false;
        self.forget_early();
        self.seen = self.cursor;
        self.fetch_at = None;
    }

    /// Forgets the ops after one, as if they had never come.
    pub(super) fn stay_at(&mut self, seq: u64) {
        self.cursor = seq;
        self.last_id = None;
        self.disconnect();
    }

    /// Whether a store that is another on the next connection would be noticed.
    #[cfg(test)]
    pub(super) fn knows_its_last_op(&self) -> bool {
        self.last_id.is_some()
    }

    /// How much memory the ops take that wait, counted anew.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> usize {
        let bytes = self.early.values().map(CommittedOp::footprint).sum();
        assert_eq!(self.early_bytes, bytes);
        bytes
    }

    fn forget_early(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
        self.held = 0;
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
            Phase::Joining { join_ref, .. } | Phase::CatchingUp { join_ref, .. } | Phase::Live { join_ref, .. } => {
                text.parse() == Ok(join_ref)
            }
            Phase::Closed { .. } | Phase::Refused { .. } => false,
        }
    }

    /// The store is known to have this op. If it does not come by itself until `due`, it is fetched.
    pub(super) fn know(&mut self, seq: u64, due: Duration) {
        self.seen = self.seen.max(seq);
        if self.cursor < seq {
            self.fetch_at = Some(self.fetch_at.map_or(due, |earlier| earlier.min(due)));
        }
    }

    pub(super) fn next_wake(&self, timing: &Timing) -> Option<Duration> {
        match &self.phase {
            Phase::Closed { join_at } => *join_at,
            Phase::Joining { since, .. } => Some(*since + timing.join),
            Phase::CatchingUp { .. } => None,
            Phase::Live { rejoin_at: Some(at), .. } => Some(self.status_at.min(*at)),
            Phase::Live { rejoin_at: None, .. } => {
                Some(self.fetch_at.map_or(self.status_at, |at| at.min(self.status_at)))
            }
            Phase::Refused { retry_at, .. } => Some(*retry_at),
        }
    }

    /// Takes what can be handed on. A batch is handed on as a whole: nobody shall see half of one.
    ///
    /// Whether an op is the last of its batch is told by what follows it, or by the end of the catch-up, which is never in the
    /// middle of a batch. What is pushed is never part of one.
    fn take_ready(&mut self) -> Vec<CommittedOp> {
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
            if last >= through || !op.is_in_batch() || last - whole >= MAX_PAGE as u64 || is_too_large {
                whole = last;
            }
        }
        self.held = last - whole;
        let ready: Vec<CommittedOp> = (self.cursor + 1..=whole).filter_map(|seq| self.early.remove(&seq)).collect();
        self.early_bytes -= ready.iter().map(CommittedOp::footprint).sum::<usize>();
        if let Some(last) = ready.last() {
            // One without an id is like any other without.
            self.last_id = (!last.client_op_id.is_empty()).then(|| Arc::clone(&last.client_op_id));
        }
        self.cursor = whole;
        if self.cursor >= self.seen {
            self.fetch_at = None;
        }
        ready
    }

    /// The error for a store whose next op the server cannot send.
    fn breaks_off(&self, frames: Frames) -> DustErr {
        let hint = match frames {
            Frames::Json => "the server crashes over it each time; what it is, its log says",
            Frames::MessagePack => {
                "the server crashes over it each time, as it does in MessagePack frames over a decimal envelope or an integer \
                 beyond 64 bits; use JSON frames"
            }
        };
        DustErr::NotSupported {
            operation: format!("fetching what follows the op {} of the store `{}`", self.cursor, self.name),
            transport: "realtime",
            hint: hint.to_owned(),
        }
    }

    fn state(&self) -> StoreState {
        match &self.phase {
            Phase::Closed { join_at: None } => StoreState::Offline,
            Phase::Live { .. } if self.vain_joins == 0 => StoreState::Live { permissions: self.permissions },
            Phase::Refused { error, .. } => StoreState::Refused(error.clone()),
            Phase::Closed { .. } | Phase::Joining { .. } | Phase::CatchingUp { .. } | Phase::Live { .. } => {
                StoreState::CatchingUp
            }
        }
    }
}

impl Session {
    /// Tells of a store's state if it has changed.
    pub(super) fn announce(&mut self, store: usize) {
        let channel = &mut self.channels[store];
        let state = channel.state();
        if !state.is_same(&channel.announced) {
            channel.announced = state.clone();
            self.outputs.push_back(Output::State { store: StoreId(store), state });
        }
    }

    /// Joins a store from the last op that was handed on, or from the one before, to see whether that is still the last.
    pub(super) fn join(&mut self, store: usize, now: Duration) {
        if !matches!(self.socket, Socket::Up { .. }) {
            return;
        }
        let channel = &mut self.channels[store];
        channel.is_comparing = channel.is_doubtful && channel.last_id.is_some() && channel.cursor > 0;
        let from = channel.cursor;
        let last_store_seq = from - u64::from(channel.is_comparing);
        // The reference of a join is its own join's.
        let join_ref = self.next_reference;
        self.send(&Request::Join { last_store_seq }, Some(join_ref), store);
        let channel = &mut self.channels[store];
        channel.phase = Phase::Joining { join_ref, since: now, from };
        channel.status_sent = None;
        self.announce(store);
    }

    /// The pause before the next join, after so many that were of no use.
    fn join_pause(&mut self, in_vain: u32) -> Duration {
        self.dice.pause(in_vain.saturating_sub(1), MIN_JOIN_PAUSE, MAX_JOIN_PAUSE)
    }

    pub(super) fn join_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &mut self.channels[store];
        let Phase::Joining { join_ref, from, .. } = channel.phase else { return };
        match outcome.map(Response::joined) {
            // The server looked after it had the join; what was pushed meanwhile does not count.
            Ok(Ok(joined)) if joined.store_seq < from => {
                tracing::warn!(
                    store = %channel.name, mirror = from, server = joined.store_seq,
                    "the store has fewer ops than its mirror: it is fetched again from the beginning"
                );
                self.resync(store, now, joined.store_seq);
            }
            Ok(Ok(joined)) => {
                channel.seen = channel.seen.max(joined.store_seq);
                channel.permissions = joined.permissions;
                channel.phase = Phase::CatchingUp { join_ref, through: joined.store_seq };
                channel.status_at = now + self.timing.status;
                self.announce(store);
                self.advance_all(store);
            }
            Err(refusal) if refusal.is_final() => {
                let error = refusal.of_join(&channel.name);
                channel.phase = Phase::Refused { error, retry_at: now + self.timing.refused };
                self.lose_sent(store);
                self.announce(store);
                self.advance_all(store);
            }
            Ok(Err(_)) | Err(_) => self.channel_closed(store, now),
        }
    }

    /// Fetches a store again from its beginning.
    fn resync(&mut self, store: usize, now: Duration, seen: u64) {
        let channel = &mut self.channels[store];
        channel.resync = Some(Mirror::default());
        channel.cursor = 0;
        channel.seen = seen;
        channel.fetch_at = None;
        channel.forget_early();
        (channel.last_id, channel.is_doubtful, channel.is_comparing) = (None, false, false);
        // The numbers of the ops before mean other ops now.
        self.snapshot_crossed(store);
        self.join(store, now);
    }

    /// The channel is gone, or was never opened: what was sent is unknown, and the store is joined again.
    pub(super) fn channel_closed(&mut self, store: usize, now: Duration) {
        self.lose_sent(store);
        let channel = &mut self.channels[store];
        channel.vain_joins = channel.vain_joins.saturating_add(1);
        // One that closes as soon as it is up to date is not joined faster than one that never is.
        let was_steady = channel.useful_since.take().is_some_and(|since| since + STEADY <= now);
        channel.crashes = if was_steady { 0 } else { channel.crashes.saturating_add(1) };
        let in_vain = channel.vain_joins.max(channel.crashes);
        let pause = self.join_pause(in_vain);
        self.channels[store].phase = Phase::Closed { join_at: Some(now + pause) };
        self.announce(store);
    }

    /// The channel has crashed. If that happens in each catch-up, at the same op, the server cannot send that op: asking for it
    /// again and again leads nowhere, and somebody has to be told.
    pub(super) fn channel_crashed(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        if !matches!(channel.phase, Phase::CatchingUp { .. }) {
            return self.channel_closed(store, now);
        }
        channel.broken_off = channel.broken_off.saturating_add(1);
        if channel.broken_off < MAX_BROKEN_OFF {
            return self.channel_closed(store, now);
        }
        let error = channel.breaks_off(self.frames);
        tracing::warn!(store = %channel.name, %error, "the mirror of a store stays behind");
        channel.phase = Phase::Refused { error, retry_at: now + self.timing.refused };
        self.lose_sent(store);
        self.announce(store);
        self.advance_all(store);
    }

    /// A committed op has arrived, by whatever way.
    pub(super) fn receive(&mut self, store: usize, now: Duration, op: CommittedOp) {
        let channel = &mut self.channels[store];
        if channel.is_comparing && op.store_seq == channel.cursor {
            if channel.last_id.as_ref() == Some(&op.client_op_id) {
                return self.compared(store, now);
            }
            tracing::warn!(
                store = %channel.name, at = op.store_seq,
                "the store has another op than its mirror: it was restored, and is fetched again from the beginning"
            );
            let seen = channel.seen;
            return self.resync(store, now, seen);
        }
        if op.store_seq <= channel.cursor {
            return;
        }
        channel.seen = channel.seen.max(op.store_seq);
        channel.wait_for_earlier(op);
        self.hand_on(store);
        self.close_holes(store, now);
    }

    /// The store is the one that it was, as far as can be told.
    fn compared(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        (channel.is_doubtful, channel.is_comparing) = (false, false);
        self.hand_on(store);
        self.close_holes(store, now);
    }

    /// Hands on the ops that come next.
    fn hand_on(&mut self, store: usize) {
        let channel = &mut self.channels[store];
        let ops = channel.take_ready();
        if ops.is_empty() {
            return;
        }
        channel.broken_off = 0;
        let own: Vec<CommittedOp> =
            ops.iter().filter(|op| self.by_op_id.contains_key(&*op.client_op_id)).cloned().collect();
        match &mut channel.resync {
            // One that is too large already is refused when it is complete, and holds no more until then.
            Some(mirror) if mirror.size() > self.max_mirror => {}
            Some(mirror) => ops.iter().for_each(|op| mirror.apply(op)),
            None => self.outputs.push_back(Output::Apply { store: StoreId(store), ops }),
        }
        for op in own {
            self.own_op(&op);
        }
        self.advance_all(store);
    }

    /// Joins again when ops are missing that will not come by themselves.
    pub(super) fn close_holes(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let Phase::Live { join_ref, rejoin_at } = channel.phase else { return };
        if channel.cursor >= channel.seen && channel.resync.is_none() {
            if rejoin_at.is_some() {
                channel.vain_joins = 0;
                channel.phase = Phase::Live { join_ref, rejoin_at: None };
                self.announce(store);
            }
            return;
        }
        let is_overdue = channel.fetch_at.is_some_and(|at| at <= now);
        let is_due = rejoin_at.map_or(is_overdue || !channel.early.is_empty(), |at| at <= now);
        if is_due {
            self.join(store, now);
        }
    }

    /// A snapshot has arrived: the whole store.
    pub(super) fn replace(&mut self, store: usize, now: Duration, snapshot: Snapshot) {
        let Snapshot { seq, leaves } = snapshot;
        let channel = &mut self.channels[store];
        if channel.is_comparing && seq == channel.cursor {
            // The op to compare with is in no log any more, and will not be: what the mirror has is as good as this.
            channel.last_id = None;
            return self.compared(store, now);
        }
        if seq <= channel.cursor {
            return;
        }
        (channel.last_id, channel.is_doubtful, channel.is_comparing) = (None, false, false);
        channel.cursor = seq;
        channel.broken_off = 0;
        channel.seen = channel.seen.max(seq);
        channel.early = channel.early.split_off(&(seq + 1));
        channel.early_bytes = channel.early.values().map(CommittedOp::footprint).sum();
        channel.held = 0;
        match &mut channel.resync {
            Some(mirror) => mirror.replace(seq, seq, leaves),
            None => {
                let (store, inexact_through, is_rewound) = (StoreId(store), seq, false);
                self.outputs.push_back(Output::Replace { store, seq, inexact_through, leaves, is_rewound });
            }
        }
        self.snapshot_crossed(store);
        self.hand_on(store);
        self.advance_all(store);
    }

    pub(super) fn caught_up(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let Phase::CatchingUp { join_ref, through } = channel.phase else { return };
        channel.phase = Phase::Live { join_ref, rejoin_at: None };
        channel.broken_off = 0;
        // Where the op to compare with has not come, there is nothing to compare.
        (channel.is_doubtful, channel.is_comparing) = (false, false);
        // If the server has not sent what it said it has, a batch still waits for the rest.
        channel.held = 0;
        self.hand_on(store);
        let channel = &mut self.channels[store];
        // Either ops were written over HTTP while the catch-up ran, or the server does not send what it says it has.
        let has_hole = channel.cursor < channel.seen.max(through);
        let is_complete = channel.cursor >= through;
        channel.vain_joins = if has_hole { channel.vain_joins.saturating_add(1) } else { 0 };
        if channel.vain_joins == 5 {
            tracing::warn!(
                store = %channel.name, after = channel.cursor,
                "the server does not send the next op of the store; its mirror stays behind"
            );
            if is_complete && channel.early.is_empty() {
                // It has no such op.
                channel.seen = channel.cursor;
                channel.fetch_at = None;
            }
        }
        let in_vain = channel.vain_joins;
        let rejoin_at = has_hole.then(|| now + self.join_pause(in_vain));
        let channel = &mut self.channels[store];
        channel.phase = Phase::Live { join_ref, rejoin_at };
        if !is_complete {
            self.announce(store);
            return;
        }
        if let Some(mirror) = channel.resync.take() {
            if let Err(error) = check_size(&channel.name, mirror.size(), self.max_mirror) {
                // It has to be fetched from the beginning again.
                channel.resync = Some(Mirror::default());
                return self.refuse(now, StoreId(store), 0, error);
            }
            let (seq, inexact_through) = (mirror.seq(), mirror.inexact_through());
            let leaves = mirror.into_leaves().collect();
            let (store, is_rewound) = (StoreId(store), true);
            self.outputs.push_back(Output::Replace { store, seq, inexact_through, leaves, is_rewound });
        }
        self.channels[store].useful_since.get_or_insert(now);
        self.useful_since.get_or_insert(now);
        self.announce(store);
        self.advance_all(store);
        self.settle_lost(store, now);
        self.close_holes(store, now);
    }

    pub(super) fn status_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &mut self.channels[store];
        let Some((_, cursor_then)) = channel.status_sent.take() else { return };
        let Ok(Ok(status)) = outcome.map(Response::status) else { return };
        if status.current_seq < cursor_then {
            let name = &channel.name;
            tracing::warn!(store = %name, "the store went back: it is fetched again from the beginning");
            self.resync(store, now, status.current_seq);
        } else {
            // What is behind by a push is on its way.
            channel.know(status.current_seq, now + self.timing.grace);
        }
    }

    pub(super) fn wake_channel(&mut self, store: usize, now: Duration) {
        if !matches!(self.socket, Socket::Up { .. }) {
            return;
        }
        match &self.channels[store].phase {
            Phase::Closed { join_at: Some(at) } if *at <= now => self.join(store, now),
            Phase::Refused { retry_at, .. } if *retry_at <= now => self.join(store, now),
            Phase::Joining { since, .. } if *since + self.timing.join <= now => self.channel_closed(store, now),
            Phase::Live { join_ref, .. } => {
                let join_ref = *join_ref;
                if self.channels[store].status_at <= now {
                    let cursor = self.channels[store].cursor;
                    let sent = self.send(&Request::Status, Some(join_ref), store);
                    let channel = &mut self.channels[store];
                    channel.status_sent = sent.map(|reference| (reference, cursor));
                    channel.status_at = now + self.timing.status;
                }
                self.close_holes(store, now);
            }
            _ => {}
        }
    }
}
