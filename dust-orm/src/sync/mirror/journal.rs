//! What has changed in a mirror since its cache was told.

use std::collections::HashMap;

use crate::protocol::Leaf;

/// So many paths may be remembered whatever the number of leaves.
const MIN_PATHS: usize = 10_000;

/// Paths with their present leaf, or with none.
pub(in crate::sync) type Changes = HashMap<Box<str>, Option<Leaf>>;

/// What a cache lacks.
#[derive(Clone, Debug)]
pub(in crate::sync) struct Unsaved {
    pub(in crate::sync) what: What,
    /// The changes are those after this op.
    pub(in crate::sync) base: u64,
    /// What is known to be in the cache is nothing at all.
    pub(in crate::sync) is_new: bool,
    /// As of which op.
    pub(in crate::sync) seq: u64,
    pub(in crate::sync) inexact_through: u64,
}

#[derive(Clone, Debug)]
pub(in crate::sync) enum What {
    Changes(Changes),
    /// Everything: what is in the cache does not count.
    Whole {
        /// The numbers of ops mean other ops than before.
        is_rewound: bool,
    },
}

/// Collects what a cache lacks.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    what: What,
    base: u64,
    is_new: bool,
}

impl Journal {
    /// `saved` is the op that the cache is as of, if it keeps anything.
    pub(super) fn new(saved: Option<u64>) -> Journal {
        Journal { what: What::Changes(Changes::new()), base: saved.unwrap_or(0), is_new: saved.is_none() }
    }

    pub(super) fn note(&mut self, path: &str, leaf: Option<&Leaf>) {
        if let What::Changes(changes) = &mut self.what {
            changes.insert(path.into(), leaf.cloned());
        }
    }

    /// Everything has been replaced.
    pub(super) fn note_all(&mut self, rewound: bool) {
        let was_rewound = matches!(self.what, What::Whole { is_rewound: true });
        self.what = What::Whole { is_rewound: rewound || was_rewound };
    }

    /// Remembers no more than what writing everything would take.
    pub(super) fn bound(&mut self, leaves: usize) {
        if let What::Changes(changes) = &self.what
            && changes.len() > leaves.max(MIN_PATHS)
        {
            self.what = What::Whole { is_rewound: false };
        }
    }

    /// Takes what the cache lacks of a mirror that is as of `seq`.
    pub(super) fn take(&mut self, seq: u64, inexact_through: u64) -> Option<Unsaved> {
        let is_whole = matches!(self.what, What::Whole { .. });
        if !is_whole && !self.is_new && seq == self.base {
            return None;
        }
        let what = std::mem::replace(&mut self.what, What::Changes(Changes::new()));
        let (base, is_new) = (self.base, self.is_new);
        (self.base, self.is_new) = (seq, false);
        Some(Unsaved { what, base, is_new, seq, inexact_through })
    }

    /// Takes back what did not get into the cache.
    pub(super) fn put_back(&mut self, unsaved: Unsaved) {
        let Unsaved { what, base, is_new, .. } = unsaved;
        (self.base, self.is_new) = (base, is_new);
        match (what, &mut self.what) {
            (What::Whole { is_rewound }, _) => self.note_all(is_rewound),
            (What::Changes(_), What::Whole { .. }) => {}
            (What::Changes(older), What::Changes(newer)) => {
                for (path, leaf) in older {
                    newer.entry(path).or_insert(leaf);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{LeafKind, RawJson};

    fn leaf(revision: u64) -> Leaf {
        Leaf { value: RawJson::null(), kind: LeafKind::Null, revision }
    }

    /// Paths with revisions; `None` for everything.
    type Taken = Option<Vec<(String, Option<u64>)>>;

    fn taken(journal: &mut Journal, seq: u64) -> Option<(u64, Taken)> {
        let unsaved = journal.take(seq, 0)?;
        let What::Changes(changes) = unsaved.what else { return Some((unsaved.base, None)) };
        let revision = |(path, leaf): (Box<str>, Option<Leaf>)| (path.into_string(), leaf.map(|leaf| leaf.revision));
        let mut changes: Vec<_> = changes.into_iter().map(revision).collect();
        changes.sort();
        Some((unsaved.base, Some(changes)))
    }

    #[test]
    fn what_comes_later_wins_over_what_is_put_back() {
        let mut journal = Journal::new(Some(4));
        assert_eq!(taken(&mut journal, 4), None);
        journal.note("a", Some(&leaf(5)));
        journal.note("b", Some(&leaf(6)));
        journal.note("a", None);
        let failed = journal.take(7, 0).unwrap();
        journal.note("b", Some(&leaf(8)));
        journal.put_back(failed);
        let both = vec![("a".to_owned(), None), ("b".to_owned(), Some(8))];
        assert_eq!(taken(&mut journal, 8), Some((4, Some(both))));
        // An op that changes nothing moves the cursor all the same.
        assert_eq!(taken(&mut journal, 9), Some((8, Some(vec![]))));
        assert_eq!(taken(&mut journal, 9), None);
    }

    #[test]
    fn a_store_that_is_empty_is_worth_keeping_once() {
        let mut journal = Journal::new(None);
        assert_eq!(taken(&mut journal, 0), Some((0, Some(vec![]))));
        assert_eq!(taken(&mut journal, 0), None);
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
        journal.note("c", Some(&leaf(4)));
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
