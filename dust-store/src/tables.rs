//! The tables of a store in redb: leaves by path, the log by `store_seq`, the last snapshot, and an index for lookups
//! that ignore ASCII case.

use std::ops::Bound;

use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};

use dust_protocol::read::{self, prefix_end};
use dust_protocol::{CommittedOp, Entry, Leaf, LeafKind, LeafRef, OpKind, Path, RawJson};

use super::error::{StoreError, StoreErrorKind};

// Texts are stored as bytes, because redb panics on a text that is not UTF-8, which a damaged file may have.
pub(super) type Text = &'static [u8];
/// A leaf by its rendered path: kind, revision, value.
pub(super) type LeafRow = (u8, u64, Text);
/// An op by its `store_seq`: kind, path, value, device, client's id, and when it was committed in milliseconds since
/// 1970.
pub(super) type OpRow = (u8, Text, Text, Text, Text, i64);

pub(super) const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
pub(super) const LEAVES: TableDefinition<'static, Text, LeafRow> = TableDefinition::new("leaves");
/// The paths that contain ASCII upper-case letters, after their lower-case form. All other paths equal their lower-case
/// form, so that the two tables together find the leaves below a path in any case without a scan.
pub(super) const FOLDED: TableDefinition<'static, (Text, Text), ()> = TableDefinition::new("folded");
pub(super) const LOG: TableDefinition<'static, u64, OpRow> = TableDefinition::new("log");
pub(super) const SNAPSHOT: TableDefinition<'static, Text, LeafRow> = TableDefinition::new("snapshot");
/// The unfinished snapshot of a running compaction.
pub(super) const NEXT_SNAPSHOT: TableDefinition<'static, Text, LeafRow> = TableDefinition::new("next_snapshot");

/// The bytes of files, by their hash.
pub(super) const FILES: TableDefinition<'static, Text, Text> = TableDefinition::new("files");
/// The references that `put_file` wrote: hash and path. A reference is valid only while the leaf has it.
pub(super) const FILE_PATHS: TableDefinition<'static, (Text, Text), ()> = TableDefinition::new("file_paths");

/// The key in `META` of the file's format.
pub(super) const FORMAT: &str = "format";
/// The key in `META` of the snapshot's `store_seq`.
pub(super) const SNAPSHOT_SEQ: &str = "snapshot_seq";
/// The keys in `META` of the bytes in the leaves, the log and the snapshot, by which a compaction is due.
pub(super) const LIVE_BYTES: &str = "live_bytes";
pub(super) const LOG_BYTES: &str = "log_bytes";
pub(super) const SNAPSHOT_BYTES: &str = "snapshot_bytes";

// The position is stored: append only.
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
    // Cannot fail: the tables are short, and a test checks that every kind is in its table.
    all.iter().position(|known| known == one).unwrap_or(0) as u8
}

/// Reads a stored text.
pub(super) fn to_text(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes)
        .map_err(|_| StoreErrorKind::Storage("the file is damaged: a text in it is not UTF-8".into()).into())
}

pub(super) fn to_path(bytes: &[u8]) -> Result<Path, StoreError> {
    to_text(bytes).map(Path::from_trusted)
}

pub(super) fn to_leaf(row: (u8, u64, &[u8])) -> Result<Leaf, StoreError> {
    to_leaf_ref(b"", row).map(LeafRef::to_leaf)
}

pub(super) fn to_leaf_ref<'a>(
    path: &'a [u8],
    (kind, revision, value): (u8, u64, &'a [u8]),
) -> Result<LeafRef<'a>, StoreError> {
    let kind = LEAF_KINDS.get(usize::from(kind)).copied().unwrap_or(LeafKind::Other);
    Ok(LeafRef { path: to_text(path)?, value: to_text(value)?, kind, revision })
}

pub(super) fn to_row(leaf: &Leaf) -> (u8, u64, &[u8]) {
    (code(&LEAF_KINDS, &leaf.kind), leaf.revision, leaf.value.as_str().as_bytes())
}

