//! Changesets, through the repo.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dust_orm::{BatchEntry, Changeset, ErrKind};
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::guarded::flat as guarded;
use crate::entities::*;

super::tests![
    a_cast_changeset_is_inserted,
    an_invalid_changeset_is_refused_with_its_errors,
    a_changeset_updates_what_it_changes,
    a_changeset_without_changes_writes_nothing,
    a_changeset_is_written_by_revision,
    a_changeset_is_deleted,
    update_by_a_changeset_to_another_key_is_refused,
    insert_by_a_changeset_with_another_key_is_a_copy,
    prepared_changes_are_written,
    prepared_errors_refuse_the_write,
    nothing_is_prepared_for_an_invalid_changeset,
    the_changeset_and_the_guard_require_the_same,
    many_changesets_are_inserted,
    an_emptied_field_that_cannot_be_null_is_refused,
];

fn changeset(link: link::ActiveModel, params: Value) -> Changeset<link::ActiveModel> {
    use link::Column::{Note, Slug, Title, Url};
    Changeset::cast(link, params, [Slug, Title, Url, Note])
        .validate_required(link::Entity::required_columns())
        .validate_length(Title, 1..=20)
}

async fn a_cast_changeset_is_inserted(cx: &Context) {
    let params = json!({"slug": "dust", "title": "Dust", "url": "u", "unknown": 1});
    let inserted = cx.repo.insert(changeset(Default::default(), params)).await.unwrap();
    assert_eq!(inserted, link::Model { slug: "dust".into(), title: "Dust".into(), url: "u".into(), note: None });
    assert_eq!(cx.leaves("links").await.len(), 2, "what was not given is not written");
}

async fn an_invalid_changeset_is_refused_with_its_errors(cx: &Context) {
    let (repo, probe) = cx.probe();
    let params = json!({"slug": "dust", "title": "a title that is far too long", "note": 5});
    let invalid = || changeset(Default::default(), params.clone());
    for error in [
        repo.insert(invalid()).await.unwrap_err(),
        repo.update(invalid()).await.unwrap_err(),
        repo.delete(invalid()).await.unwrap_err(),
        repo.insert_many([invalid()]).await.unwrap_err(),
        repo.batch_write([BatchEntry::insert(invalid())]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::Invalid);
        let errors = serde_json::to_value(error.errors().unwrap()).unwrap();
        let expected = json!({
            "title": ["should be at most 20 character(s)"],
            "url": ["can't be blank"],
            "note": ["is invalid"],
        });
        assert_eq!(errors, expected);
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_changeset_updates_what_it_changes(cx: &Context) {
    let stored = cx.repo.insert(new_link("dust")).await.unwrap();
    let before = cx.entries("links/dust").await;
    let params = json!({"title": "New", "url": stored.url, "note": null});
    let updated = cx.repo.update(changeset(stored.into_active_model(), params)).await.unwrap();
    assert_eq!(updated, link::Model { title: "New".into(), note: None, ..link("dust") });
    let after = cx.entries("links/dust").await;
    let changed: Vec<&str> =
        before.iter().zip(&after).filter(|(old, new)| old != new).map(|(_, new)| new.path.as_str()).collect();
    assert_eq!(changed, ["links/dust/note", "links/dust/title"], "the url is the same, so it is not written");
}

async fn a_changeset_without_changes_writes_nothing(cx: &Context) {
    let stored = cx.repo.insert(new_link("dust")).await.unwrap();
    let before = cx.entries("links/dust").await;
    let same = changeset(stored.clone().into_active_model(), json!({"title": stored.title}));
    assert_eq!(cx.repo.update(same).await.unwrap(), stored);
    assert_eq!(cx.entries("links/dust").await, before);
}

async fn a_changeset_is_written_by_revision(cx: &Context) {
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    let edit = |enabled: bool| {
        Changeset::cast(
            seen.model.clone().into_active_model(),
            json!({"enabled": enabled, "owner": "me"}),
            [setting::Column::Enabled, setting::Column::Owner],
        )
    };
    let updated = cx.repo.update(edit(false)).if_match(&seen.revision).await.unwrap();
    assert_eq!(updated, setting::Model { enabled: false, owner: Some("me".into()), ..setting("theme") });
    let error = cx.repo.update(edit(true)).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
}

async fn a_changeset_is_deleted(cx: &Context) {
    let stored = cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.delete(Changeset::change(stored.into_active_model())).await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), []);
}

