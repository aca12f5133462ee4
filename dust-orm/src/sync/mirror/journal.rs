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
