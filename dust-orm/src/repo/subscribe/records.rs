//! The records of an entity as of the last op that was heard of.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use dust_protocol::apply::apply;
use dust_protocol::path::unescape;
use dust_protocol::value::is_claim;
use dust_protocol::{CommittedOp, Entry, Leaf, Leaves, OpError, Path};

use super::cached_record::CachedRecord;
use super::event::Change;
use crate::entity::{DustEntity, StoredRecord};

/// Every record of an entity. With it each op gives the record as of that op, and it is known which records a removal
/// has hit.
pub(super) struct Records<E: DustEntity> {
    prefix: Path,
    by_key: BTreeMap<Key, Arc<CachedRecord<E>>>,
}

impl<E: DustEntity> Records<E> {
    pub(super) fn new(prefix: Path, records: Vec<StoredRecord>) -> Records<E> {
        let mut all = Records { prefix, by_key: BTreeMap::new() };
        all.extend(records);
        all
    }

    /// Adds records as of the same op.
    pub(super) fn extend(&mut self, records: Vec<StoredRecord>) {
        let within = self.prefix.as_str().len() + 1;
        let keyed = |record: StoredRecord| {
            let key = record.path.as_str().get(within..)?;
            Some((Key(key.into()), Arc::new(CachedRecord::new(record))))
        };
        self.by_key.extend(records.into_iter().filter_map(keyed));
    }

    /// Every record, nearly in the order of their paths: as if keys had no upper-case letters.
    pub(super) fn all(&self) -> Vec<Arc<CachedRecord<E>>> {
        self.by_key.values().cloned().collect()
    }

    /// Does a commit, and tells what it has changed: each record once, in the order of the
    /// ops that touched it last; of one op first what it has deleted.
    pub(super) fn apply(&mut self, commit: &[Arc<CommittedOp>]) -> Vec<Change<E>> {
        let mut draft = CommitDraft { records: self, changed: BTreeMap::new(), op: 0 };
        for op in commit {
            draft.op += 1;
            if let Err(error) = apply(&mut draft, op) {
                tracing::warn!(target: "dust_orm", path = %op.path, store_seq = op.store_seq, %error, "a committed op has no effect here");
            }
        }
        let mut changed: Vec<(Key, Changed)> = draft.changed.into_iter().collect();
        changed.sort_by_key(|(_, changed)| (changed.op, !changed.leaves.is_empty()));
        changed.into_iter().filter_map(|(key, changed)| self.settle(key, changed.leaves)).collect()
    }

    /// Keeps a changed record. `None` when it came and went in the same commit.
    fn settle(&mut self, key: Key, leaves: Vec<Entry>) -> Option<Change<E>> {
        let segment: Arc<str> = unescape(&key.0).into();
        if leaves.is_empty() {
            let before = self.by_key.remove(&key)?;
            return Some(Change { key: segment, before: Some(before), after: None });
        }
        let path = match self.by_key.get(&key) {
            Some(stored) => stored.record.path.clone(),
            None => self.prefix.child(&segment).ok()?,
        };
        let after = Arc::new(CachedRecord::new(StoredRecord { path, leaves }));
        let before = self.by_key.insert(key, Arc::clone(&after));
        let was = before.as_ref().map_or(&[][..], |before| &before.record.leaves);
        if only_claims_differ(was, &after.record.leaves) {
            return None;
        }
        Some(Change { key: segment, before, after: Some(after) })
    }

    /// The key of the record that a leaf belongs to. A leaf at the prefix or at a record's own path belongs to none.
    fn key_of(&self, leaf: &Path) -> Option<Key> {
        let inside = leaf.as_str().strip_prefix(self.prefix.as_str())?.strip_prefix('/')?;
        Some(Key(inside.split_once('/')?.0.into()))
    }
}

/// Brings records into the order of their paths, which takes little where they nearly are.
pub(super) fn sort_by_path<E: DustEntity>(records: &mut [Arc<CachedRecord<E>>]) {
    // Leaves go on behind a record's path, so that `a-1` comes before `a`.
    records.sort_by(|one, other| {
        let (one, other) = (one.record.path.as_str(), other.record.path.as_str());
        one.bytes().chain(*b"/").cmp(other.bytes().chain(*b"/"))
    });
}

/// The last segment of a record's path, in rendered form. Keys that differ only in ASCII case stand together, as a store
/// removes them together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key(Box<str>);

impl Key {
    /// From the first to the last of the keys that differ from this one only in ASCII case.
    fn all_cases(segment: &str) -> RangeInclusive<Key> {
        Key(segment.to_ascii_uppercase().into())..=Key(segment.to_ascii_lowercase().into())
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        let (own, others) = (self.0.bytes(), other.0.bytes());
        let folded = own.map(|byte| byte.to_ascii_lowercase()).cmp(others.map(|byte| byte.to_ascii_lowercase()));
        folded.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The records while a commit is done to them.
struct CommitDraft<'r, E: DustEntity> {
    records: &'r Records<E>,
    changed: BTreeMap<Key, Changed>,
    /// Which op of the commit is being done.
    op: usize,
}

/// A record as the commit has it so far.
struct Changed {
    leaves: Vec<Entry>,
    /// The last op that touched it.
    op: usize,
}

impl<E: DustEntity> CommitDraft<'_, E> {
    fn leaves(&self, key: &Key) -> &[Entry] {
        match self.changed.get(key) {
            Some(changed) => &changed.leaves,
            None => self.records.by_key.get(key).map_or(&[], |stored| &stored.record.leaves),
        }
    }