async fn update_by_a_changeset_to_another_key_is_refused(cx: &Context) {
    let stored = cx.repo.insert(new_link("a")).await.unwrap();
    let other = cx.repo.insert(new_link("b")).await.unwrap();
    let (repo, probe) = cx.probe();
    let redirected = || changeset(stored.clone().into_active_model(), json!({"slug": "b", "title": "x"}));
    let late = Changeset::change(stored.clone().into_active_model())
        .prepare_changes(|changes| changes.put_change(link::Column::Slug, "b"));
    for error in [
        repo.update(redirected()).await.unwrap_err(),
        repo.update(late).await.unwrap_err(),
        repo.delete(redirected()).await.unwrap_err(),
        repo.batch_write([BatchEntry::update(redirected())]).await.unwrap_err(),
        repo.batch_write([BatchEntry::insert(new_link("c")), BatchEntry::delete(redirected())]).await.unwrap_err(),
    ] {
        let errors = serde_json::to_value(error.errors().unwrap_or_else(|| panic!("{error}"))).unwrap();
        assert_eq!(errors, json!({"slug": ["cannot be changed"]}));
    }
    let merged = repo.merge(redirected()).await.unwrap_err();
    assert!(matches!(merged.kind(), ErrKind::Invalid | ErrKind::NotSupported), "{merged}");
    assert_eq!(probe.take_calls(), []);
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [stored, other]);
}

async fn insert_by_a_changeset_with_another_key_is_a_copy(cx: &Context) {
    let stored = cx.repo.insert(new_link("a")).await.unwrap();
    let copy = cx.repo.insert(changeset(stored.clone().into_active_model(), json!({"slug": "b"}))).await.unwrap();
    assert_eq!(copy, link::Model { slug: "b".into(), ..stored.clone() });
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [stored, copy]);
}

async fn prepared_changes_are_written(cx: &Context) {
    let prepared = |slug: &str| {
        Changeset::change(new_link(slug))
            .prepare_changes(|changes| changes.put_change(link::Column::Title, "prepared"))
            .prepare_changes(|changes| changes.put_change(link::Column::Note, "twice"))
    };
    let inserted = cx.repo.insert(prepared("a")).await.unwrap();
    assert_eq!((inserted.title.as_str(), inserted.note.as_deref()), ("prepared", Some("twice")));
    cx.repo
        .update(
            Changeset::change(inserted.into_active_model()).prepare_changes(|c| c.put_change(link::Column::Url, "u")),
        )
        .await
        .unwrap();
    cx.repo.batch_write([BatchEntry::insert(prepared("b"))]).await.unwrap();
    cx.repo.insert_many([prepared("c")]).await.unwrap();
    let all = cx.repo.all::<link::Entity>().await.unwrap();
    assert!(all.iter().all(|link| link.title == "prepared" && link.note.as_deref() == Some("twice")), "{all:?}");
    assert_eq!((all.len(), all[0].url.as_str()), (3, "u"));
}

async fn prepared_errors_refuse_the_write(cx: &Context) {
    let (repo, probe) = cx.probe();
    let refused = || {
        Changeset::change(new_link("a")).prepare_changes(|changes| changes.add_error(link::Column::Title, "not now"))
    };
    for error in [
        repo.insert(refused()).await.unwrap_err(),
        repo.batch_write([BatchEntry::insert(new_link("b")), BatchEntry::insert(refused())]).await.unwrap_err(),
    ] {
        assert_eq!(error.errors().unwrap().get("title")[0].message(), "not now");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn nothing_is_prepared_for_an_invalid_changeset(cx: &Context) {
    let prepared = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&prepared);
    let counted = Changeset::change(new_link("a")).prepare_changes(move |changes| {
        count.fetch_add(1, Ordering::Relaxed);
        changes
    });
    let invalid = counted.clone().add_error(link::Column::Title, "is not nice");
    assert_eq!(cx.repo.insert(invalid).await.unwrap_err().kind(), ErrKind::Invalid);
    assert_eq!(prepared.load(Ordering::Relaxed), 0);
    cx.repo.insert(counted).await.unwrap();
    assert_eq!(prepared.load(Ordering::Relaxed), 1);
}

async fn the_changeset_and_the_guard_require_the_same(cx: &Context) {
    use guarded::Column::{Count, Note, Slug, Title};
    let cast = |params: Value| {
        Changeset::cast(guarded::ActiveModel { ..Default::default() }, params, [Slug, Title, Note, Count])
            .validate_required(guarded::Entity::required_columns())
    };
    let error = cx.repo.insert(cast(json!({"slug": "a", "title": "T", "note": " "}))).await.unwrap_err();
    let fields: Vec<&str> = error.errors().unwrap().iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["note"]);
    cx.repo.insert(cast(json!({"slug": "a", "title": "T", "note": "n"}))).await.unwrap();
    assert_eq!(cx.repo.all::<guarded::Entity>().await.unwrap().len(), 1);
}

async fn many_changesets_are_inserted(cx: &Context) {
    let casts = ["a", "b"].map(|slug| changeset(Default::default(), json!({"slug": slug, "title": slug, "url": "u"})));
    let inserted = cx.repo.insert_many(casts).await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), inserted);
}

async fn an_emptied_field_that_cannot_be_null_is_refused(cx: &Context) {
    let stored = cx.repo.insert(new_link("dust")).await.unwrap();
    // Without `validate_required`.
    let emptied = Changeset::cast(stored.into_active_model(), json!({"title": null}), [link::Column::Title]);
    let error = cx.repo.update(emptied).await.unwrap_err();
    assert_eq!(error.errors().unwrap().get("title")[0].message(), "can't be blank");
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
}
