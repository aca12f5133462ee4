//! Stored records: the leaves below one key.

use std::ops::Bound;

#[cfg(feature = "http")]
use dust_protocol::Entry;
use dust_protocol::value::is_claim;
use dust_protocol::{LeafRef, PackedLeaves, Path};

use crate::error::DustErr;

/// The maximum number of leaves of a record that is read. A record of this library usually has one or a few for
/// each field.
pub(crate) const MAX_RECORD_LEAVES: usize = 100_000;
/// The maximum size of a record that is read, paths and values together, in bytes: that of one response of a server.
pub(crate) const MAX_RECORD_BYTES: usize = 64 << 20;

/// The size of the leaves read below one path, with a limit: a server determines when a list ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct SizeLimit {
    leaves: usize,
    bytes: usize,
}

impl SizeLimit {
    /// Counts a leaf of `path`.
    ///
    /// # Errors
    ///
    /// The leaves read so far are too many or too large for one record.
    #[cfg(feature = "http")]
    pub(crate) fn add_leaf(&mut self, path: &Path, leaf: &Entry) -> Result<(), DustErr> {
        self.leaves += 1;
        self.bytes += LeafRef::from(leaf).size();
        self.check(path.as_str())
    }

    /// Adds a number of leaves, and the bytes of their paths and values.
    pub(crate) fn add(&mut self, (leaves, bytes): (usize, usize)) {
        self.leaves = self.leaves.saturating_add(leaves);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A description of the size if it exceeds the limits of a record; otherwise `None`.
    pub(crate) fn excess(&self) -> Option<String> {
        let SizeLimit { leaves, bytes } = self;
        (*leaves > MAX_RECORD_LEAVES || *bytes > MAX_RECORD_BYTES).then(|| {
            format!(
                "{leaves} leaves with {bytes} bytes; a record can have at most {MAX_RECORD_LEAVES} leaves and \
                 {MAX_RECORD_BYTES} bytes"
            )
        })
    }

    fn check(&self, path: &str) -> Result<(), DustErr> {
        match self.excess() {
            Some(excess) => Err(DustErr::TooLarge { what: format!("the subtree at `{path}` has {excess}") }),
            None => Ok(()),
        }
    }
}

/// Refuses leaves that are too many or too large for one record.
pub(crate) fn check_size(path: &str, leaves: &PackedLeaves) -> Result<(), DustErr> {
    SizeLimit { leaves: leaves.len(), bytes: leaves.size() }.check(path)
}

/// A record in memory.
#[derive(Clone, Debug)]
pub(crate) struct StoredRecord {
    /// The record's path, `<prefix>/<key>`.
    pub(crate) path: Path,
    /// Its leaves.
    pub(crate) leaves: PackedLeaves,
}

/// A borrowed record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    /// The record's path, `<prefix>/<key>`.
    pub(crate) path: &'a str,
    /// The leaves among which its own are.
    among: &'a PackedLeaves,
    /// The index of its first leaf.
    start: usize,
    /// The index after its last leaf.
    end: usize,
}

impl<'a> RecordRef<'a> {
    /// The record at a path with all of these leaves.
    pub(crate) fn new(path: &'a Path, leaves: &'a PackedLeaves) -> RecordRef<'a> {
        RecordRef { path: path.as_str(), among: leaves, start: 0, end: leaves.len() }
    }

    /// The key in its rendered form, `ada/dust`: the last `key_parts` segments of the record's path.
    pub(crate) fn key(self, key_parts: usize) -> &'a str {
        let slash = self.path.rmatch_indices('/').nth(key_parts.saturating_sub(1));
        slash.map_or(self.path, |(slash, _)| &self.path[slash + 1..])
    }

    /// The leaves, in the order of their paths.
    pub(crate) fn leaves(self) -> impl Iterator<Item = LeafRef<'a>> {
        (self.start..self.end).map(move |index| self.among.at(index))
    }

    /// The size of the record.
    pub(crate) fn size(self) -> SizeLimit {
        let mut size = SizeLimit::default();
        self.leaves().for_each(|leaf| size.add((1, leaf.size())));
        size
    }

    /// True if the record consists of the claim of an insert that has not written it yet.
    pub(crate) fn is_claim(self) -> bool {
        let mut leaves = self.leaves();
        matches!((leaves.next(), leaves.next()), (Some(leaf), None) if is_claim(leaf.value))
    }

    /// The path of a leaf relative to the record, in rendered form: `title`, or `meta/colour`.
    pub(crate) fn name(self, leaf: LeafRef<'a>) -> &'a str {
        // The path of every leaf begins with the record's path and a `/`.
        leaf.path.get(self.path.len() + 1..).unwrap_or_default()
    }

    /// Copies the record.
    pub(crate) fn to_stored(self) -> StoredRecord {
        StoredRecord { path: Path::from_trusted(self.path), leaves: self.among.slice(self.start..self.end) }
    }
}

