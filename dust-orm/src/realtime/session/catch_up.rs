//! Following a store: joining, catching up, handing on ops, finding holes.

use std::time::Duration;

use dust_protocol::CommittedOp;
use dust_protocol::channel::{Refusal, Request, Response, Snapshot};

use super::cause::Cause;
use super::channel::{Asked, Phase};
use super::timeout::Timeout;
use super::{Output, STEADY, Session, Socket, StoreId};
use crate::error::DustErr;
use crate::error::channel::join_refused;
use crate::realtime::Mirror;
use crate::realtime::mirror::check_size;

/// The longest pause between two joins of a store.
const MAX_JOIN_PAUSE: Duration = Duration::from_secs(10);
/// The pause before the second join that brought nothing.
const MIN_JOIN_PAUSE: Duration = Duration::from_millis(100);
/// How many catch-ups in a row have to break off at the same op until it is not by chance: some three seconds.
const MAX_BROKEN_OFF: u32 = 6;

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
        channel.end(Phase::Joining { join_ref, wait: Timeout::new(now, self.timing.join, self.arrived), from });
        channel.heard_since = 0;
        // Whatever is not answered by now will not be: the channel that it was sent on ends here.
        self.lose_sent(store, Cause::Joined);
        self.announce(store);
    }

    /// The pause before the next join, after so many that were of no use.
    fn join_pause(&mut self, in_vain: u32) -> Duration {
        self.dice.pause(in_vain.saturating_sub(1), MIN_JOIN_PAUSE, MAX_JOIN_PAUSE)
    }

    pub(super) fn join_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &mut self.channels[store];
        let Phase::Joining { join_ref, from, wait } = channel.phase else { return };
        let asked = wait.since();
        match outcome.map(Response::joined) {
            // The server looked after it had the join; what was pushed meanwhile does not count.
            Ok(Ok(joined)) if joined.store_seq < from => {
                tracing::warn!(
                    store = %channel.name, mirror = from, server = joined.store_seq,
                    "the store has fewer ops than its mirror: it is fetched again from the beginning"
                );
                self.stands(store, joined.store_seq, asked);
                self.resync(store, now, joined.store_seq);
            }
            Ok(Ok(joined)) => {
                channel.told(joined.store_seq);
                channel.permissions = joined.permissions;
                channel.status_at = now.saturating_add(channel.status_every.min(self.timing.status));
                let wait = Timeout::new(now, self.catch_up_limit(store), self.arrived);
                self.channels[store].phase = Phase::CatchingUp { join_ref, through: joined.store_seq, from, wait };
                self.stands(store, joined.store_seq, asked);
                self.announce(store);
                self.advance_all(store, now);
            }
            Err(refusal) if refusal.is_final() => {
                let error = join_refused(&refusal, &channel.name);
                self.suspend(store, now, self.timing.refused, error);
            }
            Ok(Err(_)) | Err(_) => self.channel_closed(store, now, Cause::Closed),
        }
    }

    /// A store has told how far it is.
    fn stands(&mut self, store: usize, seq: u64, asked: Duration) {
        self.outputs.push_back(Output::Stands { store: StoreId(store), seq, asked });
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
        self.rejoin(store, now);
    }

    /// The channel is gone, or was never opened: what was sent is unknown, and the store is joined again.
    pub(super) fn channel_closed(&mut self, store: usize, now: Duration, cause: Cause) {
        self.lose_sent(store, cause);
        let channel = &mut self.channels[store];
        channel.failed_joins = channel.failed_joins.saturating_add(1);
        // One that closes as soon as it is up to date is not joined faster than one that never is.
        let was_steady = channel.useful_since.take().is_some_and(|since| since + STEADY <= now);
        channel.crashes = if was_steady { 0 } else { channel.crashes.saturating_add(1) };
        let in_vain = channel.failed_joins.max(channel.crashes);
        let pause = self.join_pause(in_vain);
        self.channels[store].end(Phase::Closed { join_at: Some(now + pause) });
        self.announce(store);
    }

    /// The channel has crashed. If that happens in each catch-up, at the same op, the server cannot send that op: asking for it
    /// again and again leads nowhere, and somebody has to be told.
    pub(super) fn channel_crashed(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        if !matches!(channel.phase, Phase::CatchingUp { .. }) {
            return self.channel_closed(store, now, Cause::Crash);
        }
        channel.broken_off = channel.broken_off.saturating_add(1);
        if channel.broken_off < MAX_BROKEN_OFF {
            return self.channel_closed(store, now, Cause::Crash);
        }
        let error = channel.breaks_off();
        tracing::warn!(store = %channel.name, %error, "the mirror of a store stays behind");
        self.suspend(store, now, self.timing.refused, error);
    }

    /// A store cannot be followed now, for this reason: it is left alone for a while, and what was sent is unknown.
    pub(super) fn suspend(&mut self, store: usize, now: Duration, pause: Duration, error: DustErr) {
        self.lose_sent(store, Cause::Refused);
        self.channels[store].end(Phase::Refused { error, retry_at: now + pause, is_lasting: false });
        self.announce(store);
        self.advance_all(store, now);
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
        channel.hear_of(op.store_seq);
        let ops = channel.take(op);
        self.hand_out(store, now, ops);
        self.fill_gaps(store, now);
    }

    /// The store is the one that it was, as far as can be told.
    fn compared(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        (channel.is_doubtful, channel.is_comparing) = (false, false);
        self.deliver_ready(store, now);
        self.fill_gaps(store, now);
    }

    /// Hands on the ops that come next.
    fn deliver_ready(&mut self, store: usize, now: Duration) {
        let ops = self.channels[store].take_ready();
        self.hand_out(store, now, ops);
    }

    /// Hands out ops that are next, and answers those of them that are this session's own.
    fn hand_out(&mut self, store: usize, now: Duration, ops: Vec<CommittedOp>) {
        if ops.is_empty() {
            return;
        }
        let own: Vec<_> = ops.iter().filter_map(|op| self.own_op(op)).collect();
        let channel = &mut self.channels[store];
        channel.broken_off = 0;
        match &mut channel.resync {
            // One that is too large already is refused when it is complete, and holds no more until then.
            Some(mirror) if mirror.size() > self.max_mirror => {}
            Some(mirror) => ops.iter().for_each(|op| mirror.apply(op)),
            None => self.outputs.push_back(Output::Apply { store: StoreId(store), ops }),
        }
        for (id, written) in own {
            self.committed(id, now, written);
        }
        self.advance_all(store, now);
    }

    /// Joins again when ops are missing that will not come by themselves.
    pub(super) fn fill_gaps(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        if let Phase::Draining { .. } = channel.phase {
            return self.drain(store, now);
        }
        let Phase::Live { join_ref, rejoin_at } = channel.phase else { return };
        if !channel.has_hole() {
            if rejoin_at.is_some() {
                channel.failed_joins = 0;
                channel.phase = Phase::Live { join_ref, rejoin_at: None };
                self.announce(store);
            }
            return;
        }
        let is_overdue = channel.fetch_at.is_some_and(|at| at <= now);
        let is_due = rejoin_at.map_or(is_overdue || !channel.early.is_empty(), |at| at <= now);
        if is_due {
            channel.ask_soon(now, self.timing.status_soon);
            self.rejoin(store, now);
        }
    }

    /// A snapshot has arrived: the whole store.
    pub(super) fn replace(&mut self, store: usize, now: Duration, snapshot: Snapshot) {
        let Snapshot { seq, leaves, .. } = snapshot;
        let channel = &mut self.channels[store];
        // Where the op to compare with is in no log any more, this is the store, the same or another.
        let may_be_rewound = channel.is_comparing && seq == channel.cursor;
        if seq <= channel.cursor && !may_be_rewound {
            return;
        }
        (channel.last_id, channel.is_doubtful, channel.is_comparing) = (None, false, false);
        channel.cursor = seq;
        channel.broken_off = 0;
        channel.hear_of(seq);
        channel.early = channel.early.split_off(&(seq + 1));
        channel.early_bytes = channel.early.values().map(CommittedOp::footprint).sum();
        channel.held = 0;
        match &mut channel.resync {
            Some(mirror) => mirror.replace(seq, seq, leaves),
            None => {
                let (store, inexact_through, is_rewound) = (StoreId(store), seq, may_be_rewound);
                self.outputs.push_back(Output::Replace { store, seq, inexact_through, leaves, is_rewound });
            }
        }
        self.snapshot_crossed(store);
        self.deliver_ready(store, now);
        self.advance_all(store, now);
    }

    pub(super) fn caught_up(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let Phase::CatchingUp { join_ref, through, from, .. } = channel.phase else { return };
        channel.phase = Phase::Live { join_ref, rejoin_at: None };
        channel.broken_off = 0;
        // Where the op to compare with has not come, there is nothing to compare.
        (channel.is_doubtful, channel.is_comparing) = (false, false);
        // If the server has not sent what it said it has, a batch still waits for the rest.
        channel.held = 0;
        self.deliver_ready(store, now);
        let channel = &mut self.channels[store];
        // FailoverTransport ops were written over HTTP while the catch-up ran, or the server does not send what it says it has.
        let has_hole = channel.cursor < channel.seen.max(through);
        let is_complete = channel.cursor >= through;
        // Where ops came, others write faster than that: it is no attempt without success, and followed by one soon.
        let was_in_vain = if channel.cursor > from { 0 } else { channel.failed_joins };
        channel.failed_joins = if has_hole { was_in_vain.saturating_add(1) } else { 0 };
        if channel.failed_joins == 5 {
            tracing::warn!(
                store = %channel.name, after = channel.cursor,
                "the server does not send the next op of the store; its mirror stays behind"
            );
        }
        let in_vain = channel.failed_joins;
        let rejoin_at = has_hole.then(|| now + self.join_pause(in_vain));
        let channel = &mut self.channels[store];
        channel.phase = Phase::Live { join_ref, rejoin_at };
        if channel.hangs > 0 {
            // It is believed when it has answered.
            channel.status_at = now;
        }
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
        self.advance_all(store, now);
        self.settle_lost(store, now);
        self.fill_gaps(store, now);
    }

    pub(super) fn status_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &mut self.channels[store];
        let Some(Asked { cursor, wait, .. }) = channel.status_sent.take() else { return };
        let had_hung = std::mem::take(&mut channel.hangs) > 0;
        channel.status_at = now.saturating_add(channel.status_every.min(self.timing.status));
        if had_hung {
            self.announce(store);
        }
        let Ok(Ok(status)) = outcome.map(Response::status) else { return };
        let seq = status.current_seq;
        self.stands(store, seq, wait.since());
        let channel = &mut self.channels[store];
        if seq < cursor {
            let name = &channel.name;
            tracing::warn!(store = %name, "the store went back: it is fetched again from the beginning");
            return self.resync(store, now, seq);
        }
        channel.told(seq);
        // What is behind by a push is on its way.
        channel.know(seq, now.saturating_add(self.timing.grace));
        if !channel.has_hole() {
            channel.status_every = channel.status_every.saturating_mul(2).min(self.timing.status);
        }
        self.fill_gaps(store, now);
    }

    fn ask_status(&mut self, store: usize, join_ref: u64, now: Duration) {
        let Some(reference) = self.send(&Request::Status, Some(join_ref), store) else { return };
        // It comes after whatever was sent before it.
        let wait = self.answer_wait(now, self.channels[store].unanswered.bytes());
        let channel = &mut self.channels[store];
        channel.unanswered.push(reference, 0, wait);
        channel.heard_since = 0;
        channel.status_sent = Some(Asked { reference, cursor: channel.cursor, wait });
        // The answer decides when it is asked again.
        channel.status_at = Duration::MAX;
    }

    pub(super) fn wake_channel(&mut self, store: usize, now: Duration) {
        if !matches!(self.socket, Socket::Up { .. }) {
            return;
        }
        if let Some(what) = self.overdue(store, now) {
            return self.hung(store, now, what);
        }
        match &self.channels[store].phase {
            Phase::Closed { join_at: Some(at) } if *at <= now => self.join(store, now),
            Phase::Refused { retry_at, .. } if *retry_at <= now => self.join(store, now),
            Phase::Draining { .. } => self.drain(store, now),
            Phase::Live { join_ref, .. } => {
                let join_ref = *join_ref;
                let channel = &self.channels[store];
                if channel.status_at <= now && channel.status_sent.is_none() {
                    self.ask_status(store, join_ref, now);
                }
                self.fill_gaps(store, now);
            }
            _ => {}
        }
    }
}
