//! Updates of records that are deleted at the same time.
//!
//! An update reads the record and then writes fields. If another writer deletes the record in between, the written
//! fields alone would remain: a record that `find_by_id` does not read and `exists` finds. So an update without a
//! condition requires that the record still exists, in one of two ways.
//!
//! ```text
//! Guarded: the precondition of one op is the revision that was read
//!   applied                                  done
//!   conflict, and the record exists          guard by the new revision, send again; after 4 tries: Checked
//!   conflict, and the record is deleted      NotFound, nothing was written
//! Checked: no op can be guarded, the record is read after the write
//!   one of the other leaves exists           done
//!   none of them exists                      the written leaves are deleted, NotFound
//! ```
//!
//! For example, an update writes `links/a/title`, which it has read at revision 7. If the record is deleted meanwhile,
//! the op `set links/a/title` with the precondition `IfMatch(7)` conflicts, and the record does not reappear.

use std::collections::HashSet;

use dust_protocol::value::is_subtree;
use dust_protocol::{Op, Path, Precondition};

use super::claims::release_claims;
use crate::entity::StoredRecord;
use crate::error::DustErr;
use crate::repo::read::not_found;
use crate::repo::record_pages::fetch;
use crate::transport::Transport;

/// The number of guarded tries. After that the record is read after the write instead.
const GUARDED_TRIES: usize = 4;

/// The requirement that an updated record exists.
#[derive(Debug)]
pub(super) struct Presence {
    record: Path,
    /// The paths that the update writes.
    written: Vec<Path>,
    proof: Proof,
    tries: usize,
}

/// The proof that the record exists.
#[derive(Debug)]
enum Proof {
    /// The precondition of the op on this leaf is the revision that was read.
    Guarded { leaf: Path },
    /// One of these leaves exists after the write.
    Checked { others: Vec<Path> },
}

impl Presence {
    /// Guards one of the ops of an update by a revision of `stored`, if `guards` is true and an op allows it; otherwise
    /// notes the leaves to look for after the write. Returns `None` if the update replaces all stored leaves.
    pub(super) fn require(ops: &mut Vec<Op>, stored: &StoredRecord, guards: bool) -> Option<Presence> {
        if ops.is_empty() {
            return None;
        }
        let written: Vec<Path> = ops.iter().map(|op| op.path.clone()).collect();
        let guarded = if guards { guard_among(ops, &written, stored) } else { None };
        let proof = match guarded {
            Some(leaf) => Proof::Guarded { leaf },
            None => Proof::Checked { others: others(&written, stored)? },
        };
        Some(Presence { record: stored.path.clone(), written, proof, tries: 0 })
    }

    /// Changes the ops of a refused write so that they can be sent again, or returns the error.
    pub(super) async fn refused(
        &mut self,
        error: DustErr,
        ops: &mut Vec<Op>,
        transport: &dyn Transport,
    ) -> Result<(), DustErr> {
        let Proof::Guarded { leaf } = &self.proof else { return Err(error) };
        let is_of_guard = match &error {
            DustErr::Conflict { path, .. } => path == leaf.as_str(),
            // A server without batches writes fields one by one, but not with a precondition.
            DustErr::NotImplemented { .. } => ops.len() > 1,
            _ => false,
        };
        if !is_of_guard {
            return Err(error);
        }
        let Some(stored) = fetch(transport, &self.record).await? else { return Err(not_found(self.record.as_str())) };
        self.remove_guard(ops);
        self.tries += 1;
        let may_guard = self.tries < GUARDED_TRIES && matches!(error, DustErr::Conflict { .. });
        let guarded = if may_guard { guard_among(ops, &self.written, &stored) } else { None };
        self.proof = match guarded {
            Some(leaf) => Proof::Guarded { leaf },
            None => Proof::Checked { others: others(&self.written, &stored).unwrap_or_default() },
        };
        Ok(())
    }

    /// Removes the guard from the ops.
    fn remove_guard(&self, ops: &mut Vec<Op>) {
        let Proof::Guarded { leaf } = &self.proof else { return };
        // The guard of an object is a separate delete.
        ops.retain(|op| !(op.path == *leaf && op.value().is_none() && !self.written.contains(leaf)));
        for op in ops.iter_mut().filter(|op| op.path == *leaf) {
            op.precondition = None;
        }
    }

    /// Checks that the record existed. The update is written: it is the last `ops` ops up to `store_seq`. If it did not
    /// exist, the written leaves are deleted.
    pub(super) async fn check(&self, store_seq: u64, ops: usize, transport: &dyn Transport) -> Result<(), DustErr> {
        let Proof::Checked { others } = &self.proof else { return Ok(()) };
        if others.is_empty() {
            return Ok(());
        }
        let Some(stored) = fetch(transport, &self.record).await? else { return Ok(()) };
        let present: HashSet<&str> = stored.leaves.iter().map(|leaf| leaf.path).collect();
        if others.iter().any(|other| present.contains(other.as_str())) {
            return Ok(());
        }
        let first = store_seq.saturating_sub(u64::try_from(ops).unwrap_or(u64::MAX));
        let written = stored.leaves.iter().filter(|leaf| leaf.revision > first && leaf.revision <= store_seq);
        let written = written.map(|leaf| (Path::from_trusted(leaf.path), leaf.revision)).collect();
        release_claims(written, transport).await;
        Err(not_found(self.record.as_str()))
    }
}

/// Guards one of the ops on the `written` paths by the revision of a stored leaf, and returns that leaf.
fn guard_among(ops: &mut Vec<Op>, written: &[Path], stored: &StoredRecord) -> Option<Path> {
    let is_alone = |path: &Path| !stored.leaves.iter().any(|leaf| path.is_above(leaf.path));
    for op in ops.iter_mut().filter(|op| written.contains(&op.path) && op.precondition.is_none()) {
        let leaf = stored.leaves.iter().find(|leaf| leaf.path == op.path.as_str());
        if let Some(leaf) = leaf.filter(|_| op.value().is_none_or(|value| !is_subtree(value)) && is_alone(&op.path)) {
            op.precondition = Some(Precondition::IfMatch(leaf.revision));
            return Some(op.path.clone());
        }
    }
    // An object has no revision. One of the leaves that it replaces is deleted first, on condition of its revision.
    let (at, leaf) = ops.iter().enumerate().find_map(|(at, op)| {
        let leaf = stored.leaves.iter().find(|leaf| written.contains(&op.path) && op.path.is_at_or_above(leaf.path))?;
        let needs_delete = op.path.as_str() != leaf.path;
        needs_delete.then(|| (at, (Path::from_trusted(leaf.path), leaf.revision)))
    })?;
    let (leaf, revision) = leaf;
    ops.insert(at, Op::delete(leaf.clone()).on(Precondition::IfMatch(revision)));
    Some(leaf)
}

/// The stored leaves that the update does not write; `None` if there are none.
fn others(written: &[Path], stored: &StoredRecord) -> Option<Vec<Path>> {
    let is_written = |leaf: &str| written.iter().any(|path| path.is_at_or_above(leaf));
    let others: Vec<Path> =
        stored.leaves.iter().filter(|leaf| !is_written(leaf.path)).map(|leaf| Path::from_trusted(leaf.path)).collect();
    (!others.is_empty()).then_some(others)
}
