//! How a store lies in redb: leaves by path, the log by `store_seq`, the last snapshot, and an index that makes
//! ignoring ASCII case cheap.

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};

use crate::protocol::read::{fold, prefix_end};
use crate::protocol::{CommittedOp, Leaf, LeafKind, LeafRef, Leaves, OpKind, Path, RawJson};

use super::error::{StoreError, StoreErrorKind};

// Texts are kept as bytes, because redb panics on a text that is not UTF-8, as it may be in a file that was damaged.
type Text = &'static [u8];
/// A leaf by its rendered path: kind, revision, value.
pub(super) type LeafRow = (u8, u64, Text);
/// An op by its `store_seq`: kind, path, value, device, client's id, and when it was committed in milliseconds since 1970.
type OpRow = (u8, Text, Text, Text, Text, i64);

pub(super) const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
pub(super) const LEAVES: TableDefinition<'static, Text, LeafRow> = TableDefinition::new("leaves");
/// The paths that contain ASCII upper-case letters, after their lower-case form. All other paths *are* their lower-case
/// form, so the two tables together find what is below a path whatever its case, without a scan.
pub(super) const FOLDED: TableDefinition<'static, (Text, Text), ()> = TableDefinition::new("folded");
pub(super) const LOG: TableDefinition<'static, u64, OpRow> = TableDefinition::new("log");
pub(super) const SNAPSHOT: TableDefinition<'static, Text, LeafRow> = TableDefinition::new("snapshot");

/// The bytes of files, by their hash.
pub(super) const FILES: TableDefinition<'static, Text, Text> = TableDefinition::new("files");
/// Where `put_file` has referred to a file: its hash and a path. Whether the leaf still does, the leaf says.
pub(super) const FILE_PATHS: TableDefinition<'static, (Text, Text), ()> = TableDefinition::new("file_paths");

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

/// A text as it was stored.
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

fn to_row(leaf: &Leaf) -> (u8, u64, &[u8]) {
    (code(&LEAF_KINDS, &leaf.kind), leaf.revision, leaf.value.as_str().as_bytes())
}

pub(super) fn to_op(store_seq: u64, row: <OpRow as redb::Value>::SelfType<'_>) -> Result<CommittedOp, StoreError> {
    let (kind, path, value, device_id, client_op_id, _) = row;
    let op = OP_KINDS.get(usize::from(kind)).copied().ok_or_else(|| {
        StoreErrorKind::Storage(format!("the log holds an unknown op ({kind}) at {store_seq}").into())
    })?;
    Ok(CommittedOp {
        store_seq,
        op,
        path: to_path(path)?,
        value: RawJson::from_trusted(to_text(value)?),
        device_id: to_text(device_id)?.into(),
        client_op_id: to_text(client_op_id)?.into(),
    })
}

/// The tables of the one write transaction.
pub(super) struct WriteTables<'t> {
    leaves: Table<'t, Text, LeafRow>,
    folded: Table<'t, (Text, Text), ()>,
    log: Table<'t, u64, OpRow>,
    /// The last `store_seq` before this transaction.
    pub(super) last_seq: u64,
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<WriteTables<'t>, StoreError> {
        let log = txn.open_table(LOG)?;
        let last_seq = last_seq(&log, &txn.open_table(META)?)?;
        Ok(WriteTables { leaves: txn.open_table(LEAVES)?, folded: txn.open_table(FOLDED)?, log, last_seq })
    }

    /// Whether there is a leaf below a path, exact in case.
    pub(super) fn any_below(&self, path: &Path) -> Result<bool, StoreError> {
        let prefix = path.descendant_prefix();
        let end = prefix_end(&prefix);
        Ok(self.leaves.range(prefix.as_bytes()..end.as_bytes())?.next().transpose()?.is_some())
    }

    pub(super) fn append(&mut self, op: &CommittedOp, wall_ms: i64) -> Result<(), StoreError> {
        let texts = [op.path.as_str(), op.value.as_str(), &*op.device_id, &*op.client_op_id];
        let [path, value, device_id, client_op_id] = texts.map(str::as_bytes);
        let row = (code(&OP_KINDS, &op.op), path, value, device_id, client_op_id, wall_ms);
        self.log.insert(op.store_seq, row)?;
        Ok(())
    }
}

