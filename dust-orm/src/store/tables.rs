//! How a store lies in redb: leaves by path, the log by `store_seq`, the last snapshot, and an index that makes
//! ignoring ASCII case cheap.

use std::ops::Bound;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};

use crate::protocol::{CommittedOp, Leaf, LeafKind, Leaves, OpKind, Path, RawJson};

use super::error::StoreError;

/// A leaf by its rendered path: kind, revision, value.
pub(super) type LeafRow = (u8, u64, &'static str);
/// An op by its `store_seq`: kind, path, value, device, client's id.
type OpRow = (u8, &'static str, &'static str, &'static str, &'static str);

pub(super) const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
pub(super) const LEAVES: TableDefinition<'static, &'static str, LeafRow> = TableDefinition::new("leaves");
/// The paths that contain ASCII upper-case letters, after their lower-case form. All other paths *are* their lower-case
/// form, so the two tables together find what is below a path whatever its case, without a scan.
pub(super) const FOLDED: TableDefinition<'static, (&'static str, &'static str), ()> = TableDefinition::new("folded");
pub(super) const LOG: TableDefinition<'static, u64, OpRow> = TableDefinition::new("log");
pub(super) const SNAPSHOT: TableDefinition<'static, &'static str, LeafRow> = TableDefinition::new("snapshot");

/// The key in `META` of the file's format.
pub(super) const FORMAT: &str = "format";
/// The key in `META` of the `store_seq` through which the snapshot speaks.
pub(super) const SNAPSHOT_SEQ: &str = "snapshot_seq";

// The position is what is stored: only ever append.
const LEAF_KINDS: [LeafKind; 13] = [
    LeafKind::Other,
    LeafKind::String,
    LeafKind::Integer,
    LeafKind::Float,
    LeafKind::Boolean,
    LeafKind::Null,
    LeafKind::Map,
    LeafKind::Counter,
    LeafKind::Set,
    LeafKind::File,
    LeafKind::Lease,
    LeafKind::Decimal,
    LeafKind::Datetime,
];
const OP_KINDS: [OpKind; 10] = [
    OpKind::Set,
    OpKind::Delete,
    OpKind::Merge,
    OpKind::Increment,
    OpKind::Add,
    OpKind::Remove,
    OpKind::Lease,
    OpKind::Renew,
    OpKind::Release,
    OpKind::PutFile,
];

fn code<T: PartialEq>(all: &[T], one: &T) -> u8 {
    // Fits, because the tables are short; and every kind is in its table, which a test checks.
    all.iter().position(|known| known == one).unwrap_or(0) as u8
}

pub(super) fn to_leaf((kind, revision, value): (u8, u64, &str)) -> Leaf {
    let kind = LEAF_KINDS.get(usize::from(kind)).copied().unwrap_or(LeafKind::Other);
    Leaf { value: RawJson::from_trusted(value), kind, revision }
}

fn to_row(leaf: &Leaf) -> (u8, u64, &str) {
    (code(&LEAF_KINDS, &leaf.kind), leaf.revision, leaf.value.as_str())
}

pub(super) fn to_op(store_seq: u64, row: (u8, &str, &str, &str, &str)) -> Result<CommittedOp, StoreError> {
    let (kind, path, value, device_id, client_op_id) = row;
    let op = OP_KINDS.get(usize::from(kind)).copied().ok_or_else(|| {
        super::StoreErrorKind::Storage(format!("the log holds an unknown op ({kind}) at {store_seq}").into())
    })?;
    Ok(CommittedOp {
        store_seq,
        op,
        path: Path::from_trusted(path),
        value: RawJson::from_trusted(value),
        device_id: device_id.into(),
        client_op_id: client_op_id.into(),
    })
}

/// The range of the paths that begin with a prefix, which ends in `/`: `0` is the byte after it.
pub(super) fn prefix_end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    if end.pop().is_some() {
        end.push('0');
    }
    end
}

/// The tables of the one write transaction.
pub(super) struct WriteTables<'t> {
    leaves: Table<'t, &'static str, LeafRow>,
    folded: Table<'t, (&'static str, &'static str), ()>,
    log: Table<'t, u64, OpRow>,
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<WriteTables<'t>, StoreError> {
        Ok(WriteTables { leaves: txn.open_table(LEAVES)?, folded: txn.open_table(FOLDED)?, log: txn.open_table(LOG)? })
    }

    /// Whether there is a leaf below a path, exact in case.
    pub(super) fn any_below(&self, path: &Path) -> Result<bool, StoreError> {
        let prefix = path.descendant_prefix();
        Ok(self.leaves.range(prefix.as_str()..prefix_end(&prefix).as_str())?.next().transpose()?.is_some())
    }

    pub(super) fn append(&mut self, op: &CommittedOp) -> Result<(), StoreError> {
        let row = (code(&OP_KINDS, &op.op), op.path.as_str(), op.value.as_str(), &*op.device_id, &*op.client_op_id);
        self.log.insert(op.store_seq, row)?;
        Ok(())
    }
}

