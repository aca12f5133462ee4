//! Compare-and-swap.

use dust_orm::{DustErr, ErrKind, Revision};
use serde_json::json;

use crate::context::{Context, set};
use crate::entities::*;

super::tests![
    of_two_writers_who_saw_the_same_one_wins_in_flat_mode,
    of_two_writers_who_saw_the_same_one_wins_in_map_mode,
    other_fields_may_change_in_flat_mode,
    a_field_that_was_absent_when_read_must_be_so_still,
    a_bare_number_names_nothing_in_flat_mode,
    a_bare_number_of_the_record_works_in_map_mode,
    a_bare_number_that_is_stale_conflicts_in_map_mode,
    a_bare_number_is_checked_when_it_is_written,
    a_deleted_record_conflicts,
    a_deleted_record_conflicts_where_fields_are_not_set,
    a_record_made_again_conflicts,
    a_revision_goes_through_json,
    a_revision_of_another_record_conflicts,
    a_delete_by_revision,
    a_put_by_revision,
    a_put_if_absent,
    an_insert_by_revision,
    an_update_by_revision_answers_what_it_wrote,
    an_update_by_revision_keeps_what_was_not_edited,
    a_conflict_leaves_nothing_of_a_deleted_record,
    an_update_of_nothing_by_revision_looks_for_the_record,
    a_revision_that_names_nothing_matches_nothing,
    insert_if_absent_fails_where_a_record_is,
    insert_if_absent_works_again_after_a_delete,
    insert_if_absent_replaces_nothing,
    what_an_insert_if_absent_left_behind_is_taken_over,
    an_insert_without_a_condition_meets_a_claim,
    a_write_over_a_claim_stays_when_the_claim_is_taken_back,
    a_claim_that_is_not_used_is_taken_back,
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
    let now = cx.entries("links/dust").await;
    let revision = now.iter().find(|leaf| leaf.path.as_str().ends_with("title")).unwrap().revision;
    let error = cx.repo.update(edit("second")).if_match(&seen.revision).await.unwrap_err();
    assert!(
        matches!(
            &error,
            DustErr::Conflict { path, current, .. } if path == "links/dust/title" && *current == Some(revision)
        ),
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

async fn insert_if_absent_works_again_after_a_delete(cx: &Context) {
    for _ in 0..2 {
        cx.repo.insert(new_link("dust")).if_absent().await.unwrap();
        cx.repo.insert(new_setting("theme")).if_absent().await.unwrap();
        // Other records whose keys begin alike do not matter.
        cx.repo.insert(new_link("dust-2")).await.unwrap();
        cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
        cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    }
}

async fn a_bare_number_of_the_record_works_in_map_mode(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let number = cx.entries("app/settings/theme").await[0].revision;
    let seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    assert_eq!(seen.revision.number(), number);
    let updated = cx.repo.update(owned_by("theme", "me")).if_match(number).await.unwrap();
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), updated);
    let number = cx.entries("app/settings/theme").await[0].revision;
    cx.repo.delete_by_id::<setting::Entity>("theme").if_match(number).await.unwrap();
    assert!(!cx.repo.exists::<setting::Entity>("theme").await.unwrap());
}

async fn a_bare_number_that_is_stale_conflicts_in_map_mode(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let stale = cx.entries("app/settings/theme").await[0].revision;
    let current = cx.set("app/settings/theme/enabled", json!(false)).await;
    for error in [
        cx.repo.update(owned_by("theme", "me")).if_match(stale).await.unwrap_err(),
        cx.repo.put(setting("theme")).if_match(stale).await.unwrap_err(),
        cx.repo.delete_by_id::<setting::Entity>("theme").if_match(stale).await.unwrap_err(),
    ] {
        assert!(matches!(&error, DustErr::Conflict { current: now, .. } if *now == Some(current)), "{error:?}");
    }
    let error = cx.repo.update(owned_by("nobody", "me")).if_match(stale).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { current: None, .. }), "{error:?}");
    assert!(!cx.repo.get::<setting::Entity>("theme").await.unwrap().enabled);
}

