//! Batches of several ops.

use dust_orm::{DustErr, ErrKind};
use dust_protocol::{Mutation, Op, Precondition, RawJson};
use serde_json::{Value, json};

use crate::context::{Context, path};

super::tests![
    each_op_has_a_place_of_its_own,
    later_ops_see_earlier_ones,
    sets_and_deletes_are_done_in_order,
    a_stale_guard_anywhere_writes_nothing,
    guards_that_hold_let_everything_through,
    a_guarded_delete_is_done,
    an_object_takes_no_guard,
    an_empty_object_deletes,
    a_thousand_ops_are_one_batch,
    more_than_a_thousand_ops_are_refused,
    no_ops_are_refused,
    other_ops_are_refused,
];

fn set(at: &str, value: Value) -> Op {
    Op::set(path(at), RawJson::from(value))
}

async fn batch(cx: &Context, ops: Vec<Op>) -> Result<u64, DustErr> {
    Ok(cx.transport.write(ops, None).await?.store_seq.unwrap())
}

async fn each_op_has_a_place_of_its_own(cx: &Context) {
    let last = batch(cx, vec![set("r/a", json!(1)), set("r/b", json!(2))]).await.unwrap();
    let leaves = cx.entries("r").await;
    if !cx.transport.capabilities().merges_fields {
        assert!(leaves[0].revision < leaves[1].revision);
    }
    assert_eq!(leaves[1].revision, last);
}

async fn later_ops_see_earlier_ones(cx: &Context) {
    batch(cx, vec![set("m", json!({"a": 1, "b": {"c": 2}})), set("m/a", json!(9))]).await.unwrap();
    assert_eq!(cx.value("m").await, Some(json!({"a": 9, "b": {"c": 2}})));
}

async fn sets_and_deletes_are_done_in_order(cx: &Context) {
    cx.set("r", json!({"old": 1})).await;
    batch(cx, vec![Op::delete(path("r")), set("r/new", json!(2)), set("r/gone", json!(3)), Op::delete(path("r/gone"))])
        .await
        .unwrap();
    assert_eq!(cx.value("r").await, Some(json!({"new": 2})));
}

async fn a_stale_guard_anywhere_writes_nothing(cx: &Context) {
    let stale = cx.set("r/b", json!(1)).await;
    let current = cx.set("r/b", json!(2)).await;
    let guarded = set("r/b", json!(3)).on(Precondition::IfMatch(stale));
    let error = batch(cx, vec![set("r/a", json!(1)), Op::delete(path("r")), guarded]).await.unwrap_err();
    match &error {
        // Readers see the revision before the batch, as the batch was undone.
        DustErr::Conflict { path, current: seen, op_index, .. } => {
            assert_eq!((path.as_str(), *seen, *op_index), ("r/b", Some(current), Some(2)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cx.value("r").await, Some(json!({"b": 2})));
}

async fn guards_that_hold_let_everything_through(cx: &Context) {
    let a = cx.set("r/a", json!(1)).await;
    let b = cx.set("r/b", json!(2)).await;
    let ops = vec![
        set("r/a", json!(10)).on(Precondition::IfMatch(a)),
        set("r/b", json!([20])).on(Precondition::IfMatch(b)),
        set("r/c", json!(30)),
    ];
    batch(cx, ops).await.unwrap();
    assert_eq!(cx.value("r").await, Some(json!({"a": 10, "b": [20], "c": 30})));
}

async fn a_guarded_delete_is_done(cx: &Context) {
    let a = cx.set("r/a", json!(1)).await;
    let ops = vec![Op::delete(path("r/a")).on(Precondition::IfMatch(a)), set("r/b", json!(2))];
    batch(cx, ops).await.unwrap();
    assert_eq!(cx.value("r").await, Some(json!({"b": 2})));
}

async fn an_object_takes_no_guard(cx: &Context) {
    let revision = cx.set("r", json!({"a": 1})).await;
    let guarded = set("r", json!({"a": 2})).on(Precondition::IfMatch(revision));
    let error = batch(cx, vec![set("ok", json!(1)), guarded]).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert_eq!(cx.value("ok").await, None);
}

async fn an_empty_object_deletes(cx: &Context) {
    cx.set("r", json!({"a": 1})).await;
    batch(cx, vec![set("r", json!({})), set("s", json!(1))]).await.unwrap();
    assert_eq!(cx.value("r").await, None);
}

async fn a_thousand_ops_are_one_batch(cx: &Context) {
    let ops: Vec<Op> = (0..1000).map(|n| set(&format!("r/{n:04}"), json!(n))).collect();
    let last = batch(cx, ops).await.unwrap();
    let leaves = cx.entries("r").await;
    assert_eq!(leaves.len(), 1000);
    let first = if cx.transport.capabilities().merges_fields { last } else { last - 999 };
    assert_eq!((leaves[0].revision, leaves[999].revision), (first, last));
}

async fn more_than_a_thousand_ops_are_refused(cx: &Context) {
    let ops: Vec<Op> = (0..1001).map(|n| set(&format!("r/{n:04}"), json!(n))).collect();
    let error = batch(cx, ops).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("1001"), "{error}");
    assert_eq!(cx.leaves("r").await, []);
}

async fn no_ops_are_refused(cx: &Context) {
    assert_eq!(batch(cx, vec![]).await.unwrap_err().kind(), ErrKind::InvalidParams);
}

async fn other_ops_are_refused(cx: &Context) {
    let merge = Op::new(path("r"), Mutation::Merge(RawJson::from(json!({"b": 1}))));
    let error = batch(cx, vec![set("r/a", json!(1)), merge]).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("a batch takes only set and delete, and op 1 is merge"), "{error}");
    assert_eq!(cx.leaves("r").await, []);
}
