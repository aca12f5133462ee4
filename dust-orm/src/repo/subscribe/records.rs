//! The records of an entity as of the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use dust_protocol::value::is_claim;
use dust_protocol::{Leaf, LeafChange, LeafRef, PackedLeaves, Path};

use super::cached_record::CachedRecord;
use super::event::Change;
use crate::entity::{DustEntity, StoredRecord, record_of};
use crate::repo::find::KeyRange;

/// Every record of a part of an entity. It applies no op: it patches the records with the leaves that the store or the
/// mirror has changed, so that a changed leaf yields its whole record before and after.
pub(super) struct Records<E: DustEntity> {
    /// The prefix of the entity.
    prefix: Path,
    range: KeyRange,
    /// The records by their key in its rendered form, `ada/dust`.
    by_key: BTreeMap<Box<str>, Arc<CachedRecord<E>>>,
}

impl<E: DustEntity> Records<E> {
    /// The records that a range of keys selects, of `records` and of all later changes.
    pub(super) fn new(prefix: Path, range: KeyRange, records: Vec<StoredRecord>) -> Records<E> {
        let mut all = Records { prefix, range, by_key: BTreeMap::new() };
        all.extend(records);
        all
    }

    /// Adds records as of the same op.
    pub(super) fn extend(&mut self, records: Vec<StoredRecord>) {
        let within = self.prefix.as_str().len() + 1;
        let keyed = |record: StoredRecord| {
            let key = record.path.as_str().get(within..)?;
            Some((key.into(), Arc::new(CachedRecord::new(record))))
        };
        let selected = records.into_iter().filter(|record| self.range.covers(record.path.as_str()));
        self.by_key.extend(selected.filter_map(keyed));
    }

    /// Every record, nearly in the order of their paths.
    pub(super) fn all(&self) -> Vec<Arc<CachedRecord<E>>> {
        self.by_key.values().cloned().collect()
    }

    /// Applies the changes of a commit, and returns the changed records: each once, in the order of the ops that
    /// changed them last; of one op the deleted records first.
    ///
    /// Applying changes again that the records already have has no effect if all later ones follow.
    pub(super) fn apply(&mut self, changes: &[LeafChange]) -> Vec<Change<E>> {
        let mut by_key: BTreeMap<&str, Vec<&LeafChange>> = BTreeMap::new();
        for change in changes {
            if let Some(key) = key_of::<E>(&self.prefix, &change.path)
                && self.range.covers(&change.path.as_str()[..self.prefix.as_str().len() + 1 + key.len()])
            {
                by_key.entry(key).or_default().push(change);
            }
        }
        let changed = by_key.into_iter().filter_map(|(key, changes)| {
            let last = changes.last()?.store_seq;
            Some((last, self.patch(key, &changes)?))
        });
        let mut changed: Vec<(u64, Change<E>)> = changed.collect();
        changed.sort_by_key(|(last, change)| (*last, change.after.is_some()));
        changed.into_iter().map(|(_, change)| change).collect()
    }

    /// Changes one record. Returns `None` if subscribers see no difference.
    fn patch(&mut self, key: &str, changes: &[&LeafChange]) -> Option<Change<E>> {
        let stored = self.by_key.get(key);
        let leaves = patched(stored.map(|stored| &stored.record.leaves), changes);
        if leaves.is_empty() {
            // A record that was created and deleted in the same commit was not there before.
            let before = self.by_key.remove(key)?;
            return Some(Change { key: key.into(), before: Some(before), after: None });
        }
        let path = match stored {
            Some(stored) => stored.record.path.clone(),
            None => Path::from_trusted(&format!("{}/{key}", self.prefix)),
        };
        let after = Arc::new(CachedRecord::new(StoredRecord { path, leaves }));
        let before = self.by_key.insert(key.into(), Arc::clone(&after));
        if only_claims_differ(before.as_ref().map(|before| &before.record.leaves), &after.record.leaves) {
            return None;
        }
        Some(Change { key: key.into(), before, after: Some(after) })
    }
}

/// The key of the record that a leaf belongs to, in its rendered form. A leaf at the prefix or at a record's own path,
/// and one between them, belongs to no record.
pub(super) fn key_of<'l, E: DustEntity>(prefix: &Path, leaf: &'l Path) -> Option<&'l str> {
    let inside = leaf.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/')?;
    record_of("", E::KEY_PARTS, inside)
}

