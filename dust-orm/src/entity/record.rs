//! Records as a store keeps them: the leaves below one key.

use std::borrow::Cow;

use crate::error::DustErr;
use crate::protocol::path::unescape;
use crate::protocol::{Entry, Path};

/// The most leaves of a record that are read. A record written by this library has some for each field.
pub(crate) const MAX_RECORD_LEAVES: usize = 100_000;
/// The most bytes of a record that are read, paths and values together: what a server sends in one answer.
pub(crate) const MAX_RECORD_BYTES: usize = 64 << 20;

/// How much of a record, or of whatever else is below one path, was read. A list goes on for as long as a server says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measure {
    leaves: usize,
    bytes: usize,
}

impl Measure {
    /// Counts a leaf, and refuses it when there are too many, or when they are too large.
    pub(crate) fn take(&mut self, of: &Path, leaf: &Entry) -> Result<(), DustErr> {
        self.leaves += 1;
        self.bytes += leaf.path.as_str().len() + leaf.value.as_str().len();
        if self.leaves > MAX_RECORD_LEAVES || self.bytes > MAX_RECORD_BYTES {
            let what = format!(
                "what is stored at `{of}` has more than {MAX_RECORD_LEAVES} leaves or {MAX_RECORD_BYTES} bytes, which is no \
                 record"
            );
            return Err(DustErr::TooLarge { what });
        }
        Ok(())
    }
}

/// The leaves of one record.
#[derive(Clone, Debug)]
pub(crate) struct StoredRecord {
    /// The record's path, `<prefix>/<key>`.
    pub(crate) path: Path,
    /// Its leaves, in the order of their paths.
    pub(crate) leaves: Vec<Entry>,
}

impl StoredRecord {
    /// The key: the last segment of the record's path.
    pub(crate) fn key(&self) -> Cow<'_, str> {
        let rendered = self.path.as_str();
        unescape(rendered.rsplit('/').next().unwrap_or(rendered))
    }

    /// How much text it is, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.path.as_str().len() + leaf.value.as_str().len()).sum()
    }

    /// What a leaf is called inside the record, in rendered form: `title`, or `meta/colour`.
    pub(crate) fn name<'a>(&self, leaf: &'a Entry) -> &'a str {
        // Every leaf lies below the record's path, and so begins with it and a `/`.
        leaf.path.as_str().get(self.path.as_str().len() + 1..).unwrap_or_default()
    }
}

/// Puts the leaves of a list together to records, however the pages cut them.
///
/// Leaves come in the order of their paths, in which all leaves of a record stand together.
#[derive(Debug)]
pub(crate) struct Regrouper {
    /// The prefix of the entity, with a `/` behind it.
    prefix: String,
    open: Option<StoredRecord>,
    measure: Measure,
}

impl Regrouper {
    pub(crate) fn new(prefix: &Path) -> Regrouper {
        Regrouper { prefix: prefix.descendant_prefix(), open: None, measure: Measure::default() }
    }

    /// Takes the next leaf, and gives back the record before it when the leaf begins a new one.
    /// A record without end is [`TooLarge`](DustErr::TooLarge).
    pub(crate) fn push(&mut self, leaf: Entry) -> Result<Option<StoredRecord>, DustErr> {
        if let Some(open) = &mut self.open
            && open.path.is_ancestor_of(&leaf.path)
        {
            self.measure.take(&open.path, &leaf)?;
            open.leaves.push(leaf);
            return Ok(None);
        }
        let Some(path) = self.record_of(&leaf.path) else { return Ok(None) };
        self.measure = Measure::default();
        self.measure.take(&path, &leaf)?;
        Ok(self.open.replace(StoredRecord { path, leaves: vec![leaf] }))
    }

    /// The path of the record that a leaf belongs to. A leaf at the prefix or at a record's own path belongs to none.
    fn record_of(&self, leaf: &Path) -> Option<Path> {
        let key_end = leaf.as_str().strip_prefix(&self.prefix)?.find('/')? + self.prefix.len();
        // Cut at a `/`, what is left of a path is a path.
        Path::parse(&leaf.as_str()[..key_end]).ok()
    }

    /// The last record, once there are no more leaves.
    pub(crate) fn finish(&mut self) -> Option<StoredRecord> {
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{LeafKind, RawJson};

    fn leaf(path: &str) -> Entry {
        Entry { path: Path::parse(path).unwrap(), value: RawJson::null(), kind: LeafKind::Null, revision: 1 }
    }

    fn regroup(paths: &[&str]) -> Vec<(String, Vec<String>)> {
        let mut regrouper = Regrouper::new(&Path::parse("links").unwrap());
        let mut records: Vec<StoredRecord> =
            paths.iter().filter_map(|path| regrouper.push(leaf(path)).unwrap()).collect();
        records.extend(regrouper.finish());
        records
            .iter()
            .map(|record| {
                let names = record.leaves.iter().map(|leaf| record.name(leaf).to_owned()).collect();
                (record.key().into_owned(), names)
            })
            .collect()
    }

    #[test]
    fn keeps_the_leaves_of_a_record_together() {
        assert_eq!(
            regroup(&["links", "links/a", "links/a-1/title", "links/a/meta/x", "links/a/title", "links/b~1c/title"]),
            [
                ("a-1".to_owned(), vec!["title".to_owned()]),
                ("a".to_owned(), vec!["meta/x".to_owned(), "title".to_owned()]),
                ("b/c".to_owned(), vec!["title".to_owned()]),
            ]
        );
    }

    #[test]
    fn leaves_outside_of_the_prefix_are_no_records() {
        assert_eq!(regroup(&["lin/a/title", "linksx/a/title", "other/a/b"]), []);
    }

    #[test]
    fn a_record_without_an_end_is_refused_and_records_without_end_are_not() {
        let mut regrouper = Regrouper::new(&Path::parse("links").unwrap());
        for number in 0..2 * MAX_RECORD_LEAVES {
            let record = format!("links/{}", number / (MAX_RECORD_LEAVES / 2));
            regrouper.push(leaf(&format!("{record}/{number}"))).unwrap();
        }
        let error = (0..=MAX_RECORD_LEAVES).find_map(|number| regrouper.push(leaf(&format!("links/z/{number}"))).err());
        let text = error.unwrap().to_string();
        assert!(text.contains("`links/z`") && text.contains("100000 leaves"), "{text}");

        let mut regrouper = Regrouper::new(&Path::parse("links").unwrap());
        let value = RawJson::parse(&format!("\"{}\"", "x".repeat(8 << 20))).unwrap();
        let large = |number: i32| Entry { value: value.clone(), ..leaf(&format!("links/z/{number}")) };
        let refused = (0..20).find(|number| regrouper.push(large(*number)).is_err());
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
