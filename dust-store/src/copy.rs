//! Copies of a store as of an earlier op, as a backup restores it.

use std::sync::Arc;

use dust_protocol::Leaves;
use dust_protocol::apply::apply;

use super::changes::{Sizes, WriteTables};
use super::error::StoreError;
use super::tables::{META, SNAPSHOT, SNAPSHOT_SEQ, to_leaf, to_op, to_path};
use super::{Compaction, Store};

impl Store {
    /// A copy in memory of the store as it was after the op `seq`, with its log up to that op, as a server has it after
    /// it was restored from a backup. The bytes of files are not copied. `None` for an op in the future and for one
    /// before the last [compaction](Store::compact).
    ///
    /// ```
    /// use dust_protocol::{Op, Path, RawJson};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let path = Path::parse("links/dust")?;
    /// for id in ["1", "2"] {
    ///     store.write(Op::set(path.clone(), RawJson::parse(id)?), None, &Origin::new("laptop", id))?;
    /// }
    /// let before = store.copy_as_of(1)?.unwrap();
    /// assert_eq!((before.current_seq(), before.get(&path)?.unwrap().value.as_str()), (1, "1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copy_as_of(&self, seq: u64) -> Result<Option<Store>, StoreError> {
        self.inner.read(|view| {
            if seq > view.seq || seq < view.snapshot_seq {
                return Ok(None);
            }
            let copy =
                Store::builder().clock(Arc::clone(&self.inner.clock)).compaction(Compaction::never()).in_memory()?;
            let mut writer = copy.inner.writer();
            let txn = copy.inner.begin_write()?;
            if view.snapshot_seq > 0 {
                txn.open_table(META)?.insert(SNAPSHOT_SEQ, view.snapshot_seq)?;
            }
            {
                let mut tables = WriteTables::open(&txn, Sizes::default())?;
                let mut snapshot = txn.open_table(SNAPSHOT)?;
                for row in view.snapshot.range::<&[u8]>(..)? {
                    let (path, leaf) = row?;
                    snapshot.insert(path.value(), leaf.value())?;
                    tables.put(&to_path(path.value())?, to_leaf(leaf.value())?)?;
                }
                for row in view.log_after(0)? {
                    let (at, row) = row?;
                    if at.value() > seq {
                        break;
                    }
                    let op = to_op(at.value(), row.value())?;
                    tables.append(&op, row.value().5)?;
                    apply(&mut tables, &op, None)?;
                }
                writer.sizes = tables.sizes;
            }
            txn.commit()?;
            copy.inner.storage.refresh()?;
            drop(writer);
            Ok(Some(copy))
        })
    }
}
