//! Delivering ops in order, and filling holes.
//!
//! # Example: a catch-up that leaves a hole
//!
//! The mirror has the ops through 5. While it was offline, 6 and 7 were written; 8 is written over HTTP and 9 over a
//! WebSocket while the catch-up runs. The server pushes 9 and not 8.
//!
//! ```text
//! frame                                 cursor  early  known   stage afterwards
//! join from 5, reply store_seq 7             5      -      7   CatchingUp { through: 7 }
//! event 6, of the catch-up                   6      -      7   CatchingUp     op 6 is delivered
//! event 9, pushed                            6      9      9   CatchingUp     op 9 waits for 7 and 8
//! event 7, of the catch-up                   7      9      9   CatchingUp     op 7 is delivered
//! catch_up_complete { through_seq: 7 }       7      9      9   Live { rejoin_at }, as 8 is missing
//! (`rejoin_at` is due)                       7      9      9   Draining, until every message is answered
//! join from 7, reply store_seq 9             7      9      9   CatchingUp { through: 9 }
//! event 8, of the catch-up                   9      -      9   CatchingUp     ops 8 and 9 are delivered
//! event 9, of the catch-up                   9      -      9   CatchingUp     not after the cursor: dropped
//! catch_up_complete { through_seq: 9 }       9      -      9   Live, without a hole
//! ```
//!
//! The state is `CatchingUp` until the last line: the mirror does not count as current while an op is known to be
//! missing.

use std::time::Duration;

use dust_protocol::CommittedOp;
use dust_protocol::channel::Snapshot;

use super::channel::HistoryCheck;
use super::phase::{Open, Phase, Stage};
use super::{Output, Session, StoreId};
use crate::realtime::Mirror;
use crate::realtime::mirror::check_size;

/// Number of catch-ups in a row without the next op after which a warning is logged.
const WARN_JOINS: u32 = 5;

impl Session {
    /// A committed op has arrived, in a catch-up or pushed.
    pub(super) fn receive(&mut self, store: usize, now: Duration, op: CommittedOp) {
        let channel = &mut self.channels[store];
        if channel.history == HistoryCheck::Running && op.store_seq == channel.cursor {
            if channel.last_id.as_ref() == Some(&op.client_op_id) {
                return self.history_confirmed(store, now);
            }
            tracing::warn!(
                store = %channel.name, at = op.store_seq,
                "the store has another op than its mirror: it was restored, and is fetched again from the beginning"
            );
            let known = channel.known.last;
            return self.resync(store, now, known);
        }
        if op.store_seq <= channel.cursor {
            return;
        }
        channel.known.note(op.store_seq);
        let ops = channel.receive(op);
        self.deliver(store, now, ops);
        self.fill_gaps(store, now);
    }

    /// The store has the mirror's history.
    fn history_confirmed(&mut self, store: usize, now: Duration) {
        self.channels[store].history = HistoryCheck::Done;
        self.deliver_ready(store, now);
        self.fill_gaps(store, now);
    }

    /// Delivers the ops that follow the cursor.
    fn deliver_ready(&mut self, store: usize, now: Duration) {
        let ops = self.channels[store].take_ready();
        self.deliver(store, now, ops);
    }

    /// Delivers ops, and answers the commands of this session among them.
    fn deliver(&mut self, store: usize, now: Duration, ops: Vec<CommittedOp>) {
        if ops.is_empty() {
            return;
        }
        let own: Vec<_> = ops.iter().filter_map(|op| self.own_op(op)).collect();
        let channel = &mut self.channels[store];
        channel.failures.catch_up_crashes = 0;
        match &mut channel.resync {
            // A copy that is too large is refused when it is complete, and takes no more ops until then.
            Some(copy) if copy.size() > self.max_mirror => {}
            Some(copy) => ops.iter().for_each(|op| copy.apply(op)),
            None => self.outputs.push_back(Output::Apply { store: StoreId(store), ops }),
        }
        for (id, written) in own {
            self.committed(id, now, written);
        }
        self.advance_all(store, now);
    }

    /// Joins again when ops are missing that do not arrive by themselves.
    pub(super) fn fill_gaps(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let rejoin_at = match channel.phase.stage() {
            Some(Stage::Draining) => return self.drain(store, now),
            Some(Stage::Live { rejoin_at }) => rejoin_at,
            Some(Stage::CatchingUp { .. }) | None => return,
        };
        if !channel.has_hole() {
            if rejoin_at.is_some() {
                self.hole_closed(store);
            }
            return;
        }
        let is_overdue = channel.known.fetch_at.is_some_and(|at| at <= now);
        let is_due = rejoin_at.map_or(is_overdue || !channel.early.is_empty(), |at| at <= now);
        if is_due {
            self.request_status_soon(store, now);
            self.rejoin(store, now);
        }
    }