/// The revision is read first; a change between this read and the write is a conflict too.
async fn a_bare_number_is_checked_when_it_is_written(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.insert(new_setting("theme")).await.unwrap();
    let number = cx.entries("app/settings/theme").await[0].revision;
    probe.intrude(set("app/settings/theme/enabled", json!(false)));
    let error = repo.update(owned_by("theme", "me")).if_match(number).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    assert_eq!(
        cx.repo.get::<setting::Entity>("theme").await.unwrap(),
        setting::Model { enabled: false, ..setting("theme") }
    );
}

async fn a_deleted_record_conflicts(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let link_seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let setting_seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    for error in [
        cx.repo.update(retitled("dust", "late")).if_match(&link_seen.revision).await.unwrap_err(),
        cx.repo.put(link("dust")).if_match(&link_seen.revision).await.unwrap_err(),
        cx.repo.delete_by_id::<link::Entity>("dust").if_match(&link_seen.revision).await.unwrap_err(),
        cx.repo.update(owned_by("theme", "late")).if_match(&setting_seen.revision).await.unwrap_err(),
        cx.repo.put(setting("theme")).if_match(&setting_seen.revision).await.unwrap_err(),
        cx.repo.delete_by_id::<setting::Entity>("theme").if_match(&setting_seen.revision).await.unwrap_err(),
    ] {
        assert!(matches!(&error, DustErr::Conflict { current: None, .. }), "{error:?}");
    }
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn a_deleted_record_conflicts_where_fields_are_not_set(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    let edit = link::ActiveModel { slug: Set("dust".into()), title: Set("late".into()), ..Default::default() };
    let error = cx.repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert!(
        matches!(&error, DustErr::Conflict { path, current: None, .. } if path.starts_with("links/dust")),
        "{error:?}"
    );
    assert_eq!(cx.leaves("links").await, []);
}

async fn a_record_made_again_conflicts(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let link_seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let setting_seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let error = cx.repo.update(retitled("dust", "late")).if_match(&link_seen.revision).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { current: Some(_), .. }), "{error:?}");
    let error = cx.repo.update(owned_by("theme", "late")).if_match(&setting_seen.revision).await.unwrap_err();
    assert!(matches!(&error, DustErr::Conflict { current: Some(_), .. }), "{error:?}");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), setting("theme"));
}

/// As in a form that a browser has sent back.
async fn a_revision_goes_through_json(cx: &Context) {
    let odd = renamed::renamed("a/b");
    cx.repo.put(odd.clone()).await.unwrap();
    let seen = cx.repo.find_versioned::<renamed::Entity>("a/b").await.unwrap().unwrap();
    let text = serde_json::to_string(&seen.revision).unwrap();
    let revision: Revision = serde_json::from_str(&text).unwrap();
    assert_eq!(revision, seen.revision);
    let edit = renamed::ActiveModel { author: Set("Bea".into()), ..odd.into_active_model() };
    cx.repo.update(edit.clone()).if_match(&revision).await.unwrap();
    let error = cx.repo.update(edit).if_match(&revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
}

async fn a_revision_of_another_record_conflicts(cx: &Context) {
    cx.repo.insert_many(["a", "b"].map(new_link)).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    let error = cx.repo.update(retitled("b", "wrong")).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
}

async fn a_delete_by_revision(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let stale = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap().revision;
    let current = cx.set("links/dust/note", json!("by another")).await;
    let error = cx.repo.delete_by_id::<link::Entity>("dust").if_match(&stale).await.unwrap_err();
    assert!(
        matches!(
            &error,
            DustErr::Conflict { path, current: now, .. } if path == "links/dust/note" && *now == Some(current)
        ),
        "{error:?}"
    );
    assert_eq!(cx.leaves("links/dust").await.len(), 3);
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let deleted = cx.repo.delete(seen.model.into_active_model()).if_match(&seen.revision).await.unwrap();
    assert!(deleted.store_seq > current);
    assert_eq!(cx.leaves("links").await, []);
}

async fn a_put_by_revision(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let model = link::Model { title: "put".into(), note: None, ..link("dust") };
    assert_eq!(cx.repo.put(model.clone()).if_match(&seen.revision).await.unwrap(), model);
    let error = cx.repo.put(link("dust")).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), model);
    let error = cx.repo.put(link("dust")).if_match(seen.revision.number()).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
}

