//! Records as a store keeps them: the leaves below one key.

use std::borrow::Cow;

use crate::protocol::path::unescape;
use crate::protocol::{Entry, Path};

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
}

impl Regrouper {
    pub(crate) fn new(prefix: &Path) -> Regrouper {
        Regrouper { prefix: prefix.descendant_prefix(), open: None }
    }

    /// Takes the next leaf, and gives back the record before it when the leaf begins a new one.
    pub(crate) fn push(&mut self, leaf: Entry) -> Option<StoredRecord> {
        if let Some(open) = &mut self.open
            && open.path.is_ancestor_of(&leaf.path)
        {
            open.leaves.push(leaf);
            return None;
        }
        // A leaf at the prefix or at a record's own path belongs to no record.
        let key_end = leaf.path.as_str().strip_prefix(&self.prefix)?.find('/')? + self.prefix.len();
        // Cut at a `/`, what is left of a path is a path.
        let path = Path::parse(&leaf.path.as_str()[..key_end]).ok()?;
        self.open.replace(StoredRecord { path, leaves: vec![leaf] })
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
        let mut records: Vec<StoredRecord> = paths.iter().filter_map(|path| regrouper.push(leaf(path))).collect();
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
