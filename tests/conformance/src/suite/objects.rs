//! Fields with objects, which are several leaves: replaced as a whole, compared leaf by leaf.

use dust_orm::{DustErr, ErrKind};
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::docs::flat;
use crate::entities::*;

super::tests![
    an_object_replaces_an_object,
    a_scalar_replaces_an_object_and_back,
    an_empty_object_replaces_an_object,
    objects_are_replaced_by_revision,
    a_scalar_replaces_an_object_by_revision_and_back,
    a_change_inside_an_object_is_a_conflict,
    a_replaced_object_is_a_conflict,
    a_removed_object_is_a_conflict,
    a_change_beside_an_object_is_no_conflict,
    after_an_update_by_revision_the_next_one_works_too,
    a_struct_is_stored_as_an_object,
];

async fn insert(cx: &Context, value: Value) {
    let doc = flat::Model { maybe: None, ..flat::doc("d", &value) };
    cx.repo.insert(doc.into_active_model()).await.unwrap();
}

async fn value(cx: &Context) -> Value {
    cx.repo.get::<flat::Entity>("d").await.unwrap().value
}

fn edit(value: Value) -> flat::ActiveModel {
    flat::ActiveModel { slug: Unchanged("d".to_owned()), value: Set(value), maybe: Unchanged(None) }
}

async fn an_object_replaces_an_object(cx: &Context) {
    insert(cx, json!({"a": 1, "b": {"c": 2}})).await;
    cx.repo.update(edit(json!({"b": {"d": 3}}))).await.unwrap();
    assert_eq!(value(cx).await, json!({"b": {"d": 3}}));
    insert(cx, json!({"e": 4})).await;
    assert_eq!(value(cx).await, json!({"e": 4}));
}

async fn a_scalar_replaces_an_object_and_back(cx: &Context) {
    insert(cx, json!({"a": 1, "b": {"c": 2}})).await;
    for next in [json!("text"), json!({"a": 1}), json!([1]), json!({"b": {"c": 2}}), Value::Null, json!({"x": 1})] {
        cx.repo.update(edit(next.clone())).await.unwrap();
        assert_eq!(value(cx).await, next);
    }
}

async fn an_empty_object_replaces_an_object(cx: &Context) {
    insert(cx, json!({"a": 1})).await;
    cx.repo.update(edit(json!({}))).await.unwrap();
    assert_eq!(value(cx).await, json!({}));
    cx.repo.update(edit(json!({"a": {}}))).await.unwrap();
    assert_eq!(value(cx).await, json!({"a": {}}));
}

async fn objects_are_replaced_by_revision(cx: &Context) {
    insert(cx, json!({"a": 1, "b": {"c": 2}, "gone": 0})).await;
    let seen = cx.repo.find_versioned::<flat::Entity>("d").await.unwrap().unwrap();
    cx.repo.update(edit(json!({"a": 10, "b": "flat now", "new": {"x": [1]}}))).if_match(&seen.revision).await.unwrap();
    assert_eq!(value(cx).await, json!({"a": 10, "b": "flat now", "new": {"x": [1]}}));
    let leaves = cx.entries("flat-docs/d/value").await;
    assert!(leaves.iter().all(|leaf| leaf.revision == leaves[0].revision), "one revision again: {leaves:?}");
}

async fn a_scalar_replaces_an_object_by_revision_and_back(cx: &Context) {
    insert(cx, json!({"a": 1, "b": {"c": 2}})).await;
    for next in [json!("text"), json!({"a": 1, "b": 2}), json!([1]), json!({}), json!({"x": {"y": 1}}), Value::Null] {
        let seen = cx.repo.find_versioned::<flat::Entity>("d").await.unwrap().unwrap();
        cx.repo.update(edit(next.clone())).if_match(&seen.revision).await.unwrap();
        assert_eq!(value(cx).await, next);
        let error = cx.repo.update(edit(json!("late"))).if_match(&seen.revision).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Conflict, "{next}: {error}");
    }
}

/// Writes with a revision that was read before `change`, and returns the conflict.
async fn conflict_after(cx: &Context, change: impl AsyncFnOnce(&Context) -> u64) -> (String, Option<u64>, u64) {
    insert(cx, json!({"a": 1, "b": {"c": 2}})).await;
    let seen = cx.repo.find_versioned::<flat::Entity>("d").await.unwrap().unwrap();
    let revision = change(cx).await;
    let before = cx.leaves("flat-docs").await;
    for late in [json!({"a": 7}), json!("late")] {
        let error = cx.repo.update(edit(late)).if_match(&seen.revision).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    }
    assert_eq!(cx.leaves("flat-docs").await, before);
    match cx.repo.update(edit(json!({"a": 7}))).if_match(&seen.revision).await.unwrap_err() {
        DustErr::Conflict { path, current, .. } => (path, current, revision),
        other => panic!("{other:?}"),
    }
}

async fn a_change_inside_an_object_is_a_conflict(cx: &Context) {
    let (path, current, revision) =
        conflict_after(cx, async |cx: &Context| cx.set("flat-docs/d/value/b/c", json!(3)).await).await;
    assert_eq!((path.as_str(), current), ("flat-docs/d/value/b/c", Some(revision)));
}

async fn a_replaced_object_is_a_conflict(cx: &Context) {
    conflict_after(cx, async |cx: &Context| cx.set("flat-docs/d/value", json!("a text now")).await).await;
}

async fn a_removed_object_is_a_conflict(cx: &Context) {
    conflict_after(cx, async |cx: &Context| cx.delete("flat-docs/d/value").await).await;
}

async fn a_change_beside_an_object_is_no_conflict(cx: &Context) {
    insert(cx, json!({"a": 1})).await;
    let seen = cx.repo.find_versioned::<flat::Entity>("d").await.unwrap().unwrap();
    cx.set("flat-docs/d/maybe", json!({"by": "another"})).await;
    cx.repo.update(edit(json!({"a": 2}))).if_match(&seen.revision).await.unwrap();
    let now = cx.repo.get::<flat::Entity>("d").await.unwrap();
    assert_eq!((now.value, now.maybe), (json!({"a": 2}), Some(json!({"by": "another"}))));
}

async fn after_an_update_by_revision_the_next_one_works_too(cx: &Context) {
    insert(cx, json!({"n": 0})).await;
    for n in 1..4 {
        let seen = cx.repo.find_versioned::<flat::Entity>("d").await.unwrap().unwrap();
        assert_eq!(seen.model.value["n"], json!(n - 1));
        cx.repo.update(edit(json!({"n": n, "more": {"n": n}}))).if_match(&seen.revision).await.unwrap();
    }
}

async fn a_struct_is_stored_as_an_object(cx: &Context) {
    let model = sample::flat::full("s");
    cx.repo.insert(model.clone().into_active_model()).await.unwrap();
    assert_eq!(cx.value("flat-samples/s/maybe_options/depth").await, Some(json!(3)));
    let seen = cx.repo.find_versioned::<sample::flat::Entity>("s").await.unwrap().unwrap();
    let mut edit = seen.model.into_active_model();
    edit.maybe_options = Set(None);
    edit.options = Set(sample::Options { depth: 9, ..Default::default() });
    let updated = cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<sample::flat::Entity>("s").await.unwrap(), updated);
}