pub(super) fn to_op_row(op: &CommittedOp, wall_ms: i64) -> <OpRow as redb::Value>::SelfType<'_> {
    let texts = [op.path.as_str(), op.value.as_str(), &*op.device_id, &*op.client_op_id];
    let [path, value, device_id, client_op_id] = texts.map(str::as_bytes);
    (code(&OP_KINDS, &op.op), path, value, device_id, client_op_id, wall_ms)
}

/// The bytes of a leaf and its path, by which compactions are due.
pub(super) fn leaf_bytes(path: &[u8], (_, _, value): &(u8, u64, &[u8])) -> u64 {
    (path.len() + value.len() + ROW) as u64
}

/// The bytes of an op of the log, by which compactions are due.
pub(super) fn op_bytes((_, path, value, device_id, client_op_id, _): &<OpRow as redb::Value>::SelfType<'_>) -> u64 {
    (path.len() + value.len() + device_id.len() + client_op_id.len() + ROW) as u64
}

/// The approximate overhead of a row, in bytes.
const ROW: usize = 32;

pub(super) fn to_op(store_seq: u64, row: <OpRow as redb::Value>::SelfType<'_>) -> Result<CommittedOp, StoreError> {
    let (kind, path, value, device_id, client_op_id, _) = row;
    let op = OP_KINDS.get(usize::from(kind)).copied().ok_or_else(|| {
        StoreErrorKind::Storage(format!("the log holds an unknown op ({kind}) at {store_seq}").into())
    })?;
    Ok(CommittedOp::new(store_seq, op, to_path(path)?, RawJson::from_trusted(to_text(value)?))
        .written_by(to_text(device_id)?.into(), to_text(client_op_id)?.into()))
}

/// The smallest second half of a key in `FOLDED`.
pub(super) const NOTHING: &[u8] = b"";

pub(super) fn bytes(path: &Path) -> &[u8] {
    path.as_str().as_bytes()
}

