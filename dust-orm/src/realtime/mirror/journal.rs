//! The changes of a mirror since its cache was last written.

use std::collections::BTreeSet;
use std::sync::Arc;

use dust_protocol::{LeafRef, Path};

use super::leaf_map::LeafMap;

/// Minimum number of paths that the journal may hold, whatever the number of leaves.
const MIN_PATHS: usize = 10_000;

/// Written leaves, and paths where no leaf is left.
#[derive(Clone, Debug, Default)]
pub(in crate::realtime) struct Changes {
    pub(in crate::realtime) set: LeafMap,
    pub(in crate::realtime) removed: BTreeSet<Box<str>>,
}

impl Changes {
    fn len(&self) -> usize {
        self.set.len() + self.removed.len()
    }

    fn note(&mut self, path: &str, leaf: Option<LeafRef<'_>>) {
        match leaf {
            Some(leaf) => {
                self.removed.remove(path);
                self.set.insert(leaf);
            }
            None => {
                self.set.remove(path);
                self.removed.insert(path.into());
            }
        }
    }

    /// Adds changes that were recorded before these.
    fn add_older(&mut self, older: Changes) {
        for leaf in older.set.iter().filter(|leaf| !self.removed.contains(leaf.path)) {
            if self.set.get(leaf.path).is_none() {
                self.set.insert(leaf);
            }
        }
        let removed = older.removed.into_iter().filter(|path| self.set.get(path).is_none());
        self.removed.extend(removed);
    }
}

/// The changes that a cache lacks.
#[derive(Clone, Debug)]
pub(in crate::realtime) struct Unsaved {
    pub(in crate::realtime) what: What,
    /// The op after which the changes begin.
    pub(in crate::realtime) base: u64,
    /// The last op of the changes.
    pub(in crate::realtime) seq: u64,
    /// The id of that op, if the mirror knows it.
    pub(in crate::realtime) last_op_id: Option<Arc<str>>,
    pub(in crate::realtime) inexact_through: u64,
}

#[derive(Clone, Debug)]
pub(in crate::realtime) enum What {
    Changes(Changes),
    /// All leaves: they replace the content of the cache.
    Whole {
        /// True if the numbers of ops stand for other ops than before.
        is_rewound: bool,
    },
}

/// A collector of the changes that a cache lacks.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    what: What,
    base: u64,
    /// While the whole mirror is written in the order of its paths: the last path so far. Changes after it need no
    /// record.
    written_through: Option<Box<str>>,
}

impl Journal {
    /// Creates a journal. `saved` is the op that the cache is as of, if it stores anything.
    pub(super) fn new(saved: Option<u64>) -> Journal {
        let what = match saved {
            Some(_) => What::Changes(Changes::default()),
            None => What::Whole { is_rewound: false },
        };
        Journal { what, base: saved.unwrap_or(0), written_through: None }
    }

    pub(super) fn note(&mut self, path: &str, leaf: Option<LeafRef<'_>>) {
        let is_written = self.written_through.as_deref().is_none_or(|through| path <= through);
        if let What::Changes(changes) = &mut self.what
            && is_written
        {
            changes.note(path, leaf);
        }
    }

    /// Records that all leaves were replaced.
    pub(super) fn note_all(&mut self, rewound: bool) {
        let was_rewound = matches!(self.what, What::Whole { is_rewound: true });
        self.what = What::Whole { is_rewound: rewound || was_rewound };
    }

    /// Records a complete rewrite in place of the changes if these are too many.
    pub(super) fn bound(&mut self, leaves: usize) {
        if let What::Changes(changes) = &self.what
            && changes.len() > leaves.max(MIN_PATHS)
        {
            self.what = What::Whole { is_rewound: false };
        }
    }

    /// Begins a rewrite of all leaves, in the order of their paths.
    pub(super) fn begin_rewrite(&mut self) {
        if let What::Changes(changes) = &mut self.what {
            *changes = Changes::default();
        }
        self.written_through = Some(Box::default());
    }

    /// Records that the leaves up to a path are about to be written as they are now.
    pub(super) fn rewrite_through(&mut self, path: &Path) {
        self.written_through = Some(path.as_str().into());
    }

    /// Removes and returns the changes that the cache lacks. The mirror is as of `seq`, and no rewrite is under way.
    pub(super) fn take(&mut self, seq: u64, inexact_through: u64) -> Option<Unsaved> {
        self.written_through = None;
        if matches!(self.what, What::Changes(_)) && seq == self.base {
            return None;
        }
        let what = std::mem::replace(&mut self.what, What::Changes(Changes::default()));
        let base = std::mem::replace(&mut self.base, seq);
        Some(Unsaved { what, base, seq, last_op_id: None, inexact_through })
    }

