//! The leaves of a mirror in the order of their paths, packed into sheaves.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use super::separator::Separator;
use crate::protocol::{Entry, LeafRef, Sheaf};

/// How many leaves one sheaf holds at the most.
const MAX_LEAVES: usize = 32;
/// How much text one sheaf holds at the most, unless a single leaf has more. So much is copied to write a leaf.
const MAX_TEXT: usize = 4096;

/// Leaves by their rendered path.
///
/// A sorted map would do, with two allocations and some hundred bytes for each leaf beside its text. Here some dozen leaves
/// that are next to each other share one text, a search ends in a few comparisons within it, and the leaves of a record,
/// which nearly always lie in one sheaf, are found by one search.
#[derive(Clone, Debug, Default)]
pub(in crate::sync) struct Sheaves {
    /// None is empty. The paths in one are not before its separator, and before that of the next.
    by_separator: BTreeMap<Separator, Sheaf>,
    len: usize,
}

type Bounds<'p> = (Bound<&'p str>, Bound<&'p str>);

impl Sheaves {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, path: &str) -> Option<LeafRef<'_>> {
        let (_, sheaf) = self.around(path)?;
        let index = sheaf.search(path).ok()?;
        Some(sheaf.at(index))
    }

    pub(in crate::sync) fn iter(&self) -> impl Iterator<Item = LeafRef<'_>> {
        self.by_separator.values().flat_map(Sheaf::iter)
    }

    /// The leaves between two bounds.
    pub(super) fn range<'a>(&'a self, bounds: Bounds<'a>) -> impl DoubleEndedIterator<Item = LeafRef<'a>> {
        self.pieces(bounds).flat_map(|(sheaf, range)| range.map(|index| sheaf.at(index)))
    }

    /// Copies of the leaves whose paths begin with a prefix and come after another path, in order; and whether there are
    /// more than the limit.
    pub(super) fn below(&self, prefix: &str, after: Option<&str>, limit: usize) -> (Sheaf, bool) {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = Sheaf::default();
        for sheaf in self.from(from) {
            let start = sheaf.range((from, Bound::Unbounded)).start;
            let (count, room) = (sheaf.prefixed(start, prefix), limit - found.len());
            let range = start..start + count.min(room);
            if found.is_empty() {
                found = sheaf.slice(range);
            } else {
                found.append(sheaf, range);
            }
            if count > room {
                return (found, true);
            }
            if start + count < sheaf.len() {
                break;
            }
        }
        (found, false)
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.by_separator.into_values().flat_map(Sheaf::into_entries)
    }

    /// The sheaf that a path is in or would be, and those behind it.
    fn from<'a>(&'a self, path: Bound<&'a str>) -> impl Iterator<Item = &'a Sheaf> {
        let around = match path {
            Bound::Included(path) | Bound::Excluded(path) => self.around(path),
            Bound::Unbounded => None,
        };
        let after = around.map_or(Bound::Unbounded, |(separator, _)| Bound::Excluded(separator));
        // Nearly always the first is all that is wanted.
        let behind = std::iter::once_with(move || self.by_separator.range::<Separator, _>((after, Bound::Unbounded)));
        around.into_iter().chain(behind.flatten()).map(|(_, sheaf)| sheaf)
    }

    /// The sheaves that hold the leaves between two bounds, each with those of its leaves that are.
    fn pieces<'a>(&'a self, bounds: Bounds<'a>) -> impl DoubleEndedIterator<Item = (&'a Sheaf, Range<usize>)> {
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
        // A map refuses such a range; here nothing lies in it.
        let is_none = match (&from, &to) {
            (Bound::Included(from), Bound::Excluded(to)) => from >= to,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            _ => false,
        };
        let sheaves = (!is_none).then(|| self.by_separator.range((from, to)));
        sheaves.into_iter().flatten().map(move |(_, sheaf)| (sheaf, sheaf.range(bounds)))
    }

    /// Writes a leaf. Whether there was none at its path.
    pub(super) fn insert(&mut self, leaf: LeafRef<'_>) -> bool {
        let Some(sheaf) = around_mut(&mut self.by_separator, leaf.path) else {
            self.begin(Separator::FIRST, leaf);
            return true;
        };
        match sheaf.search(leaf.path) {
            Ok(index) => {
                sheaf.replace(index, leaf);
                self.split(leaf.path);
                false
            }
            Err(index) if sheaf.len() < MAX_LEAVES && sheaf.size() + leaf.size() <= MAX_TEXT => {
                sheaf.insert(index, leaf);
                self.len += 1;
                true
            }
            Err(index) => {
                let is_alone = sheaf.len() == 1;
                let before = index.checked_sub(1).filter(|_| index == sheaf.len()).map(|before| sheaf.at(before).path);
                let separator = before.map(|before| Separator::between(before, leaf.path));
                match separator {
                    // What comes in order fills one sheaf after the other, and what is large is not copied for its neighbour.
                    Some(separator) if is_alone || self.is_last(leaf.path) => self.begin(separator, leaf),
                    _ => self.squeeze_in(index, leaf),
                }
                true
            }
        }
    }

    /// Removes the leaf at a path. Whether there was one.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let Some(sheaf) = around_mut(&mut self.by_separator, path) else { return false };
        let Ok(index) = sheaf.search(path) else { return false };
        sheaf.remove(index..index + 1);
        self.len -= 1;
        self.join(path);
        true
    }

    /// Removes the leaves from one path (included) to another (excluded), and tells of each.
    pub(super) fn remove_range(&mut self, from: &str, to: &str, mut removed: impl FnMut(&str)) {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        // The first path of every piece finds its sheaf again.
        let pieces = self.pieces(bounds).filter(|(_, range)| !range.is_empty());
        let firsts: Vec<Box<str>> = pieces.map(|(sheaf, range)| sheaf.at(range.start).path.into()).collect();
        for first in firsts {
            let Some(sheaf) = around_mut(&mut self.by_separator, &first) else { continue };
            let range = sheaf.range(bounds);
            range.clone().for_each(|index| removed(sheaf.at(index).path));
            self.len -= range.len();
            sheaf.remove(range);
            self.join(&first);
        }
    }

    /// Begins a sheaf with a leaf.
    fn begin(&mut self, separator: Separator, leaf: LeafRef<'_>) {
        let mut sheaf = Sheaf::default();
        sheaf.insert(0, leaf);
        self.by_separator.insert(separator, sheaf);
        self.len += 1;
    }

    /// Writes a leaf into a sheaf that has become too large by it.
    fn squeeze_in(&mut self, index: usize, leaf: LeafRef<'_>) {
        if let Some(sheaf) = around_mut(&mut self.by_separator, leaf.path) {
            sheaf.insert(index, leaf);
            self.len += 1;
        }
        self.split(leaf.path);
    }

    /// Cuts the sheaf around a path that was written until it is small enough.
    fn split(&mut self, path: &str) {
        while let Some(sheaf) = around_mut(&mut self.by_separator, path)
            && (sheaf.len() > MAX_LEAVES || sheaf.size() > MAX_TEXT && sheaf.len() > 1)
        {
            let right = sheaf.split_off(sheaf.middle());
            let separator = Separator::between(sheaf.at(sheaf.len() - 1).path, right.at(0).path);
            self.by_separator.insert(separator, right);
        }
    }

    /// Joins the sheaf around a path, in which leaves were removed, with the one behind it if little is left of the two.
    fn join(&mut self, path: &str) {
        let Some((separator, sheaf)) = self.around(path) else { return };
        if sheaf.len() > MAX_LEAVES / 4 {
            return;
        }
        let separator = separator.clone();
        if sheaf.is_empty() {
            self.by_separator.remove(&separator);
            return;
        }
        let behind = (Bound::Excluded(&separator), Bound::Unbounded);
        let Some((next, other)) = self.by_separator.range::<Separator, _>(behind).next() else { return };
        if sheaf.len() + other.len() > MAX_LEAVES / 2 || sheaf.size() + other.size() > MAX_TEXT / 2 {
            return;
        }
        let next = next.clone();
        if let Some(other) = self.by_separator.remove(&next)
            && let Some(sheaf) = self.by_separator.get_mut(&separator)
        {
            sheaf.append(&other, 0..other.len());
            sheaf.shrink_to_fit();
        }
    }

    fn is_last(&self, path: &str) -> bool {
        self.by_separator.last_key_value().is_none_or(|(separator, _)| separator.as_bytes() <= path.as_bytes())
    }

    /// The sheaf that has a path, if any has.
    fn around(&self, path: &str) -> Option<(&Separator, &Sheaf)> {
        self.by_separator.range(..=Separator::at(path)).next_back()
    }
}