/// The last `store_seq`: that of the last op in the log, or of the snapshot if the log is empty.
pub(super) fn last_seq(
    log: &impl ReadableTable<u64, OpRow>,
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<u64, StoreError> {
    let snapshot = number(meta, SNAPSHOT_SEQ)?.unwrap_or_default();
    Ok(log.last()?.map_or(0, |(seq, _)| seq.value()).max(snapshot))
}

/// A number in `META`.
pub(super) fn number(meta: &impl ReadableTable<&'static str, u64>, key: &str) -> Result<Option<u64>, StoreError> {
    Ok(meta.get(key)?.map(|row| row.value()))
}

/// The leaf at exactly this path.
pub(super) fn leaf(leaves: &impl ReadableTable<Text, LeafRow>, path: &[u8]) -> Result<Option<Leaf>, StoreError> {
    leaves.get(path)?.map(|row| to_leaf(row.value())).transpose()
}

/// True if there is a leaf whose path begins with a prefix, exact in case.
pub(super) fn any_with_prefix(leaves: &impl ReadableTable<Text, LeafRow>, prefix: &str) -> Result<bool, StoreError> {
    let end = prefix_end(prefix);
    Ok(leaves.range(prefix.as_bytes()..end.as_bytes())?.next().transpose()?.is_some())
}

/// The leaf at a path, otherwise the object that the leaves below it make.
pub(super) fn entry(
    leaves: &impl ReadableTable<Text, LeafRow>,
    folded: &impl ReadableTable<(Text, Text), ()>,
    path: &Path,
) -> Result<Option<Entry>, StoreError> {
    if let Some(leaf) = leaf(leaves, bytes(path))? {
        return Ok(Some(read::entry(path.clone(), leaf)));
    }
    Ok(read::object(path, below(leaves, folded, path)?))
}

/// The leaves below a path, ignoring ASCII case, in the order of their rendered paths.
pub(super) fn below(
    leaves: &impl ReadableTable<Text, LeafRow>,
    folded: &impl ReadableTable<(Text, Text), ()>,
    path: &Path,
) -> Result<Vec<(Path, Leaf)>, StoreError> {
    let prefix = path.descendant_prefix().to_ascii_lowercase();
    let end = prefix_end(&prefix);
    let (prefix, end) = (prefix.as_bytes(), end.as_bytes());
    let mut found = Vec::new();
    for row in folded.range((prefix, NOTHING)..(end, NOTHING))? {
        let (key, _) = row?;
        let (_, path) = key.value();
        // Paths that begin with the lower-case prefix are found by the other lookup below.
        if !path.starts_with(prefix)
            && let Some(leaf) = leaf(leaves, path)?
        {
            found.push((to_path(path)?, leaf));
        }
    }
    let mixed = !found.is_empty();
    for row in leaves.range(prefix..end)? {
        let (path, leaf) = row?;
        found.push((to_path(path.value())?, to_leaf(leaf.value())?));
    }
    if mixed {
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
    Ok(found)
}

/// A view for readers: the store as of one commit. Later commits do not change it.
pub(super) struct View {
    pub(super) leaves: ReadOnlyTable<Text, LeafRow>,
    folded: ReadOnlyTable<(Text, Text), ()>,
    log: ReadOnlyTable<u64, OpRow>,
    pub(super) snapshot: ReadOnlyTable<Text, LeafRow>,
    /// The transaction, for the tables that not every store has.
    pub(super) txn: ReadTransaction,
    /// The last `store_seq`.
    pub(super) seq: u64,
    /// The `store_seq` of the last snapshot; 0 if there is none.
    pub(super) snapshot_seq: u64,
}

impl View {
    pub(super) fn open(txn: ReadTransaction) -> Result<View, StoreError> {
        let log = txn.open_table(LOG)?;
        let meta = txn.open_table(META)?;
        Ok(View {
            leaves: txn.open_table(LEAVES)?,
            folded: txn.open_table(FOLDED)?,
            seq: last_seq(&log, &meta)?,
            log,
            snapshot: txn.open_table(SNAPSHOT)?,
            snapshot_seq: number(&meta, SNAPSHOT_SEQ)?.unwrap_or_default(),
            txn,
        })
    }

    pub(super) fn leaf(&self, path: &[u8]) -> Result<Option<Leaf>, StoreError> {
        leaf(&self.leaves, path)
    }

    pub(super) fn entry(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        entry(&self.leaves, &self.folded, path)
    }

    pub(super) fn count(&self) -> Result<u64, StoreError> {
        Ok(self.leaves.len()?)
    }

    /// The log after `seq`, without the rows that the snapshot covers: a compaction removes them in steps after it has
    /// made the snapshot.
    pub(super) fn log_after(&self, seq: u64) -> Result<redb::Range<'_, u64, OpRow>, StoreError> {
        let after = seq.max(self.snapshot_seq);
        Ok(self.log.range((Bound::Excluded(after), Bound::Unbounded))?)
    }

    /// The row of one op of the log.
    pub(super) fn op(&self, seq: u64) -> Result<Option<AccessGuard<'_, OpRow>>, StoreError> {
        if seq <= self.snapshot_seq { Ok(None) } else { Ok(self.log.get(seq)?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_has_its_own_code() {
        for name in [
            "string", "integer", "float", "boolean", "null", "map", "counter", "set", "file", "lease", "decimal",
            "datetime", "other",
        ] {
            let kind = LeafKind::from_name(name);
            assert_eq!(to_leaf((code(&LEAF_KINDS, &kind), 1, b"1")).unwrap().kind.name(), name);
        }
        for name in ["set", "delete", "merge", "increment", "add", "remove", "lease", "renew", "release", "put_file"] {
            let kind = OpKind::from_name(name).unwrap();
            assert_eq!(to_op(1, (code(&OP_KINDS, &kind), b"p", b"1", b"d", b"c", 0)).unwrap().op, kind);
        }
        assert!(to_op(1, (200, b"p", b"1", b"d", b"c", 0)).is_err());
    }
}
