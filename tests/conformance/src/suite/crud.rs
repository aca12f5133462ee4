//! The verbs, one at a time, in both storage modes.

use dust_orm::ErrKind;
use futures_util::TryStreamExt;
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    insert_answers_the_whole_model,
    insert_in_map_mode_is_one_revision,
    find_by_id_gives_what_was_inserted,
    a_missing_record_is_none_and_get_says_not_found,
    update_writes_only_what_is_set,
    update_of_a_missing_record_is_not_found,
    update_with_nothing_set_writes_nothing,
    put_replaces_everything,
    delete_removes_the_record,
    deleting_what_is_absent_succeeds,
    delete_all_leaves_other_entities_alone,
    exists_looks_at_one_key,
    all_is_in_the_order_of_the_paths,
    stream_gives_what_all_gives,
    get_many_keeps_the_order_of_the_keys,
];

async fn insert_answers_the_whole_model(cx: &Context) {
    let draft = link::ActiveModel { note: NotSet, ..new_link("dust") };
    let inserted = cx.repo.insert(draft).await.unwrap();
    assert_eq!(inserted, link::Model { note: None, ..link("dust") });
    let leaves =
        [("links/dust/title".to_owned(), json!(inserted.title)), ("links/dust/url".to_owned(), json!(inserted.url))];
    assert_eq!(cx.leaves("links").await, leaves);
}

async fn insert_in_map_mode_is_one_revision(cx: &Context) {
    let inserted = cx.repo.insert(new_setting("theme")).await.unwrap();
    assert_eq!(inserted, setting("theme"));
    let leaves = cx.entries("app/settings").await;
    assert_eq!(leaves.len(), 4);
    assert!(leaves.iter().all(|leaf| leaf.revision == leaves[0].revision));
}

async fn find_by_id_gives_what_was_inserted(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    assert_eq!(cx.repo.find_by_id::<link::Entity>("dust").await.unwrap(), Some(link("dust")));
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), setting("theme"));
}

async fn a_missing_record_is_none_and_get_says_not_found(cx: &Context) {
    assert_eq!(cx.repo.find_by_id::<link::Entity>("nobody").await.unwrap(), None);
    let error = cx.repo.get::<link::Entity>("nobody").await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
    assert!(error.to_string().contains("links/nobody"), "{error}");
}

async fn update_writes_only_what_is_set(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let before = cx.entries("links/dust").await;
    let mut edit = link("dust").into_active_model();
    edit.title = Set("New".into());
    let updated = cx.repo.update(edit).await.unwrap();
    assert_eq!(updated, link::Model { title: "New".into(), ..link("dust") });
    let after = cx.entries("links/dust").await;
    let changed: Vec<&str> = before.iter().zip(&after).filter(|(b, a)| b != a).map(|(_, a)| a.path.as_str()).collect();
    assert_eq!(changed, ["links/dust/title"]);
}

async fn update_of_a_missing_record_is_not_found(cx: &Context) {
    let error = cx.repo.update(new_link("nobody")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
    let error = cx.repo.update(new_setting("nobody")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
    assert_eq!(cx.leaves("links").await, []);
}

async fn update_with_nothing_set_writes_nothing(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let before = cx.entries("links/dust").await;
    let same = cx.repo.update(link("dust").into_active_model()).await.unwrap();
    assert_eq!(same, link("dust"));
    assert_eq!(cx.entries("links/dust").await, before);
}

async fn put_replaces_everything(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/stray", json!({"a": 1})).await;
    let model = link::Model { note: None, ..link("dust") };
    assert_eq!(cx.repo.put(model.clone()).await.unwrap(), model);
    let names: Vec<String> = cx.leaves("links").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["links/dust/note", "links/dust/title", "links/dust/url"]);
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), model);
}

async fn delete_removes_the_record(cx: &Context) {
    cx.repo.insert_many([new_link("a"), new_link("b"), new_link("c")]).await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("a").await.unwrap();
    cx.repo.delete(link("b").into_active_model()).await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("c")]);
}

async fn deleting_what_is_absent_succeeds(cx: &Context) {
    let first = cx.repo.delete_by_id::<link::Entity>("nobody").await.unwrap();
    let second = cx.repo.delete_by_id::<link::Entity>("nobody").await.unwrap();
    assert!(second.store_seq > first.store_seq);
}

async fn delete_all_leaves_other_entities_alone(cx: &Context) {
    cx.repo.insert_many([new_link("a"), new_link("b")]).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.set("links-2/a/title", json!("beside")).await;
    cx.repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), []);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), [setting("theme")]);
    assert_eq!(cx.leaves("links-2").await.len(), 1);
}

async fn exists_looks_at_one_key(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    assert!(cx.repo.exists::<link::Entity>("dust").await.unwrap());
    assert!(!cx.repo.exists::<link::Entity>("dus").await.unwrap());
    assert!(!cx.repo.exists::<link::Entity>("dust-2").await.unwrap());
}

async fn all_is_in_the_order_of_the_paths(cx: &Context) {
    let links = ["b", "a/1", "a-1", "a", "é", "b10", "b2"].map(new_link);
    cx.repo.insert_many(links).await.unwrap();
    let slugs: Vec<String> = cx.repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.slug).collect();
    assert_eq!(slugs, ["a-1", "a", "a/1", "b", "b10", "b2", "é"]);
}

async fn stream_gives_what_all_gives(cx: &Context) {
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    let streamed: Vec<link::Model> = cx.repo.stream::<link::Entity>().try_collect().await.unwrap();
    assert_eq!(streamed, cx.repo.all::<link::Entity>().await.unwrap());
}

async fn get_many_keeps_the_order_of_the_keys(cx: &Context) {
    cx.repo.insert_many(["a", "b"].map(new_link)).await.unwrap();
    let found = cx.repo.find_many::<link::Entity>(["b", "nobody", "a", "b"]).await.unwrap();
    assert_eq!(found, [Some(link("b")), None, Some(link("a")), Some(link("b"))]);
}
