//! Records of any size: every verb reads back an accepted record, and a record that is too large hides no other.

use dust_orm::{BatchEntry, DustErr, ErrKind};
use dust_protocol::{Op, RawJson};
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::context::{Context, path};
use crate::entities::*;

super::tests![
    a_record_of_too_many_bytes_is_refused_by_every_verb,
    a_value_that_is_nested_too_deep_is_refused,
    what_stays_of_a_record_counts_in_every_verb,
    leaves_of_no_field_count_in_an_insert_where_a_read_is_free,
    a_leaf_more_than_is_read_is_refused,
    a_record_that_is_too_large_is_left_out_of_lists,
    a_guard_of_too_many_leaves_names_a_way_out,
    keys_of_any_length_are_written_and_read,
];

fn object(leaves: usize) -> Value {
    (0..leaves).map(|n| (format!("k{n:06}"), json!(n))).collect::<serde_json::Map<_, _>>().into()
}

fn doc(slug: &str, value: Value) -> docs::flat::Model {
    docs::flat::Model { slug: slug.to_owned(), value, maybe: None }
}

fn assert_too_large<T>(answer: Result<T, DustErr>) {
    let error = answer.err().unwrap();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    let text = error.to_string();
    assert!(text.contains("the field `") && text.contains("67108864 bytes") && text.len() < 1_000, "{text}");
}

async fn a_record_of_too_many_bytes_is_refused_by_every_verb(cx: &Context) {
    // Few leaves of short values, but each has the long key in its path.
    let large = json!({ "k".repeat(100_000): object(1_000) });
    let flat = || doc("a", large.clone());
    let map = docs::map::Model { slug: "a".to_owned(), value: large.clone(), maybe: None };
    let (repo, probe) = cx.probe();
    assert_too_large(repo.put(flat()).await);
    assert_too_large(repo.put(map.clone()).await);
    assert_too_large(repo.insert(flat().into_active_model().reset_all()).await);
    assert_too_large(repo.insert(map.clone().into_active_model().reset_all()).await);
    assert_too_large(repo.insert(map.into_active_model().reset_all()).if_absent().await);
    assert_too_large(repo.insert_many([flat().into_active_model().reset_all()]).await);
    assert_too_large(repo.batch_write([BatchEntry::insert(flat().into_active_model().reset_all())]).await);
    if cx.transport.capabilities().typed_ops {
        assert_too_large(repo.merge(flat().into_active_model().reset_all()).await);
    }
    cx.repo.put(doc("a", json!(1))).await.unwrap();
    let edit = docs::flat::ActiveModel { value: Set(large.clone()), ..doc("a", json!(1)).into_active_model() };
    assert_too_large(repo.update(edit).await);
    assert!(probe.take_calls().iter().all(|call| format!("{call:?}") == "List"));
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap(), doc("a", json!(1)));
    // In a list it is one leaf.
    let listed = doc("b", json!([large]));
    cx.repo.put(listed.clone()).await.unwrap();
    assert_eq!(cx.repo.get::<docs::flat::Entity>("b").await.unwrap(), listed);
}

/// Each field is small enough by itself, both are not. In most of the verbs the larger one is not written.
async fn what_stays_of_a_record_counts_in_every_verb(cx: &Context) {
    // Slow, so only on the transports that together cover every write.
    if !matches!(cx.transport.name(), "embedded" | "http" | "realtime") {
        return;
    }
    let half = object(51_000);
    let before = docs::flat::Model { maybe: Some(json!(1)), ..doc("a", half.clone()) };
    cx.repo.put(before.clone()).await.unwrap();
    let seen = cx.repo.find_versioned::<docs::flat::Entity>("a").await.unwrap().unwrap();
    let edit = || docs::flat::ActiveModel { maybe: Set(Some(half.clone())), ..before.clone().into_active_model() };
    let fresh = || docs::flat::ActiveModel { slug: Set("a".to_owned()), maybe: Set(Some(half.clone())), value: NotSet };
    assert_too_large(cx.repo.update(edit()).await);
    assert_too_large(cx.repo.update(edit()).if_match(&seen.revision).await);
    assert_too_large(cx.repo.batch_write([BatchEntry::update(edit())]).await);
    assert_too_large(cx.repo.batch_write([BatchEntry::update(edit()).if_match(&seen.revision)]).await);
    if cx.transport.capabilities().typed_ops {
        assert_too_large(cx.repo.merge(fresh()).await);
    }
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap(), before);
}

