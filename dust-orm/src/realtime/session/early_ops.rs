//! Ops that have arrived and cannot be delivered yet.

use std::collections::BTreeMap;

use dust_protocol::CommittedOp;
use dust_protocol::list::MAX_BATCH_OPS;

/// Number of ops that may wait. Above it the latest are dropped, and a later join fetches them again.
const MAX_OPS: usize = 10_000;
/// Approximate memory that they may take. A batch that takes more is delivered in parts.
const MAX_BYTES: usize = 64 << 20;

/// Ops whose predecessors are missing, or whose batch is incomplete.
///
/// A batch is delivered as a whole, so that no reader sees half of one. The last op of a batch is recognised by the op
/// after it, or by the end of the catch-up, which is never inside a batch. An op that is pushed belongs to no batch.
///
/// ```text
/// cursor 4, a catch-up through 9; the ops a:0 a:1 are of one batch, b:0 b:1 of another
///
/// arrives   5 = a:0           held 1: op 6 may continue the batch
/// arrives   7 = b:0           waits for op 6
/// arrives   6 = a:1           5 and 6 are delivered, as op 7 begins another batch; 7 is held
/// arrives   8 = b:1, 9 = c    7 and 8 are delivered when 9 arrives, and 9 with them: it ends the catch-up
/// ```
#[derive(Debug, Default)]
pub(super) struct EarlyOps {
    ops: BTreeMap<u64, CommittedOp>,
    bytes: usize,
    /// Number of ops directly after the cursor that wait for the rest of their batch.
    held: u64,
}

impl EarlyOps {
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Adds an op, and drops the latest ops while there are too many. The next op after `cursor` and held ops stay.
    pub(super) fn insert(&mut self, op: CommittedOp, cursor: u64) {
        self.bytes += op.footprint();
        if let Some(same) = self.ops.insert(op.store_seq, op) {
            self.bytes -= same.footprint();
        }
        let next = cursor + self.held + 1;
        while self.ops.len() > MAX_OPS || self.bytes > MAX_BYTES {
            let Some(last) = self.ops.last_entry().filter(|last| *last.key() > next) else { break };
            self.bytes -= last.remove().footprint();
        }
    }

    /// Removes the ops that can be delivered after `cursor`, where a catch-up through the op `catch_up_end` runs (0:
    /// none).
    pub(super) fn take_ready(&mut self, cursor: u64, catch_up_end: u64) -> Vec<CommittedOp> {
        let is_too_large = self.bytes > MAX_BYTES;
        let mut whole = cursor;
        let mut last = cursor + self.held;
        while let Some(op) = self.ops.get(&(last + 1)) {
            if last > whole && self.ops.get(&last).is_none_or(|before| !op.follows_in_batch(before)) {
                whole = last;
            }
            last += 1;
            if last >= catch_up_end || !op.is_in_batch() || last - whole >= MAX_BATCH_OPS as u64 || is_too_large {
                whole = last;
            }
        }
        self.held = last - whole;
        let ready: Vec<CommittedOp> = (cursor + 1..=whole).filter_map(|seq| self.ops.remove(&seq)).collect();
        self.bytes -= ready.iter().map(CommittedOp::footprint).sum::<usize>();
        ready
    }

    /// Drops the ops through `seq`, which a snapshot contains.
    pub(super) fn drop_through(&mut self, seq: u64) {
        self.ops = self.ops.split_off(&(seq + 1));
        self.bytes = self.ops.values().map(CommittedOp::footprint).sum();
        self.held = 0;
    }

    /// Lets held ops be delivered without the rest of their batch.
    pub(super) fn release_held(&mut self) {
        self.held = 0;
    }

    pub(super) fn clear(&mut self) {
        *self = EarlyOps::default();
    }

    /// The memory that the ops take, counted again and compared with the running count.
    #[cfg(test)]
    pub(super) fn counted_bytes(&self) -> usize {
        let bytes = self.ops.values().map(CommittedOp::footprint).sum();
        assert_eq!(self.bytes, bytes);
        bytes
    }
}