    /// Changes the leaves of a record.
    fn change(&mut self, key: Key, change: impl FnOnce(&mut Vec<Entry>)) {
        let mut leaves = match self.changed.get_mut(&key) {
            Some(changed) => std::mem::take(&mut changed.leaves),
            None => self.leaves(&key).to_vec(),
        };
        change(&mut leaves);
        self.changed.insert(key, Changed { leaves, op: self.op });
    }

    /// Empties a record, if it is there.
    fn clear(&mut self, key: Key) {
        if !self.leaves(&key).is_empty() {
            self.changed.insert(key, Changed { leaves: Vec::new(), op: self.op });
        }
    }

    /// The keys in a range.
    fn keys(&self, range: RangeInclusive<Key>) -> BTreeSet<Key> {
        let known = self.records.by_key.range(range.clone()).map(|(key, _)| key);
        known.chain(self.changed.range(range).map(|(key, _)| key)).cloned().collect()
    }

    fn all_keys(&self) -> BTreeSet<Key> {
        self.records.by_key.keys().chain(self.changed.keys()).cloned().collect()
    }
}

/// Whether nothing has happened to a record but that an insert or update has claimed a leaf, which is not written yet.
fn only_claims_differ(before: &[Entry], after: &[Entry]) -> bool {
    let is_written = |leaf: &&Entry| !is_claim(leaf.value.as_str());
    after.iter().any(|leaf| is_claim(leaf.value.as_str()))
        && before.iter().filter(is_written).eq(after.iter().filter(is_written))
}

fn position(leaves: &[Entry], path: &Path) -> Result<usize, usize> {
    leaves.binary_search_by(|leaf| leaf.path.cmp(path))
}

