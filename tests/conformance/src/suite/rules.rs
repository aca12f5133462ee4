//! The rules of writing: written, unwritten and refused fields.

use dust_orm::ErrKind;
use dust_orm::sea_orm::ActiveModelTrait;
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::library::{author, book};
use crate::entities::*;

super::tests![
    an_insert_merges_with_what_is_there_in_flat_mode,
    an_insert_replaces_what_is_there_in_map_mode,
    an_insert_writes_unchanged_fields_too,
    an_insert_names_every_required_field_that_is_not_set,
    an_insert_of_the_key_alone_is_refused,
    what_is_not_set_is_never_written,
    set_none_is_null,
    an_update_writes_set_fields_only,
    an_update_never_writes_the_key,
    an_update_brings_unchanged_fields_up_to_date,
    an_update_completes_the_model_from_the_store,
    an_update_in_map_mode_names_the_fields_that_are_not_set,
    an_update_in_map_mode_replaces_the_record,
    an_update_with_nothing_set_answers_the_stored_record,
    a_put_is_one_revision_in_both_modes,
    a_put_removes_what_no_field_claims,
    a_delete_needs_the_key_alone,
    a_delete_in_map_mode_removes_everything,
    a_builder_with_children_is_refused,
    a_model_can_be_written_to_another_key,
];

async fn an_insert_merges_with_what_is_there_in_flat_mode(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/stray", json!(1)).await;
    let again = link::ActiveModel { title: Set("new".to_owned()), note: NotSet, ..new_link("dust") };
    let merged = cx.repo.insert(again).await.unwrap();
    assert_eq!(merged, link::Model { title: "new".to_owned(), ..link("dust") }, "the note is the one that is stored");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), merged);
    assert_eq!(cx.value("links/dust/stray").await, Some(json!(1)));
}

async fn an_insert_replaces_what_is_there_in_map_mode(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.set("app/settings/theme/stray", json!(1)).await;
    let again = setting::ActiveModel { enabled: Set(false), owner: NotSet, ..new_setting("theme") };
    let replaced = cx.repo.insert(again).await.unwrap();
    assert_eq!(replaced, setting::Model { enabled: false, owner: None, ..setting("theme") });
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), replaced);
    assert_eq!(cx.value("app/settings/theme/stray").await, None);
}

async fn an_insert_writes_unchanged_fields_too(cx: &Context) {
    let read_elsewhere = link("dust").into_active_model();
    assert!(!read_elsewhere.is_changed());
    assert_eq!(cx.repo.insert(read_elsewhere).await.unwrap(), link("dust"));
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
}

async fn an_insert_names_every_required_field_that_is_not_set(cx: &Context) {
    let (repo, probe) = cx.probe();
    let draft = link::ActiveModel { slug: Set("dust".to_owned()), ..Default::default() };
    let error = repo.insert(draft).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Invalid);
    let fields: Vec<&str> = error.errors().unwrap().iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["title", "url"]);
    assert_eq!(error.errors().unwrap().get("title")[0].message(), "can't be blank");
    let draft = setting::ActiveModel { name: Set("theme".to_owned()), enabled: Set(true), ..Default::default() };
    let error = repo.insert(draft).await.unwrap_err();
    assert_eq!(error.errors().unwrap().iter().map(|(field, _)| field).collect::<Vec<_>>(), ["options"]);
    assert_eq!(probe.take_calls(), []);
}

async fn an_insert_of_the_key_alone_is_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    let draft = renamed::ActiveModel { slug: Set("r".to_owned()), ..Default::default() };
    assert_eq!(repo.insert(draft).await.unwrap_err().kind(), ErrKind::Invalid);
    assert_eq!(probe.take_calls(), []);
}

async fn what_is_not_set_is_never_written(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let edit = link::ActiveModel { slug: Unchanged("dust".to_owned()), url: Set("u".to_owned()), ..Default::default() };
    cx.repo.update(edit).await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link::Model { url: "u".to_owned(), ..link("dust") });
}

async fn set_none_is_null(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let edit = link::ActiveModel { note: Set(None), ..link("dust").into_active_model() };
    assert_eq!(cx.repo.update(edit).await.unwrap().note, None);
    assert_eq!(cx.value("links/dust/note").await, Some(Value::Null));
}

async fn an_update_writes_set_fields_only(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/title", json!("by another")).await;
    let edit = link::ActiveModel { note: Set(Some("mine".to_owned())), ..link("dust").into_active_model() };
    cx.repo.update(edit).await.unwrap();
    let now = cx.repo.get::<link::Entity>("dust").await.unwrap();
    assert_eq!((now.title.as_str(), now.note.as_deref()), ("by another", Some("mine")));
}

async fn an_update_never_writes_the_key(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.update(link("dust").into_active_model().reset_all()).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    assert_eq!(cx.value("links/dust/slug").await, None);
    assert_eq!(cx.value("app/settings/theme/name").await, None);
}

