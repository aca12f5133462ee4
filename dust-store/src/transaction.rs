//! The write transaction: several requests that share a commit, each of which is committed or refused by itself.

use std::sync::{Arc, MutexGuard};

use redb::WriteTransaction;

use dust_protocol::apply::{Stamp, apply, outcome};
use dust_protocol::{CommittedOp, Fence, LeafChange, Leaves, Op, OpKind, Path, Precondition};

use super::changes::WriteTables;
use super::compact;
use super::error::{StoreError, StoreErrorKind};
use super::feed::Feed;
use super::lease::{Deadlines, Now, Verdict};
use super::tables::META;
use super::write::{Origin, UNKNOWN_PRECONDITION};
use super::{Inner, Writer, files};

/// A request of a writer: one op, or several ops, all or none.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ops: Vec<Op>,
    /// The lease that must be held.
    pub(super) fence: Option<Fence>,
    /// The bytes of the file that the only op refers to.
    pub(super) content: Option<Vec<u8>>,
    pub(super) origin: Origin,
    /// True if errors and the log number the ops.
    pub(super) is_batch: bool,
}

/// The committed ops of a request, which may be none, or the reason why it was refused.
pub(super) type Answer = Result<Vec<CommittedOp>, StoreError>;

impl Inner {
    /// Commits requests together and returns an answer for each. Their ops are shown to readers and queued for
    /// listeners, in order.
    pub(super) fn commit(self: &Arc<Inner>, jobs: &[Job]) -> Vec<Answer> {
        let committed = self.guarded(|| {
            let mut writer = self.writer();
            let answers = self.commit_together(&mut writer, jobs)?;
            compact::start_if_due(self, &mut writer);
            Ok(answers)
        });
        committed.unwrap_or_else(|error| jobs.iter().map(|_| Err(error.clone())).collect())
    }

