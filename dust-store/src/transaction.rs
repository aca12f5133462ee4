//! The write transaction: several requests that share a commit, each of which is committed or refused by itself.

use std::sync::{Arc, MutexGuard};

use redb::WriteTransaction;

use dust_protocol::apply::{Stamp, apply, outcome};
use dust_protocol::{CommittedOp, Fence, LeafChange, Leaves, Op, OpKind, Path, Precondition, Write};

use super::changes::WriteTables;
use super::compact;
use super::error::{StoreError, StoreErrorKind};
use super::feed::Feed;
use super::lease::{Deadlines, Now, Verdict};
use super::tables::META;
use super::write::{Origin, UNKNOWN_PRECONDITION, is_lease};
use super::{Inner, Writer, files};

/// A request of a writer.
#[derive(Debug)]
pub(super) enum Request {
    /// One write, with the bytes of its file if it refers to one.
    One { write: Write, content: Option<Vec<u8>> },
    /// Several writes, all or none.
    All { writes: Vec<Write>, fence: Option<Fence> },
}

/// A request and its origin.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) origin: Origin,
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
                let is_recorded = jobs.len() > 1 || self.feed.wants(job.request.writes());
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

impl Request {
    fn writes(&self) -> &[Write] {
        match self {
            Request::One { write, .. } => std::slice::from_ref(write),
            Request::All { writes, .. } => writes,
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
    let (alone, content) = match &job.request {
        Request::One { content, .. } => (true, content.as_deref()),
        Request::All { fence, .. } => {
            check_fence(tables, writer, fence.as_ref(), now)?;
            (false, None)
        }
    };
    let writes = job.request.writes();
    let mut committed = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let numbered = if alone { job.origin.clone() } else { job.origin.numbered(index) };
        let op = stage_op(tables, writer, write, &numbered, now, changes.as_deref_mut())
            .map_err(|error| if alone { error.at(&write.path) } else { error.in_batch(index, &write.path) })?;
        if let Some(op) = &op
            && op.op == OpKind::PutFile
        {
            files::keep(txn, op, content)?;
        }
        committed.extend(op);
    }
    // The last step, so that only deadlines of accepted ops are recorded.
    let ops = writes.iter().filter(|write| is_lease(&write.op));
    for write in ops {
        let of = |op: &&CommittedOp| op.path == write.path && op.op == write.op.kind();
        let Some(seq) = committed.iter().rev().find(of).map(|op| op.store_seq) else { continue };
        writer.deadlines.remember(&write.path, &write.op, seq, now);
        writer.deadlines.sweep(tables)?;
    }
    debug_assert!(committed.first().is_none_or(|op| op.store_seq == first), "the sequence has a hole");
    Ok(committed)
}

fn stage_op(
    tables: &mut WriteTables<'_>,
    writer: &Writer,
    write: &Write,
    origin: &Origin,
    now: Now,
    changes: Option<&mut Vec<LeafChange>>,
) -> Result<Option<CommittedOp>, StoreError> {
    let Write { path, op, precondition, fence } = write;
    if is_lease(op)
        && let Verdict::Nothing = writer.deadlines.judge(tables, path, op, now)?
    {
        return Ok(None);
    }
    check_guard(tables, path, *precondition)?;
    check_fence(tables, writer, fence.as_ref(), now)?;
    let stamp = Stamp { store_seq: tables.last_seq + 1, wall_ms: now.wall_ms };
    commit_op(tables, path, op, stamp, origin, changes).map(Some)
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
    path: &Path,
    op: &Op,
    stamp: Stamp,
    origin: &Origin,
    changes: Option<&mut Vec<LeafChange>>,
) -> Result<CommittedOp, StoreError> {
    let committed = CommittedOp::new(stamp.store_seq, op.kind(), path.clone(), outcome(tables, path, op, stamp)?)
        .written_by(Arc::clone(&origin.device_id), Arc::clone(&origin.client_op_id));
    tables.append(&committed, stamp.wall_ms)?;
    apply(tables, &committed, changes)?;
    Ok(committed)
}
