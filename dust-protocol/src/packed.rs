//! Packed leaves: all their paths and values in one text.

use std::convert::Infallible;
use std::ops::{Bound, Range};

use super::apply::Leaf;
use super::entry::{Entry, LeafKind};
use super::envelope;
use super::json::RawJson;
use super::path::Path;
use super::read::Row;

/// Leaves in the order of their paths, as one text of paths and values and 24 bytes more for each leaf.
///
/// Any number of leaves takes two allocations, so that many leaves are cheap to keep and to share.
///
/// ```
/// use dust_protocol::{Entry, LeafKind, Path, RawJson, PackedLeaves};
///
/// let leaf = |path: &str, value: &str| {
///     let (path, value) = (Path::parse(path)?, RawJson::parse(value)?);
///     Ok::<_, Box<dyn std::error::Error>>(Entry::new(path, value, LeafKind::String, 7))
/// };
/// let packed = PackedLeaves::from_iter([leaf("links/dust/title", "\"Dust\"")?, leaf("links/dust/url", "\"https://..\"")?]);
/// let paths: Vec<&str> = packed.iter().map(|leaf| leaf.path).collect();
/// assert_eq!(paths, ["links/dust/title", "links/dust/url"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedLeaves {
    /// The paths and values of the leaves, one after the other.
    text: String,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    revision: u64,
    /// The offset of the path in the text.
    start: usize,
    /// The offset of the value after the beginning of the path. No message is long enough to overflow it.
    path_len: u32,
    kind: LeafKind,
}

/// A borrowed leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafRef<'a> {
    /// Its rendered path.
    pub path: &'a str,
    /// Its value, as JSON text.
    pub value: &'a str,
    /// Its type.
    pub kind: LeafKind,
    /// The `store_seq` of the op that wrote it.
    pub revision: u64,
}

impl Row for LeafRef<'_> {
    type Error = Infallible;

    fn path(&self) -> Result<&str, Infallible> {
        Ok(self.path)
    }

    fn leaf(&self) -> Result<LeafRef<'_>, Infallible> {
        Ok(*self)
    }
}

impl<'a> LeafRef<'a> {
    /// A leaf and its path, borrowed.
    pub fn of(path: &'a str, leaf: &'a Leaf) -> LeafRef<'a> {
        LeafRef { path, value: leaf.value.as_str(), kind: leaf.kind, revision: leaf.revision }
    }

    /// The leaf without its path.
    pub fn to_leaf(self) -> Leaf {
        Leaf { value: RawJson::from_trusted(self.value), kind: self.kind, revision: self.revision }
    }

    /// The leaf with its path, the value as it is.
    pub fn to_entry(self) -> Entry {
        let Leaf { value, kind, revision } = self.to_leaf();
        Entry { path: Path::from_trusted(self.path), value, kind, revision }
    }

    /// The bytes of its path and value.
    pub fn size(&self) -> usize {
        self.path.len() + self.value.len()
    }
}

impl<'a> From<&'a Entry> for LeafRef<'a> {
    fn from(entry: &'a Entry) -> LeafRef<'a> {
        LeafRef { path: entry.path.as_str(), value: entry.value.as_str(), kind: entry.kind, revision: entry.revision }
    }
}