fn around_mut<'a>(by_separator: &'a mut BTreeMap<Separator, Sheaf>, path: &str) -> Option<&'a mut Sheaf> {
    by_separator.range_mut(..=Separator::at(path)).next_back().map(|(_, sheaf)| sheaf)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeBounds;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Leaf, LeafKind, RawJson};

    fn leaf(value: String, revision: u64) -> Leaf {
        Leaf { value: RawJson::from_trusted(value), kind: LeafKind::String, revision }
    }

    /// What has to be so whatever was done.
    fn check(sheaves: &Sheaves) {
        let mut len = 0;
        let mut before: Option<String> = None;
        let mut all = sheaves.by_separator.iter().peekable();
        while let Some((separator, sheaf)) = all.next() {
            assert!(!sheaf.is_empty() && sheaf.len() <= MAX_LEAVES, "{sheaf:?}");
            assert!(sheaf.len() == 1 || sheaf.size() <= MAX_TEXT, "{sheaf:?}");
            for leaf in sheaf.iter() {
                assert!(before.as_deref().is_none_or(|before| before < leaf.path));
                assert!(separator.as_bytes() <= leaf.path.as_bytes());
                assert!(all.peek().is_none_or(|(next, _)| leaf.path.as_bytes() < next.as_bytes()));
                before = Some(leaf.path.to_owned());
            }
            len += sheaf.len();
        }
        assert_eq!(len, sheaves.len());
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
            6 => ("[a-d]?(/|long/)?", prop::option::of(some_path()), prop_oneof![1..9_usize, Just(1000)])
                .prop_map(|(prefix, after, limit)| Step::Below(prefix, after, limit)),
        ]
    }

    fn as_str(bound: &Bound<String>) -> Bound<&str> {
        bound.as_ref().map(String::as_str)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn they_are_a_sorted_map(steps in prop::collection::vec(step(), 1..500)) {
            let (mut sheaves, mut map) = (Sheaves::default(), BTreeMap::<String, Leaf>::new());
            for (revision, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(path, size) => {
                        let leaf = leaf("x".repeat(size), revision as u64);
                        prop_assert_eq!(sheaves.insert(LeafRef::of(&path, &leaf)), !map.contains_key(&path));
                        map.insert(path, leaf);
                    }
                    Step::Remove(path) => prop_assert_eq!(sheaves.remove(&path), map.remove(&path).is_some()),
                    Step::RemoveRange(from, to) => {
                        let mut removed = Vec::new();
                        sheaves.remove_range(&from, &to, |path| removed.push(path.to_owned()));
                        let expected = map.extract_if(.., |path, _| from <= *path && *path < to).map(|(path, _)| path);
                        prop_assert_eq!(removed, expected.collect::<Vec<_>>());
                    }
                    Step::Below(prefix, after, limit) => {
                        let after_prefix = |path: &str| after.as_ref().is_none_or(|after| after.as_str() < path);
                        let within = map.iter().filter(|(path, _)| path.starts_with(&prefix) && after_prefix(path));
                        let expected: Vec<LeafRef<'_>> = within.map(|(path, leaf)| LeafRef::of(path, leaf)).collect();
                        let (found, is_more) = sheaves.below(&prefix, after.as_deref(), limit);
                        prop_assert_eq!(is_more, expected.len() > limit);
                        prop_assert!(found.iter().eq(expected.into_iter().take(limit)));
                    }
                    Step::Range(from, to) => {
                        let bounds = (as_str(&from), as_str(&to));
                        let within = map.iter().filter(|(path, _)| RangeBounds::<str>::contains(&bounds, path.as_str()));
                        let expected: Vec<LeafRef<'_>> = within.map(|(path, leaf)| LeafRef::of(path, leaf)).collect();
                        prop_assert_eq!(sheaves.range(bounds).collect::<Vec<_>>(), expected.clone());
                        let backwards: Vec<LeafRef<'_>> = expected.iter().rev().copied().collect();
                        prop_assert_eq!(sheaves.range(bounds).rev().collect::<Vec<_>>(), backwards);
                    }
                }
            }
            check(&sheaves);
            for (path, leaf) in &map {
                prop_assert_eq!(sheaves.get(path), Some(LeafRef::of(path, leaf)));
            }
            prop_assert!(sheaves.get("nothing").is_none());
        }
    }

    #[test]
    fn what_comes_in_order_fills_whole_sheaves_and_what_goes_leaves_none() {
        let path = |number: usize| format!("pages/page-{number:05}/title");
        let mut sheaves = Sheaves::default();
        for number in 0..1000 {
            sheaves.insert(LeafRef::of(&path(number), &leaf("1".to_owned(), 1)));
        }
        check(&sheaves);
        assert_eq!(sheaves.by_separator.len(), 1000_usize.div_ceil(MAX_LEAVES));
        for number in (0..1000).filter(|number| number % 50 != 0) {
            assert!(sheaves.remove(&path(number)));
        }
        check(&sheaves);
        assert!(sheaves.by_separator.len() <= 20 && sheaves.len() == 20, "{}", sheaves.by_separator.len());
        sheaves.remove_range("", "q", |_| {});
        assert!(sheaves.is_empty() && sheaves.by_separator.is_empty());
    }
}