async fn a_put_if_absent(cx: &Context) {
    if !cx.transport.capabilities().if_subtree_absent {
        assert_eq!(cx.repo.put(link("dust")).if_absent().await.unwrap_err().kind(), ErrKind::NotSupported);
        assert_eq!(cx.leaves("links").await, []);
        return;
    }
    assert_eq!(cx.repo.put(link("dust")).if_absent().await.unwrap(), link("dust"));
    let other = link::Model { title: "other".into(), ..link("dust") };
    assert_eq!(cx.repo.put(other).if_absent().await.unwrap_err().kind(), ErrKind::Exists);
    assert_eq!(cx.repo.put(setting("theme")).if_absent().await.unwrap(), setting("theme"));
    assert_eq!(cx.repo.put(setting("theme")).if_absent().await.unwrap_err().kind(), ErrKind::Exists);
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
}

async fn an_insert_by_revision(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let again = link::ActiveModel { title: Set("again".into()), ..new_link("dust") };
    cx.repo.insert(again.clone()).if_match(&seen.revision).await.unwrap();
    let error = cx.repo.insert(again).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
}

async fn an_update_by_revision_answers_what_it_wrote(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let edit = link::ActiveModel { slug: Set("dust".into()), title: Set("mine".into()), ..Default::default() };
    let updated = cx.repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(updated, link::Model { title: "mine".into(), ..link("dust") });
}

async fn an_update_by_revision_keeps_what_was_not_edited(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let updated = cx.repo.update(retitled("dust", "mine")).if_match(&seen.revision).await.unwrap();
    assert_eq!(updated, link::Model { title: "mine".into(), ..link("dust") });
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), updated);
}

/// On a store that compares single leaves only, a separate write ensures the absence of a field.
async fn a_conflict_leaves_nothing_of_a_deleted_record(cx: &Context) {
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    let mut edit = seen.model.into_active_model();
    edit.title = Set("late".to_owned());
    edit.note = Set(Some("late".to_owned()));
    let error = cx.repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    assert_eq!(cx.leaves("links").await, []);
    assert!(!cx.repo.exists::<link::Entity>("dust").await.unwrap());
}

async fn an_update_of_nothing_by_revision_looks_for_the_record(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let link_seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let setting_seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    let (same_link, same_setting) = (link("dust").into_active_model(), setting("theme").into_active_model());
    cx.repo.update(same_link.clone()).if_match(&link_seen.revision).await.unwrap();
    cx.repo.update(same_setting.clone()).if_match(&setting_seen.revision).await.unwrap();
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    cx.repo.delete_by_id::<setting::Entity>("theme").await.unwrap();
    for error in [
        cx.repo.update(same_link).if_match(&link_seen.revision).await.unwrap_err(),
        cx.repo.update(same_setting).if_match(&setting_seen.revision).await.unwrap_err(),
    ] {
        assert!(matches!(&error, DustErr::Conflict { current: None, .. }), "{error:?}");
    }
}

/// No read returns it, but a form can contain it.
async fn a_revision_that_names_nothing_matches_nothing(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let nothing: Revision = serde_json::from_value(json!({"record": 1, "leaves": []})).unwrap();
    for error in [
        cx.repo.update(retitled("dust", "x")).if_match(&nothing).await.unwrap_err(),
        cx.repo.put(link("dust")).if_match(&nothing).await.unwrap_err(),
        cx.repo.delete_by_id::<link::Entity>("dust").if_match(&nothing).await.unwrap_err(),
        cx.repo.update(owned_by("theme", "x")).if_match(&nothing).await.unwrap_err(),
        cx.repo.delete_by_id::<setting::Entity>("theme").if_match(&nothing).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    assert_eq!(cx.leaves_of_all().await.len(), 3 + 4);
}

async fn insert_if_absent_replaces_nothing(cx: &Context) {
    let strangers = [
        ("links/dust/stray", json!("no field has this name")),
        ("links/other/title", json!(5)),
        ("links/other/url", json!("u")),
    ];
    cx.set_all(strangers.clone()).await;
    for slug in ["dust", "other"] {
        let error = cx.repo.insert(new_link(slug)).if_absent().await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Exists, "{error}");
    }
    assert_eq!(cx.leaves("links").await, strangers.map(|(at, value)| (at.to_owned(), value)));
}