impl PackedLeaves {
    /// Packs ordered leaves into exactly the memory that they need.
    pub fn of<'a>(leaves: impl ExactSizeIterator<Item = LeafRef<'a>> + Clone) -> PackedLeaves {
        let text = String::with_capacity(leaves.clone().map(|leaf| leaf.size()).sum());
        let mut packed = PackedLeaves { text, slots: Vec::with_capacity(leaves.len()) };
        leaves.for_each(|leaf| packed.push(leaf));
        packed
    }

    /// The number of leaves.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if there are no leaves.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The leaves, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = LeafRef<'_>> + ExactSizeIterator {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Appends a leaf. The caller keeps the order of the paths.
    pub fn push(&mut self, leaf: LeafRef<'_>) {
        let slot = slot(self.text.len(), leaf);
        self.text.reserve(leaf.size());
        self.text.push_str(leaf.path);
        self.text.push_str(leaf.value);
        self.slots.push(slot);
    }

    /// The leaf at an index; past the end a leaf without a path.
    pub fn at(&self, index: usize) -> LeafRef<'_> {
        let Some(Slot { revision, start, path_len, kind }) = self.slots.get(index).copied() else {
            return LeafRef { path: "", value: "", kind: LeafKind::Null, revision: 0 };
        };
        let text = self.text.get(start..self.start_of(index + 1)).unwrap_or_default();
        let (path, value) = text.split_at_checked(path_len as usize).unwrap_or_default();
        LeafRef { path, value, kind, revision }
    }

    /// The leaves in the opposite order.
    pub fn into_reversed(self) -> PackedLeaves {
        let mut reversed =
            PackedLeaves { text: String::with_capacity(self.text.len()), slots: Vec::with_capacity(self.len()) };
        self.iter().rev().for_each(|leaf| reversed.push(leaf));
        reversed
    }

    /// The bytes of all paths and values.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// The leaves whose paths lie between two bounds.
    pub fn range(&self, (from, to): (Bound<&str>, Bound<&str>)) -> Range<usize> {
        let before = |path: &str| self.slots.partition_point(|slot| self.path_of(slot) < path.as_bytes());
        let through = |path: &str| self.slots.partition_point(|slot| self.path_of(slot) <= path.as_bytes());
        let start = match from {
            Bound::Included(path) => before(path),
            Bound::Excluded(path) => through(path),
            Bound::Unbounded => 0,
        };
        let end = match to {
            Bound::Included(path) => through(path),
            Bound::Excluded(path) => before(path),
            Bound::Unbounded => self.len(),
        };
        start..end.max(start)
    }

    /// Removes leaves.
    pub fn remove(&mut self, range: Range<usize>) {
        let (start, end) = (self.start_of(range.start), self.start_of(range.end));
        self.slots[range.end..].iter_mut().for_each(|slot| slot.start -= end - start);
        self.slots.drain(range);
        self.text.replace_range(start..end, "");
        self.shrink_to_fit();
    }

    /// A copy of some of the leaves.
    pub fn slice(&self, range: Range<usize>) -> PackedLeaves {
        let (start, end) = (self.start_of(range.start), self.start_of(range.end));
        let slots = self.slots[range].iter().map(|slot| Slot { start: slot.start - start, ..*slot }).collect();
        PackedLeaves { text: self.text[start..end].to_owned(), slots }
    }

    /// The leaves in the form of reads: decimal and datetime envelopes as plain strings.
    pub fn into_bare(self) -> PackedLeaves {
        // Only envelopes have this kind.
        if self.slots.iter().all(|slot| slot.kind != LeafKind::Map) {
            return self;
        }
        let mut bare = PackedLeaves::default();
        for leaf in self.iter() {
            if leaf.kind == LeafKind::Map {
                let value = envelope::to_plain(&RawJson::from_trusted(leaf.value));
                bare.push(LeafRef { value: value.as_str(), ..leaf });
            } else {
                bare.push(leaf);
            }
        }
        bare
    }

    /// Splits off the leaves from an index on.
    pub fn split_off(&mut self, index: usize) -> PackedLeaves {
        let rest = self.slice(index..self.len());
        self.remove(index..self.len());
        rest
    }

    /// Appends copies of other leaves.
    pub fn append(&mut self, other: &PackedLeaves, range: Range<usize>) {
        let (start, end) = (other.start_of(range.start), other.start_of(range.end));
        let offset = self.text.len();
        self.text.reserve(end - start);
        self.text.push_str(&other.text[start..end]);
        let moved = |slot: &Slot| Slot { start: slot.start - start + offset, ..*slot };
        self.slots.extend(other.slots[range].iter().map(moved));
    }

    /// Sets the revision of every leaf.
    pub fn set_revisions(&mut self, revision: u64) {
        self.slots.iter_mut().for_each(|slot| slot.revision = revision);
    }

    /// Releases reserved memory that is not used.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.slots.shrink_to_fit();
    }

    /// The offset of a leaf, or the length of the text after the last leaf.
    fn start_of(&self, index: usize) -> usize {
        self.slots.get(index).map_or(self.text.len(), |slot| slot.start)
    }

    fn path_of(&self, slot: &Slot) -> &[u8] {
        self.text.as_bytes().get(slot.start..slot.start + slot.path_len as usize).unwrap_or_default()
    }
}

/// Operations for the leaf map of a mirror.
impl PackedLeaves {
    /// The leaves as entries, in order.
    pub fn into_entries(self) -> impl Iterator<Item = Entry> {
        (0..self.len()).map(move |index| self.at(index).to_entry())
    }

    /// The index of a path, or the index at which it would be inserted.
    pub fn search(&self, path: &str) -> Result<usize, usize> {
        self.slots.binary_search_by(|slot| self.path_of(slot).cmp(path.as_bytes()))
    }

    /// Inserts a leaf at an index. Uses no more memory than the leaves need.
    pub fn insert(&mut self, index: usize, leaf: LeafRef<'_>) {
        let start = self.start_of(index);
        self.text.reserve_exact(leaf.size());
        self.text.insert_str(start, leaf.value);
        self.text.insert_str(start, leaf.path);
        self.slots.reserve_exact(1);
        self.slots.insert(index, slot(start, leaf));
        self.slots[index + 1..].iter_mut().for_each(|slot| slot.start += leaf.size());
    }

    /// Replaces the leaf at an index by one of the same path.
    pub fn replace(&mut self, index: usize, leaf: LeafRef<'_>) {
        let (start, end) = (self.start_of(index), self.start_of(index + 1));
        let value = start + leaf.path.len()..end;
        self.text.reserve_exact(leaf.value.len().saturating_sub(value.len()));
        self.text.replace_range(value, leaf.value);
        self.text.shrink_to_fit();
        self.slots[index] = slot(start, leaf);
        // The difference is computed from the ends, so that no intermediate result is negative.
        self.slots[index + 1..].iter_mut().for_each(|slot| slot.start = slot.start - end + start + leaf.size());
    }

