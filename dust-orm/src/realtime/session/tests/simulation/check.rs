//! The comparison at the end of a simulation.

use dust_protocol::channel::Written;
use dust_protocol::{Entry, Leaf, read};

use super::World;
use crate::error::ErrKind;
use crate::realtime::Mirror;

impl World {
    /// Compares mirror and store, and the answers with the log.
    pub(super) fn check(self) {
        assert!(self.is_faulty || self.server.overtaken == 0, "a join has ended what was not answered");
        let entries = |mirror: &Mirror| {
            let leaves = mirror.clone().into_leaves();
            leaves
                .map(|leaf| {
                    let Entry { path, value, kind, revision, .. } = leaf;
                    let entry = read::entry(path, Leaf { value, kind, revision });
                    (entry.path, entry.value, entry.revision)
                })
                .collect::<Vec<_>>()
        };
        let inexact_through = self.mirror.inexact_through();
        let (mirrored, stored) = (entries(&self.mirror), entries(&self.server.leaves));
        assert_eq!(mirrored.len(), stored.len());
        for ((path, value, revision), (its_path, its_value, its_revision)) in mirrored.into_iter().zip(stored) {
            assert_eq!((path, value), (its_path, its_value));
            if its_revision > inexact_through {
                assert_eq!(revision, its_revision);
            } else {
                assert_eq!(revision.max(inexact_through), inexact_through);
                assert!(revision >= its_revision);
            }
        }
        for (marker, answer) in self.commands.into_values() {
            let answer = answer.expect("every command is answered");
            if marker.is_empty() {
                continue;
            }
            if let Some(least) = marker.strip_prefix("at least ") {
                if let (Ok(Written { store_seq: Some(seq), .. }), false) = (answer, self.restored) {
                    assert!(seq >= least.parse().unwrap(), "what was there when it was asked for is there");
                }
                continue;
            }
            let committed: Vec<u64> =
                self.history.iter().filter(|(_, value)| value.contains(&marker)).map(|(seq, _)| *seq).collect();
            assert!(committed.len() <= 1, "written once");
            match answer {
                Ok(written) => assert_eq!(written.store_seq, committed.first().copied()),
                Err(error) if error.kind() == ErrKind::Timeout => {}
                Err(error) => assert!(committed.is_empty(), "{error}"),
            }
        }
    }
}