/// Leaves that other programs have stored below the record stay at an insert. One with a value for every field reads
/// nothing over HTTP, so that it is one request; the record that is then too large is reported as one.
async fn leaves_of_no_field_count_in_an_insert_where_a_read_is_free(cx: &Context) {
    if !matches!(cx.transport.name(), "embedded" | "http" | "realtime") {
        return;
    }
    let others = Op::set(path("flat-docs/a/other"), RawJson::from(&object(51_000)));
    cx.transport.write(vec![others], None).await.unwrap();
    let whole = || doc("a", object(51_000)).into_active_model().reset_all();
    if cx.transport.capabilities().remote {
        cx.repo.insert(whole()).await.unwrap();
        assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap_err().kind(), ErrKind::TooLarge);
    } else {
        assert_too_large(cx.repo.insert(whole()).await);
        assert_too_large(cx.repo.insert_many([whole()]).await);
        assert_too_large(cx.repo.batch_write([BatchEntry::insert(whole())]).await);
    }
    // It replaces those leaves.
    let whole = doc("a", object(51_000));
    cx.repo.put(whole.clone()).await.unwrap();
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap(), whole);
}

async fn a_leaf_more_than_is_read_is_refused(cx: &Context) {
    if !cx.transport.capabilities().typed_ops || !matches!(cx.transport.name(), "embedded" | "realtime") {
        return;
    }
    // Beside `value`, `maybe` stays absent.
    for (at, leaves) in [("flat-docs/a/value/x", 50_000), ("flat-docs/a/value/y", 50_000)] {
        cx.transport.write(vec![Op::set(path(at), RawJson::from(&object(leaves)))], None).await.unwrap();
    }
    let before = cx.repo.get::<docs::flat::Entity>("a").await.unwrap();
    assert_eq!(before.maybe, None);
    let column = docs::flat::Column::Maybe;
    assert_too_large(cx.repo.increment("a", column, 1).await);
    assert_too_large(cx.repo.add_to_set("a", column, "member").await);
    let merge = docs::flat::ActiveModel { slug: Set("a".to_owned()), maybe: Set(Some(json!(1))), value: NotSet };
    assert_too_large(cx.repo.merge(merge).await);
    assert_too_large(cx.repo.put_file("a", column, b"content".to_vec()).await);
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap(), before);
    cx.repo.put(doc("a", json!(1))).await.unwrap();
    assert_eq!(cx.repo.increment("a", column, 1).await.unwrap(), 1);
}