impl<'a> From<&'a StoredRecord> for RecordRef<'a> {
    fn from(record: &'a StoredRecord) -> RecordRef<'a> {
        RecordRef::new(&record.path, &record.leaves)
    }
}

/// Groups leaves by record. They must be in the order of their paths, in which the leaves of a record are adjacent.
/// `within` is the prefix of the entity, followed by a `/`; `key_parts` is the number of segments of its keys.
pub(crate) fn records<'a>(
    within: &'a str,
    key_parts: usize,
    leaves: &'a PackedLeaves,
) -> impl Iterator<Item = RecordRef<'a>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < leaves.len() {
            let start = next;
            next += 1;
            let Some(path) = record_of(within, key_parts, leaves.at(start).path) else { continue };
            while next < leaves.len() && is_below(path, leaves.at(next).path) {
                next += 1;
            }
            return Some(RecordRef { path, among: leaves, start, end: next });
        }
        None
    })
}

/// The index of the first leaf of the last record, which may be incomplete. It is the number of leaves if the last leaf
/// belongs to no record.
pub(crate) fn last_record(within: &str, key_parts: usize, leaves: &PackedLeaves) -> usize {
    let last = leaves.iter().next_back().and_then(|leaf| record_of(within, key_parts, leaf.path));
    match last {
        Some(path) => leaves.range((Bound::Included(&format!("{path}/")), Bound::Unbounded)).start,
        None => leaves.len(),
    }
}

/// The index behind the last leaf of the first record, which may be incomplete in a descending list. It is 0 if the
/// first leaf belongs to no record.
pub(crate) fn first_record(within: &str, key_parts: usize, leaves: &PackedLeaves) -> usize {
    let path = leaves.iter().next().and_then(|leaf| record_of(within, key_parts, leaf.path));
    path.map_or(0, |path| leaves.iter().take_while(|leaf| is_below(path, leaf.path)).count())
}

/// The cursor of an ascending list that continues after all leaves below a record.
pub(crate) fn cursor_after(record: &str) -> String {
    // `0` is the character after `/`.
    format!("{record}0")
}

/// The cursor of a descending list that continues before all leaves below a record.
pub(crate) fn cursor_before(record: &str) -> String {
    // No path has a NUL.
    format!("{record}/\u{1}")
}

/// The path of the record that a leaf belongs to. A leaf with fewer segments below the prefix than a key and a field
/// have, such as one at the prefix or at a record's own path, belongs to none.
pub(crate) fn record_of<'a>(within: &str, key_parts: usize, leaf: &'a str) -> Option<&'a str> {
    let (key_end, _) = leaf.strip_prefix(within)?.match_indices('/').nth(key_parts.checked_sub(1)?)?;
    leaf.get(..within.len() + key_end)
}

