//! The log of committed ops, its compaction to a snapshot, and its feed.

use redb::ReadableTable;

use crate::protocol::{CommittedOp, Entry};

use super::Store;
use super::error::StoreError;
use super::feed::{Call, Subscription};
use super::files;
use super::tables::{LEAVES, LOG, META, SNAPSHOT, SNAPSHOT_SEQ, to_leaf, to_op, to_path};

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
        self.view().seq
    }

    /// The ops after `seq` in order, `limit` at the most. Those that a compaction has dropped are not among them: when
    /// [`snapshot`](Store::snapshot) is newer than `seq`, begin with that.
    pub fn ops_since(&self, seq: u64, limit: usize) -> Result<Vec<CommittedOp>, StoreError> {
        let Some(from) = seq.checked_add(1) else { return Ok(Vec::new()) };
        self.guarded(|| {
            let rows = self.view().log.range(from..)?;
            rows.take(limit)
                .map(|row| {
                    let (seq, op) = row?;
                    to_op(seq.value(), op.value())
                })
                .collect()
        })
    }

    /// The `store_seq` of the oldest op in the log; `None` when the log is empty.
    pub fn earliest_op_seq(&self) -> Result<Option<u64>, StoreError> {
        self.guarded(|| Ok(self.view().log.first()?.map(|(seq, _)| seq.value())))
    }

    /// When an op was committed, in milliseconds since 1970 by the store's wall clock; `None` for an op that is not in the
    /// log.
    pub fn committed_at(&self, store_seq: u64) -> Result<Option<i64>, StoreError> {
        self.guarded(|| Ok(self.view().log.get(store_seq)?.map(|row| row.value().5)))
    }

    /// The snapshot that the last compaction made.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.guarded(|| {
            let view = self.view();
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

    /// Replaces the log by a snapshot of the leaves, and answers the `store_seq` it speaks for; `None` when the log was
    /// empty already. Leaves and the sequence stay as they are. Files that no leaf refers to any more are removed.
    pub fn compact(&self) -> Result<Option<u64>, StoreError> {
        self.guarded(|| {
            let _writer = self.writer();
            let txn = self.inner.db.begin_write()?;
            let Some(seq) = txn.open_table(LOG)?.last()?.map(|(seq, _)| seq.value()) else { return Ok(None) };
            txn.delete_table(SNAPSHOT)?;
            txn.delete_table(LOG)?;
            {
                let leaves = txn.open_table(LEAVES)?;
                let mut snapshot = txn.open_table(SNAPSHOT)?;
                for row in leaves.range::<&[u8]>(..)? {
                    let (path, leaf) = row?;
                    snapshot.insert(path.value(), leaf.value())?;
                }
                txn.open_table(META)?.insert(SNAPSHOT_SEQ, seq)?;
                txn.open_table(LOG)?;
            }
            files::sweep(&txn)?;
            txn.commit()?;
            self.refresh()?;
            Ok(Some(seq))
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
