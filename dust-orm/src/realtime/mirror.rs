//! The mirror: the leaves of one store, in memory.

mod journal;
mod leaf_map;
mod separator;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use dust_protocol::apply::apply;
use dust_protocol::list::{MAX_GET_MANY_PATHS, MAX_PAGE_LEAVES};
use dust_protocol::read::{self, Listing, fold, prefix_end};
use dust_protocol::{
    CommittedOp, Entry, Leaf, LeafChange, LeafPage, LeafRef, Leaves, ListRequest, OpError, OpKind, PackedLeaves, Page,
    Path, RawJson,
};

use crate::error::DustErr;
use journal::Journal;
pub(super) use journal::{Changes, Unsaved, What};
use leaf_map::LeafMap;

/// Default maximum size of a mirror, in bytes of paths and values: 1 GiB.
pub(crate) const MAX_MIRROR: usize = 1 << 30;

/// The leaves of one store as of one op, read as a Dust server reads them.
///
/// It receives only committed ops, in their order, and whole snapshots, so it never shows a state that the server has
/// not committed. Writes go through the server.
///
/// ```
/// use dust_protocol::{CommittedOp, OpKind, Path, RawJson};
/// use dust_orm::internals::Mirror;
///
/// let mut mirror = Mirror::default();
/// let path = Path::parse("links/dust")?;
/// let value = RawJson::parse(r#"{"title":"Dust"}"#)?;
/// let (device_id, client_op_id) = ("laptop".into(), "1".into());
/// mirror.apply(&CommittedOp::new(1, OpKind::Set, path, value).written_by(device_id, client_op_id));
/// assert_eq!(mirror.get(&Path::parse("links/dust/title")?).unwrap().value.as_str(), "\"Dust\"");
/// assert_eq!(mirror.seq(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    leaves: LeafMap,
    /// The paths that contain ASCII upper-case letters, by their lower-case form: with them, the leaves below a path in
    /// any case of letters are found without a scan.
    folded: BTreeMap<Box<str>, Vec<Box<str>>>,
    seq: u64,
    /// The `client_op_id` of the last op; `None` if that op came as part of a snapshot, or has no id.
    last_op_id: Option<Arc<str>>,
    inexact_through: u64,
    /// The changes that its cache lacks; `None` without a cache.
    journal: Option<Box<Journal>>,
}

impl Mirror {
    /// The `store_seq` of the last op that the mirror holds.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The `client_op_id` of the last op; `None` if that op came as part of a snapshot, or has no id.
    pub fn last_op_id(&self) -> Option<&Arc<str>> {
        self.last_op_id.as_ref()
    }

    /// The `store_seq` up to which a revision may be too high: a snapshot has no revisions of its leaves, so they have
    /// that of the snapshot instead. 0 if every revision is exact.
    pub fn inexact_through(&self) -> u64 {
        self.inexact_through
    }

    /// The number of leaves.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// True if the mirror has no leaf.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The size of its paths and values, in bytes. The memory that it uses is somewhat larger.
    pub fn size(&self) -> usize {
        self.leaves.size()
    }

    /// Applies the next op. An op that cannot be applied, which no server commits, leaves nothing at its path and is
    /// logged as a warning.
    pub fn apply(&mut self, op: &CommittedOp) {
        self.apply_recorded(op, None);
    }

    /// As [`apply`](Mirror::apply), and appends the changes of the leaves to `changes`.
    pub(super) fn apply_recorded(&mut self, op: &CommittedOp, mut changes: Option<&mut Vec<LeafChange>>) {
        if let Err(error) = apply(self, op, changes.as_deref_mut()) {
            tracing::warn!(path = %op.path, store_seq = op.store_seq, %error, "a committed op cannot be mirrored");
            let removal = CommittedOp::new(op.store_seq, OpKind::Delete, op.path.clone(), RawJson::null());
            // A deletion has no value that could be refused, and the leaves in memory do not fail.
            let _ = apply(self, &removal, changes);
        }
        self.seq = op.store_seq;
        self.last_op_id = op.id().cloned();
        if let Some(journal) = &mut self.journal {
            journal.bound(self.leaves.len());
        }
    }

    /// Replaces all leaves by those as of `seq`. Their revisions may be too high up to `inexact_through`, as those of a
    /// snapshot are.
    pub fn replace(&mut self, seq: u64, inexact_through: u64, leaves: impl Into<PackedLeaves>) {
        let mut journal = self.journal.take();
        if let Some(journal) = &mut journal {
            journal.note_all(false);
        }
        *self = Mirror { seq, inexact_through, journal, ..Mirror::default() };
        self.extend(&leaves.into());
    }

    /// Sets the id of the last op, which a cache had stored.
    pub(super) fn set_last_op_id(&mut self, id: Option<Arc<str>>) {
        self.last_op_id = id;
    }

    /// Adds leaves as of the same op.
    pub(super) fn extend(&mut self, leaves: &PackedLeaves) {
        for leaf in leaves.iter() {
            self.insert(leaf);
        }
    }