fn is_below(record: &str, leaf: &str) -> bool {
    leaf.strip_prefix(record).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Entry, LeafKind, RawJson};
    use proptest::prelude::*;

    use super::*;

    fn leaf(path: &str) -> Entry {
        Entry::new(Path::parse(path).unwrap(), RawJson::null(), LeafKind::Null, 1)
    }

    fn regroup(paths: &[&str]) -> Vec<(String, Vec<String>)> {
        let leaves: PackedLeaves = paths.iter().map(|path| leaf(path)).collect();
        let names = |record: RecordRef<'_>| record.leaves().map(|leaf| record.name(leaf).to_owned()).collect();
        let all: Vec<(String, Vec<String>)> =
            records("links/", 1, &leaves).map(|record| (record.key(1).to_owned(), names(record))).collect();
        let last = leaves.len() - last_record("links/", 1, &leaves);
        assert!(last == 0 || last == all.last().map_or(0, |(_, names)| names.len()));
        let stored = records("links/", 1, &leaves).map(RecordRef::to_stored);
        assert!(stored.map(|record| names((&record).into())).eq(all.iter().map(|(_, names)| names.clone())));
        all
    }

    #[test]
    fn leaves_are_grouped_by_record() {
        assert_eq!(
            regroup(&["links", "links/a", "links/a-1/title", "links/a/meta/x", "links/a/title", "links/b~1c/title"]),
            [
                ("a-1".to_owned(), vec!["title".to_owned()]),
                ("a".to_owned(), vec!["meta/x".to_owned(), "title".to_owned()]),
                ("b~1c".to_owned(), vec!["title".to_owned()]),
            ]
        );
    }

    #[test]
    fn leaves_are_grouped_by_all_parts_of_key() {
        let paths = [
            "links/a-1/b/t",
            "links/a/b",
            "links/a/b-1/t",
            "links/a/b/meta/x",
            "links/a/b/t",
            "links/a/t",
            "links/a~1b/c/t",
            "links/b",
            "links/c/d",
        ];
        let leaves: PackedLeaves = paths.iter().map(|path| leaf(path)).collect();
        let all: Vec<_> =
            records("links/", 2, &leaves).map(|record| (record.key(2), record.leaves().count())).collect();
        assert_eq!(all, [("a-1/b", 1), ("a/b-1", 1), ("a/b", 2), ("a~1b/c", 1)]);
        assert_eq!(last_record("links/", 2, &leaves), leaves.len(), "the last leaf belongs to no record");
        let without_stray: PackedLeaves = paths[..5].iter().map(|path| leaf(path)).collect();
        assert_eq!(last_record("links/", 2, &without_stray), 3);
        for (leaf, record) in [
            ("links/a/b/c", Some("links/a/b")),
            ("links/a/b/c/d", Some("links/a/b")),
            ("links/a/b", None),
            ("links/a", None),
            ("linksx/a/b/c", None),
        ] {
            assert_eq!(record_of("links/", 2, leaf), record);
        }
    }

    #[test]
    fn leaf_outside_prefix_belongs_to_no_record() {
        assert_eq!(regroup(&["lin/a/title", "linksx/a/title", "other/a/b"]), []);
    }

    #[test]
    fn oversized_record_is_refused() {
        let mut leaves: PackedLeaves =
            (0..MAX_RECORD_LEAVES).map(|number| leaf(&format!("links/z/{number:06}"))).collect();
        check_size("links/z", &leaves).unwrap();
        leaves.push(LeafRef::from(&leaf("links/z/z")));
        let text = check_size("links/z", &leaves).unwrap_err().to_string();
        assert!(text.contains("`links/z`") && text.contains("100001 leaves"), "{text}");

        let value = RawJson::parse(&format!("\"{}\"", "x".repeat(8 << 20))).unwrap();
        let large = |number: i32| {
            Entry::new(Path::parse(&format!("links/z/{number}")).unwrap(), value.clone(), LeafKind::String, 1)
        };
        let mut leaves = PackedLeaves::default();
        let refused = (0..20).find(|number| {
            leaves.push(LeafRef::from(&large(*number)));
            check_size("links/z", &leaves).is_err()
        });
        assert_eq!(refused, Some(7), "the eighth does not fit into 64 MiB");
    }

    proptest! {
        #[test]
        fn every_leaf_below_a_key_is_in_exactly_one_record(
            mut paths in proptest::collection::btree_set("links(/[ab~1.-]{1,2}){2,3}", 0..30)
        ) {
            paths.retain(|path| Path::parse(path).is_ok());
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let records = regroup(&paths);
            let mut keys: Vec<&String> = records.iter().map(|(key, _)| key).collect();
            prop_assert_eq!(records.iter().map(|(_, leaves)| leaves.len()).sum::<usize>(), paths.len());
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), records.len());
        }
    }
}
