//! The guard on reads: a record that does not fit its entity is left out, and `get` returns the reason.

use std::error::Error as _;

use dust_orm::{DustErr, ErrKind, InvalidRecord};
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::guarded::{flat, map};
use crate::entities::*;

super::tests![
    a_record_without_a_required_leaf_is_left_out,
    get_names_what_is_missing_and_what_nobody_claims,
    a_required_option_must_not_be_none,
    a_null_in_a_required_field_is_missing,
    a_value_that_does_not_fit_is_named,
    a_record_that_does_not_fit_exists_all_the_same,
    get_many_gives_none_for_what_does_not_fit,
    unclaimed_leaves_are_no_obstacle,
    the_key_may_stand_in_the_record,
    emptying_a_required_option_is_refused,
    an_update_of_a_record_that_does_not_fit_says_so,
    an_update_can_mend_a_record,
    a_bad_record_can_be_replaced_and_deleted,
];

async fn invalid(cx: &Context, slug: &str) -> InvalidRecord {
    match cx.repo.get::<link::Entity>(slug).await.unwrap_err() {
        DustErr::Decode { record, .. } => *record,
        other => panic!("{other:?}"),
    }
}

async fn a_record_without_a_required_leaf_is_left_out(cx: &Context) {
    cx.set_all([("links/a/title", json!("A")), ("links/b/title", json!("B")), ("links/b/url", json!("u"))]).await;
    let slugs = |links: Vec<link::Model>| links.into_iter().map(|link| link.slug).collect::<Vec<_>>();
    assert_eq!(slugs(cx.repo.all::<link::Entity>().await.unwrap()), ["b"]);
    assert_eq!(slugs(cx.repo.stream::<link::Entity>().try_collect().await.unwrap()), ["b"]);
    assert_eq!(cx.repo.find_by_id::<link::Entity>("a").await.unwrap(), None);
    assert_eq!(cx.repo.find_versioned::<link::Entity>("a").await.unwrap(), None);
    assert_eq!(cx.repo.get_versioned::<link::Entity>("a").await.unwrap_err().kind(), ErrKind::Decode);
    assert_eq!(cx.repo.get_versioned::<link::Entity>("c").await.unwrap_err().kind(), ErrKind::NotFound);
    let seen = cx.repo.get_versioned::<link::Entity>("b").await.unwrap();
    assert_eq!(Some(seen), cx.repo.find_versioned::<link::Entity>("b").await.unwrap());
}

async fn get_names_what_is_missing_and_what_nobody_claims(cx: &Context) {
    cx.set("links/a", json!({"note": "n", "stray": {"x": 1, "y": 2}, "Title": "T", "tag/s": []})).await;
    let invalid = invalid(cx, "a").await;
    assert!(invalid.path.ends_with("links/a"), "{}", invalid.path);
    assert_eq!(invalid.missing, ["title", "url"]);
    assert_eq!(invalid.unrecognised, ["Title", "stray", "tag/s"]);
    assert_eq!(invalid.undecodable, []);
    let text = invalid.to_string();
    assert!(text.contains("missing: title, url") && text.contains("unrecognised: Title, stray, tag/s"), "{text}");
}

async fn a_required_option_must_not_be_none(cx: &Context) {
    for none in [Set(None), NotSet] {
        let draft = flat::ActiveModel { note: none.clone(), ..flat::guarded("a").into_active_model() };
        let error = cx.repo.insert(draft).await.unwrap_err();
        assert_eq!(error.errors().unwrap().get("note")[0].message(), "can't be blank");
        let draft = map::ActiveModel { note: none, ..map::guarded("a").into_active_model() };
        assert_eq!(cx.repo.insert(draft).await.unwrap_err().kind(), ErrKind::Invalid);
    }
    let blank = flat::Model { note: None, ..flat::guarded("a") };
    assert_eq!(cx.repo.put(blank).await.unwrap_err().kind(), ErrKind::Invalid);
    assert_eq!(cx.leaves_of_all().await, []);
    // Another client can write it, and then the record does not fit.
    cx.set("flat-guarded/a", json!({"title": "T", "note": null, "count": 1})).await;
    assert_eq!(cx.repo.all::<flat::Entity>().await.unwrap(), []);
    let error = cx.repo.get::<flat::Entity>("a").await.unwrap_err();
    assert!(error.to_string().contains("missing: note"), "{error}");
}

async fn a_null_in_a_required_field_is_missing(cx: &Context) {
    cx.set("links/a", json!({"title": null, "url": "u"})).await;
    let invalid = invalid(cx, "a").await;
    assert_eq!((invalid.missing, invalid.undecodable), (vec!["title".to_owned()], vec![]));
}

