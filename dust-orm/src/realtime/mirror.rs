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
    CommittedOp, Entry, Leaf, LeafPage, LeafRef, Leaves, ListRequest, OpError, PackedLeaves, Page, Path,
};

use crate::error::DustErr;
use journal::Journal;
pub(super) use journal::{Changes, Unsaved, What};
use leaf_map::LeafMap;

/// How large a mirror may become unless a client says otherwise: 1 GiB of paths and values.
pub const MAX_MIRROR: usize = 1 << 30;

/// The leaves of one store as of one op, read as a Dust server reads them.
///
/// It takes committed ops in their order and whole snapshots, and nothing else, so it never shows what a server has not
/// committed. Writing goes through the server.
///
/// ```
/// use dust_protocol::{CommittedOp, OpKind, Path, RawJson};
/// use dust_orm::realtime::Mirror;
///
/// let mut mirror = Mirror::default();
/// let path = Path::parse("links/dust")?;
/// let value = RawJson::parse(r#"{"title":"Dust"}"#)?;
/// let (device_id, client_op_id) = ("laptop".into(), "1".into());
/// mirror.apply(&CommittedOp { store_seq: 1, op: OpKind::Set, path, value, device_id, client_op_id });
/// assert_eq!(mirror.get(&Path::parse("links/dust/title")?).unwrap().value.as_str(), "\"Dust\"");
/// assert_eq!(mirror.seq(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    leaves: LeafMap,
    /// The paths that contain ASCII upper-case letters, by their lower-case form: with them, what lies below a path
    /// whatever its case is found without a scan.
    folded: BTreeMap<Box<str>, Vec<Box<str>>>,
    seq: u64,
    /// The id of the last op, where it came as an op.
    last_op_id: Option<Arc<str>>,
    inexact_through: u64,
    /// What its cache lacks, where it has one.
    journal: Option<Box<Journal>>,
}

impl Mirror {
    /// The `store_seq` of the last op it holds.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The `client_op_id` of that op. `None` where it came as part of a snapshot, or has none.
    pub fn last_op_id(&self) -> Option<&Arc<str>> {
        self.last_op_id.as_ref()
    }

    /// Up to which `store_seq` a revision may be too high: a snapshot does not tell the revisions of its leaves, and they
    /// have the snapshot's own instead. 0 when every revision is exact.
    pub fn inexact_through(&self) -> u64 {
        self.inexact_through
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The bytes of its paths and values. It takes somewhat more memory than that.
    pub fn size(&self) -> usize {
        self.leaves.size()
    }

    /// Does the next op. One that does not fit, which no server commits, leaves nothing at its path and is warned of.
    pub fn apply(&mut self, op: &CommittedOp) {
        if let Err(error) = apply(self, op) {
            tracing::warn!(path = %op.path, store_seq = op.store_seq, %error, "a committed op cannot be mirrored");
        }
        self.seq = op.store_seq;
        self.last_op_id = op.id().cloned();
        if let Some(journal) = &mut self.journal {
            journal.bound(self.leaves.len());
        }
    }

    /// Replaces everything by the leaves as of one op. Up to `inexact_through` their revisions may be too high, as those of
    /// a snapshot are.
    pub fn replace(&mut self, seq: u64, inexact_through: u64, leaves: impl Into<PackedLeaves>) {
        let mut journal = self.journal.take();
        if let Some(journal) = &mut journal {
            journal.note_all(false);
        }
        *self = Mirror { seq, inexact_through, journal, ..Mirror::default() };
        self.extend(&leaves.into());
    }

    /// Remembers the id of the last op, which came as part of what was kept.
    pub(super) fn set_last_op_id(&mut self, id: Option<Arc<str>>) {
        self.last_op_id = id;
    }

    /// Adds leaves that are as of the same op.
    pub(super) fn extend(&mut self, leaves: &PackedLeaves) {
        for leaf in leaves.iter() {
            self.insert(leaf);
        }
    }

    /// Takes note of what changes from now on. `saved` is the op that a cache is as of already.
    pub(super) fn keep_journal(&mut self, saved: Option<u64>) {
        self.journal = Some(Box::new(Journal::new(saved)));
    }

    /// Goes on with the journal of the mirror that this one takes the place of.
    pub(super) fn succeed(&mut self, before: &mut Mirror, is_rewound: bool) {
        self.journal = before.journal.take();
        if let Some(journal) = &mut self.journal {
            journal.note_all(is_rewound);
        }
    }

    /// Takes what its cache lacks; `None` when that is nothing, or when there is no cache.
    pub(super) fn take_unsaved(&mut self) -> Option<Unsaved> {
        let mut unsaved = self.journal.as_mut()?.take(self.seq, self.inexact_through)?;
        unsaved.last_op_id = self.last_op_id.clone();
        Some(unsaved)
    }

    /// Takes back what did not get into the cache.
    pub(super) fn put_back(&mut self, unsaved: Unsaved) {
        if let Some(journal) = &mut self.journal {
            journal.put_back(unsaved);
        }
    }

    /// Begins to write everything to the cache, in the order of the paths.
    pub(super) fn begin_rewrite(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.begin_rewrite();
        }
    }

