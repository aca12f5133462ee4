//! Property tests that compare a store with a simple model.

use dust_protocol::apply::apply;
use dust_protocol::testing::{Model, near_op, near_path, near_value};
use dust_protocol::{Leaf, LeafChange, envelope, value};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write(Path, Mutation, Guard),
    Batch(Vec<(Path, Option<Value>, Guard)>),
    Compact,
}

/// The precondition, relative to the current revision of the leaf.
#[derive(Clone, Copy, Debug)]
enum Guard {
    None,
    Right,
    Stale,
    Absent,
    Vacant,
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        6 => Just(Guard::None),
        1 => Just(Guard::Right),
        1 => Just(Guard::Stale),
        1 => Just(Guard::Absent),
        1 => Just(Guard::Vacant),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let batched = (near_path(), prop::option::of(near_value()), guard());
    prop_oneof![
        8 => (near_path(), near_op(), guard()).prop_map(|(path, op, guard)| Step::Write(path, op, guard)),
        3 => prop::collection::vec(batched, 1..5).prop_map(Step::Batch),
        1 => Just(Step::Compact),
    ]
}

impl Guard {
    fn on(self, model: &Model, path: &Path) -> Option<Precondition> {
        let revision = model.0.get(path.as_str()).map_or(0, |(.., revision)| *revision);
        match self {
            Guard::None => None,
            Guard::Right => Some(Precondition::IfMatch(revision)),
            Guard::Stale => Some(Precondition::IfMatch(revision + 1)),
            Guard::Absent => Some(Precondition::IfLeafAbsent),
            Guard::Vacant => Some(Precondition::IfSubtreeAbsent),
        }
    }
}

/// The name of the error of a precondition.
fn refused(model: &Model, path: &Path, op: &Mutation, on: Option<Precondition>) -> Result<(), &'static str> {
    let object = matches!(op, Mutation::Set(value) if value::is_subtree(value));
    let leaf = model.0.get(path.as_str());
    match (on, op) {
        (None, _) => Ok(()),
        (Some(Precondition::IfMatch(_)), _) if object => Err("if_match_multi_leaf"),
        (Some(Precondition::IfMatch(revision)), Mutation::Set(_) | Mutation::Delete) => {
            leaf.is_some_and(|leaf| leaf.2 == revision).then_some(()).ok_or("conflict")
        }
        (Some(Precondition::IfMatch(_)), _) => Err("if_match_unsupported_op"),
        (Some(Precondition::IfLeafAbsent), _) if object => Err("if_absent_multi_leaf"),
        (Some(Precondition::IfLeafAbsent), Mutation::Set(_)) => leaf.is_none().then_some(()).ok_or("exists"),
        (Some(Precondition::IfSubtreeAbsent), Mutation::Set(_)) => {
            let below = path.descendant_prefix();
            let vacant = leaf.is_none() && !model.0.keys().any(|other| other.starts_with(&below));
            vacant.then_some(()).ok_or("exists")
        }
        (Some(_), _) => Err("if_absent_unsupported_op"),
    }
}

fn do_step(store: &Store, model: &mut Model, step: Step) {
    let seq = store.current_seq();
    match step {
        Step::Write(path, op, guard) => {
            let on = guard.on(model, &path);
            let expected = refused(model, &path, &op, on).and_then(|()| model.run(seq + 1, &path, &op));
            let write = Op::new(path, op).on(on);
            let done = store.try_do(write.clone());
            assert_eq!(done.as_ref().map(|_| ()).map_err(StoreError::name), expected, "{write:?}");
            assert_eq!(store.current_seq(), seq + u64::from(expected.is_ok()));
        }
        Step::Batch(ops) => {
            let (mut after, mut batch, mut expected) = (model.clone(), Vec::new(), Ok(()));
            for (index, (path, value, guard)) in ops.into_iter().enumerate() {
                let on = guard.on(&after, &path);
                let op = value.as_ref().map_or(Mutation::Delete, |value| Mutation::Set(value.into()));
                if expected.is_ok() {
                    let next = seq + 1 + index as u64;
                    expected = refused(&after, &path, &op, on).and_then(|()| after.run(next, &path, &op));
                }
                batch.push(Op::new(path, op).on(on));
            }
            let count = batch.len() as u64;
            let done = store.try_batch(batch.clone());
            // A batch first checks all ops without the leaves, so that the error may be that of another op.
            assert_eq!(done.is_ok(), expected.is_ok(), "{batch:?} {done:?} {expected:?}");
            assert_eq!(store.current_seq(), seq + if done.is_ok() { count } else { 0 });
            if done.is_ok() {
                *model = after;
            }
        }
        Step::Compact => {
            store.compact().unwrap();
        }
    }
}

/// The stored leaves of the view.
fn stored(store: &Store) -> BTreeMap<Path, Leaf> {
    let view = store.inner.storage.view().unwrap();
    let rows = view.leaves.range::<&[u8]>(..).unwrap();
    rows.map(|row| row.unwrap())
        .map(|(at, leaf)| (tables::to_path(at.value()).unwrap(), tables::to_leaf(leaf.value()).unwrap()))
        .collect()
}

