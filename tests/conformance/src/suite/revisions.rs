//! Revisions that travel: entity tags, revisions of writes, and columns that a guard leaves out.

use dust_orm::{BatchEntry, DustEntity, ErrKind, Revision, Versioned};
use serde_json::json;

use crate::context::{Context, set};
use crate::entities::aliased::flat as aliased;
use crate::entities::*;
use crate::probe::Call;

super::tests![
    etag_is_the_same_on_every_transport,
    etag_follows_the_content,
    etag_of_equal_values_is_one,
    insert_returns_revision_of_a_read,
    insert_over_other_leaves_returns_revision_of_a_read,
    insert_if_absent_returns_revision_of_a_read,
    update_returns_revision_of_a_read,
    update_by_revision_returns_revision_of_a_read,
    update_of_nothing_returns_revision_of_a_read,
    update_of_old_names_returns_revision_of_a_read,
    put_returns_revision_of_a_read,
    map_mode_write_returns_revision_of_a_read,
    merge_returns_revision_of_a_read,
    batch_returns_revisions_of_reads,
    versioned_write_takes_no_further_request,
    revision_of_a_write_is_that_of_the_model_when_another_writes,
    except_lets_edits_of_different_fields_pass,
    except_still_compares_other_columns,
    several_excepted_columns_add_up,
    except_of_every_column_requires_the_record,
    except_of_every_column_creates_no_record,
    except_without_a_leaf_or_in_map_mode_is_refused,
    except_in_a_batch_leaves_the_column_out,
];

async fn read<E: DustEntity>(cx: &Context, key: impl dust_orm::entity::IntoKey<E>) -> Versioned<E::Model> {
    cx.repo.get_versioned::<E>(key).await.unwrap()
}

/// A record with leaves of every kind that transports deliver in different forms.
async fn write_odd(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/url", json!("tab\t, é, \" and \\")).await;
    cx.set("links/dust/price", json!({"_type": "decimal", "_typed": "1E+3"})).await;
    cx.set("links/dust/at", json!({"_type": "datetime", "_typed": "2026-01-02T03:04:05.5+02:00"})).await;
    cx.set("links/dust/rate", json!(1.50)).await;
    cx.set("links/dust/large", json!(18_446_744_073_709_551_615_u64)).await;
    cx.set("links/dust/meta", json!({"b": [1, {"z": null, "a": 1.0}], "a~/": {"on": true}})).await;
}

async fn etag_is_the_same_on_every_transport(cx: &Context) {
    write_odd(cx).await;
    let seen = read::<link::Entity>(cx, "dust").await.revision;
    assert_eq!(seen.etag(), "\"8ff9f09b6552e334516edfa7b5440afb\"");
    let listed = cx.repo.find::<link::Entity>().versioned().await.unwrap();
    assert_eq!(listed[0].revision, seen);
}

async fn etag_follows_the_content(cx: &Context) {
    write_odd(cx).await;
    let first = read::<link::Entity>(cx, "dust").await.revision;
    let etag = first.etag();
    cx.set("links/dust/note", json!("a note")).await;
    let same = read::<link::Entity>(cx, "dust").await.revision;
    assert!(same.matches(&etag) && same.number() > first.number(), "the value is the same");
    for (at, value) in [("note", json!("other")), ("meta/b", json!([])), ("stray", json!(null))] {
        cx.set(&format!("links/dust/{at}"), value).await;
        let now = read::<link::Entity>(cx, "dust").await.revision;
        assert!(!now.matches(&etag) && now.matches("*"), "{at}");
        assert!(now.matches(&format!("{etag}, W/{}", now.etag())));
    }
    cx.repo.put(link("other")).await.unwrap();
    cx.repo.put(link::Model { slug: "copy".into(), ..link("other") }).await.unwrap();
    let (other, copy) = (read::<link::Entity>(cx, "other").await, read::<link::Entity>(cx, "copy").await);
    assert_eq!(other.revision.etag(), copy.revision.etag(), "the key is no part of the tag");
}