/// The leaves of a record after changes, in the order of their paths. The last change of a leaf counts.
fn patched(leaves: Option<&PackedLeaves>, changes: &[&LeafChange]) -> PackedLeaves {
    let last: BTreeMap<&str, Option<&Leaf>> =
        changes.iter().map(|change| (change.path.as_str(), change.after.as_ref())).collect();
    let unchanged = leaves.into_iter().flat_map(PackedLeaves::iter).filter(|leaf| !last.contains_key(leaf.path));
    let mut patched: Vec<LeafRef<'_>> = unchanged.collect();
    patched.extend(last.iter().filter_map(|(path, leaf)| Some(LeafRef::of(path, (*leaf)?))));
    patched.sort_by(|one, other| one.path.cmp(other.path));
    PackedLeaves::of(patched.iter().copied())
}

/// Sorts records by their paths, which costs little if they are nearly sorted.
pub(super) fn sort_by_path<E: DustEntity>(records: &mut [Arc<CachedRecord<E>>]) {
    // The paths of leaves continue with `/`, so that `a-1` comes before `a`.
    records.sort_by(|one, other| {
        let (one, other) = (one.record.path.as_str(), other.record.path.as_str());
        one.bytes().chain(*b"/").cmp(other.bytes().chain(*b"/"))
    });
}

/// True if the only difference is that an insert or update has claimed a leaf, which is not written yet.
fn only_claims_differ(before: Option<&PackedLeaves>, after: &PackedLeaves) -> bool {
    let is_written = |leaf: &LeafRef<'_>| !is_claim(leaf.value);
    after.iter().any(|leaf| is_claim(leaf.value))
        && before.into_iter().flat_map(PackedLeaves::iter).filter(is_written).eq(after.iter().filter(is_written))
}

#[cfg(test)]
#[cfg(feature = "macros")]
mod tests {
    use std::collections::BTreeSet;

    use dust_protocol::apply::{Stamp, apply, outcome};
    use dust_protocol::testing::{near_op, near_path};
    use dust_protocol::{CommittedOp, Entry, OpKind};
    use proptest::prelude::*;

    use super::*;
    use crate::entity::{RecordRef, records};
    use crate::tests_cfg::{bookmark, link};

    type Store = BTreeMap<Path, Leaf>;
    type Regrouped = BTreeMap<String, Vec<(String, String, u64)>>;

    fn regrouped(key_parts: usize, records: impl IntoIterator<Item = StoredRecord>) -> Regrouped {
        let leaves = |record: &StoredRecord| {
            let leaf = |leaf: LeafRef<'_>| (leaf.path.to_owned(), leaf.value.to_owned(), leaf.revision);
            record.leaves.iter().map(leaf).collect()
        };
        records
            .into_iter()
            .map(|record| (RecordRef::from(&record).key(key_parts).to_owned(), leaves(&record)))
            .collect()
    }

    /// The records of a store, from a list of all its leaves.
    fn in_store(key_parts: usize, store: &Store, prefix: &Path) -> Vec<StoredRecord> {
        let leaves: PackedLeaves = store
            .iter()
            .map(|(path, leaf)| Entry::new(path.clone(), leaf.value.clone(), leaf.kind, leaf.revision))
            .collect();
        records(&prefix.descendant_prefix(), key_parts, &leaves).map(RecordRef::to_stored).collect()
    }

    type Steps = Vec<(Path, dust_protocol::Mutation)>;