impl<E: DustEntity> Leaves for CommitDraft<'_, E> {
    type Error = OpError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, OpError> {
        let Some(key) = self.records.key_of(path) else { return Ok(None) };
        let leaves = self.leaves(&key);
        let found = position(leaves, path).ok().map(|at| &leaves[at]);
        Ok(found.map(|leaf| Leaf { value: leaf.value.clone(), kind: leaf.kind, revision: leaf.revision }))
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), OpError> {
        let Some(key) = self.records.key_of(path) else { return Ok(()) };
        let entry = Entry::new(path.clone(), leaf.value, leaf.kind, leaf.revision);
        self.change(key, |leaves| match position(leaves, path) {
            Ok(at) => leaves[at] = entry,
            Err(at) => leaves.insert(at, entry),
        });
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), OpError> {
        if let Some(key) = self.records.key_of(path)
            && let Ok(at) = position(self.leaves(&key), path)
        {
            self.change(key, |leaves| drop(leaves.remove(at)));
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), OpError> {
        let prefix = &self.records.prefix;
        if path.as_str().eq_ignore_ascii_case(prefix.as_str()) || path.is_ancestor_ignoring_case(prefix) {
            self.all_keys().into_iter().for_each(|key| self.clear(key));
        } else if prefix.is_ancestor_ignoring_case(path) {
            // The prefix is as long in any case.
            let inside = path.as_str().get(prefix.as_str().len() + 1..).unwrap_or_default();
            match inside.split_once('/') {
                None => self.keys(Key::all_cases(inside)).into_iter().for_each(|key| self.clear(key)),
                Some((segment, _)) => {
                    for key in self.keys(Key::all_cases(segment)) {
                        if self.leaves(&key).iter().any(|leaf| path.is_ancestor_ignoring_case(&leaf.path)) {
                            self.change(key, |leaves| {
                                leaves.retain(|leaf| !path.is_ancestor_ignoring_case(&leaf.path))
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(feature = "macros")]
mod tests {
    use std::collections::BTreeMap;

    use dust_protocol::apply::{Stamp, outcome};
    use dust_protocol::testing::{near_op, near_path};
    use dust_protocol::{OpKind, PackedLeaves};
    use proptest::prelude::*;

    use super::*;
    use crate::entity::{RecordRef, records};
    use crate::tests_cfg::link;

    type Store = BTreeMap<Path, Leaf>;
    type Regrouped = BTreeMap<String, Vec<(String, String, u64)>>;

    fn regrouped(records: impl IntoIterator<Item = StoredRecord>) -> Regrouped {
        let leaves = |record: &StoredRecord| {
            let leaf = |leaf: &Entry| (leaf.path.to_string(), leaf.value.to_string(), leaf.revision);
            record.leaves.iter().map(leaf).collect()
        };
        records.into_iter().map(|record| (record.key().into_owned(), leaves(&record))).collect()
    }

    /// The records of a store, by way of a list of all its leaves.
    fn in_store(store: &Store, prefix: &Path) -> Vec<StoredRecord> {
        let leaves: PackedLeaves = store
            .iter()
            .map(|(path, leaf)| Entry::new(path.clone(), leaf.value.clone(), leaf.kind, leaf.revision))
            .collect();
        records(&prefix.descendant_prefix(), &leaves).map(RecordRef::to_stored).collect()
    }

    proptest! {
        /// Whatever is committed, together or one after the other: the records are those of the store, and what has changed
        /// in the store is told of, once a commit.
        #[test]
        fn are_those_of_the_store(
            start in prop::collection::vec((near_path(), near_op()), 0..10),
            commits in prop::collection::vec(prop::collection::vec((near_path(), near_op()), 1..4), 0..8),
        ) {
            let prefix = Path::parse("a").unwrap();
            let mut store = Store::new();
            let mut seq = 0;
            let mut commit = |store: &mut Store, (path, op): (Path, dust_protocol::Op)| {
                seq += 1;
                let value = outcome(store, &path, &op, Stamp { store_seq: seq, wall_ms: 0 }).ok()?;
                let (op, device_id, client_op_id) = (op.kind(), "d".into(), "c".into());
                let committed = CommittedOp::new(seq, op, path, value).written_by(device_id, client_op_id);
                apply(store, &committed).unwrap();
                Some(Arc::new(committed))
            };
            for step in start {
                commit(&mut store, step);
            }
            let mut records = Records::<link::Entity>::new(prefix.clone(), in_store(&store, &prefix));
            for steps in commits {
                let before = regrouped(in_store(&store, &prefix));
                let ops: Vec<_> = steps.into_iter().filter_map(|step| commit(&mut store, step)).collect();
                let after = regrouped(in_store(&store, &prefix));

                let changes = records.apply(&ops);
                prop_assert_eq!(regrouped(records.all().into_iter().map(|stored| stored.record.clone())), after.clone());
                let told: Vec<&str> = changes.iter().map(|change| &*change.key).collect();
                let distinct: BTreeSet<&str> = told.iter().copied().collect();
                prop_assert_eq!(distinct.len(), told.len());
                for key in before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key)) {
                    prop_assert!(distinct.contains(key.as_str()), "{} has changed: {:?}", key, ops);
                }
                for change in &changes {
                    let of = |stored: &Option<Arc<CachedRecord<_>>>| {
                        regrouped(stored.iter().map(|stored| stored.record.clone())).into_values().next()
                    };
                    prop_assert_eq!(of(&change.before), before.get(&*change.key).cloned());
                    prop_assert_eq!(of(&change.after), after.get(&*change.key).cloned());
                }
            }
        }
    }

    #[test]
    fn are_in_the_order_of_their_paths() {
        let keys = ["b", "a-1", "a", "a~1b", "B", "é", "b10", "b2"];
        let record = |key: &str| StoredRecord { path: Path::parse(&format!("a/{key}")).unwrap(), leaves: Vec::new() };
        let records = Records::<link::Entity>::new(Path::parse("a").unwrap(), keys.map(record).into());
        let mut all = records.all();
        sort_by_path(&mut all);
        let order: Vec<String> = all.iter().map(|stored| stored.record.path.to_string()).collect();
        assert_eq!(order, ["a/B", "a/a-1", "a/a", "a/a~1b", "a/b", "a/b10", "a/b2", "a/é"]);
    }

    #[test]
    fn changes_come_in_the_order_of_the_ops() {
        let op = |seq: u64, op: OpKind, path: &str, value: &str| {
            Arc::new(
                CommittedOp::new(seq, op, Path::parse(path).unwrap(), dust_protocol::RawJson::parse(value).unwrap())
                    .written_by("d".into(), "c".into()),
            )
        };
        let mut records = Records::<link::Entity>::new(Path::parse("a").unwrap(), Vec::new());
        let keys = |changes: Vec<Change<link::Entity>>| {
            changes.iter().map(|change| change.key.to_string()).collect::<Vec<_>>()
        };
        let set = |seq, path| op(seq, OpKind::Set, path, "1");
        assert_eq!(keys(records.apply(&[set(1, "a/z/x"), set(2, "a/b~1c/x"), set(3, "a/z/y")])), ["b/c", "z"]);
        // What comes and goes at once is nobody's business.
        assert_eq!(keys(records.apply(&[set(4, "a/n/x"), op(5, OpKind::Delete, "A/N", "null")])), [""; 0]);
        assert_eq!(keys(records.apply(&[op(6, OpKind::Delete, "A", "null")])), ["b/c", "z"]);
        assert_eq!(keys(records.apply(&[op(7, OpKind::Delete, "a", "null")])), [""; 0]);
    }
}