impl Leaves for WriteTables<'_> {
    type Error = StoreError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, StoreError> {
        Ok(self.leaves.get(path.as_str())?.map(|row| to_leaf(row.value())))
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), StoreError> {
        let fresh = self.leaves.insert(path.as_str(), to_row(&leaf))?.is_none();
        if fresh && let Some(folded) = fold(path.as_str()) {
            self.folded.insert((folded.as_str(), path.as_str()), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), StoreError> {
        let gone = self.leaves.remove(path.as_str())?.is_some();
        if gone && let Some(folded) = fold(path.as_str()) {
            self.folded.remove((folded.as_str(), path.as_str()))?;
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), StoreError> {
        let prefix = path.descendant_prefix().to_ascii_lowercase();
        let end = prefix_end(&prefix);
        // Looked at first, because removing from an empty range is not free.
        let mut mixed = Vec::new();
        for row in self.folded.range((prefix.as_str(), "")..(end.as_str(), ""))? {
            mixed.push(row?.0.value().1.to_owned());
        }
        for path in &mixed {
            self.leaves.remove(path.as_str())?;
        }
        if !mixed.is_empty() {
            self.folded.retain_in((prefix.as_str(), "")..(end.as_str(), ""), |_, ()| false)?;
        }
        if self.leaves.range(prefix.as_str()..end.as_str())?.next().is_some() {
            self.leaves.retain_in(prefix.as_str()..end.as_str(), |_, _| false)?;
        }
        Ok(())
    }
}

/// The lower-case form of a path that has ASCII upper-case letters.
fn fold(path: &str) -> Option<String> {
    path.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| path.to_ascii_lowercase())
}

/// What readers see: the store as it was after one commit. Later commits do not touch it.
pub(super) struct View {
    pub(super) leaves: ReadOnlyTable<&'static str, LeafRow>,
    folded: ReadOnlyTable<(&'static str, &'static str), ()>,
    pub(super) log: ReadOnlyTable<u64, OpRow>,
    pub(super) snapshot: ReadOnlyTable<&'static str, LeafRow>,
    /// The last `store_seq`.
    pub(super) seq: u64,
    /// That of the last snapshot; 0 when there is none.
    pub(super) snapshot_seq: u64,
}

impl View {
    pub(super) fn open(txn: &ReadTransaction) -> Result<View, StoreError> {
        let log = txn.open_table(LOG)?;
        let snapshot_seq = txn.open_table(META)?.get(SNAPSHOT_SEQ)?.map_or(0, |row| row.value());
        let last = log.last()?.map_or(0, |(seq, _)| seq.value());
        Ok(View {
            leaves: txn.open_table(LEAVES)?,
            folded: txn.open_table(FOLDED)?,
            log,
            snapshot: txn.open_table(SNAPSHOT)?,
            seq: last.max(snapshot_seq),
            snapshot_seq,
        })
    }

    pub(super) fn leaf(&self, path: &str) -> Result<Option<Leaf>, StoreError> {
        Ok(self.leaves.get(path)?.map(|row| to_leaf(row.value())))
    }

    pub(super) fn count(&self) -> Result<u64, StoreError> {
        Ok(self.leaves.len()?)
    }

    /// The leaves below a path, ignoring ASCII case, in the order of their rendered paths.
    pub(super) fn below(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, StoreError> {
        let prefix = path.descendant_prefix().to_ascii_lowercase();
        let end = prefix_end(&prefix);
        let mut found = Vec::new();
        for row in self.folded.range((prefix.as_str(), "")..(end.as_str(), ""))? {
            let (key, _) = row?;
            let (_, path) = key.value();
            // Those that begin with the lower-case prefix come with the others below.
            if !path.starts_with(prefix.as_str())
                && let Some(leaf) = self.leaf(path)?
            {
                found.push((Path::from_trusted(path), leaf));
            }
        }
        let mixed = !found.is_empty();
        for row in self.leaves.range(prefix.as_str()..end.as_str())? {
            let (path, leaf) = row?;
            found.push((Path::from_trusted(path.value()), to_leaf(leaf.value())));
        }
        if mixed {
            found.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        Ok(found)
    }

    /// Whether there is a leaf whose path begins with a prefix, exact in case.
    pub(super) fn any_with_prefix(&self, prefix: &str) -> Result<bool, StoreError> {
        let end = prefix_end(prefix);
        Ok(self.leaves.range(prefix..end.as_str())?.next().transpose()?.is_some())
    }
}

/// The bounds of the paths with a prefix (all, when it is empty).
pub(super) fn prefix_bounds(prefix: &str) -> (Bound<String>, Bound<String>) {
    if prefix.is_empty() {
        (Bound::Unbounded, Bound::Unbounded)
    } else {
        (Bound::Included(prefix.to_owned()), Bound::Excluded(prefix_end(prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code() {
        for name in [
            "string", "integer", "float", "boolean", "null", "map", "counter", "set", "file", "lease", "decimal",
            "datetime", "other",
        ] {
            let kind = LeafKind::from_name(name);
            assert_eq!(to_leaf((code(&LEAF_KINDS, &kind), 1, "1")).kind.name(), name);
        }
        for name in ["set", "delete", "merge", "increment", "add", "remove", "lease", "renew", "release", "put_file"] {
            let kind = OpKind::from_name(name).unwrap();
            assert_eq!(to_op(1, (code(&OP_KINDS, &kind), "p", "1", "d", "c")).unwrap().op, kind);
        }
        assert!(to_op(1, (200, "p", "1", "d", "c")).is_err());
    }

    #[test]
    fn a_prefix_ends_before_the_next_byte() {
        assert_eq!(prefix_end("links/"), "links0");
        let (inside, outside) = ("links/\u{10ffff}", ["links", "links-", "links0", "linksa"]);
        assert!(("links/".."links0").contains(&inside));
        assert!(outside.iter().all(|path| !("links/".."links0").contains(path)));
    }
}