async fn etag_of_equal_values_is_one(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/price", json!({"_type": "decimal", "_typed": "1E+3"})).await;
    let etag = read::<link::Entity>(cx, "dust").await.revision.etag();
    cx.set("links/dust/price", json!("1000")).await;
    assert!(read::<link::Entity>(cx, "dust").await.revision.matches(&etag));
    cx.set("links/dust/price", json!(1000)).await;
    assert!(!read::<link::Entity>(cx, "dust").await.revision.matches(&etag));
}

async fn assert_is_read(cx: &Context, saved: &Versioned<link::Model>) {
    let now = read::<link::Entity>(cx, saved.model.slug.as_str()).await;
    assert_eq!(*saved, now);
    assert!(now.revision.matches(&saved.revision.etag()));
}

async fn insert_returns_revision_of_a_read(cx: &Context) {
    let saved = cx.repo.insert(new_link("dust")).versioned().await.unwrap();
    assert_is_read(cx, &saved).await;
    let part = link::ActiveModel { note: NotSet, ..new_link("part") };
    assert_is_read(cx, &cx.repo.insert(part.clone()).versioned().await.unwrap()).await;
    cx.set("links/part/note", json!("by another")).await;
    let saved = cx.repo.insert(part).versioned().await.unwrap();
    assert_eq!(saved.model.note.as_deref(), Some("by another"));
    assert_is_read(cx, &saved).await;
    let again = link::ActiveModel { title: Set("again".into()), ..new_link("part") };
    assert_is_read(cx, &cx.repo.insert(again).if_match(&saved.revision).versioned().await.unwrap()).await;
}

async fn insert_over_other_leaves_returns_revision_of_a_read(cx: &Context) {
    cx.set("links/dust/stray/x", json!(1)).await;
    cx.set("links/dust/title/below", json!(1)).await;
    let saved = cx.repo.insert(new_link("dust")).versioned().await.unwrap();
    if !cx.transport.capabilities().remote {
        assert_is_read(cx, &saved).await;
    }
    let part = link::ActiveModel { note: NotSet, ..new_link("dust") };
    assert_is_read(cx, &cx.repo.insert(part).versioned().await.unwrap()).await;
}

async fn insert_if_absent_returns_revision_of_a_read(cx: &Context) {
    assert_is_read(cx, &cx.repo.insert(new_link("dust")).if_absent().versioned().await.unwrap()).await;
    let saved = cx.repo.insert(new_setting("theme")).if_absent().versioned().await.unwrap();
    assert_eq!(saved, read::<setting::Entity>(cx, "theme").await);
    let error = cx.repo.insert(new_link("dust")).if_absent().versioned().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists);
}

async fn update_returns_revision_of_a_read(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.set("links/dust/stray", json!({"x": 1})).await;
    assert_is_read(cx, &cx.repo.update(retitled("dust", "one")).versioned().await.unwrap()).await;
    let all = link("dust").into_active_model().reset_all();
    assert_is_read(cx, &cx.repo.update(all).versioned().await.unwrap()).await;
    cx.set("links/dust/note", json!("by another")).await;
    let saved = cx.repo.update(retitled("dust", "two")).versioned().await.unwrap();
    assert_eq!(saved.model.note.as_deref(), Some("by another"), "its content is part of the revision");
    assert_is_read(cx, &saved).await;
}

async fn update_by_revision_returns_revision_of_a_read(cx: &Context) {
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    cx.set("links/dust/stray", json!({"x": 1})).await;
    let mut seen = read::<link::Entity>(cx, "dust").await;
    for title in ["one", "two"] {
        let mut edit = seen.model.clone().into_active_model();
        edit.title = Set(title.to_owned());
        // The note is absent at first: its absence is the condition.
        edit.note = Set(Some(format!("note of {title}")));
        seen = cx.repo.update(edit).if_match(&seen.revision).versioned().await.unwrap();
        assert_is_read(cx, &seen).await;
    }
    // The form that a browser has sent back.
    let form: Revision = serde_json::from_str(&serde_json::to_string(&seen.revision).unwrap()).unwrap();
    let edit = link::ActiveModel { slug: Set("dust".into()), url: Set("u".into()), ..Default::default() };
    assert_is_read(cx, &cx.repo.update(edit).if_match(form).versioned().await.unwrap()).await;
}