impl Leaves for WriteTables<'_> {
    type Error = StoreError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, StoreError> {
        self.leaves.get(bytes(path))?.map(|row| to_leaf(row.value())).transpose()
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), StoreError> {
        let fresh = self.leaves.insert(bytes(path), to_row(&leaf))?.is_none();
        if fresh && let Some(folded) = fold(path.as_str()) {
            self.folded.insert((folded.as_bytes(), bytes(path)), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), StoreError> {
        let gone = self.leaves.remove(bytes(path))?.is_some();
        if gone && let Some(folded) = fold(path.as_str()) {
            self.folded.remove((folded.as_bytes(), bytes(path)))?;
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), StoreError> {
        let prefix = path.descendant_prefix().to_ascii_lowercase();
        let end = prefix_end(&prefix);
        let (prefix, end) = (prefix.as_bytes(), end.as_bytes());
        // Looked at first, because removing from an empty range is not free.
        let mut mixed = Vec::new();
        for row in self.folded.range((prefix, NOTHING)..(end, NOTHING))? {
            mixed.push(row?.0.value().1.to_owned());
        }
        for path in &mixed {
            self.leaves.remove(path.as_slice())?;
        }
        if !mixed.is_empty() {
            self.folded.retain_in((prefix, NOTHING)..(end, NOTHING), |_, ()| false)?;
        }
        if self.leaves.range(prefix..end)?.next().is_some() {
            self.leaves.retain_in(prefix..end, |_, _| false)?;
        }
        Ok(())
    }
}

/// The least second half of a key in `FOLDED`.
const NOTHING: &[u8] = b"";

fn bytes(path: &Path) -> &[u8] {
    path.as_str().as_bytes()
}

/// The last `store_seq`: that of the log's end, or of the snapshot when the log is empty.
fn last_seq(
    log: &impl ReadableTable<u64, OpRow>,
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<u64, StoreError> {
    match log.last()? {
        Some((seq, _)) => Ok(seq.value()),
        None => snapshot_seq(meta),
    }
}

fn snapshot_seq(meta: &impl ReadableTable<&'static str, u64>) -> Result<u64, StoreError> {
    Ok(meta.get(SNAPSHOT_SEQ)?.map_or(0, |row| row.value()))
}

/// What readers see: the store as it was after one commit. Later commits do not touch it.
pub(super) struct View {
    pub(super) leaves: ReadOnlyTable<Text, LeafRow>,
    folded: ReadOnlyTable<(Text, Text), ()>,
    pub(super) log: ReadOnlyTable<u64, OpRow>,
    pub(super) snapshot: ReadOnlyTable<Text, LeafRow>,
    /// The last `store_seq`.
    pub(super) seq: u64,
    /// That of the last snapshot; 0 when there is none.
    pub(super) snapshot_seq: u64,
}

impl View {
    pub(super) fn open(txn: &ReadTransaction) -> Result<View, StoreError> {
        let log = txn.open_table(LOG)?;
        let meta = txn.open_table(META)?;
        Ok(View {
            leaves: txn.open_table(LEAVES)?,
            folded: txn.open_table(FOLDED)?,
            seq: last_seq(&log, &meta)?,
            log,
            snapshot: txn.open_table(SNAPSHOT)?,
            snapshot_seq: snapshot_seq(&meta)?,
        })
    }

    pub(super) fn leaf(&self, path: &[u8]) -> Result<Option<Leaf>, StoreError> {
        self.leaves.get(path)?.map(|row| to_leaf(row.value())).transpose()
    }

    pub(super) fn count(&self) -> Result<u64, StoreError> {
        Ok(self.leaves.len()?)
    }

    /// The leaves below a path, ignoring ASCII case, in the order of their rendered paths.
    pub(super) fn below(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, StoreError> {
        let prefix = path.descendant_prefix().to_ascii_lowercase();
        let end = prefix_end(&prefix);
        let (prefix, end) = (prefix.as_bytes(), end.as_bytes());
        let mut found = Vec::new();
        for row in self.folded.range((prefix, NOTHING)..(end, NOTHING))? {
            let (key, _) = row?;
            let (_, path) = key.value();
            // Those that begin with the lower-case prefix come with the others below.
            if !path.starts_with(prefix)
                && let Some(leaf) = self.leaf(path)?
            {
                found.push((to_path(path)?, leaf));
            }
        }
        let mixed = !found.is_empty();
        for row in self.leaves.range(prefix..end)? {
            let (path, leaf) = row?;
            found.push((to_path(path.value())?, to_leaf(leaf.value())?));
        }
        if mixed {
            found.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        Ok(found)
    }

    /// Whether there is a leaf whose path begins with a prefix, exact in case.
    pub(super) fn any_with_prefix(&self, prefix: &str) -> Result<bool, StoreError> {
        let end = prefix_end(prefix);
        Ok(self.leaves.range(prefix.as_bytes()..end.as_bytes())?.next().transpose()?.is_some())
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
            assert_eq!(to_leaf((code(&LEAF_KINDS, &kind), 1, b"1")).unwrap().kind.name(), name);
        }
        for name in ["set", "delete", "merge", "increment", "add", "remove", "lease", "renew", "release", "put_file"] {
            let kind = OpKind::from_name(name).unwrap();
            assert_eq!(to_op(1, (code(&OP_KINDS, &kind), b"p", b"1", b"d", b"c", 0)).unwrap().op, kind);
        }
        assert!(to_op(1, (200, b"p", b"1", b"d", b"c", 0)).is_err());
    }
}