    /// Adds changes again that were not written to the cache.
    pub(super) fn put_back(&mut self, unsaved: Unsaved) {
        self.base = unsaved.base;
        self.written_through = None;
        match (unsaved.what, &mut self.what) {
            (What::Whole { is_rewound }, _) => self.note_all(is_rewound),
            (What::Changes(_), What::Whole { .. }) => {}
            (What::Changes(older), What::Changes(newer)) => newer.add_older(older),
        }
    }
}

#[cfg(test)]
mod tests {
    use dust_protocol::LeafKind;

    use super::*;

    fn set(journal: &mut Journal, path: &str, revision: u64) {
        journal.note(path, Some(LeafRef { path, value: "null", kind: LeafKind::Null, revision }));
    }

    /// Paths with revisions; `None` for everything.
    type Taken = Option<Vec<(String, Option<u64>)>>;

    fn taken(journal: &mut Journal, seq: u64) -> Option<(u64, Taken)> {
        let unsaved = journal.take(seq, 0)?;
        let What::Changes(changes) = unsaved.what else { return Some((unsaved.base, None)) };
        let written = changes.set.iter().map(|leaf| (leaf.path.to_owned(), Some(leaf.revision)));
        let mut changes: Vec<_> = written.chain(changes.removed.iter().map(|path| (path.to_string(), None))).collect();
        changes.sort();
        Some((unsaved.base, Some(changes)))
    }

    #[test]
    fn what_comes_later_wins_over_what_is_put_back() {
        let mut journal = Journal::new(Some(4));
        assert_eq!(taken(&mut journal, 4), None);
        set(&mut journal, "a", 5);
        set(&mut journal, "b", 6);
        journal.note("a", None);
        let failed = journal.take(7, 0).unwrap();
        set(&mut journal, "b", 8);
        journal.put_back(failed);
        let both = vec![("a".to_owned(), None), ("b".to_owned(), Some(8))];
        assert_eq!(taken(&mut journal, 8), Some((4, Some(both))));
        // An op that changes nothing also advances the cursor.
        assert_eq!(taken(&mut journal, 9), Some((8, Some(vec![]))));
        assert_eq!(taken(&mut journal, 9), None);
    }

    #[test]
    fn a_store_that_is_empty_is_worth_keeping_once() {
        let mut journal = Journal::new(None);
        assert_eq!(taken(&mut journal, 0), Some((0, None)));
        assert_eq!(taken(&mut journal, 0), None);
    }

    #[test]
    fn what_is_still_to_be_written_needs_no_note() {
        let mut journal = Journal::new(Some(4));
        set(&mut journal, "a", 5);
        let mut first = journal.take(5, 0).unwrap();
        set(&mut journal, "b", 6);
        journal.begin_rewrite();
        set(&mut journal, "a", 7);
        journal.rewrite_through(&Path::parse("c").unwrap());
        set(&mut journal, "b", 8);
        journal.note("c", None);
        set(&mut journal, "d", 9);
        let changes = vec![("b".to_owned(), Some(8)), ("c".to_owned(), None)];
        assert_eq!(taken(&mut journal, 9), Some((5, Some(changes))));
        set(&mut journal, "d", 10);
        assert_eq!(taken(&mut journal, 10), Some((9, Some(vec![("d".to_owned(), Some(10))]))));

        // After a failure in the middle, everything is written again.
        journal.begin_rewrite();
        first.what = What::Whole { is_rewound: false };
        journal.put_back(first);
        set(&mut journal, "e", 11);
        assert_eq!(taken(&mut journal, 11), Some((4, None)));
    }

    #[test]
    fn everything_stays_everything_and_a_rewind_is_not_forgotten() {
        let mut journal = Journal::new(Some(9));
        journal.note("a", None);
        journal.note_all(true);
        journal.note_all(false);
        journal.note("b", None);
        let failed = journal.take(3, 0).unwrap();
        assert!(matches!(failed.what, What::Whole { is_rewound: true }));
        set(&mut journal, "c", 4);
        journal.put_back(failed);
        let again = journal.take(4, 0).unwrap();
        assert!(matches!(again.what, What::Whole { is_rewound: true }));
        assert_eq!(again.base, 9);
    }

    #[test]
    fn a_journal_holds_no_more_than_the_mirror_unless_that_is_small() {
        let mut journal = Journal::new(Some(0));
        for number in 0..=MIN_PATHS {
            journal.note(&number.to_string(), None);
        }
        journal.bound(MIN_PATHS + 1);
        assert!(matches!(journal.what, What::Changes(_)));
        journal.bound(0);
        assert_eq!(taken(&mut journal, 1), Some((0, None)));
    }
}
