//! The leaves of a mirror in the order of their paths, packed into blocks.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use dust_protocol::{Entry, LeafRef, PackedLeaves};

use super::separator::Separator;

/// Maximum number of leaves in one block.
const MAX_LEAVES: usize = 32;
/// Maximum size of the text of one block, in bytes, unless a single leaf has more. Writing a leaf copies that much.
const MAX_TEXT: usize = 4096;

/// Leaves by their rendered path.
///
/// A plain sorted map would need two allocations and some hundred bytes for each leaf beside its text. Here some dozen
/// adjacent leaves share one text, a search ends in a few comparisons within it, and one search finds the leaves of a
/// record, which nearly always lie in one block.
#[derive(Clone, Debug, Default)]
pub(in crate::realtime) struct LeafMap {
    /// The blocks. No block is empty. Its paths are not before its separator, and before the separator of the next
    /// block.
    by_separator: BTreeMap<Separator, PackedLeaves>,
    len: usize,
    /// The size of all paths and values, in bytes.
    size: usize,
}

type Bounds<'p> = (Bound<&'p str>, Bound<&'p str>);

impl LeafMap {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of all paths and values, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn get(&self, path: &str) -> Option<LeafRef<'_>> {
        let (_, block) = self.around(path)?;
        let index = block.search(path).ok()?;
        Some(block.at(index))
    }

    pub(in crate::realtime) fn iter(&self) -> impl Iterator<Item = LeafRef<'_>> {
        self.by_separator.values().flat_map(PackedLeaves::iter)
    }

    /// The leaves between two bounds.
    pub(super) fn range<'a>(&'a self, bounds: Bounds<'a>) -> impl DoubleEndedIterator<Item = LeafRef<'a>> {
        self.pieces(bounds).flat_map(|(block, range)| range.map(|index| block.at(index)))
    }

    /// Copies the leaves below a path that come after another path, in order. The `bool` is true if there are more than
    /// the limit.
    pub(super) fn below(&self, path: &str, after: Option<&str>, limit: usize) -> (PackedLeaves, bool) {
        let first =
            after.map_or_else(|| Separator::below(path), |after| Separator::at(after).max(Separator::below(path)));
        let mut found = PackedLeaves::default();
        for block in self.from(&first) {
            let after = after.map_or(0, |after| block.range((Bound::Excluded(after), Bound::Unbounded)).start);
            let start = block.start_below(path).max(after);
            let (count, room) = (block.count_below(start, path), limit - found.len());
            let range = start..start + count.min(room);
            if found.is_empty() {
                found = block.slice(range);
            } else {
                found.append(block, range);
            }
            if count > room {
                return (found, true);
            }
            if start + count < block.len() {
                break;
            }
        }
        (found, false)
    }

    /// True if the path of a leaf begins with a prefix.
    pub(super) fn has_prefixed(&self, prefix: &str) -> bool {
        let separator = Separator::at(prefix);
        let mut first = self.from(&separator).filter_map(|block| {
            let start = block.range((Bound::Included(prefix), Bound::Unbounded)).start;
            (start < block.len()).then(|| block.at(start))
        });
        first.next().is_some_and(|leaf| leaf.path.starts_with(prefix))
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.by_separator.into_values().flat_map(PackedLeaves::into_entries)
    }

    /// The block that contains a path, or would contain it, and the blocks behind it.
    fn from(&self, path: &Separator) -> impl Iterator<Item = &PackedLeaves> {
        let around = self.by_separator.range::<Separator, _>(..=path).next_back();
        let after = around.map_or(Bound::Unbounded, |(separator, _)| Bound::Excluded(separator));
        // Nearly always the caller needs only the first block.
        let behind = std::iter::once_with(move || self.by_separator.range::<Separator, _>((after, Bound::Unbounded)));
        around.into_iter().chain(behind.flatten()).map(|(_, block)| block)
    }

    /// The blocks that hold the leaves between two bounds, each with the range of those leaves.
    fn pieces<'a>(&'a self, bounds: Bounds<'a>) -> impl DoubleEndedIterator<Item = (&'a PackedLeaves, Range<usize>)> {
        let first = match bounds.0 {
            Bound::Included(path) | Bound::Excluded(path) => self.around(path).map(|(separator, _)| separator.clone()),
            Bound::Unbounded => None,
        };
        let from = first.map_or(Bound::Unbounded, Bound::Included);
        let to = match bounds.1 {
            Bound::Included(path) => Bound::Included(Separator::at(path)),
            Bound::Excluded(path) => Bound::Excluded(Separator::at(path)),
            Bound::Unbounded => Bound::Unbounded,
        };
        // `BTreeMap::range` panics for such a range; here it is empty.
        let is_none = match (&from, &to) {
            (Bound::Included(from), Bound::Excluded(to)) => from >= to,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            _ => false,
        };
        let blocks = (!is_none).then(|| self.by_separator.range((from, to)));
        blocks.into_iter().flatten().map(move |(_, block)| (block, block.range(bounds)))
    }

    /// Writes a leaf. Returns true if there was none at its path.
    pub(super) fn insert(&mut self, leaf: LeafRef<'_>) -> bool {
        let Some(block) = around_mut(&mut self.by_separator, leaf.path) else {
            self.begin(Separator::FIRST, leaf);
            return true;
        };
        match block.search(leaf.path) {
            Ok(index) => {
                self.size = self.size - block.at(index).size() + leaf.size();
                block.replace(index, leaf);
                if block.size() > MAX_TEXT {
                    self.split(leaf.path);
                }
                false
            }
            Err(index) if block.len() < MAX_LEAVES && block.size() + leaf.size() <= MAX_TEXT => {
                block.insert(index, leaf);
                self.len += 1;
                self.size += leaf.size();
                true
            }
            Err(index) => {
                let is_alone = block.len() == 1;
                let before = index.checked_sub(1).filter(|_| index == block.len()).map(|before| block.at(before).path);
                let separator = before.map(|before| Separator::between(before, leaf.path));
                match separator {
                    // Leaves that come in order fill one block after the other, and a large block is not copied for its
                    // neighbour.
                    Some(separator) if is_alone || self.is_last(leaf.path) => self.begin(separator, leaf),
                    _ => self.squeeze_in(index, leaf),
                }
                true
            }
        }
    }

    /// Removes the leaf at a path. Returns true if there was one.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let Some(block) = around_mut(&mut self.by_separator, path) else { return false };
        let Ok(index) = block.search(path) else { return false };
        self.size -= block.at(index).size();
        block.remove(index..index + 1);
        self.len -= 1;
        self.join(path);
        true
    }

    /// Removes the leaves from one path (included) to another (excluded), and calls `removed` for each.
    pub(super) fn remove_range(&mut self, from: &str, to: &str, mut removed: impl FnMut(&str)) {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        // The first path of every piece finds its block again.
        let pieces = self.pieces(bounds).filter(|(_, range)| !range.is_empty());
        let firsts: Vec<Box<str>> = pieces.map(|(block, range)| block.at(range.start).path.into()).collect();
        for first in firsts {
            let Some(block) = around_mut(&mut self.by_separator, &first) else { continue };
            let range = block.range(bounds);
            range.clone().for_each(|index| removed(block.at(index).path));
            self.size -= range.clone().map(|index| block.at(index).size()).sum::<usize>();
            self.len -= range.len();
            block.remove(range);
            self.join(&first);
        }
    }

    /// Begins a block with a leaf.
    fn begin(&mut self, separator: Separator, leaf: LeafRef<'_>) {
        let mut block = PackedLeaves::default();
        block.insert(0, leaf);
        self.by_separator.insert(separator, block);
        self.len += 1;
        self.size += leaf.size();
    }

    /// Writes a leaf into a block that becomes too large by it.
    fn squeeze_in(&mut self, index: usize, leaf: LeafRef<'_>) {
        if let Some(block) = around_mut(&mut self.by_separator, leaf.path) {
            block.insert(index, leaf);
            self.len += 1;
            self.size += leaf.size();
        }
        self.split(leaf.path);
    }

    /// Splits the block around a written path until it is small enough.
    fn split(&mut self, path: &str) {
        while let Some(block) = around_mut(&mut self.by_separator, path)
            && (block.len() > MAX_LEAVES || block.size() > MAX_TEXT && block.len() > 1)
        {
            let right = block.split_off(block.middle());
            let separator = Separator::between(block.at(block.len() - 1).path, right.at(0).path);
            self.by_separator.insert(separator, right);
        }
    }

    /// Joins the block around a path, in which leaves were removed, with the next one if the two hold few leaves.
    fn join(&mut self, path: &str) {
        let Some((separator, block)) = self.around(path) else { return };
        if block.len() > MAX_LEAVES / 4 {
            return;
        }
        let separator = separator.clone();
        if block.is_empty() {
            self.by_separator.remove(&separator);
            return;
        }
        let behind = (Bound::Excluded(&separator), Bound::Unbounded);
        let Some((next, other)) = self.by_separator.range::<Separator, _>(behind).next() else { return };
        if block.len() + other.len() > MAX_LEAVES / 2 || block.size() + other.size() > MAX_TEXT / 2 {
            return;
        }
        let next = next.clone();
        if let Some(other) = self.by_separator.remove(&next)
            && let Some(block) = self.by_separator.get_mut(&separator)
        {
            block.append(&other, 0..other.len());
            block.shrink_to_fit();
        }
    }

    fn is_last(&self, path: &str) -> bool {
        self.by_separator.last_key_value().is_none_or(|(separator, _)| separator.as_bytes() <= path.as_bytes())
    }

    /// The block that contains a path, if any.
    fn around(&self, path: &str) -> Option<(&Separator, &PackedLeaves)> {
        self.by_separator.range(..=Separator::at(path)).next_back()
    }
}