    /// Records the changes from now on. `saved` is the op that the cache already has.
    pub(super) fn keep_journal(&mut self, saved: Option<u64>) {
        self.journal = Some(Box::new(Journal::new(saved)));
    }

    /// Continues the journal of the mirror that this one replaces.
    pub(super) fn succeed(&mut self, before: &mut Mirror, is_rewound: bool) {
        self.journal = before.journal.take();
        if let Some(journal) = &mut self.journal {
            journal.note_all(is_rewound);
        }
    }

    /// Removes and returns the changes that its cache lacks; `None` if there are none, or if there is no cache.
    pub(super) fn take_unsaved(&mut self) -> Option<Unsaved> {
        let mut unsaved = self.journal.as_mut()?.take(self.seq, self.inexact_through)?;
        unsaved.last_op_id = self.last_op_id.clone();
        Some(unsaved)
    }

    /// Returns changes to the journal that were not written to the cache.
    pub(super) fn put_back(&mut self, unsaved: Unsaved) {
        if let Some(journal) = &mut self.journal {
            journal.put_back(unsaved);
        }
    }

    /// Begins to write all leaves to the cache, in the order of their paths.
    pub(super) fn begin_rewrite(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.begin_rewrite();
        }
    }

    /// Returns the next leaves to write, after a path or from the first one on. When none are left, returns the changes
    /// that the cache will lack.
    pub(super) fn rewrite_next(&mut self, after: Option<&Path>) -> Result<Vec<Entry>, Option<Unsaved>> {
        let after = after.map_or(Bound::Unbounded, |path| Bound::Excluded(path.as_str()));
        let leaves = next_chunk(&mut self.leaves.range((after, Bound::Unbounded)));
        match (leaves.last(), &mut self.journal) {
            (None, _) => Err(self.take_unsaved()),
            (Some(last), Some(journal)) => {
                journal.rewrite_through(&last.path);
                Ok(leaves)
            }
            (Some(_), None) => Ok(leaves),
        }
    }

    /// The leaf at a path, otherwise the object that the leaves below it make, ignoring ASCII case as a server does.
    pub fn get(&self, path: &Path) -> Option<Entry> {
        match self.leaves.get(path.as_str()) {
            Some(leaf) => Some(read::entry(path.clone(), leaf.to_leaf())),
            None => read::object(path, self.below_ignoring_case(path)),
        }
    }

    /// The leaves at exactly these paths, in the same order: at most 1000.
    pub fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        if paths.len() > MAX_GET_MANY_PATHS {
            let count = paths.len();
            return Err(DustErr::invalid_params(format!(
                "maximum {MAX_GET_MANY_PATHS} paths per read, got {count}; split it"
            )));
        }
        let entry = |path: &Path| Some(read::entry(path.clone(), self.leaves.get(path.as_str())?.to_leaf()));
        Ok(paths.iter().map(entry).collect())
    }

    /// True if there is a leaf below a path, exact in case.
    pub fn exists(&self, path: &Path) -> bool {
        let prefix = path.descendant_prefix();
        self.leaves.range(between(&prefix, &prefix_end(&prefix))).next().is_some()
    }

    /// One page of leaves, their paths, or the prefixes one segment below a pattern's base, as a server returns it.
    pub fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        let Some(listing) = Listing::of(request)? else { return Ok(Page::default()) };
        let rows = self.leaves.range(listing.bounds()).map(Ok::<_, Infallible>);
        match listing.page(rows) {
            Ok(page) => Ok(page),
            Err(never) => match never {},
        }
    }

    /// The page of [`list`](Mirror::list), as packed leaves in the order of the list, whatever the request selects of
    /// each leaf.
    pub fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        let Some(listing) = Listing::of(request)? else { return Ok(LeafPage::default()) };
        let rows = self.leaves.range(listing.bounds()).map(Ok::<_, Infallible>);
        match listing.leaf_page(rows) {
            Ok(page) => Ok(page),
            Err(never) => match never {},
        }
    }

    /// The leaves below a path, exact in case and in order, after the cursor of the page before: at most 1000.
    pub fn below(&self, path: &Path, after: Option<&str>) -> LeafPage {
        let (leaves, is_more) = self.leaves.below(path.as_str(), after, MAX_PAGE_LEAVES);
        let last = is_more.then(|| leaves.iter().next_back()).flatten();
        let next_cursor = last.map(|leaf| leaf.path.to_owned());
        LeafPage::new(leaves.into_bare(), next_cursor)
    }

    /// The revision of the leaf at exactly this path.
    pub fn revision(&self, path: &Path) -> Option<u64> {
        self.leaves.get(path.as_str()).map(|leaf| leaf.revision)
    }

    /// True if no leaf lies below a path, ignoring ASCII case.
    pub(crate) fn is_vacant_below(&self, path: &Path) -> bool {
        self.has_none_with(&folded_prefix(path))
    }

    /// True if no path begins with a prefix, ignoring ASCII case. The prefix has no upper case.
    fn has_none_with(&self, prefix: &str) -> bool {
        let folded = self.folded.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        !self.leaves.has_prefixed(prefix) && !folded.take(1).any(|(folded, _)| folded.starts_with(prefix))
    }

    /// Every leaf in order, with its revision, envelopes as they were received.
    pub(crate) fn into_leaves(self) -> impl Iterator<Item = Entry> {
        self.leaves.into_entries()
    }

    /// The leaves below a path, ignoring ASCII case, in the order of their rendered paths.
    fn below_ignoring_case(&self, path: &Path) -> Vec<(Path, Leaf)> {
        let prefix = folded_prefix(path);
        let end = prefix_end(&prefix);
        let range = between(&prefix, &end);
        // The paths that begin with the lower-case prefix are among `self.leaves` already.
        let mixed = self.folded.range::<str, _>(range).flat_map(|(_, paths)| paths);
        let mixed = mixed.filter(|path| !path.starts_with(&prefix));
        let mut found: Vec<(Path, Leaf)> = mixed
            .filter_map(|path| self.leaves.get(path))
            .chain(self.leaves.range(range))
            .map(|leaf| (Path::from_trusted(leaf.path), leaf.to_leaf()))
            .collect();
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        found
    }

    /// Records in the journal that a leaf is written or removed.
    fn note(&mut self, path: &str, leaf: Option<LeafRef<'_>>) {
        if let Some(journal) = &mut self.journal {
            journal.note(path, leaf);
        }
    }

    fn insert(&mut self, leaf: LeafRef<'_>) {
        let fresh = self.leaves.insert(leaf);
        if fresh && let Some(folded) = fold(leaf.path) {
            self.folded.entry(folded.into()).or_default().push(leaf.path.into());
        }
    }
}

