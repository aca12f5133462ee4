//! The tables of the write transaction, and the changes of one request in them.
//!
//! One transaction may hold several requests. A refused request is undone without the others: while
//! [`WriteTables::keeps_undo`] is set, every change records the value it replaced.

use redb::{ReadableTable, Table, WriteTransaction};

use dust_protocol::read::{fold, prefix_end};
use dust_protocol::{CommittedOp, Entry, Leaf, Leaves, Path};

use super::error::StoreError;
use super::tables::{
    FOLDED, LEAVES, LOG, LeafRow, META, NOTHING, OpRow, Text, any_with_prefix, bytes, entry, last_seq, leaf,
    leaf_bytes, op_bytes, to_leaf, to_op_row, to_path, to_row,
};

/// The bytes of the leaves, the log and the snapshot, by which compactions are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) live: u64,
    pub(super) log: u64,
    pub(super) snapshot: u64,
}

/// The tables of the write transaction.
pub(super) struct WriteTables<'t> {
    leaves: Table<'t, Text, LeafRow>,
    folded: Table<'t, (Text, Text), ()>,
    log: Table<'t, u64, OpRow>,
    /// The last `store_seq`, including the ops of this transaction.
    pub(super) last_seq: u64,
    pub(super) sizes: Sizes,
    undo: Option<Vec<Undo>>,
}

/// The undo record of one change.
enum Undo {
    /// The previous leaf.
    Leaf(Path, Option<Leaf>),
    /// An op was appended, with this `store_seq`.
    Op(u64),
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction, sizes: Sizes) -> Result<WriteTables<'t>, StoreError> {
        let log = txn.open_table(LOG)?;
        let last_seq = last_seq(&log, &txn.open_table(META)?)?;
        let (leaves, folded) = (txn.open_table(LEAVES)?, txn.open_table(FOLDED)?);
        Ok(WriteTables { leaves, folded, log, last_seq, sizes, undo: None })
    }

    /// Starts to record changes for [`take_back`](WriteTables::take_back). A transaction of one request needs no
    /// records: it is aborted.
    pub(super) fn keeps_undo(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// Begins a request: earlier changes are final.
    pub(super) fn keep(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.clear();
        }
    }

    /// Undoes the changes since the last [`keep`](WriteTables::keep). Returns `false` if none were recorded.
    pub(super) fn take_back(&mut self) -> Result<bool, StoreError> {
        let Some(changes) = self.undo.take() else { return Ok(false) };
        for change in changes.into_iter().rev() {
            match change {
                Undo::Leaf(path, Some(leaf)) => self.put(&path, leaf)?,
                Undo::Leaf(path, None) => self.remove(&path)?,
                Undo::Op(seq) => {
                    if let Some(row) = self.log.remove(seq)? {
                        self.sizes.log = self.sizes.log.saturating_sub(op_bytes(&row.value()));
                    }
                    self.last_seq = seq - 1;
                }
            }
        }
        self.undo = Some(Vec::new());
        Ok(true)
    }

    /// True if there is a leaf below a path, exact in case.
    pub(super) fn any_below(&self, path: &Path) -> Result<bool, StoreError> {
        any_with_prefix(&self.leaves, &path.descendant_prefix())
    }

    /// The leaf at a path, otherwise the object that the leaves below it make.
    pub(super) fn entry(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        entry(&self.leaves, &self.folded, path)
    }

    pub(super) fn append(&mut self, op: &CommittedOp, wall_ms: i64) -> Result<(), StoreError> {
        let row = to_op_row(op, wall_ms);
        self.log.insert(op.store_seq, row)?;
        self.sizes.log += op_bytes(&row);
        self.last_seq = op.store_seq;
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Op(op.store_seq));
        }
        Ok(())
    }

    /// Removes the leaves in a range that begin with a prefix, exact in case.
    fn remove_range(&mut self, prefix: &[u8], end: &[u8]) -> Result<(), StoreError> {
        // An empty range is checked first, because removing from it has a cost.
        if self.leaves.range(prefix..end)?.next().is_none() {
            return Ok(());
        }
        let (mut freed, mut failed) = (0, None);
        let undo = &mut self.undo;
        self.leaves.retain_in(prefix..end, |path, row| {
            freed += leaf_bytes(path, &row);
            if let Some(undo) = undo {
                match to_path(path).and_then(|path| Ok(Undo::Leaf(path, Some(to_leaf(row)?)))) {
                    Ok(change) => undo.push(change),
                    Err(error) => failed = Some(error),
                }
            }
            false
        })?;
        self.sizes.live = self.sizes.live.saturating_sub(freed);
        failed.map_or(Ok(()), Err)
    }
}

impl Leaves for WriteTables<'_> {
    type Error = StoreError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, StoreError> {
        leaf(&self.leaves, bytes(path))
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), StoreError> {
        let row = to_row(&leaf);
        let before = self.leaves.insert(bytes(path), row)?;
        self.sizes.live += leaf_bytes(bytes(path), &row);
        let fresh = before.is_none();
        if let Some(before) = &before {
            self.sizes.live = self.sizes.live.saturating_sub(leaf_bytes(bytes(path), &before.value()));
        }
        if let Some(undo) = &mut self.undo {
            let before = before.as_ref().map(|row| to_leaf(row.value())).transpose()?;
            undo.push(Undo::Leaf(path.clone(), before));
        }
        drop(before);
        if fresh && let Some(folded) = fold(path.as_str()) {
            self.folded.insert((folded.as_bytes(), bytes(path)), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), StoreError> {
        let Some(gone) = self.leaves.remove(bytes(path))? else { return Ok(()) };
        self.sizes.live = self.sizes.live.saturating_sub(leaf_bytes(bytes(path), &gone.value()));
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Leaf(path.clone(), Some(to_leaf(gone.value())?)));
        }
        drop(gone);
        if let Some(folded) = fold(path.as_str()) {
            self.folded.remove((folded.as_bytes(), bytes(path)))?;
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), StoreError> {
        let prefix = path.descendant_prefix().to_ascii_lowercase();
        let end = prefix_end(&prefix);
        let (prefix, end) = (prefix.as_bytes(), end.as_bytes());
        let mut mixed = Vec::new();
        for row in self.folded.range((prefix, NOTHING)..(end, NOTHING))? {
            mixed.push(to_path(row?.0.value().1)?);
        }
        for path in &mixed {
            self.remove(path)?;
        }
        self.remove_range(prefix, end)
    }
}
