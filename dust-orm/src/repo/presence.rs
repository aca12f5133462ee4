//! Updates of records that are deleted at the same time.
//!
//! An update reads the record first and then writes fields. Where somebody deletes the record in between, the fields
//! alone would come back: a record that `find_by_id` does not read and `exists` finds. So an update that has no
//! condition of its own requires that the record is there still, in one of two ways.
//!
//! ```text
//! one of the ops is guarded by the revision that was read       the write applies, or conflicts
//!   the leaf has changed since, and is there: guard by its new revision, write again
//!   the record is gone: NotFound, nothing was written
//! no op can be guarded                                           the write applies
//!   of the leaves that were not written at least one is there: fine
//!   none is there: remove what was written, NotFound
//! ```

use std::collections::HashSet;

use dust_protocol::value::is_subtree;
use dust_protocol::{BatchOp, Path, Precondition};

use super::read::not_found;
use super::record_pages::fetch;
use super::write::insert_if_absent::release_claims;
use super::write::ops;
use crate::entity::PackedRecord;
use crate::error::DustErr;
use crate::transport::Transport;

/// The number of times that an update whose guard has changed is written with a new one. After that it is checked
/// instead.
const GUARDED_TRIES: usize = 4;

/// The requirement that a record which is updated is there.
#[derive(Debug)]
pub(super) struct Presence {
    record: Path,
    /// The paths that the update writes.
    written: Vec<Path>,
    way: TransportSource,
    tries: usize,
}

#[derive(Debug)]
enum TransportSource {
    /// The op on this leaf has the revision that was read.
    Guarded { leaf: Path },
    /// After the write one of these has to be there.
    Checked { others: Vec<Path> },
}

impl Presence {
    /// Guards one of the ops of an update by what was read, if that `guards`, or says what is to be looked for after
    /// the write. `None` where the update writes everything that there was.
    pub(super) fn require(ops: &mut Vec<BatchOp>, stored: &PackedRecord<'_>, guards: bool) -> Option<Presence> {
        if ops.is_empty() {
            return None;
        }
        let written: Vec<Path> = ops.iter().map(|op| op.path.clone()).collect();
        let guarded = if guards { guard_among(ops, &written, stored) } else { None };
        let way = match guarded {
            Some(leaf) => TransportSource::Guarded { leaf },
            None => TransportSource::Checked { others: others(&written, stored)? },
        };
        Some(Presence { record: stored.path.clone(), written, way, tries: 0 })
    }

    /// What to do about a write that was refused: the ops are changed so that they can be sent again, or the refusal is
    /// answered.
    pub(super) async fn refused(
        &mut self,
        error: DustErr,
        ops: &mut Vec<BatchOp>,
        transport: &dyn Transport,
    ) -> Result<(), DustErr> {
        let TransportSource::Guarded { leaf } = &self.way else { return Err(error) };
        let is_ours = match &error {
            DustErr::Conflict { path, .. } => path == leaf.as_str(),
            // A server without batches can write the fields one by one, but not under a condition.
            DustErr::NotImplemented { .. } => ops.len() > 1,
            _ => false,
        };
        if !is_ours {
            return Err(error);
        }
        let Some(stored) = fetch(transport, &self.record).await? else { return Err(not_found(self.record.as_str())) };
        self.take_guard(ops);
        self.tries += 1;
        let may_guard = self.tries < GUARDED_TRIES && matches!(error, DustErr::Conflict { .. });
        let guarded = if may_guard { guard_among(ops, &self.written, &stored) } else { None };
        self.way = match guarded {
            Some(leaf) => TransportSource::Guarded { leaf },
            None => TransportSource::Checked { others: others(&self.written, &stored).unwrap_or_default() },
        };
        Ok(())
    }

    /// Takes the guard away from the ops.
    fn take_guard(&self, ops: &mut Vec<BatchOp>) {
        let TransportSource::Guarded { leaf } = &self.way else { return };
        // The guard of an object is an op of its own.
        ops.retain(|op| !(op.path == *leaf && op.value.is_none() && !self.written.contains(leaf)));
        for op in ops.iter_mut().filter(|op| op.path == *leaf) {
            op.precondition = None;
        }
    }

    /// Looks whether the record was there, once the update is written as the last `ops` ops up to `store_seq`.
    pub(super) async fn check(&self, store_seq: u64, ops: usize, transport: &dyn Transport) -> Result<(), DustErr> {
        let TransportSource::Checked { others } = &self.way else { return Ok(()) };
        if others.is_empty() {
            return Ok(());
        }
        let Some(stored) = fetch(transport, &self.record).await? else { return Ok(()) };
        let there: HashSet<&str> = stored.leaves.iter().map(|leaf| leaf.path).collect();
        if others.iter().any(|other| there.contains(other.as_str())) {
            return Ok(());
        }
        let first = store_seq.saturating_sub(u64::try_from(ops).unwrap_or(u64::MAX));
        let ours = stored.leaves.iter().filter(|leaf| leaf.revision > first && leaf.revision <= store_seq);
        let ours = ours.map(|leaf| (Path::from_trusted(leaf.path), leaf.revision)).collect();
        release_claims(ours, transport).await;
        Err(not_found(self.record.as_str()))
    }
}

/// Guards one of the ops on these paths, and gives the leaf that does so.
fn guard_among(ops: &mut Vec<BatchOp>, written: &[Path], stored: &PackedRecord<'_>) -> Option<Path> {
    let is_alone = |path: &Path| !stored.leaves.iter().any(|leaf| path.is_above(leaf.path));
    for op in ops.iter_mut().filter(|op| written.contains(&op.path) && op.precondition.is_none()) {
        let leaf = stored.leaves.iter().find(|leaf| leaf.path == op.path.as_str());
        if let Some(leaf) =
            leaf.filter(|_| op.value.as_ref().is_none_or(|value| !is_subtree(value)) && is_alone(&op.path))
        {
            op.precondition = Some(Precondition::IfMatch(leaf.revision));
            return Some(op.path.clone());
        }
    }
    // An object is no leaf: one of the leaves that it replaces is deleted on its revision first.
    let (at, leaf) = ops.iter().enumerate().find_map(|(at, op)| {
        let replaces = |path: &str| op.path.as_str() == path || op.path.is_above(path);
        let leaf = stored.leaves.iter().find(|leaf| written.contains(&op.path) && replaces(leaf.path))?;
        let is_guard_of_its_own = op.path.as_str() != leaf.path;
        is_guard_of_its_own.then(|| (at, (Path::from_trusted(leaf.path), leaf.revision)))
    })?;
    let (leaf, revision) = leaf;
    ops.insert(at, BatchOp::delete(leaf.clone()).on(Precondition::IfMatch(revision)));
    Some(leaf)
}

/// The leaves of a record that are not written; `None` where there are none.
fn others(written: &[Path], stored: &PackedRecord<'_>) -> Option<Vec<Path>> {
    let is_written = |leaf: &str| written.iter().any(|path| ops::covers(path, leaf));
    let others: Vec<Path> =
        stored.leaves.iter().filter(|leaf| !is_written(leaf.path)).map(|leaf| Path::from_trusted(leaf.path)).collect();
    (!others.is_empty()).then_some(others)
}
