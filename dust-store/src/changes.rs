//! The tables of the write transaction.
//!
//! One transaction may hold several requests. A refused request is undone without the others, by the leaves that its
//! changes have replaced.

use redb::{ReadableTable, Table, WriteTransaction};

use dust_protocol::read::{fold, prefix_end};
use dust_protocol::{CommittedOp, Entry, Leaf, LeafChange, Leaves, Path};

use super::error::StoreError;
use super::tables::{
    FOLDED, LEAVES, LOG, LeafRow, META, NOTHING, OpRow, Text, any_with_prefix, below, bytes, entry, last_seq, leaf,
    leaf_bytes, op_bytes, to_op_row, to_path, to_row,
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
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction, sizes: Sizes) -> Result<WriteTables<'t>, StoreError> {
        let log = txn.open_table(LOG)?;
        let last_seq = last_seq(&log, &txn.open_table(META)?)?;
        let (leaves, folded) = (txn.open_table(LEAVES)?, txn.open_table(FOLDED)?);
        Ok(WriteTables { leaves, folded, log, last_seq, sizes })
    }

    /// Undoes the ops after `seq`, given everything that they changed.
    pub(super) fn take_back(&mut self, seq: u64, changes: Vec<LeafChange>) -> Result<(), StoreError> {
        for LeafChange { path, before, .. } in changes.into_iter().rev() {
            match before {
                Some(leaf) => self.put(&path, leaf)?,
                None => self.remove(&path)?,
            }
        }
        for seq in seq + 1..=self.last_seq {
            if let Some(row) = self.log.remove(seq)? {
                self.sizes.log = self.sizes.log.saturating_sub(op_bytes(&row.value()));
            }
        }
        self.last_seq = seq;
        Ok(())
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
        Ok(())
    }

    /// Removes the leaves in a range that begin with a prefix, exact in case.
    fn remove_range(&mut self, prefix: &[u8], end: &[u8]) -> Result<(), StoreError> {
        // An empty range is checked first, because removing from it has a cost.
        if self.leaves.range(prefix..end)?.next().is_none() {
            return Ok(());
        }
        let mut freed = 0;
        self.leaves.retain_in(prefix..end, |path, row| {
            freed += leaf_bytes(path, &row);
            false
        })?;
        self.sizes.live = self.sizes.live.saturating_sub(freed);
        Ok(())
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
        drop(before);
        if fresh && let Some(folded) = fold(path.as_str()) {
            self.folded.insert((folded.as_bytes(), bytes(path)), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), StoreError> {
        let Some(gone) = self.leaves.remove(bytes(path))? else { return Ok(()) };
        self.sizes.live = self.sizes.live.saturating_sub(leaf_bytes(bytes(path), &gone.value()));
        drop(gone);
        if let Some(folded) = fold(path.as_str()) {
            self.folded.remove((folded.as_bytes(), bytes(path)))?;
        }
        Ok(())
    }

    fn below_ignoring_case(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, StoreError> {
        below(&self.leaves, &self.folded, path)
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