/// On a store that cannot compare a whole record, its insert begins with a claim. After a writer that stops there,
/// reads ignore the claim, and the next writer takes it over.
async fn what_an_insert_if_absent_left_behind_is_taken_over(cx: &Context) {
    if cx.transport.capabilities().if_subtree_absent {
        return;
    }
    let (repo, probe) = cx.probe();
    let stopped = || DustErr::timeout("stopped");
    probe.fail_write(1, stopped());
    repo.insert(new_link("dust")).if_absent().await.unwrap_err();
    probe.fail_write(1, stopped());
    repo.insert(new_setting("theme")).if_absent().await.unwrap_err();
    assert_eq!(cx.leaves_of_all().await.len(), 2, "two claims");

    assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap(), None);
    assert_eq!(repo.get::<link::Entity>("dust").await.unwrap_err().kind(), ErrKind::NotFound);
    assert_eq!(repo.find_versioned::<link::Entity>("dust").await.unwrap(), None);
    assert_eq!(repo.find_many::<link::Entity>(["dust", "other"]).await.unwrap(), [None, None]);
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), []);
    assert!(!repo.exists::<link::Entity>("dust").await.unwrap());
    assert!(!repo.exists::<setting::Entity>("theme").await.unwrap());
    assert_eq!(repo.update(retitled("dust", "x")).await.unwrap_err().kind(), ErrKind::NotFound);

    assert_eq!(repo.insert(new_link("dust")).if_absent().await.unwrap(), link("dust"));
    assert_eq!(repo.insert(new_setting("theme")).if_absent().await.unwrap(), setting("theme"));
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
    assert_eq!(cx.repo.get::<setting::Entity>("theme").await.unwrap(), setting("theme"));
    assert!(cx.repo.exists::<link::Entity>("dust").await.unwrap());
    let error = repo.insert(new_link("dust")).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists);
}

async fn an_insert_without_a_condition_meets_a_claim(cx: &Context) {
    let (repo, probe) = cx.probe();
    // Just before the record is written over its claim.
    let theirs = json!({"title": "theirs", "url": "u"});
    let nth = if cx.transport.capabilities().if_subtree_absent { 0 } else { 1 };
    probe.intrude_at(nth, set("links/dust", theirs));
    let error = repo.insert(new_link("dust")).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists, "{error}");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap().title, "theirs");
}

/// A claim is removed only if no other writer has changed it since.
async fn a_write_over_a_claim_stays_when_the_claim_is_taken_back(cx: &Context) {
    if cx.transport.capabilities().if_subtree_absent {
        return;
    }
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude_at(1, set("links/dust/note", json!("theirs")));
    let edit = link::ActiveModel {
        title: Set("mine".to_owned()),
        note: Set(Some("mine".to_owned())),
        ..link("dust").into_active_model()
    };
    let error = repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    let now = cx.repo.get::<link::Entity>("dust").await.unwrap();
    assert_eq!((now.title.as_str(), now.note.as_deref()), ("Title of dust", Some("theirs")));
}

/// Another writer sets the field whose absence is the guard: the claim is removed again.
async fn a_claim_that_is_not_used_is_taken_back(cx: &Context) {
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    cx.set("links/dust/title", json!("theirs")).await;
    let edit = link::ActiveModel {
        title: Set("mine".to_owned()),
        note: Set(Some("mine".to_owned())),
        ..link("dust").into_active_model()
    };
    let error = cx.repo.update(edit).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    let left: Vec<String> = cx.leaves("links/dust").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, ["links/dust/title", "links/dust/url"]);
}
