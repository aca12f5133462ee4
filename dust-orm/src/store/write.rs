//! Writing: one op or one batch, in one transaction.

use std::sync::Arc;

use crate::protocol::apply::{Stamp, apply, outcome};
use crate::protocol::list::MAX_PAGE;
use crate::protocol::{BatchOp, CommittedOp, Fence, Leaves, Op, OpKind, Path, Precondition, Write, value};

use super::error::{StoreError, StoreErrorKind};
use super::files;
use super::lease::{Now, Verdict};
use super::tables::WriteTables;
use super::{Store, View, Writer};

/// Who writes: kept with the op in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The device.
    pub device_id: Arc<str>,
    /// The writer's own id for the write. Nothing is deduplicated by it.
    pub client_op_id: Arc<str>,
}

impl Origin {
    /// The origin of a write.
    pub fn new(device_id: impl Into<Arc<str>>, client_op_id: impl Into<Arc<str>>) -> Origin {
        Origin { device_id: device_id.into(), client_op_id: client_op_id.into() }
    }
}

impl Store {
    /// Does one write, and answers the op as it was committed: durable, readable, and in the log.
    ///
    /// `None` means that nothing was committed, which happens only when a lease is released with a token that no longer
    /// matches. Listeners hear of the op before or shortly after this returns.
    ///
    /// ```
    /// use dust_orm::protocol::{Op, Path, RawJson, Write};
    /// use dust_orm::store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let op = Op::Set(RawJson::parse(r#"{"title":"Dust"}"#)?);
    /// let committed = store.write(Write::new(Path::parse("links/dust")?, op), &Origin::new("laptop", "1"))?;
    /// assert_eq!(committed.unwrap().store_seq, 1);
    /// assert_eq!(store.get(&Path::parse("links/dust/title")?)?.unwrap().value.as_str(), "\"Dust\"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, write: Write, origin: &Origin) -> Result<Option<CommittedOp>, StoreError> {
        self.write_with(write, None, origin)
    }

    /// Does one write; where it refers to a file, its bytes are kept in the same transaction.
    pub(super) fn write_with(
        &self,
        write: Write,
        content: Option<&[u8]>,
        origin: &Origin,
    ) -> Result<Option<CommittedOp>, StoreError> {
        let committed = self.guarded(|| self.commit(write, content, origin));
        self.inner.feed.deliver();
        committed
    }

    fn commit(&self, write: Write, content: Option<&[u8]>, origin: &Origin) -> Result<Option<CommittedOp>, StoreError> {
        let Write { path, op, precondition, fence } = write;
        check_precondition(&op, precondition).map_err(|error| error.at(&path))?;
        let is_lease_op = matches!(op.kind(), OpKind::Lease | OpKind::Renew | OpKind::Release);
        if is_lease_op && fence.is_some() {
            let hint = "a lease op takes no fence; its token is its guard";
            return Err(StoreErrorKind::InvalidPrecondition(hint).at(&path));
        }

        let mut writer = self.writer();
        let view = self.view();
        let now = self.now();
        let txn = self.inner.db.begin_write()?;
        let committed = {
            let mut tables = WriteTables::open(&txn)?;
            if is_lease_op && let Verdict::Nothing = writer.deadlines.judge(&tables, &path, &op, now)? {
                return Ok(None);
            }
            check_guard(&tables, &view, &path, precondition)?;
            check_fence(&tables, &writer, fence.as_ref(), now).map_err(|error| error.at(&path))?;
            let stamp = Stamp { store_seq: tables.last_seq + 1, wall_ms: now.wall_ms };
            let committed = commit_op(&mut tables, &path, &op, stamp, origin).map_err(|error| error.at(&path))?;
            if is_lease_op {
                writer.deadlines.sweep(&tables)?;
            }
            committed
        };
        if committed.op == OpKind::PutFile {
            files::keep(&txn, &committed, content)?;
        }
        txn.commit()?;
        if is_lease_op {
            writer.deadlines.remember(&path, &op, committed.store_seq, now);
        }
        self.show(writer, std::slice::from_ref(&committed))?;
        Ok(Some(committed))
    }

    /// Does several `set` and `delete` ops, all or none, each with its own `store_seq`: 1 to 1000 of them. Later ops see
    /// what earlier ones did, so a guard may name a revision that the batch itself makes. One fence guards the whole.
    ///
    /// In the log each op has the client's id with its place in the batch: `id:0`, `id:1`, …
    ///
    /// The error says which op was refused and why. Unlike a Dust server, `if_absent` is honoured.
    pub fn batch_write(
        &self,
        ops: Vec<BatchOp>,
        fence: Option<Fence>,
        origin: &Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        match ops.len() {
            0 => return Err(StoreErrorKind::EmptyBatch.into()),
            1..=MAX_PAGE => {}
            count => return Err(StoreErrorKind::BatchTooLarge(count).into()),
        }
        let ops: Vec<(Path, Op, Option<Precondition>)> = ops
            .into_iter()
            .map(|BatchOp { path, value, precondition }| (path, value.map_or(Op::Delete, Op::Set), precondition))
            .collect();
        for (index, (path, op, precondition)) in ops.iter().enumerate() {
            check_precondition(op, *precondition).map_err(|error| error.in_batch(index, path))?;
        }

        let committed = self.guarded(|| self.commit_batch(&ops, fence.as_ref(), origin));
        self.inner.feed.deliver();
        committed
    }

    fn commit_batch(
        &self,
        ops: &[(Path, Op, Option<Precondition>)],
        fence: Option<&Fence>,
        origin: &Origin,
    ) -> Result<Vec<CommittedOp>, StoreError> {
        let writer = self.writer();
        let view = self.view();
        let now = self.now();
        let txn = self.inner.db.begin_write()?;
        let mut committed = Vec::with_capacity(ops.len());
        {
            let mut tables = WriteTables::open(&txn)?;
            check_fence(&tables, &writer, fence, now)?;
            for (index, (path, op, precondition)) in ops.iter().enumerate() {
                let numbered = Origin::new(Arc::clone(&origin.device_id), format!("{}:{index}", origin.client_op_id));
                let stamp = Stamp { store_seq: tables.last_seq + 1 + index as u64, wall_ms: now.wall_ms };
                let op = check_guard(&tables, &view, path, *precondition)
                    .and_then(|()| commit_op(&mut tables, path, op, stamp, &numbered))
                    .map_err(|error| error.in_batch(index, path))?;
                committed.push(op);
            }
        }
        txn.commit()?;
        self.show(writer, &committed)?;
        Ok(committed)
    }

    pub(super) fn now(&self) -> Now {
        Now { wall_ms: self.inner.clock.wall_ms(), monotonic_ms: self.inner.clock.monotonic_ms() }
    }

    /// Shows committed ops to readers, and has them delivered to listeners next.
    fn show(&self, writer: std::sync::MutexGuard<'_, Writer>, ops: &[CommittedOp]) -> Result<(), StoreError> {
        self.refresh()?;
        self.inner.feed.queue(ops);
        drop(writer);
        Ok(())
    }
}