async fn update_of_nothing_returns_revision_of_a_read(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    let same = || link("dust").into_active_model();
    assert_eq!(cx.repo.update(same()).versioned().await.unwrap(), seen);
    assert_eq!(cx.repo.update(same()).if_match(&seen.revision).versioned().await.unwrap(), seen);
}

async fn update_of_old_names_returns_revision_of_a_read(cx: &Context) {
    let old = [
        ("aliased/a/headline", json!("Old")),
        ("aliased/a/details", json!({"x": {"y": 1}, "z": 2})),
        ("aliased/a/remark", json!("n")),
    ];
    cx.set_all(old).await;
    let mut edit = read::<aliased::Entity>(cx, "a").await.model.into_active_model();
    edit.title = Set("New".to_owned());
    let saved = cx.repo.update(edit).versioned().await.unwrap();
    assert_eq!(saved, read::<aliased::Entity>(cx, "a").await);
    let mut edit = saved.model.clone().into_active_model();
    edit.meta = Set(json!({"x": 1, "empty": {}}));
    let saved = cx.repo.update(edit).if_match(&saved.revision).versioned().await.unwrap();
    let now = read::<aliased::Entity>(cx, "a").await;
    assert_eq!(saved.revision, now.revision);
}

async fn put_returns_revision_of_a_read(cx: &Context) {
    cx.set("links/dust/stray", json!(1)).await;
    let saved = cx.repo.put(link("dust")).versioned().await.unwrap();
    assert_is_read(cx, &saved).await;
    cx.set("links/dust/stray", json!(1)).await;
    let seen = read::<link::Entity>(cx, "dust").await;
    let other = link::Model { note: None, ..link("dust") };
    assert_is_read(cx, &cx.repo.put(other).if_match(&seen.revision).versioned().await.unwrap()).await;
}

async fn map_mode_write_returns_revision_of_a_read(cx: &Context) {
    let now = async || read::<setting::Entity>(cx, "theme").await;
    assert_eq!(cx.repo.insert(new_setting("theme")).versioned().await.unwrap(), now().await);
    assert_eq!(cx.repo.put(setting("theme")).versioned().await.unwrap(), now().await);
    let saved = cx.repo.update(owned_by("theme", "me")).versioned().await.unwrap();
    assert_eq!(saved, now().await);
    let saved = cx.repo.update(owned_by("theme", "you")).if_match(&saved.revision).versioned().await.unwrap();
    assert_eq!(saved, now().await);
    let saved = cx.repo.update(owned_by("theme", "us")).if_match(saved.revision.number()).versioned().await.unwrap();
    assert_eq!(saved, now().await);
    assert_eq!(cx.repo.put(setting("theme")).if_match(&saved.revision).versioned().await.unwrap(), now().await);
}

async fn merge_returns_revision_of_a_read(cx: &Context) {
    let title = link::ActiveModel { slug: Set("dust".into()), title: Set("t".into()), ..Default::default() };
    if !cx.transport.capabilities().typed_ops {
        assert_eq!(cx.repo.merge(title).versioned().await.unwrap_err().kind(), ErrKind::NotSupported);
        return;
    }
    assert_eq!(cx.repo.merge(title.clone()).versioned().await.unwrap(), None);
    let rest = link::ActiveModel { url: Set("u".into()), note: Set(None), ..title };
    assert_is_read(cx, &cx.repo.merge(rest).versioned().await.unwrap().unwrap()).await;
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let part = setting::ActiveModel { name: Set("theme".into()), enabled: Set(false), ..Default::default() };
    let saved = cx.repo.merge(part).versioned().await.unwrap().unwrap();
    assert_eq!(saved, read::<setting::Entity>(cx, "theme").await);
}