    /// The index of the first leaf below a path, or the index at which it would be inserted.
    pub fn start_below(&self, path: &str) -> usize {
        let path = path.as_bytes();
        self.slots.partition_point(|slot| {
            let own = self.path_of(slot);
            match own.split_at_checked(path.len()) {
                Some((head, rest)) => head.cmp(path).then_with(|| rest.first().cmp(&Some(&b'/'))).is_lt(),
                None => own <= path,
            }
        })
    }

    /// The number of leaves from an index on that lie below a path.
    pub fn count_below(&self, index: usize, path: &str) -> usize {
        let is_below = |slot: &Slot| {
            let own = self.path_of(slot);
            own.get(path.len()) == Some(&b'/') && own.starts_with(path.as_bytes())
        };
        // The few leaves of a record are scanned; many leaves are searched.
        const FEW: usize = 8;
        let slots = self.slots.get(index..).unwrap_or_default();
        match slots.iter().take(FEW).position(|slot| !is_below(slot)) {
            Some(count) => count,
            None => slots.partition_point(is_below),
        }
    }

    /// The index of the first leaf that begins in the second half of the text. With two leaves or more neither side is
    /// empty.
    pub fn middle(&self) -> usize {
        let half = self.text.len() / 2;
        self.slots.partition_point(|slot| slot.start < half).min(self.len().saturating_sub(1)).max(1)
    }
}

fn slot(start: usize, leaf: LeafRef<'_>) -> Slot {
    let path_len = u32::try_from(leaf.path.len()).unwrap_or(u32::MAX);
    Slot { revision: leaf.revision, start, path_len, kind: leaf.kind }
}

/// Packs ordered leaves.
impl From<Vec<Entry>> for PackedLeaves {
    fn from(entries: Vec<Entry>) -> PackedLeaves {
        entries.into_iter().collect()
    }
}

impl FromIterator<Entry> for PackedLeaves {
    /// Packs ordered leaves.
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> PackedLeaves {
        let mut packed = PackedLeaves::default();
        entries.into_iter().for_each(|entry| packed.push(LeafRef::from(&entry)));
        packed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Model = Vec<(String, String, u64)>;

    fn leaf((path, value, revision): &(String, String, u64)) -> LeafRef<'_> {
        LeafRef { path, value, kind: LeafKind::String, revision: *revision }
    }

    fn pack(model: &Model) -> PackedLeaves {
        let mut packed = PackedLeaves::default();
        model.iter().for_each(|row| packed.push(leaf(row)));
        packed
    }

    proptest! {
        #[test]
        fn it_is_a_list_of_leaves(
            rows in prop::collection::btree_map("[a-cé/]{1,4}", ("[xyü]{0,5}", 1..9_u64), 1..12),
            (at, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            value in "[xyü]{0,9}",
            above in "[a-c]{0,2}",
        ) {
            let mut model: Model = rows.into_iter().map(|(path, (value, revision))| (path, value, revision)).collect();
            let (at, to) = (at.index(model.len()), to.index(model.len()));
            let (at, to) = (at.min(to), at.max(to));
            let mut packed = pack(&model);
            prop_assert!(packed.iter().eq(model.iter().map(leaf)));
            prop_assert_eq!(packed.search(&model[at].0), Ok(at));
            let bounds = (Bound::Excluded(&*model[at].0), Bound::Included(&*model[to].0));
            prop_assert_eq!(packed.range(bounds), at + 1..to.max(at) + 1);
            prop_assert_eq!(packed.slice(at..to), pack(&model[at..to].to_vec()));
            prop_assert!((1..model.len().max(2)).contains(&packed.middle()));
            let prefix = format!("{above}/");
            let first = model.partition_point(|(path, ..)| *path < prefix);
            let count = model[first..].iter().take_while(|(path, ..)| path.starts_with(&prefix)).count();
            prop_assert_eq!((packed.start_below(&above), packed.count_below(first, &above)), (first, count));

            model[at].1 = value;
            packed.replace(at, leaf(&model[at]));
            prop_assert_eq!(&packed, &pack(&model));
            let gone: Model = model.drain(at..to).collect();
            packed.remove(at..to);
            prop_assert_eq!(&packed, &pack(&model));
            for row in gone.iter().rev() {
                packed.insert(at, leaf(row));
            }
            model.splice(at..at, gone);
            prop_assert_eq!(&packed, &pack(&model));
            let rest = packed.split_off(to);
            prop_assert_eq!(&rest, &pack(&model[to..].to_vec()));
            packed.append(&rest, 0..rest.len());
            prop_assert_eq!(&packed, &pack(&model));
        }
    }
}