async fn a_value_that_is_nested_too_deep_is_refused(cx: &Context) {
    let lists = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let objects = (0..200).fold(json!(1), |inner, _| json!({ "k": inner }));
    for value in [lists, objects] {
        let error = cx.repo.put(doc("a", value)).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("`value`"), "{error}");
    }
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn a_record_that_is_too_large_is_left_out_of_lists(cx: &Context) {
    // Slow, so only on one transport for each of the two ways to read a list.
    if !matches!(cx.transport.name(), "http" | "realtime") {
        return;
    }
    let others = ["a", "c"].map(|slug| doc(slug, json!({"x": 1})));
    for other in &others {
        cx.repo.put(other.clone()).await.unwrap();
    }
    // As another client writes it, in two ops as one would be too large for a request.
    for (at, leaves) in [("flat-docs/b/value/x", 50_001), ("flat-docs/b/value/y", 50_000)] {
        let value = RawJson::from(&object(leaves));
        cx.transport.write(vec![Op::set(path(at), value)], None).await.unwrap();
    }
    assert_eq!(cx.repo.all::<docs::flat::Entity>().await.unwrap(), others);
    let streamed: Vec<_> = cx.repo.stream::<docs::flat::Entity>().try_collect().await.unwrap();
    assert_eq!(streamed, others);
    assert_eq!(cx.repo.get::<docs::flat::Entity>("b").await.unwrap_err().kind(), ErrKind::TooLarge);
    assert!(cx.repo.exists::<docs::flat::Entity>("b").await.unwrap());
    let found = cx.repo.find_many::<docs::flat::Entity>(["a", "b", "c"]).await.unwrap();
    assert_eq!(found, [Some(others[0].clone()), None, Some(others[1].clone())]);
    let partly = |slug: &str| docs::flat::ActiveModel { slug: Set(slug.to_owned()), value: NotSet, maybe: Set(None) };
    let merged = cx.repo.batch_write([BatchEntry::update(partly("a")), BatchEntry::update(partly("b"))]).await;
    assert_eq!(merged.unwrap_err().kind(), ErrKind::TooLarge);
    if cx.transport.capabilities().subscribe {
        let live = cx.repo.live::<docs::flat::Entity>().await.unwrap();
        assert_eq!((live.len(), live.contains_key("b")), (2, false));
        let mut docs = cx.repo.subscribe::<docs::flat::Entity>().with_current().await.unwrap();
        for other in others {
            assert_eq!(docs.next().await.unwrap(), dust_orm::Event::Upserted(other));
        }
    }
    cx.repo.delete_by_id::<docs::flat::Entity>("b").await.unwrap();
    assert_eq!(cx.repo.find_by_id::<docs::flat::Entity>("b").await.unwrap(), None);
}

async fn a_guard_of_too_many_leaves_names_a_way_out(cx: &Context) {
    cx.repo.put(doc("a", object(1_200))).await.unwrap();
    let seen = cx.repo.find_versioned::<docs::flat::Entity>("a").await.unwrap().unwrap();
    let error = cx.repo.delete_by_id::<docs::flat::Entity>("a").if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    let text = error.to_string();
    assert!(
        text.contains("1201 leaves") && text.contains("`update` the fields") && !text.contains("insert_many"),
        "{text}"
    );
    // The alternative that the error names.
    let edit = docs::flat::ActiveModel { maybe: Set(Some(json!(1))), ..seen.model.into_active_model() };
    cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(cx.repo.get::<docs::flat::Entity>("a").await.unwrap().maybe, Some(json!(1)));
}

async fn keys_of_any_length_are_written_and_read(cx: &Context) {
    let long = |piece: &str, times: usize| piece.repeat(times);
    let keys =
        [long("k", 3_000), long("k", 9_000), long("é", 9_000), long("~1%", 20_000), format!("{}-1", long("k", 9_000))];
    for key in &keys {
        cx.repo.insert(new_link(key)).await.unwrap();
    }
    for key in &keys {
        assert_eq!(cx.repo.get::<link::Entity>(key.clone()).await.unwrap(), link(key));
        assert!(cx.repo.exists::<link::Entity>(key.clone()).await.unwrap());
        let seen = cx.repo.find_versioned::<link::Entity>(key.clone()).await.unwrap().unwrap();
        cx.repo.update(retitled(key, "new")).if_match(&seen.revision).await.unwrap();
    }
    let found = cx.repo.find_many::<link::Entity>(keys.clone()).await.unwrap();
    assert!(found.iter().all(|link| link.as_ref().is_some_and(|link| link.title == "new")));
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap().len(), keys.len());
    for key in keys {
        cx.repo.delete_by_id::<link::Entity>(key).await.unwrap();
    }
    assert_eq!(cx.leaves_of_all().await, []);
}