async fn an_update_brings_unchanged_fields_up_to_date(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/url", json!("by another")).await;
    let updated = cx.repo.update(retitled("dust", "mine")).await.unwrap();
    assert_eq!(updated, link::Model { title: "mine".to_owned(), url: "by another".to_owned(), ..link("dust") });
}

async fn an_update_completes_the_model_from_the_store(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let edit = link::ActiveModel { slug: Set("dust".to_owned()), title: Set("mine".to_owned()), ..Default::default() };
    assert_eq!(cx.repo.update(edit).await.unwrap(), link::Model { title: "mine".to_owned(), ..link("dust") });
}

async fn an_update_in_map_mode_names_the_fields_that_are_not_set(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let before = cx.entries("app/settings").await;
    let edit = setting::ActiveModel { name: Unchanged("theme".to_owned()), enabled: Set(false), ..Default::default() };
    let error = cx.repo.update(edit).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    let text = error.to_string();
    assert!(text.contains("options, owner") && !text.contains("enabled,"), "{text}");
    assert_eq!(cx.entries("app/settings").await, before);
}

async fn an_update_in_map_mode_replaces_the_record(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.set("app/settings/theme/stray", json!(1)).await;
    let updated = cx.repo.update(owned_by("theme", "me")).await.unwrap();
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), updated);
    let leaves = cx.entries("app/settings/theme").await;
    assert_eq!(leaves.len(), 4);
    assert!(leaves.iter().all(|leaf| leaf.revision == leaves[0].revision));
}

async fn an_update_with_nothing_set_answers_the_stored_record(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let key_only = link::ActiveModel { slug: Set("dust".to_owned()), ..Default::default() };
    assert_eq!(cx.repo.update(key_only).await.unwrap(), link("dust"));
    let key_only = setting::ActiveModel { name: Set("theme".to_owned()), ..Default::default() };
    assert_eq!(cx.repo.update(key_only).await.unwrap(), setting("theme"));
    assert_eq!(cx.leaves_of_all().await, before);
}

async fn a_put_is_one_revision_in_both_modes(cx: &Context) {
    cx.repo.put(link("dust")).await.unwrap();
    cx.repo.put(setting("theme")).await.unwrap();
    for (at, count) in [("links/dust", 3), ("app/settings/theme", 4)] {
        let leaves = cx.entries(at).await;
        assert_eq!(leaves.len(), count);
        assert!(leaves.iter().all(|leaf| leaf.revision == leaves[0].revision), "{at}");
    }
}

async fn a_put_removes_what_no_field_claims(cx: &Context) {
    cx.set("links/dust", json!("a leaf in the record's place")).await;
    cx.set("links/dust/stray/deep", json!(1)).await;
    cx.repo.put(link("dust")).await.unwrap();
    assert_eq!(cx.value("links/dust").await.unwrap()["title"], json!("Title of dust"));
    assert_eq!(cx.leaves("links/dust").await.len(), 3);
}

async fn a_delete_needs_the_key_alone(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let key_only = link::ActiveModel { slug: Set("dust".to_owned()), ..Default::default() };
    cx.repo.delete(key_only).await.unwrap();
    assert!(!cx.repo.exists::<link::Entity>("dust").await.unwrap());
}

async fn a_delete_in_map_mode_removes_everything(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    cx.repo.insert(new_setting("theme-2")).await.unwrap();
    cx.set("app/settings/theme/stray/deep", json!(1)).await;
    cx.set("app/settings/theme", json!("a leaf in the record's place")).await;
    cx.set("app/settings/theme/again", json!(1)).await;
    let deleted = cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    assert!(deleted.store_seq > 0);
    assert_eq!(cx.value("app/settings/theme").await, None);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), [setting("theme-2")]);
}

async fn a_builder_with_children_is_refused(cx: &Context) {
    let (repo, probe) = cx.probe();
    let child = || book::ActiveModel::builder().set_isbn("1").set_title("Dune");
    let parent = || author::ActiveModel::builder().set_slug("herbert").set_full_name("Frank Herbert");
    for error in [
        repo.insert(parent().add_book(child())).await.unwrap_err(),
        repo.update(parent().add_book(child())).await.unwrap_err(),
        repo.insert(child().set_author(parent())).await.unwrap_err(),
        repo.batch_write([dust_orm::BatchEntry::insert(parent().add_book(child()))]).await.unwrap_err(),
        repo.insert_many([parent().add_book(child())]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams);
        assert!(error.to_string().contains("related models"), "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_model_can_be_written_to_another_key(cx: &Context) {
    let first = cx.repo.insert(new_link("a")).await.unwrap();
    let copy = link::ActiveModel { slug: Set("b".to_owned()), ..first.into_active_model() };
    let second = cx.repo.insert(copy).await.unwrap();
    assert_eq!(second, link::Model { slug: "b".to_owned(), ..link("a") });
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a"), second]);
}