    /// The next leaves to write, after a path or from the first one on. When there are none left, what the cache will lack.
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

    /// The leaf at a path, else the object that the leaves below it make, ignoring ASCII case as a server does.
    pub fn get(&self, path: &Path) -> Option<Entry> {
        match self.leaves.get(path.as_str()) {
            Some(leaf) => Some(read::entry(path.clone(), leaf.to_leaf())),
            None => read::object(path, self.below_ignoring_case(path)),
        }
    }

    /// The leaves at exactly these paths, in the same order: 1000 at the most.
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

    /// Whether there is a leaf below a path, exact in case.
    pub fn exists(&self, path: &Path) -> bool {
        let prefix = path.descendant_prefix();
        self.leaves.range(between(&prefix, &prefix_end(&prefix))).next().is_some()
    }

    /// One page of leaves, their paths, or the prefixes one segment below a pattern's base; as a server answers it.
    pub fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        let Some(listing) = Listing::of(request)? else { return Ok(Page::default()) };
        let rows = self.leaves.range(listing.bounds()).map(Ok::<_, Infallible>);
        match listing.page(rows) {
            Ok(page) => Ok(page),
            Err(never) => match never {},
        }
    }

    /// The leaves below a path, exact in case and in order, after the cursor of the page before: 1000 at the most.
    pub fn below(&self, path: &Path, after: Option<&str>) -> LeafPage {
        let (leaves, is_more) = self.leaves.below(path.as_str(), after, MAX_PAGE_LEAVES);
        let last = is_more.then(|| leaves.iter().next_back()).flatten();
        let next_cursor = last.map(|leaf| leaf.path.to_owned());
        LeafPage { leaves: leaves.into_bare(), next_cursor }
    }

    /// The revision of the leaf at exactly this path.
    pub fn revision(&self, path: &Path) -> Option<u64> {
        self.leaves.get(path.as_str()).map(|leaf| leaf.revision)
    }

    /// Whether nothing lies below a path, whatever its case.
    pub(crate) fn is_vacant_below(&self, path: &Path) -> bool {
        self.has_none_with(&folded_prefix(path))
    }

    /// Whether no path begins with a prefix, whatever its case. The prefix has no upper case.
    fn has_none_with(&self, prefix: &str) -> bool {
        let folded = self.folded.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        !self.leaves.has_prefixed(prefix) && !folded.take(1).any(|(folded, _)| folded.starts_with(prefix))
    }

    /// Every leaf in order, with its revision, envelopes as they came.
    pub(crate) fn into_leaves(self) -> impl Iterator<Item = Entry> {
        self.leaves.into_entries()
    }

    /// The leaves below a path, ignoring ASCII case, in the order of their rendered paths.
    fn below_ignoring_case(&self, path: &Path) -> Vec<(Path, Leaf)> {
        let prefix = folded_prefix(path);
        let end = prefix_end(&prefix);
        let range = between(&prefix, &end);
        // Those that begin with the lower-case prefix come with the others below.
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

    /// Tells the journal of a leaf that is written or removed.
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

/// The number of leaves that a cache is handed at a time.
pub(super) const CHUNK: usize = 1024;
/// The bytes after which a chunk takes no further leaf.
const CHUNK_BYTES: usize = 1 << 20;

/// The next leaves to hand to a cache.
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

/// The error for a mirror that is larger than it may be.
pub(super) fn check_size(store: &str, size: usize, max: usize) -> Result<(), DustErr> {
    if size <= max {
        return Ok(());
    }
    Err(DustErr::TooLarge {
        what: format!(
            "the mirror of the store `{store}`: it has {size} bytes of paths and values, of {max} that it may have; start \
             the client with a larger `max_mirror`, or use the store over HTTP"
        ),
    })
}

/// What every path below this one begins with, when both are in lower case.
fn folded_prefix(path: &Path) -> String {
    let mut prefix = path.descendant_prefix();
    prefix.make_ascii_lowercase();
    prefix
}

/// From one path (included) to another (excluded).
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

    fn remove_below(&mut self, path: &Path) -> Result<(), OpError> {
        let prefix = folded_prefix(path);
        // Nearly always there is nothing.
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
