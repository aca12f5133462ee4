//! The log of committed ops, the last snapshot, and the feed.

use dust_protocol::{CommittedOp, Entry, LeafChange, Path};

use super::Store;
use super::error::StoreError;
use super::feed::Subscription;
use super::tables::{to_leaf, to_op, to_path};

/// The leaves of a store after one op, by which a compaction replaces the log up to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The `store_seq` of that op.
    pub seq: u64,
    /// The leaves in the order of their paths, envelopes as they were written.
    pub leaves: Vec<Entry>,
}

impl Store {
    /// The `store_seq` of the last committed op; 0 if there is none.
    pub fn current_seq(&self) -> u64 {
        self.inner.storage.seq()
    }

    /// The ops after `seq` in order, at most `limit`. Ops that a compaction has removed are missing: if
    /// [`snapshot`](Store::snapshot) is newer than `seq`, begin with it.
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

    /// The `store_seq` of the oldest op in the log; `None` if the log is empty.
    pub fn earliest_op_seq(&self) -> Result<Option<u64>, StoreError> {
        self.inner.read(|view| Ok(view.log_after(0)?.next().transpose()?.map(|(seq, _)| seq.value())))
    }

    /// The time of the commit of an op, in milliseconds since 1970 by the store's wall clock; `None` for an op that is
    /// not in the log.
    pub fn committed_at(&self, store_seq: u64) -> Result<Option<i64>, StoreError> {
        self.inner.read(|view| Ok(view.op(store_seq)?.map(|row| row.value().5)))
    }

    /// The snapshot of the last compaction.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.inner.read(|view| {
            if view.snapshot_seq == 0 {
                return Ok(None);
            }
            let leaves = view.snapshot.range::<&[u8]>(..)?.map(|row| {
                let (path, leaf) = row?;
                let leaf = to_leaf(leaf.value())?;
                let path = to_path(path.value())?;
                Ok(Entry::new(path, leaf.value, leaf.kind, leaf.revision))
            });
            let leaves = leaves.collect::<Result<_, StoreError>>()?;
            Ok(Some(Snapshot { seq: view.snapshot_seq, leaves }))
        })
    }

    /// Calls a listener for every commit from now on, with all ops of a batch: in the order of `store_seq`, once each,
    /// when the commit is durable and readable. Dropping the subscription ends the calls.
    ///
    /// The listener is called on a thread that writes, under no lock. It may read and write, but should be fast, such
    /// as sending the ops to a channel. A panic of the listener continues in the write on whose thread it runs; the
    /// store and the other listeners are unaffected.
    ///
    /// It receives the leaves that the commit changed if `wants` is true for the path of one of its ops; otherwise they
    /// may be `None`.
    ///
    /// `wants` is called before the ops are applied, under locks of the store: it must not call the store. If its
    /// answer changes while a commit is in progress, that commit has no changes yet; every commit that begins after
    /// [`wait_for_commit`](Store::wait_for_commit) has them.
    ///
    /// ```
    /// use dust_protocol::{Op, Path, RawJson};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let (sender, changed) = std::sync::mpsc::channel();
    /// let listening = store.on_changes(
    ///     |path| path.as_str().starts_with("links/"),
    ///     move |_, changes| sender.send(changes.map(<[_]>::to_vec)).unwrap(),
    /// );
    /// for path in ["links/dust", "tags/dust"] {
    ///     let write = Op::set(Path::parse(path)?, RawJson::null());
    ///     store.write(write, None, &Origin::new("laptop", "1"))?;
    /// }
    /// assert_eq!(changed.recv()?.unwrap()[0].path.as_str(), "links/dust");
    /// assert_eq!(changed.recv()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_changes(
        &self,
        wants: impl Fn(&Path) -> bool + Send + Sync + 'static,
        listener: impl Fn(&[CommittedOp], Option<&[LeafChange]>) + Send + Sync + 'static,
    ) -> Subscription {
        self.inner.feed.listen(Box::new(wants), Box::new(listener))
    }
}
