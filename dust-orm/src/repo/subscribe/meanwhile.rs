//! The changes during a read of records.

use dust_protocol::LeafChange;

use crate::feed::MAX_QUEUE_BYTES;

/// Maximum size of the changes that are stored while the records are being read, in bytes. If it is exceeded, the
/// records are read again.
const BYTES_MEANWHILE: usize = MAX_QUEUE_BYTES;

/// The changes that are committed while the records are being read.
#[derive(Default)]
pub(super) struct Meanwhile {
    pub(super) changes: Vec<LeafChange>,
    /// The last op of these commits.
    pub(super) seq: u64,
    bytes: usize,
    /// True if the records must be read once more. Until then no change is stored: the pages will contain it.
    pub(super) again: bool,
}

impl Meanwhile {
    pub(super) fn push(&mut self, seq: u64, changes: impl Iterator<Item = LeafChange>) {
        if self.again {
            return;
        }
        self.seq = seq;
        for change in changes {
            self.bytes += change.footprint();
            if self.bytes > BYTES_MEANWHILE {
                return self.read_again();
            }
            self.changes.push(change);
        }
    }

    /// Records that the changes are not complete, so that the records must be read once more.
    pub(super) fn read_again(&mut self) {
        *self = Meanwhile { again: true, ..Meanwhile::default() };
    }
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Leaf, LeafKind, Path, RawJson};

    use super::*;

    #[test]
    fn changes_kept_while_records_are_read_are_bounded_in_bytes() {
        let value = RawJson::parse(&format!("{:?}", "x".repeat(1 << 20))).unwrap();
        let change = |store_seq| LeafChange {
            store_seq,
            path: Path::parse("links/a").unwrap(),
            before: None,
            after: Some(Leaf { value: value.clone(), kind: LeafKind::String, revision: store_seq }),
        };
        let mut meanwhile = Meanwhile::default();
        let mut most = 0;
        for seq in 1..=500 {
            meanwhile.push(seq, [change(seq)].into_iter());
            most = most.max(meanwhile.changes.iter().map(LeafChange::footprint).sum());
        }
        assert!((BYTES_MEANWHILE / 2..=BYTES_MEANWHILE).contains(&most), "{most}");
        assert!(meanwhile.again && meanwhile.changes.is_empty());
    }
}
