//! `if_match`, `if_absent`, `if_subtree_absent` and fences of single writes.

use dust_orm::{DustErr, ErrKind};
use dust_protocol::{Fence, Op, Precondition, RawJson};
use serde_json::{Value, json};

use crate::context::{Context, path, set};

super::tests![
    a_set_on_the_right_revision_is_applied,
    a_set_on_a_stale_revision_tells_the_current_one,
    a_set_on_a_revision_of_nothing_conflicts,
    a_set_of_an_object_takes_no_revision,
    a_subtree_never_has_the_revision,
    a_null_has_a_revision,
    a_delete_on_the_right_revision_is_applied,
    a_delete_on_a_stale_revision_conflicts,
    if_absent_writes_once,
    if_absent_looks_at_the_leaf_alone,
    if_absent_takes_no_object,
    if_vacant_looks_below_too,
    a_fence_without_its_lease_refuses_the_write,
];

fn on(precondition: Precondition, at: &str, value: Value) -> Op {
    set(at, value).on(precondition)
}

fn assert_conflict(error: &DustErr, at: &str, revision: Option<u64>) {
    assert!(
        matches!(error, DustErr::Conflict { path, current, .. } if path == at && *current == revision),
        "{error:?} is no conflict at {at} with {revision:?}"
    );
}

async fn a_set_on_the_right_revision_is_applied(cx: &Context) {
    let revision = cx.set("r/a", json!(1)).await;
    let next = cx.write(on(Precondition::IfMatch(revision), "r/a", json!(2))).await.unwrap();
    assert!(next > revision);
    assert_eq!(cx.value("r/a").await, Some(json!(2)));
}

async fn a_set_on_a_stale_revision_tells_the_current_one(cx: &Context) {
    let stale = cx.set("r/a", json!(1)).await;
    let current = cx.set("r/a", json!(2)).await;
    let error = cx.write(on(Precondition::IfMatch(stale), "r/a", json!(3))).await.unwrap_err();
    assert_conflict(&error, "r/a", Some(current));
    assert_eq!(cx.value("r/a").await, Some(json!(2)));
}

async fn a_set_on_a_revision_of_nothing_conflicts(cx: &Context) {
    let error = cx.write(on(Precondition::IfMatch(1), "r/a", json!(1))).await.unwrap_err();
    assert_conflict(&error, "r/a", None);
    assert_eq!(cx.value("r/a").await, None);
}

async fn a_set_of_an_object_takes_no_revision(cx: &Context) {
    let revision = cx.set("r", json!({"a": 1})).await;
    let error = cx.write(on(Precondition::IfMatch(revision), "r", json!({"a": 2}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert_eq!(cx.value("r/a").await, Some(json!(1)));
}

async fn a_subtree_never_has_the_revision(cx: &Context) {
    let revision = cx.set("r", json!({"a": 1})).await;
    let error = cx.write(on(Precondition::IfMatch(revision), "r", json!("leaf"))).await.unwrap_err();
    assert_conflict(&error, "r", Some(revision));
    let delete = Op::delete(path("r")).on(Precondition::IfMatch(revision));
    assert_conflict(&cx.write(delete).await.unwrap_err(), "r", Some(revision));
    assert_eq!(cx.value("r/a").await, Some(json!(1)));
}

async fn a_null_has_a_revision(cx: &Context) {
    let revision = cx.set("r/a", Value::Null).await;
    cx.write(on(Precondition::IfMatch(revision), "r/a", json!(2))).await.unwrap();
    assert_eq!(cx.value("r/a").await, Some(json!(2)));
}

async fn a_delete_on_the_right_revision_is_applied(cx: &Context) {
    let revision = cx.set("r/a", json!(1)).await;
    let delete = Op::delete(path("r/a")).on(Precondition::IfMatch(revision));
    cx.write(delete.clone()).await.unwrap();
    assert_eq!(cx.value("r/a").await, None);
    assert_conflict(&cx.write(delete).await.unwrap_err(), "r/a", None);
}

async fn a_delete_on_a_stale_revision_conflicts(cx: &Context) {
    let stale = cx.set("r/a", json!(1)).await;
    let current = cx.set("r/a", json!(2)).await;
    let delete = Op::delete(path("r/a")).on(Precondition::IfMatch(stale));
    assert_conflict(&cx.write(delete).await.unwrap_err(), "r/a", Some(current));
    assert_eq!(cx.value("r/a").await, Some(json!(2)));
}

async fn if_absent_writes_once(cx: &Context) {
    let revision = cx.write(on(Precondition::IfLeafAbsent, "r/a", json!(1))).await.unwrap();
    let error = cx.write(on(Precondition::IfLeafAbsent, "r/a", json!(2))).await.unwrap_err();
    assert!(
        matches!(&error, DustErr::Exists { path, current, .. } if path == "r/a" && *current == Some(revision)),
        "{error:?}"
    );
    assert_eq!(cx.value("r/a").await, Some(json!(1)));
}

/// A behaviour of the server that makes it unsuitable for inserts of records.
async fn if_absent_looks_at_the_leaf_alone(cx: &Context) {
    cx.set("r/a/below", json!(1)).await;
    cx.write(on(Precondition::IfLeafAbsent, "r/a", json!(2))).await.unwrap();
    assert_eq!(cx.leaves("r").await, [("r/a".to_owned(), json!(2))]);
}

async fn if_absent_takes_no_object(cx: &Context) {
    let error = cx.write(on(Precondition::IfLeafAbsent, "r", json!({"a": 1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert_eq!(cx.value("r").await, None);
}

async fn if_vacant_looks_below_too(cx: &Context) {
    cx.set("r/a/below", json!(1)).await;
    let taken = cx.write(on(Precondition::IfSubtreeAbsent, "r/a", json!({"b": 2}))).await.unwrap_err();
    let free = cx.write(on(Precondition::IfSubtreeAbsent, "r/b", json!({"b": 2}))).await;
    if cx.transport.capabilities().if_subtree_absent {
        assert_eq!(taken.kind(), ErrKind::Exists, "{taken}");
        free.unwrap();
        assert_eq!(cx.value("r/b/b").await, Some(json!(2)));
    } else {
        assert_eq!(taken.kind(), ErrKind::NotSupported, "{taken}");
        assert_eq!(free.unwrap_err().kind(), ErrKind::NotSupported);
        assert_eq!(cx.value("r/b").await, None);
    }
    assert_eq!(cx.value("r/a").await, Some(json!({"below": 1})));
}

async fn a_fence_without_its_lease_refuses_the_write(cx: &Context) {
    let fence = Fence { key: path("locks/r"), token: 1 };
    let error = cx.transport.write(vec![set("r/a", json!(1))], Some(fence)).await.unwrap_err();
    if cx.transport.capabilities().fences {
        assert!(matches!(&error, DustErr::Fenced { key, .. } if key == "locks/r"), "{error:?}");
    } else {
        assert_eq!(error.kind(), ErrKind::NotSupported, "{error}");
    }
    assert_eq!(cx.value("r").await, None);
    let plain = Op::set(path("r/a"), RawJson::null());
    cx.write(plain).await.unwrap();
}