fn around_mut<'a>(by_separator: &'a mut BTreeMap<Separator, PackedLeaves>, path: &str) -> Option<&'a mut PackedLeaves> {
    by_separator.range_mut(..=Separator::at(path)).next_back().map(|(_, block)| block)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeBounds;

    use dust_protocol::{Leaf, LeafKind, RawJson};
    use proptest::prelude::*;

    use super::*;

    fn leaf(value: String, revision: u64) -> Leaf {
        Leaf { value: RawJson::from_trusted(value), kind: LeafKind::String, revision }
    }

    /// Checks the invariants that hold after every operation.
    fn check(blocks: &LeafMap) {
        let mut len = 0;
        let mut before: Option<String> = None;
        let mut all = blocks.by_separator.iter().peekable();
        while let Some((separator, block)) = all.next() {
            assert!(!block.is_empty() && block.len() <= MAX_LEAVES, "{block:?}");
            assert!(block.len() == 1 || block.size() <= MAX_TEXT, "{block:?}");
            for leaf in block.iter() {
                assert!(before.as_deref().is_none_or(|before| before < leaf.path));
                assert!(separator.as_bytes() <= leaf.path.as_bytes());
                assert!(all.peek().is_none_or(|(next, _)| leaf.path.as_bytes() < next.as_bytes()));
                before = Some(leaf.path.to_owned());
            }
            len += block.len();
        }
        assert_eq!(len, blocks.len());
        assert_eq!(blocks.size(), blocks.iter().map(|leaf| leaf.size()).sum::<usize>());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(String, usize),
        Remove(String),
        RemoveRange(String, String),
        Range(Bound<String>, Bound<String>),
        Below(String, Option<String>, usize),
    }

    fn some_path() -> impl Strategy<Value = String> {
        prop_oneof!["[a-d][-./0é]?[a-d]{0,2}", "long/[a-c]{35}/[ab]"]
    }

    fn bound() -> impl Strategy<Value = Bound<String>> {
        prop_oneof![
            some_path().prop_map(Bound::Included),
            some_path().prop_map(Bound::Excluded),
            Just(Bound::Unbounded),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![20 => 0..60_usize, 2 => 900..1500_usize, 1 => Just(MAX_TEXT + 10)];
        prop_oneof![
            30 => (some_path(), size).prop_map(|(path, size)| Step::Insert(path, size)),
            12 => some_path().prop_map(Step::Remove),
            1 => (some_path(), some_path()).prop_map(|(from, to)| Step::RemoveRange(from, to)),
            6 => (bound(), bound()).prop_map(|(from, to)| Step::Range(from, to)),
            6 => ("[a-d]?(/|long)?", prop::option::of(some_path()), prop_oneof![1..9_usize, Just(1000)])
                .prop_map(|(path, after, limit)| Step::Below(path, after, limit)),
        ]
    }

    fn as_str(bound: &Bound<String>) -> Bound<&str> {
        bound.as_ref().map(String::as_str)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn they_are_a_sorted_map(steps in prop::collection::vec(step(), 1..500)) {
            let (mut blocks, mut map) = (LeafMap::default(), BTreeMap::<String, Leaf>::new());
            for (revision, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(path, size) => {
                        let leaf = leaf("x".repeat(size), revision as u64);
                        prop_assert_eq!(blocks.insert(LeafRef::of(&path, &leaf)), !map.contains_key(&path));
                        map.insert(path, leaf);
                    }
                    Step::Remove(path) => prop_assert_eq!(blocks.remove(&path), map.remove(&path).is_some()),
                    Step::RemoveRange(from, to) => {
                        let mut removed = Vec::new();
                        blocks.remove_range(&from, &to, |path| removed.push(path.to_owned()));
                        let expected = map.extract_if(.., |path, _| from <= *path && *path < to).map(|(path, _)| path);
                        prop_assert_eq!(removed, expected.collect::<Vec<_>>());
                    }
                    Step::Below(path, after, limit) => {
                        let prefix = format!("{path}/");
                        let after_prefix = |path: &str| after.as_ref().is_none_or(|after| after.as_str() < path);
                        let within = map.iter().filter(|(path, _)| path.starts_with(&prefix) && after_prefix(path));
                        let expected: Vec<LeafRef<'_>> = within.map(|(path, leaf)| LeafRef::of(path, leaf)).collect();
                        let (found, is_more) = blocks.below(&path, after.as_deref(), limit);
                        prop_assert_eq!(is_more, expected.len() > limit);
                        prop_assert!(found.iter().eq(expected.into_iter().take(limit)));
                    }
                    Step::Range(from, to) => {
                        let bounds = (as_str(&from), as_str(&to));
                        let is_within = |path: &str| RangeBounds::<str>::contains(&bounds, path);
                        let within = map.iter().filter(|(path, _)| is_within(path));
                        let expected: Vec<LeafRef<'_>> = within.map(|(path, leaf)| LeafRef::of(path, leaf)).collect();
                        prop_assert_eq!(blocks.range(bounds).collect::<Vec<_>>(), expected.clone());
                        let backwards: Vec<LeafRef<'_>> = expected.iter().rev().copied().collect();
                        prop_assert_eq!(blocks.range(bounds).rev().collect::<Vec<_>>(), backwards);
                    }
                }
            }
            check(&blocks);
            for (path, leaf) in &map {
                prop_assert_eq!(blocks.get(path), Some(LeafRef::of(path, leaf)));
            }
            prop_assert!(blocks.get("nothing").is_none());
        }
    }

    #[test]
    fn what_comes_in_order_fills_whole_blocks_and_what_goes_leaves_none() {
        let path = |number: usize| format!("pages/page-{number:05}/title");
        let mut blocks = LeafMap::default();
        for number in 0..1000 {
            blocks.insert(LeafRef::of(&path(number), &leaf("1".to_owned(), 1)));
        }
        check(&blocks);
        assert_eq!(blocks.by_separator.len(), 1000_usize.div_ceil(MAX_LEAVES));
        for number in (0..1000).filter(|number| number % 50 != 0) {
            assert!(blocks.remove(&path(number)));
        }
        check(&blocks);
        assert!(blocks.by_separator.len() <= 20 && blocks.len() == 20, "{}", blocks.by_separator.len());
        blocks.remove_range("", "q", |_| {});
        assert!(blocks.is_empty() && blocks.by_separator.is_empty());
    }
}