    /// The missing ops have arrived without a join.
    pub(super) fn hole_closed(&mut self, store: usize) {
        let channel = &mut self.channels[store];
        channel.failures.joins = 0;
        channel.phase.set_stage(Stage::Live { rejoin_at: None });
        self.announce(store);
    }

    /// A snapshot has arrived: the whole store.
    pub(super) fn replace(&mut self, store: usize, now: Duration, snapshot: Snapshot) {
        let Snapshot { seq, leaves, .. } = snapshot;
        let channel = &mut self.channels[store];
        // The op to compare is no longer in the log of the server: the store may be the same or another.
        let may_be_rewound = channel.history == HistoryCheck::Running && seq == channel.cursor;
        if seq <= channel.cursor && !may_be_rewound {
            return;
        }
        channel.forget_history();
        channel.cursor = seq;
        channel.failures.catch_up_crashes = 0;
        channel.known.note(seq);
        channel.early.drop_through(seq);
        match &mut channel.resync {
            Some(copy) => copy.replace(seq, seq, leaves),
            None => self.outputs.push_back(Output::Replace {
                store: StoreId(store),
                seq,
                inexact_through: seq,
                leaves,
                is_rewound: may_be_rewound,
            }),
        }
        self.snapshot_crossed(store);
        self.deliver_ready(store, now);
        self.advance_all(store, now);
    }

    /// The server has sent `catch_up_complete`.
    pub(super) fn caught_up(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let Phase::Open(Open { stage, .. }) = &mut channel.phase else { return };
        let Stage::CatchingUp { through, from, .. } = *stage else { return };
        *stage = Stage::Live { rejoin_at: None };
        channel.failures.catch_up_crashes = 0;
        // The op to compare has not arrived, so there is nothing to compare.
        channel.history = HistoryCheck::Done;
        // The server has not sent all ops that it announced: a batch may wait for the rest.
        channel.early.release_held();
        self.deliver_ready(store, now);
        self.plan_rejoin(store, now, through, from);
        let channel = &mut self.channels[store];
        if channel.failures.timeouts > 0
            && let Phase::Open(open) = &mut channel.phase
        {
            // The store is offline until it has answered.
            open.status_at = now;
        }
        if channel.cursor < through {
            self.announce(store);
            return;
        }
        if let Some(copy) = channel.resync.take()
            && !self.deliver_copy(store, now, copy)
        {
            return;
        }
        self.channels[store].useful_since.get_or_insert(now);
        self.useful_since.get_or_insert(now);
        self.announce(store);
        self.advance_all(store, now);
        self.settle_lost(store, now);
        self.fill_gaps(store, now);
    }

    /// Counts a catch-up from `from` through `through` as a failure or a success, and sets the time of the next join if
    /// it left a hole: other ops were written over HTTP while it ran, or the server does not send what it announced.
    fn plan_rejoin(&mut self, store: usize, now: Duration, through: u64, from: u64) {
        let channel = &mut self.channels[store];
        if channel.cursor >= channel.known.last.max(through) {
            channel.failures.joins = 0;
            return;
        }
        // A catch-up that delivered ops is not a failure: others write faster than it. The next one follows soon.
        let failures = if channel.cursor > from { 0 } else { channel.failures.joins };
        let failures = failures.saturating_add(1);
        channel.failures.joins = failures;
        if failures == WARN_JOINS {
            tracing::warn!(
                store = %channel.name, after = channel.cursor,
                "the server does not send the next op of the store; its mirror stays behind"
            );
        }
        let rejoin_at = Some(now + self.join_pause(failures));
        self.channels[store].phase.set_stage(Stage::Live { rejoin_at });
    }

    /// Delivers a complete copy in place of the mirror. False if it is too large: then the store is refused.
    fn deliver_copy(&mut self, store: usize, now: Duration, copy: Mirror) -> bool {
        let channel = &mut self.channels[store];
        if let Err(error) = check_size(&channel.name, copy.size(), self.max_mirror) {
            // The next copy is fetched from the beginning as well.
            channel.resync = Some(Mirror::default());
            self.refuse(now, StoreId(store), 0, error);
            return false;
        }
        self.outputs.push_back(Output::Replace {
            store: StoreId(store),
            seq: copy.seq(),
            inexact_through: copy.inexact_through(),
            leaves: copy.into_leaves().collect(),
            is_rewound: true,
        });
        true
    }
}