/// What can be said against a precondition without looking at the leaves.
fn check_precondition(op: &Op, precondition: Option<Precondition>) -> Result<(), StoreError> {
    let kind = match (precondition, op) {
        (None, _) => return Ok(()),
        (Some(Precondition::IfMatch(_)), Op::Set(value)) if value::is_subtree(value) => {
            StoreErrorKind::IfMatchMultiLeaf
        }
        (Some(Precondition::IfMatch(_)), Op::Set(_) | Op::Delete) => return Ok(()),
        (Some(Precondition::IfMatch(_)), op) => StoreErrorKind::IfMatchUnsupportedOp(op.kind()),
        (Some(Precondition::IfAbsent), Op::Set(value)) if value::is_subtree(value) => StoreErrorKind::IfAbsentMultiLeaf,
        (Some(Precondition::IfAbsent | Precondition::IfVacant), Op::Set(_)) => return Ok(()),
        (Some(Precondition::IfAbsent | Precondition::IfVacant), op) => StoreErrorKind::IfAbsentUnsupportedOp(op.kind()),
    };
    Err(kind.into())
}

/// Compares the leaf as the transaction sees it; tells the revision as readers see it, which outlives the refusal.
fn check_guard(
    tables: &WriteTables<'_>,
    view: &View,
    path: &Path,
    precondition: Option<Precondition>,
) -> Result<(), StoreError> {
    let Some(precondition) = precondition else { return Ok(()) };
    let leaf = tables.leaf(path)?;
    let current_revision = || view.entry(path).map(|entry| entry.map(|entry| entry.revision));
    match (precondition, leaf) {
        (Precondition::IfMatch(expected), Some(leaf)) if leaf.revision == expected => Ok(()),
        (Precondition::IfMatch(_), _) => {
            Err(StoreErrorKind::Conflict { current_revision: current_revision()? }.at(path))
        }
        (Precondition::IfAbsent, None) => Ok(()),
        (Precondition::IfVacant, None) if !tables.any_below(path)? => Ok(()),
        (Precondition::IfAbsent | Precondition::IfVacant, _) => {
            Err(StoreErrorKind::Exists { current_revision: current_revision()? }.at(path))
        }
    }
}

fn check_fence(tables: &WriteTables<'_>, writer: &Writer, fence: Option<&Fence>, now: Now) -> Result<(), StoreError> {
    match fence {
        Some(fence) if !writer.deadlines.holds(tables, &fence.key, fence.token, now)? => {
            Err(StoreErrorKind::Fenced { key: fence.key.clone() }.into())
        }
        _ => Ok(()),
    }
}

fn commit_op(
    tables: &mut WriteTables<'_>,
    path: &Path,
    op: &Op,
    stamp: Stamp,
    origin: &Origin,
) -> Result<CommittedOp, StoreError> {
    let committed = CommittedOp {
        store_seq: stamp.store_seq,
        op: op.kind(),
        path: path.clone(),
        value: outcome(tables, path, op, stamp)?,
        device_id: Arc::clone(&origin.device_id),
        client_op_id: Arc::clone(&origin.client_op_id),
    };
    tables.append(&committed, stamp.wall_ms)?;
    apply(tables, &committed)?;
    Ok(committed)
}