/// Makes changes to leaves that are as they were before the changes.
fn patch(leaves: &mut BTreeMap<Path, Leaf>, changes: &[LeafChange]) {
    for LeafChange { path, before, after, .. } in changes {
        assert_eq!(leaves.get(path), before.as_ref(), "{path}");
        match after.clone() {
            Some(leaf) => drop(leaves.insert(path.clone(), leaf)),
            None => drop(leaves.remove(path)),
        }
    }
}

/// The leaves from snapshot and log.
fn replayed(store: &Store) -> BTreeMap<Path, Leaf> {
    let mut leaves = BTreeMap::new();
    let mut seq = 0;
    if let Some(snapshot) = store.snapshot().unwrap() {
        seq = snapshot.seq;
        leaves.extend(
            snapshot
                .leaves
                .into_iter()
                .map(|entry| (entry.path, Leaf { value: entry.value, kind: entry.kind, revision: entry.revision })),
        );
    }
    for op in store.ops_since(seq, usize::MAX).unwrap() {
        seq += 1;
        assert_eq!(op.store_seq, seq, "the log has a hole");
        apply(&mut leaves, &op, None).unwrap();
    }
    assert_eq!(seq, store.current_seq());
    leaves
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_store_does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..20),
        asked in prop::collection::vec(near_path(), 4),
    ) {
        let store = Store::in_memory().unwrap();
        let mut model = Model::default();
        let patched: Arc<Mutex<BTreeMap<Path, Leaf>>> = Arc::default();
        let into = Arc::clone(&patched);
        let follow = move |changes: Option<&[LeafChange]>| patch(&mut into.lock().unwrap(), changes.unwrap());
        let _listening = store.on_changes(|_| true, move |_, changes| follow(changes));
        for step in steps {
            do_step(&store, &mut model, step);
            let leaves = stored(&store);
            prop_assert_eq!(&*patched.lock().unwrap(), &leaves);
            let seen = leaves.iter().map(|(path, leaf)| {
                (path.to_string(), (leaf.value.to::<Value>().unwrap(), leaf.kind.name(), leaf.revision))
            });
            prop_assert_eq!(&Model(seen.collect()), &model);
            prop_assert_eq!(store.entry_count().unwrap(), leaves.len() as u64);
            prop_assert_eq!(replayed(&store), leaves);
        }
        let to_plain = |value: &Value| {
            let text = serde_json::to_string(value).unwrap();
            text.replace(r#"{"_type":"decimal","_typed":"1.50"}"#, "\"1.50\"")
        };
        for at in asked {
            let seen = store.get(&at).unwrap().map(|entry| to_plain(&entry.value.to().unwrap()));
            // Inside an array an envelope stays unchanged.
            let seen = seen.map(|text| to_plain(&serde_json::from_str(&text).unwrap()));
            prop_assert_eq!(seen, model.get(at.as_str()).map(|value| to_plain(&value)));
            let many = store.get_many(std::slice::from_ref(&at)).unwrap().remove(0);
            let leaf = stored(&store).remove(&at);
            prop_assert_eq!(many.map(|entry| entry.value), leaf.map(|leaf| envelope::to_plain(&leaf.value)));
            let below = at.descendant_prefix();
            prop_assert_eq!(store.exists(&at).unwrap(), model.0.keys().any(|path| path.starts_with(&below)));
        }
    }

    #[test]
    fn lists_are_those_of_a_filter(
        at in prop::collection::vec(near_path(), 0..20),
        pattern in prop::sample::select(vec![
            "**", "*", "a/*", "a/**", "*/a", "A/**", "a/b/**", "*/*/*", "a/*/b", "a-1/**", "é/*",
        ]),
        limit in 1..6_usize,
        order in prop::sample::select(vec![Order::Ascending, Order::Descending]),
    ) {
        let store = Store::in_memory().unwrap();
        let mut expected = std::collections::BTreeSet::new();
        for path in &at {
            store.run(path.as_str(), Mutation::Merge(raw(r#"{"x":1}"#)));
            expected.insert(path.child("x").unwrap());
        }
        let glob = Pattern::parse(pattern).unwrap();
        let mut expected: Vec<Path> = expected.into_iter().filter(|path| glob.matches(path)).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        let mut request = ListRequest::pattern(glob).limit(limit).order(order).select(Select::Keys);
        let mut found = Vec::new();
        loop {
            let page = store.list(&request).unwrap();
            prop_assert!(page.items.len() <= limit);
            found.extend(page.items.iter().map(|item| item.path().clone()));
            let Some(next) = page.next_cursor else { break };
            prop_assert_eq!(page.items.len(), limit);
            prop_assert_eq!(page.items.last().unwrap().path().as_str(), &next);
            request.after = Some(next);
        }
        prop_assert_eq!(found, expected);
    }
}
