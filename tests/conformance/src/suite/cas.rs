//! Compare-and-swap.

use dust_orm::{DustErr, ErrKind};
use serde_json::json;

use crate::context::Context;
use crate::entities::*;

super::tests![
    of_two_writers_who_saw_the_same_one_wins_in_flat_mode,
    of_two_writers_who_saw_the_same_one_wins_in_map_mode,
    other_fields_may_change_in_flat_mode,
    a_field_that_was_absent_when_read_must_be_so_still,
    a_bare_number_names_nothing_in_flat_mode,
    insert_if_absent_fails_where_a_record_is,
];

async fn of_two_writers_who_saw_the_same_one_wins_in_flat_mode(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let edit = |title: &str| {
        let mut edit = seen.model.clone().into_active_model();
        edit.title = Set(title.to_owned());
        edit
    };
    cx.repo.update(edit("first")).if_match(&seen.revision).await.unwrap();
    let now = cx.entries("links/dust/title".rsplit_once('/').unwrap().0).await;
    let revision = now.iter().find(|leaf| leaf.path.as_str().ends_with("title")).unwrap().revision;
    let error = cx.repo.update(edit("second")).if_match(&seen.revision).await.unwrap_err();
    assert!(
        matches!(&error, DustErr::Conflict { path, current, .. } if path == "links/dust/title" && *current == Some(revision)),
        "{error:?}"
    );
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap().title, "first");
}

async fn of_two_writers_who_saw_the_same_one_wins_in_map_mode(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    let edit = |enabled: bool, owner: &str| {
        let mut edit = seen.model.clone().into_active_model();
        edit.enabled = Set(enabled);
        edit.owner = Set(Some(owner.to_owned()));
        edit
    };
    let won = cx.repo.update(edit(false, "first")).if_match(&seen.revision).await.unwrap();
    assert_eq!(won.owner.as_deref(), Some("first"));
    let leaves = cx.entries("app/settings/theme").await;
    assert!(leaves.iter().all(|leaf| leaf.revision == leaves[0].revision), "one revision again: {leaves:?}");
    let error = cx.repo.update(edit(true, "second")).if_match(&seen.revision).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { current, .. } if *current == Some(leaves[0].revision)), "{error:?}");
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), won);
}

async fn other_fields_may_change_in_flat_mode(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    cx.set("links/dust/note", json!("by another")).await;
    let mut edit = seen.model.into_active_model();
    edit.title = Set("mine".to_owned());
    cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    let now = cx.repo.get::<link::Entity>("dust").await.unwrap();
    assert_eq!((now.title.as_str(), now.note.as_deref()), ("mine", Some("by another")));
}

async fn a_field_that_was_absent_when_read_must_be_so_still(cx: &Context) {
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let revision = cx.set("links/dust/note", json!("by another")).await;
    let mut edit = seen.model.into_active_model();
    edit.note = Set(Some("mine".to_owned()));
    let error = cx.repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { current, .. } if *current == Some(revision)), "{error:?}");
}

async fn a_bare_number_names_nothing_in_flat_mode(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let error = cx.repo.update(new_link("dust")).if_match(1u64).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("find_versioned"), "{error}");
}

async fn insert_if_absent_fails_where_a_record_is(cx: &Context) {
    cx.repo.insert(new_link("dust")).if_absent().await.unwrap();
    cx.repo.insert(new_setting("theme")).if_absent().await.unwrap();
    let other = link::ActiveModel { title: Set("other".into()), ..new_link("dust") };
    let error = cx.repo.insert(other).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists, "{error}");
    let error = cx.repo.insert(new_setting("theme")).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists, "{error}");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
}
