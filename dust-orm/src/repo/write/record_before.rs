//! The revision of a record after a write, from what is known of it before.

use dust_protocol::{PackedLeaves, Path};

use super::dispatch::Committed;
use crate::entity::{Revision, StoredRecord};
use crate::error::DustErr;

/// A record before a write, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repo) struct RecordBefore {
    pub(in crate::repo) path: Path,
    pub(in crate::repo) leaves: LeavesBefore,
}

/// The leaves of a record before a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repo) enum LeavesBefore {
    /// Not read: the write replaces the record, or sets every field of it.
    Unknown,
    /// Read before the write.
    Read(PackedLeaves),
    /// Those of the revision that guards the write.
    Guarded(Revision),
}

impl RecordBefore {
    /// The revision of the record after the write.
    ///
    /// It is made of the leaves before the write and of the ops, and not of a read after the write, which may return
    /// the leaves of another writer: the caller would pass them on as seen.
    pub(in crate::repo) fn revision_after(&self, committed: &Committed) -> Result<Revision, DustErr> {
        let read;
        let before = match &self.leaves {
            LeavesBefore::Unknown => None,
            LeavesBefore::Read(leaves) => {
                read = Revision::of(&StoredRecord { path: self.path.clone(), leaves: leaves.clone() });
                Some(&read)
            }
            LeavesBefore::Guarded(revision) => Some(revision),
        };
        Ok(Revision::after(before, &self.path, committed.ops())?)
    }
}
