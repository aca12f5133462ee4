//! Updates of records that are deleted at the same time: no leaf of the record reappears.

use dust_orm::{BatchEntry, ErrKind};
use dust_protocol::Op;
use serde_json::json;

use crate::context::{Context, path, set};
use crate::entities::*;

super::tests![
    an_update_of_one_field_that_meets_a_delete_finds_nothing,
    an_update_of_several_fields_that_meets_a_delete_finds_nothing,
    an_update_of_a_field_that_was_absent_leaves_no_ghost,
    an_update_of_an_object_that_meets_a_delete_finds_nothing,
    an_update_in_map_mode_that_meets_a_delete_leaves_no_half_record,
    a_batch_with_an_update_that_meets_a_delete_writes_nothing,
    an_update_that_meets_another_one_is_applied,
    updates_at_the_same_time_never_conflict,
    updates_and_deletes_at_the_same_time_leave_no_ghost,
];

fn delete(at: &str) -> Op {
    Op::delete(path(at))
}

/// Checks that no verb finds the record.
async fn assert_gone(cx: &Context, slug: &str) {
    assert_eq!(cx.leaves(&format!("links/{slug}")).await, []);
    assert_eq!(cx.repo.find_by_id::<link::Entity>(slug).await.unwrap(), None);
    assert!(!cx.repo.exists::<link::Entity>(slug).await.unwrap());
    cx.repo.insert(new_link(slug)).if_absent().await.unwrap();
}

async fn meets_a_delete(cx: &Context, stored: link::ActiveModel, edit: link::ActiveModel) {
    cx.repo.insert(stored).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(delete("links/dust"));
    let error = repo.update(edit).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound, "{error}");
    assert_gone(cx, "dust").await;
}

async fn an_update_of_one_field_that_meets_a_delete_finds_nothing(cx: &Context) {
    meets_a_delete(cx, new_link("dust"), retitled("dust", "new")).await;
}

async fn an_update_of_several_fields_that_meets_a_delete_finds_nothing(cx: &Context) {
    let edit = link::ActiveModel { note: Set(Some("new".to_owned())), ..retitled("dust", "new") };
    meets_a_delete(cx, new_link("dust"), edit).await;
}

async fn an_update_of_a_field_that_was_absent_leaves_no_ghost(cx: &Context) {
    let stored = link::ActiveModel { note: NotSet, ..new_link("dust") };
    let edit = link::ActiveModel { note: Set(Some("new".to_owned())), ..link("dust").into_active_model() };
    meets_a_delete(cx, stored, edit).await;
}

async fn an_update_of_an_object_that_meets_a_delete_finds_nothing(cx: &Context) {
    cx.repo.put(docs::flat::doc("a", &json!({"x": 1, "y": {"z": 2}}))).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(delete("flat-docs/a"));
    let read = docs::flat::doc("a", &json!({"x": 1, "y": {"z": 2}}));
    let edit = docs::flat::ActiveModel { value: Set(json!({"x": 2})), ..read.into_active_model() };
    let error = repo.update(edit).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound, "{error}");
    assert_eq!(cx.leaves("flat-docs").await, []);
}

async fn an_update_in_map_mode_that_meets_a_delete_leaves_no_half_record(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(delete("app/settings/theme"));
    match repo.update(owned_by("theme", "me")).await {
        // Over a socket the record is one op, which no revision can guard: it is written whole.
        Ok(updated) => {
            assert!(cx.transport.capabilities().merges_fields);
            assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), updated);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrKind::NotFound, "{error}");
            assert_eq!(cx.leaves("app/settings").await, []);
        }
    }
}

async fn a_batch_with_an_update_that_meets_a_delete_writes_nothing(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(delete("links/dust"));
    let entries = [BatchEntry::insert(new_link("other")), BatchEntry::update(retitled("dust", "new"))];
    let error = repo.batch_write(entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound, "{error}");
    assert_eq!(cx.leaves("links").await, []);
}

async fn an_update_that_meets_another_one_is_applied(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(set("links/dust/title", json!("theirs")));
    repo.update(retitled("dust", "mine")).await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap().title, "mine");
    probe.intrude(set("links/dust/title", json!("theirs")));
    let entries = [BatchEntry::insert(new_link("other")), BatchEntry::update(retitled("dust", "mine again"))];
    repo.batch_write(entries).await.unwrap();
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap().title, "mine again");
}

async fn updates_at_the_same_time_never_conflict(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let update = |n: usize| {
        let repo = cx.repo.clone();
        tokio::spawn(async move { repo.update(retitled("dust", &format!("writer {n}"))).await })
    };
    let tasks: Vec<_> = (0..16).map(update).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(cx.repo.get::<link::Entity>("dust").await.unwrap().title.starts_with("writer "));
}

async fn updates_and_deletes_at_the_same_time_leave_no_ghost(cx: &Context) {
    for round in 0..10 {
        cx.repo.insert(new_link("dust")).await.unwrap();
        let (repo, other) = (cx.repo.clone(), cx.repo.clone());
        let update = tokio::spawn(async move { repo.update(retitled("dust", "new")).await });
        let delete = tokio::spawn(async move { other.delete_by_id::<link::Entity>("dust").await });
        if let Err(error) = update.await.unwrap() {
            assert_eq!(error.kind(), ErrKind::NotFound, "{error}");
        }
        delete.await.unwrap().unwrap();
        assert_eq!(cx.leaves("links").await, [], "round {round}");
    }
}