async fn batch_returns_revisions_of_reads(cx: &Context) {
    cx.repo.insert_many(["a", "b", "old"].map(new_link)).await.unwrap();
    let seen = read::<link::Entity>(cx, "b").await;
    let edit = |slug: &str| link::ActiveModel { title: Set("edited".into()), ..link(slug).into_active_model() };
    let entries = [
        BatchEntry::insert(new_link("new")),
        BatchEntry::insert(link::ActiveModel { note: NotSet, ..new_link("part") }),
        BatchEntry::update(edit("a")),
        BatchEntry::update(edit("b")).if_match(&seen.revision),
        BatchEntry::delete_by_id::<link::Entity>("old"),
        BatchEntry::insert(new_setting("theme")),
    ];
    let written = cx.repo.batch_write(entries).await.unwrap();
    for (index, slug) in ["new", "part", "a", "b"].into_iter().enumerate() {
        let now = read::<link::Entity>(cx, slug).await.revision;
        assert_eq!(written.revision(index), Some(now), "{slug}");
    }
    assert_eq!(written.revision(4), None);
    assert_eq!(written.revision(5), Some(read::<setting::Entity>(cx, "theme").await.revision));
    assert_eq!(written.revision(6), None);
    // The fields of one record may be one op.
    let written = cx.repo.batch_write([BatchEntry::insert(new_link("alone"))]).await.unwrap();
    assert_eq!(written.revision(0), Some(read::<link::Entity>(cx, "alone").await.revision));
}

async fn versioned_write_takes_no_further_request(cx: &Context) {
    let (repo, probe) = cx.probe();
    let is_remote = cx.transport.capabilities().remote;
    let saved = repo.insert(new_link("dust")).versioned().await.unwrap();
    let read = if is_remote { None } else { Some(Call::List) };
    assert_eq!(probe.take_calls(), read.into_iter().chain([Call::Batch(3)]).collect::<Vec<_>>());
    let saved = repo.update(retitled("dust", "x")).if_match(&saved.revision).versioned().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
    repo.put(saved.model).versioned().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
    repo.insert(new_setting("theme")).versioned().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
}

/// The caller must not pass on as seen what another writer has written.
async fn revision_of_a_write_is_that_of_the_model_when_another_writes(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    probe.intrude(set("links/dust/note", json!("by another")));
    let saved = repo.update(retitled("dust", "mine")).versioned().await.unwrap();
    assert_eq!(saved.model.note.as_deref(), Some("a note"));
    let now = read::<link::Entity>(cx, "dust").await;
    assert!(!now.revision.matches(&saved.revision.etag()));
    let mut edit = saved.model.into_active_model();
    edit.note = Set(None);
    let error = cx.repo.update(edit).if_match(&saved.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
}

/// An edit of one column that a hook extends by the note.
fn edited(seen: &Versioned<link::Model>, note: &str) -> link::ActiveModel {
    let mut edit = seen.model.clone().into_active_model();
    edit.note = Set(Some(note.to_owned()));
    edit
}

async fn except_lets_edits_of_different_fields_pass(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    let first = link::ActiveModel { title: Set("first".into()), ..edited(&seen, "1") };
    let second = link::ActiveModel { url: Set("second".into()), ..edited(&seen, "2") };
    cx.repo.update(first).if_match(&seen.revision).except(link::Column::Note).await.unwrap();
    let error = cx.repo.update(second.clone()).if_match(&seen.revision).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
    cx.repo.update(second).if_match(&seen.revision).except(link::Column::Note).await.unwrap();
    let now = read::<link::Entity>(cx, "dust").await.model;
    assert_eq!(
        now,
        link::Model { slug: "dust".into(), title: "first".into(), url: "second".into(), note: Some("2".into()) }
    );
}

async fn except_still_compares_other_columns(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    cx.set("links/dust/title", json!("theirs")).await;
    let edit = link::ActiveModel { title: Set("mine".into()), ..edited(&seen, "1") };
    let error = cx.repo.update(edit).if_match(&seen.revision).except(link::Column::Note).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
    assert_eq!(
        cx.repo.get::<link::Entity>("dust").await.unwrap().note.as_deref(),
        Some("a note"),
        "nothing is written"
    );
}

async fn several_excepted_columns_add_up(cx: &Context) {
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    cx.set("links/dust/note", json!({"by": "another"})).await;
    cx.set("links/dust/url", json!("theirs")).await;
    let edit = link::ActiveModel { title: Set("mine".into()), url: Set("mine".into()), ..edited(&seen, "mine") };
    let update = cx.repo.update(edit).if_match(&seen.revision);
    let saved = update.except(link::Column::Note).except(link::Column::Url).versioned().await.unwrap();
    let now = read::<link::Entity>(cx, "dust").await;
    assert_eq!(
        now.model,
        link::Model { title: "mine".into(), url: "mine".into(), note: Some("mine".into()), ..link("dust") }
    );
    assert_eq!(saved, now);
}

async fn except_of_every_column_requires_the_record(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    cx.set("links/dust/note", json!("theirs")).await;
    let update = || cx.repo.update(edited(&seen, "mine")).if_match(&seen.revision).except(link::Column::Note);
    assert_eq!(update().await.unwrap().note.as_deref(), Some("mine"));
    cx.repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    let error = update().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict, "{error}");
    assert_eq!(cx.leaves("links").await, []);
}

