use proptest::prelude::*;
use serde_json::Value;

use super::super::testing::{Model, near_op, near_path};
use super::*;
use crate::Mutation;

type Set = BTreeMap<Path, Leaf>;

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

fn commit(leaves: &mut Set, store_seq: u64, path: &Path, op: &Mutation) -> Result<CommittedOp, OpError> {
    let value = outcome(leaves, path, op, Stamp { store_seq, wall_ms: 1000 })?;
    let (device_id, client_op_id) = ("d".into(), "c".into());
    let committed = CommittedOp { store_seq, op: op.kind(), path: path.clone(), value, device_id, client_op_id };
    apply(leaves, &committed, None)?;
    Ok(committed)
}

fn as_model(leaves: &Set) -> Model {
    let leaves = leaves
        .iter()
        .map(|(path, leaf)| (path.to_string(), (leaf.value.to::<Value>().unwrap(), leaf.kind.name(), leaf.revision)));
    Model(leaves.collect())
}

#[test]
fn merge_sets_children_in_order() {
    // The subtree of the second child is removed ignoring case, and with it that of the first.
    let mut leaves = Set::new();
    commit(&mut leaves, 1, &"m".parse().unwrap(), &Mutation::Merge(raw(r#"{"a":{"y":2},"A":{"x":1}}"#))).unwrap();
    assert_eq!(leaves.keys().map(Path::as_str).collect::<Vec<_>>(), ["m/a/y"]);
    // A scalar child removes nothing but its leaf.
    commit(&mut leaves, 2, &"m".parse().unwrap(), &Mutation::Merge(raw(r#"{"A":1}"#))).unwrap();
    assert_eq!(leaves.keys().map(Path::as_str).collect::<Vec<_>>(), ["m/A", "m/a/y"]);
}

#[test]
fn merge_splits_an_envelope() {
    let mut leaves = Set::new();
    commit(&mut leaves, 1, &"m".parse().unwrap(), &Mutation::Merge(raw(r#"{"_type":"x","_typed":1}"#))).unwrap();
    assert_eq!(leaves.keys().map(Path::as_str).collect::<Vec<_>>(), ["m/_type", "m/_typed"]);
}

#[test]
fn lease_has_sequence_and_time() {
    let mut leaves = Set::new();
    let lock: Path = "lock".parse().unwrap();
    let holder = Some("a \"name\"".to_owned());
    let taken = commit(&mut leaves, 7, &lock, &Mutation::Lease { holder, ttl_ms: 50 }).unwrap();
    assert_eq!(taken.value.as_str(), r#"{"_type":"lease","expires_at":1050,"holder":"a \"name\"","token":7}"#);
    let renewed = commit(&mut leaves, 8, &lock, &Mutation::Renew { token: 7, ttl_ms: 60 }).unwrap();
    assert_eq!(renewed.value.as_str(), r#"{"_type":"lease","expires_at":1060,"holder":"a \"name\"","token":7}"#);
    assert_eq!(leaves[&lock], Leaf { value: renewed.value, kind: LeafKind::Lease, revision: 8 });
    commit(&mut leaves, 9, &lock, &Mutation::Release { token: 7 }).unwrap();
    assert!(leaves.is_empty());
}

#[test]
fn committed_op_is_applied_without_checks() {
    // Another store's log may hold an envelope that does not parse.
    let mut leaves = Set::new();
    let value = raw(r#"{"a":{"_type":"decimal","_typed":"abc"}}"#);
    let (device_id, client_op_id) = ("d".into(), "c".into());
    let path = "p".parse().unwrap();
    let op = CommittedOp { store_seq: 1, op: OpKind::Set, path, value, device_id, client_op_id };
    apply(&mut leaves, &op, None).unwrap();
    assert_eq!(leaves.len(), 1);
}

#[test]
fn refused_object_changes_nothing() {
    let path: Path = "p".parse().unwrap();
    let mut leaves = Set::new();
    commit(&mut leaves, 1, &path, &Mutation::Set(raw(r#"{"a":1,"b":{"c":2}}"#))).unwrap();
    let before = leaves.clone();
    for kind in [OpKind::Set, OpKind::Merge] {
        for value in [r#"{"a":3,"":1}"#, r#"{"b":{"d":1},"c":{"e":{"":1}}}"#] {
            let op = CommittedOp::new(2, kind, path.clone(), raw(value));
            let mut changes = Vec::new();
            let error = apply(&mut leaves, &op, Some(&mut changes)).unwrap_err();
            assert_eq!((error.name(), &changes[..], &leaves), ("empty_segment", &[][..], &before), "{kind:?} {value}");
        }
    }
}

proptest! {
    #[test]
    fn ops_do_what_the_model_does(ops in prop::collection::vec((near_path(), near_op()), 1..25)) {
        let (mut leaves, mut model, mut log) = (Set::new(), Model::default(), Vec::new());
        for (path, op) in ops {
            let seq = log.len() as u64 + 1;
            let expected = model.run(seq, &path, &op);
            let committed = commit(&mut leaves, seq, &path, &op);
            prop_assert_eq!(committed.as_ref().map(|_| ()).map_err(OpError::name), expected, "{:?}", op);
            log.extend(committed);
            prop_assert_eq!(&as_model(&leaves), &model);
        }
        let (mut replayed, mut patched) = (Set::new(), Set::new());
        for op in &log {
            let mut changes = Vec::new();
            apply(&mut replayed, op, Some(&mut changes)).unwrap();
            for change in &changes {
                prop_assert_eq!(change.store_seq, op.store_seq);
                prop_assert_eq!(patched.get(&change.path), change.before.as_ref(), "{:?}", op);
                match change.after.clone() {
                    Some(leaf) => drop(patched.insert(change.path.clone(), leaf)),
                    None => drop(patched.remove(&change.path)),
                }
            }
            prop_assert_eq!(&patched, &replayed, "the changes of {:?}", op);
        }
        prop_assert_eq!(replayed, leaves);
    }
}