    /// Commits one request.
    pub(super) fn commit_one(self: &Arc<Inner>, job: Job) -> Answer {
        self.commit(&[job]).pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    pub(super) fn now(&self) -> Now {
        Now { wall_ms: self.clock.wall_ms(), monotonic_ms: self.clock.monotonic_ms() }
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A writer that panicked has not committed, and deadlines change only after a commit.
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Begins the write transaction. After a failure of the disk, opens the database again first.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        match self.storage.begin_write() {
            Err(_) if self.storage.is_persistent() => {
                self.storage.reopen()?;
                self.storage.begin_write()
            }
            begun => begun,
        }
    }

    fn commit_together(&self, writer: &mut Writer, jobs: &[Job]) -> Result<Vec<Answer>, StoreError> {
        let txn = self.begin_write()?;
        let mut staged = Staged::default();
        let Err(error) = self.stage_and_commit(writer, jobs, txn, &mut staged) else { return Ok(staged.answers) };
        // As after a restart, the leaves have the deadlines of leases.
        writer.deadlines = Deadlines::default();
        if let Err(again) = self.storage.reopen() {
            tracing::warn!(target: "dust_store", error = %again, "the store could not be opened again after a failure");
        }
        // The disk may have failed after it had written everything. Then the ops are committed and listeners receive
        // them, but their writers get the failure, unless the ops are durable.
        let is_there = self.storage.is_persistent() && staged.seq > 0 && self.storage.seq() == staged.seq;
        if is_there {
            staged.queue(&self.feed);
        }
        if is_there && staged.durable { Ok(staged.answers) } else { Err(error) }
    }

    fn stage_and_commit(
        &self,
        writer: &mut Writer,
        jobs: &[Job],
        txn: WriteTransaction,
        staged: &mut Staged,
    ) -> Result<(), StoreError> {
        let mut sizes = writer.sizes;
        {
            let mut tables = WriteTables::open(&txn, sizes)?;
            let now = self.now();
            for job in jobs {
                let before = tables.last_seq;
                // A transaction of one request needs no record of its changes to undo it: it is aborted.
                let is_recorded = jobs.len() > 1 || self.feed.wants(&job.ops);
                let mut changes = is_recorded.then(Vec::new);
                let answer = match stage(&mut tables, &txn, writer, job, now, changes.as_mut()) {
                    Ok(ops) => Ok(ops),
                    Err(refused) => Err(self.refuse(&mut tables, refused, before, changes.take())?),
                };
                staged.answers.push(answer);
                staged.changes.push(changes);
            }
            if staged.answers.iter().flatten().all(Vec::is_empty) {
                return Ok(());
            }
            (staged.seq, sizes) = (tables.last_seq, tables.sizes);
        }
        if self.storage.is_persistent() {
            compact::note(&mut txn.open_table(META)?, sizes)?;
        }
        txn.commit()?;
        staged.durable = true;
        writer.sizes = sizes;
        self.storage.refresh()?;
        staged.queue(&self.feed);
        Ok(())
    }

    /// Undoes a refused request by its changes, if they were recorded, and adds to its error the revision that the leaf
    /// has without it. `before` is the last op before the request.
    fn refuse(
        &self,
        tables: &mut WriteTables<'_>,
        mut refused: StoreError,
        before: u64,
        changes: Option<Vec<LeafChange>>,
    ) -> Result<StoreError, StoreError> {
        let taken_back = changes.is_some();
        if let Some(changes) = changes {
            tables.take_back(before, changes)?;
        }
        if let Some(path) = refused.path().filter(|_| refused.wants_revision()).cloned() {
            let entry = if taken_back { tables.entry(&path)? } else { self.storage.view()?.entry(&path)? };
            refused.set_revision(entry.map(|entry| entry.revision));
        }
        Ok(refused)
    }
}

/// The result of a transaction.
#[derive(Default)]
struct Staged {
    answers: Vec<Answer>,
    /// The changes of each accepted request, if they were recorded.
    changes: Vec<Option<Vec<LeafChange>>>,
    /// The `store_seq` of its last op; 0 before that is known.
    seq: u64,
    /// True after the commit.
    durable: bool,
}

impl Staged {
    /// Queues the committed ops for listeners, with what they changed.
    fn queue(&mut self, feed: &Feed) {
        for (answer, changes) in self.answers.iter().zip(self.changes.drain(..)) {
            if let Ok(ops) = answer
                && !ops.is_empty()
            {
                feed.queue(ops, changes);
            }
        }
    }
}

/// Applies a request to the tables. If it is refused, the tables may hold a part of it.
fn stage(
    tables: &mut WriteTables<'_>,
    txn: &WriteTransaction,
    writer: &mut Writer,
    job: &Job,
    now: Now,
    mut changes: Option<&mut Vec<LeafChange>>,
) -> Answer {
    let first = tables.last_seq + 1;
    let mut committed = Vec::with_capacity(job.ops.len());
    // A single op is refused for its precondition first.
    let (fence_before, fence_after) = if job.is_batch { (&job.fence, &None) } else { (&None, &job.fence) };
    check_fence(tables, writer, fence_before.as_ref(), now)?;
    for (index, op) in job.ops.iter().enumerate() {
        let origin = if job.is_batch { job.origin.numbered(index) } else { job.origin.clone() };
        let staged = stage_op(tables, writer, op, fence_after.as_ref(), &origin, now, changes.as_deref_mut())
            .map_err(|error| if job.is_batch { error.in_batch(index, &op.path) } else { error.at(&op.path) })?;
        if let Some(staged) = &staged
            && staged.op == OpKind::PutFile
        {
            files::keep(txn, staged, job.content.as_deref())?;
        }
        committed.extend(staged);
    }
    // The last step, so that only deadlines of accepted ops are recorded.
    for op in job.ops.iter().filter(|op| op.kind().is_of_lease()) {
        let of = |staged: &&CommittedOp| staged.path == op.path && staged.op == op.kind();
        let Some(seq) = committed.iter().rev().find(of).map(|staged| staged.store_seq) else { continue };
        writer.deadlines.remember(&op.path, &op.mutation, seq, now);
        writer.deadlines.sweep(tables)?;
    }
    debug_assert!(committed.first().is_none_or(|op| op.store_seq == first), "the sequence has a hole");
    Ok(committed)
}

fn stage_op(
    tables: &mut WriteTables<'_>,
    writer: &Writer,
    op: &Op,
    fence: Option<&Fence>,
    origin: &Origin,
    now: Now,
    changes: Option<&mut Vec<LeafChange>>,
) -> Result<Option<CommittedOp>, StoreError> {
    if op.kind().is_of_lease()
        && let Verdict::Nothing = writer.deadlines.judge(tables, &op.path, &op.mutation, now)?
    {
        return Ok(None);
    }
    check_guard(tables, &op.path, op.precondition)?;
    check_fence(tables, writer, fence, now)?;
    let stamp = Stamp { store_seq: tables.last_seq + 1, wall_ms: now.wall_ms };
    commit_op(tables, op, stamp, origin, changes).map(Some)
}

/// Compares the leaf as of this transaction. The revision in a refusal is filled in later.
fn check_guard(tables: &WriteTables<'_>, path: &Path, precondition: Option<Precondition>) -> Result<(), StoreError> {
    let Some(precondition) = precondition else { return Ok(()) };
    match (precondition, tables.leaf(path)?) {
        (Precondition::IfMatch(expected), Some(leaf)) if leaf.revision == expected => Ok(()),
        (Precondition::IfMatch(_), _) => Err(StoreErrorKind::Conflict { current_revision: None }.at(path)),
        (Precondition::IfLeafAbsent, None) => Ok(()),
        (Precondition::IfSubtreeAbsent, None) if !tables.any_below(path)? => Ok(()),
        (Precondition::IfLeafAbsent | Precondition::IfSubtreeAbsent, _) => {
            Err(StoreErrorKind::Exists { current_revision: None }.at(path))
        }
        _ => Err(StoreErrorKind::InvalidPrecondition(UNKNOWN_PRECONDITION).at(path)),
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
    op: &Op,
    stamp: Stamp,
    origin: &Origin,
    changes: Option<&mut Vec<LeafChange>>,
) -> Result<CommittedOp, StoreError> {
    let value = outcome(tables, &op.path, &op.mutation, stamp)?;
    let committed = CommittedOp::new(stamp.store_seq, op.kind(), op.path.clone(), value)
        .written_by(Arc::clone(&origin.device_id), Arc::clone(&origin.client_op_id));
    tables.append(&committed, stamp.wall_ms)?;
    apply(tables, &committed, changes)?;
    Ok(committed)
}