async fn except_of_every_column_creates_no_record(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    let (repo, probe) = cx.probe();
    probe.intrude(dust_protocol::Op::delete("links/dust".parse().unwrap()));
    let update = repo.update(edited(&seen, "mine")).if_match(&seen.revision).except(link::Column::Note);
    let error = update.await.unwrap_err();
    assert!(matches!(error.kind(), ErrKind::Conflict | ErrKind::NotFound), "{error}");
    assert_eq!(cx.leaves("links").await, []);
}

async fn except_without_a_leaf_or_in_map_mode_is_refused(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await.revision;
    let setting_seen = read::<setting::Entity>(cx, "theme").await.revision;
    let update = || cx.repo.update(retitled("dust", "x")).if_match(&seen);
    let error = update().except(link::Column::Slug).await.unwrap_err();
    assert!(error.kind() == ErrKind::InvalidParams && error.to_string().contains("part of the key"), "{error}");
    let update = cx.repo.update(owned_by("theme", "x")).if_match(&setting_seen).except(setting::Column::Owner);
    let error = update.await.unwrap_err();
    assert!(error.kind() == ErrKind::InvalidParams && error.to_string().contains("map mode"), "{error}");
    let entry = || BatchEntry::update(retitled("dust", "x")).if_match(&seen);
    let insert = BatchEntry::insert(new_link("new")).except(link::Column::Note);
    for entry in [entry().except(setting::Column::Owner), entry().except(link::Column::Slug), insert] {
        let error = cx.repo.batch_write([BatchEntry::insert(new_link("other")), entry]).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    assert_eq!(cx.leaves("links").await.len(), 3);
    assert_eq!(cx.repo.get::<link::Entity>("dust").await.unwrap(), link("dust"));
}

async fn except_in_a_batch_leaves_the_column_out(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = read::<link::Entity>(cx, "dust").await;
    cx.set("links/dust/note", json!("theirs")).await;
    let entry = || {
        let edit = link::ActiveModel { title: Set("mine".into()), ..edited(&seen, "mine") };
        BatchEntry::update(edit).if_match(&seen.revision)
    };
    let error = cx.repo.batch_write([entry()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
    let written = cx.repo.batch_write([entry().except(link::Column::Note)]).await.unwrap();
    let now = read::<link::Entity>(cx, "dust").await;
    assert_eq!((now.model.title.as_str(), now.model.note.as_deref()), ("mine", Some("mine")));
    assert_eq!(written.revision(0), Some(now.revision));
}