    /// Checks that the records after each commit are those of the store, and that each record that has changed in the
    /// store is returned once.
    fn check<E: DustEntity>(start: Steps, commits: Vec<Steps>) -> Result<(), TestCaseError> {
        let prefix = Path::parse("a").unwrap();
        let mut store = Store::new();
        let mut seq = 0;
        let mut commit = |store: &mut Store, steps: Steps| {
            let mut changes = Vec::new();
            for (path, op) in steps {
                seq += 1;
                let stamp = Stamp { store_seq: seq, wall_ms: 0 };
                let Ok(value) = outcome(store, &path, &op, stamp) else { continue };
                let committed = CommittedOp::new(seq, op.kind(), path, value).written_by("d".into(), "c".into());
                // An op that is refused changes nothing.
                let _ = apply(store, &committed, Some(&mut changes));
            }
            changes
        };
        commit(&mut store, start);
        let range = KeyRange::all_below(prefix.clone());
        let mut records = Records::<E>::new(prefix.clone(), range, in_store(E::KEY_PARTS, &store, &prefix));
        for steps in commits {
            let before = regrouped(E::KEY_PARTS, in_store(E::KEY_PARTS, &store, &prefix));
            let leaf_changes = commit(&mut store, steps);
            let after = regrouped(E::KEY_PARTS, in_store(E::KEY_PARTS, &store, &prefix));

            let changes = records.apply(&leaf_changes);
            let all = records.all().into_iter().map(|stored| stored.record.clone());
            prop_assert_eq!(regrouped(E::KEY_PARTS, all), after.clone());
            let told: Vec<&str> = changes.iter().map(|change| &*change.key).collect();
            let distinct: BTreeSet<&str> = told.iter().copied().collect();
            prop_assert_eq!(distinct.len(), told.len());
            for key in before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key)) {
                prop_assert!(distinct.contains(key.as_str()), "{} has changed: {:?}", key, leaf_changes);
            }
            for change in &changes {
                let of = |stored: &Option<Arc<CachedRecord<_>>>| {
                    regrouped(E::KEY_PARTS, stored.iter().map(|stored| stored.record.clone())).into_values().next()
                };
                prop_assert_eq!(of(&change.before), before.get(&*change.key).cloned());
                prop_assert_eq!(of(&change.after), after.get(&*change.key).cloned());
            }
        }
        Ok(())
    }

    proptest! {
        /// For any commits of one op or several, and for keys of one part and of two.
        #[test]
        fn are_those_of_the_store(
            start in prop::collection::vec((near_path(), near_op()), 0..10),
            commits in prop::collection::vec(prop::collection::vec((near_path(), near_op()), 1..4), 0..8),
        ) {
            check::<link::Entity>(start.clone(), commits.clone())?;
            check::<bookmark::Entity>(start, commits)?;
        }
    }

    #[test]
    fn are_in_the_order_of_their_paths() {
        let keys = ["b", "a-1", "a", "a~1b", "B", "é", "b10", "b2"];
        let path = |key: &str| Path::parse(&format!("a/{key}")).unwrap();
        let record = |key: &str| StoredRecord { path: path(key), leaves: PackedLeaves::default() };
        let prefix = Path::parse("a").unwrap();
        let range = KeyRange::all_below(prefix.clone());
        let records = Records::<link::Entity>::new(prefix, range, keys.map(record).into());
        let mut all = records.all();
        sort_by_path(&mut all);
        let order: Vec<String> = all.iter().map(|stored| stored.record.path.to_string()).collect();
        assert_eq!(order, ["a/B", "a/a-1", "a/a", "a/a~1b", "a/b", "a/b10", "a/b2", "a/é"]);
    }

    #[test]
    fn changes_come_in_the_order_of_the_ops() {
        let op = |seq: u64, op: OpKind, path: &str, value: &str| {
            let value = dust_protocol::RawJson::parse(value).unwrap();
            CommittedOp::new(seq, op, Path::parse(path).unwrap(), value).written_by("d".into(), "c".into())
        };
        let mut store = Store::new();
        let prefix = Path::parse("a").unwrap();
        let mut records = Records::<link::Entity>::new(prefix.clone(), KeyRange::all_below(prefix), Vec::new());
        let mut commit = |ops: &[CommittedOp]| {
            let mut changes = Vec::new();
            ops.iter().for_each(|op| apply(&mut store, op, Some(&mut changes)).unwrap());
            records.apply(&changes).iter().map(|change| change.key.to_string()).collect::<Vec<_>>()
        };
        let set = |seq, path| op(seq, OpKind::Set, path, "1");
        assert_eq!(commit(&[set(1, "a/z/x"), set(2, "a/b~1c/x"), set(3, "a/z/y")]), ["b~1c", "z"]);
        // A record that is created and deleted in one commit is not a change.
        assert_eq!(commit(&[set(4, "a/n/x"), op(5, OpKind::Delete, "A/N", "null")]), [""; 0]);
        assert_eq!(commit(&[op(6, OpKind::Delete, "A", "null")]), ["b~1c", "z"]);
        assert_eq!(commit(&[op(7, OpKind::Delete, "a", "null")]), [""; 0]);
    }
}