async fn a_value_that_does_not_fit_is_named(cx: &Context) {
    cx.set("links/a", json!({"title": 5, "url": {"nested": 1}, "note": ["n"]})).await;
    let invalid = invalid(cx, "a").await;
    let fields: Vec<&str> = invalid.undecodable.iter().map(|undecodable| undecodable.field.as_str()).collect();
    assert_eq!(fields, ["title", "url", "note"]);
    assert!(invalid.undecodable[0].reason.contains("integer"), "{:?}", invalid.undecodable);
    let error = cx.repo.get::<link::Entity>("a").await.unwrap_err();
    assert!(error.source().unwrap().is::<serde_json::Error>(), "{error:?}");
    assert_eq!(cx.repo.find_by_id::<link::Entity>("a").await.unwrap(), None);
}

async fn a_record_that_does_not_fit_exists_all_the_same(cx: &Context) {
    cx.set("links/a/stray", json!(1)).await;
    assert!(cx.repo.exists::<link::Entity>("a").await.unwrap());
    assert_eq!(cx.repo.insert(new_link("a")).if_absent().await.unwrap_err().kind(), ErrKind::Exists);
}

async fn get_many_gives_none_for_what_does_not_fit(cx: &Context) {
    cx.set("links/a/title", json!("A")).await;
    cx.repo.insert(new_link("b")).await.unwrap();
    let found = cx.repo.find_many::<link::Entity>(["a", "b"]).await.unwrap();
    assert_eq!(found, [None, Some(link("b"))]);
}

async fn unclaimed_leaves_are_no_obstacle(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    cx.set_all([("links/a/stray", json!(1)), ("links/a/more/deep", json!([])), ("links/a/TITLE", json!(2))]).await;
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a")]);
}

async fn the_key_may_stand_in_the_record(cx: &Context) {
    cx.set("links/a", json!({"slug": "other", "title": "T"})).await;
    let invalid = invalid(cx, "a").await;
    assert_eq!((invalid.missing, invalid.unrecognised), (vec!["url".to_owned()], vec![]));
    cx.set("links/a/url", json!("u")).await;
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap().slug, "a", "the path says the key");
}

async fn emptying_a_required_option_is_refused(cx: &Context) {
    cx.repo.put(flat::guarded("a")).await.unwrap();
    cx.repo.put(map::guarded("a")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let flat = flat::ActiveModel { note: Set(None), ..flat::guarded("a").into_active_model() };
    let map = map::ActiveModel { note: Set(None), ..map::guarded("a").into_active_model() };
    for error in [cx.repo.update(flat).await.unwrap_err(), cx.repo.update(map).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrKind::Invalid, "{error}");
        assert_eq!(error.errors().unwrap().get("note")[0].message(), "can't be blank");
    }
    assert_eq!(cx.leaves_of_all().await, before);
    // The other option may be emptied.
    let edit = flat::ActiveModel { count: Set(None), ..flat::guarded("a").into_active_model() };
    assert_eq!(cx.repo.update(edit).await.unwrap().count, None);
}

async fn an_update_of_a_record_that_does_not_fit_says_so(cx: &Context) {
    cx.set("links/a/title", json!("A")).await;
    let edit = link::ActiveModel { slug: Set("a".to_owned()), note: Set(None), ..Default::default() };
    let error = cx.repo.update(edit).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Decode);
    assert!(error.to_string().contains("missing: url"), "{error}");
    assert_eq!(cx.leaves("links").await, [("links/a/title".to_owned(), json!("A"))]);
}

async fn an_update_can_mend_a_record(cx: &Context) {
    cx.set("links/a", json!({"title": "A", "note": {"x": 1}, "url": null})).await;
    let edit = link::ActiveModel {
        slug: Set("a".to_owned()),
        url: Set("u".to_owned()),
        note: Set(None),
        ..Default::default()
    };
    let mended = cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap(), mended);
    assert_eq!(cx.value("links/a").await, Some(json!({"title": "A", "note": Value::Null, "url": "u"})));
}

async fn a_bad_record_can_be_replaced_and_deleted(cx: &Context) {
    cx.set_all([("links/a/title", json!(5)), ("links/b/title", json!(5))]).await;
    assert_eq!(cx.repo.insert(new_link("a")).await.unwrap(), link("a"));
    cx.repo.delete_by_id::<link::Entity>("b").await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a")]);
    assert_eq!(cx.leaves("links/b").await, []);
}
