//! The log of committed ops, the last snapshot, and the feed.

use dust_protocol::{CommittedOp, Entry};

use super::Store;
use super::error::StoreError;
use super::feed::{Call, Subscription};
use super::tables::{to_leaf, to_op, to_path};

/// The leaves of a store after one op: what compaction keeps of the log before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The `store_seq` of that op.
    pub seq: u64,
    /// The leaves in the order of their paths, envelopes as they were written.
    pub leaves: Vec<Entry>,
}

impl Store {
    /// The `store_seq` of the last committed op; 0 when there is none.
    pub fn current_seq(&self) -> u64 {
        self.inner.storage.seq()
    }

    /// The ops after `seq` in order, `limit` at the most. Those that a compaction has dropped are not among them: when
    /// [`snapshot`](Store::snapshot) is newer than `seq`, begin with that.
    pub fn ops_since(&self, seq: u64, limit: usize) -> Result<Vec<CommittedOp>, StoreError> {
        self.inner.read(|view| {
            view.log_after(seq)?
                .take(limit)
                .map(|row| {
                    let (seq, op) = row?;
                    to_op(seq.value(), op.value())
                })
                .collect()
        })
    }

    /// The `store_seq` of the oldest op in the log; `None` when the log is empty.
    pub fn earliest_op_seq(&self) -> Result<Option<u64>, StoreError> {
        self.inner.read(|view| Ok(view.log_after(0)?.next().transpose()?.map(|(seq, _)| seq.value())))
    }

    /// When an op was committed, in milliseconds since 1970 by the store's wall clock; `None` for an op that is not in the
    /// log.
    pub fn committed_at(&self, store_seq: u64) -> Result<Option<i64>, StoreError> {
        self.inner.read(|view| Ok(view.op(store_seq)?.map(|row| row.value().5)))
    }

    /// The snapshot that the last compaction made.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.inner.read(|view| {
            if view.snapshot_seq == 0 {
                return Ok(None);
            }
            let leaves = view.snapshot.range::<&[u8]>(..)?.map(|row| {
                let (path, leaf) = row?;
                let leaf = to_leaf(leaf.value())?;
                let path = to_path(path.value())?;
                Ok(Entry { path, value: leaf.value, kind: leaf.kind, revision: leaf.revision })
            });
            let leaves = leaves.collect::<Result<_, StoreError>>()?;
            Ok(Some(Snapshot { seq: view.snapshot_seq, leaves }))
        })
    }

    /// Calls a listener for every op committed from now on: in the order of `store_seq`, once each, when the op is
    /// durable and readable. Dropping the subscription ends it.
    ///
    /// The listener is called on a thread that writes, under no lock: it may read and write, but should be quick (hand
    /// the op to a channel). It should not panic: the write whose thread it runs on panics with it, though the store and
    /// the other listeners are unharmed.
    pub fn on_commit(&self, listener: impl Fn(&CommittedOp) + Send + Sync + 'static) -> Subscription {
        self.inner.feed.listen(Call::Op(Box::new(listener)))
    }

    /// As [`on_commit`](Store::on_commit), but called once for each commit, with all ops of a batch.
    pub fn on_commits(&self, listener: impl Fn(&[CommittedOp]) + Send + Sync + 'static) -> Subscription {
        self.inner.feed.listen(Call::Commit(Box::new(listener)))
    }
}