/// Maximum number of leaves that a cache receives at a time.
pub(super) const CHUNK: usize = 1024;
/// The bytes after which a chunk takes no further leaf.
const CHUNK_BYTES: usize = 1 << 20;

/// Returns the next leaves to write to a cache.
pub(super) fn next_chunk<'l>(leaves: &mut impl Iterator<Item = LeafRef<'l>>) -> Vec<Entry> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while chunk.len() < CHUNK
        && bytes < CHUNK_BYTES
        && let Some(leaf) = leaves.next()
    {
        bytes += leaf.path.len() + leaf.value.len();
        chunk.push(leaf.to_entry());
    }
    chunk
}

/// Checks that a mirror is no larger than `max`.
pub(super) fn check_size(store: &str, size: usize, max: usize) -> Result<(), DustErr> {
    if size <= max {
        return Ok(());
    }
    Err(DustErr::TooLarge {
        what: format!(
            "the mirror of the store `{store}`: it has {size} bytes of paths and values, of {max} that it may have; \
             start the client with a larger `max_mirror`, or use the store over HTTP"
        ),
    })
}

/// The prefix, in lower case, of the lower-case form of every path below this one.
fn folded_prefix(path: &Path) -> String {
    let mut prefix = path.descendant_prefix();
    prefix.make_ascii_lowercase();
    prefix
}

/// The range from one path (included) to another (excluded).
fn between<'p>(from: &'p str, to: &'p str) -> (Bound<&'p str>, Bound<&'p str>) {
    (Bound::Included(from), Bound::Excluded(to))
}

impl Leaves for Mirror {
    type Error = OpError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, OpError> {
        Ok(self.leaves.get(path.as_str()).map(LeafRef::to_leaf))
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), OpError> {
        let leaf = LeafRef::of(path.as_str(), &leaf);
        self.note(path.as_str(), Some(leaf));
        self.insert(leaf);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), OpError> {
        let gone = self.leaves.remove(path.as_str());
        if gone {
            self.note(path.as_str(), None);
        }
        if gone
            && let Some(folded) = fold(path.as_str())
            && let Some(paths) = self.folded.get_mut(folded.as_str())
        {
            paths.retain(|other| **other != *path.as_str());
            if paths.is_empty() {
                self.folded.remove(folded.as_str());
            }
        }
        Ok(())
    }

    fn below_ignoring_case(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, OpError> {
        Ok(self.below_ignoring_case(path))
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), OpError> {
        let prefix = folded_prefix(path);
        // Nearly always there is no leaf below.
        if self.has_none_with(&prefix) {
            return Ok(());
        }
        let end = prefix_end(&prefix);
        let mut journal = self.journal.take();
        let mut note = |path: &str| {
            if let Some(journal) = &mut journal {
                journal.note(path, None);
            }
        };
        for (_, mixed) in self.folded.extract_if(Box::from(prefix.as_str())..Box::from(end.as_str()), |_, _| true) {
            for path in mixed {
                self.leaves.remove(&path);
                note(&path);
            }
        }
        self.leaves.remove_range(&prefix, &end, note);
        self.journal = journal;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
