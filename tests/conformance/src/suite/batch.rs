//! Batches over several records and entities: all or nothing.

use dust_orm::{BatchEntry, Changeset, DustErr, ErrKind};
use dust_protocol::Fence;
use serde_json::json;

use crate::context::{Context, path};
use crate::entities::library::book;
use crate::entities::*;

super::tests![
    several_entities_are_written_at_once,
    a_stale_revision_in_the_last_entry_writes_nothing,
    a_record_that_exists_writes_nothing,
    a_record_that_does_not_exist_is_written,
    an_invalid_changeset_anywhere_writes_nothing,
    a_required_field_that_is_not_set_writes_nothing,
    a_missing_record_to_update_writes_nothing,
    an_empty_batch_is_fine,
    a_batch_with_nothing_to_write_is_fine,
    a_thousand_ops_are_one_batch,
    a_thousand_and_one_ops_are_refused_with_their_count,
    deletes_and_inserts_mix,
    entries_are_written_in_order,
    builders_and_changesets_are_entries,
    a_deleted_entry_can_have_a_revision,
    if_absent_is_for_inserts_only,
    a_fence_guards_the_whole_batch,
    the_result_says_what_was_written,
];

async fn several_entities_are_written_at_once(cx: &Context) {
    cx.repo.insert_many(["old", "edited"].map(new_link)).await.unwrap();
    let (repo, probe) = cx.probe();
    repo.batch_write([
        BatchEntry::insert(new_link("new")),
        BatchEntry::insert(new_setting("theme")),
        BatchEntry::update(retitled("edited", "mine")),
        BatchEntry::delete(link("old").into_active_model()),
        BatchEntry::insert(keys::numbered::labelled(7, "seven")),
    ])
    .await
    .unwrap();
    let writes = probe.take_calls().into_iter().filter(|call| matches!(call, crate::probe::Call::Batch(_))).count();
    assert_eq!(writes, 1);
    let titles: Vec<String> = cx.repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.title).collect();
    assert_eq!(titles, ["mine", "Title of new"]);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), [setting("theme")]);
    assert_eq!(cx.repo.all::<keys::numbered::Entity>().await.unwrap().len(), 1);
}

async fn a_stale_revision_in_the_last_entry_writes_nothing(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let stale = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap().revision;
    let current = cx.set("app/settings/theme/enabled", json!(false)).await;
    let before = cx.leaves_of_all().await;
    let error = cx
        .repo
        .batch_write([
            BatchEntry::insert(new_link("new")),
            BatchEntry::delete_by_id::<link::Entity>("a"),
            BatchEntry::update(owned_by("theme", "me")).if_match(&stale),
        ])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DustErr::Conflict { path, current: now, op_index: Some(_), .. }
            if path == "app/settings/theme/enabled" && *now == Some(current)),
        "{error:?}"
    );
    assert_eq!(cx.leaves_of_all().await, before);
}

async fn a_record_that_exists_writes_nothing(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let error = cx
        .repo
        .batch_write([BatchEntry::insert(new_link("b")), BatchEntry::insert(new_link("a")).if_absent()])
        .await
        .unwrap_err();
    let if_subtree_absent = cx.transport.capabilities().if_subtree_absent;
    assert_eq!(error.kind(), if if_subtree_absent { ErrKind::Exists } else { ErrKind::NotSupported }, "{error}");
    assert_eq!(cx.leaves_of_all().await, before);
}

async fn a_record_that_does_not_exist_is_written(cx: &Context) {
    let entries = || ["a", "b"].map(|slug| BatchEntry::insert(new_link(slug)).if_absent());
    if cx.transport.capabilities().if_subtree_absent {
        cx.repo.batch_write(entries()).await.unwrap();
        assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), ["a", "b"].map(link));
    } else {
        let (repo, probe) = cx.probe();
        assert_eq!(repo.batch_write(entries()).await.unwrap_err().kind(), ErrKind::NotSupported);
        assert_eq!(probe.take_calls(), []);
    }
}

async fn an_invalid_changeset_anywhere_writes_nothing(cx: &Context) {
    let (repo, probe) = cx.probe();
    let invalid = || Changeset::change(new_link("b")).add_error(link::Column::Title, "is not nice");
    for position in 0..3 {
        let mut entries = vec![BatchEntry::insert(new_link("a")), BatchEntry::delete_by_id::<link::Entity>("c")];
        entries.insert(position, BatchEntry::insert(invalid()));
        let error = repo.batch_write(entries).await.unwrap_err();
        assert_eq!(error.errors().unwrap().get("title")[0].message(), "is not nice");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_required_field_that_is_not_set_writes_nothing(cx: &Context) {
    let draft = link::ActiveModel { url: NotSet, ..new_link("b") };
    let error = cx.repo.batch_write([BatchEntry::insert(new_link("a")), BatchEntry::insert(draft)]).await.unwrap_err();
    assert_eq!(error.errors().unwrap().get("url").len(), 1);
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn a_missing_record_to_update_writes_nothing(cx: &Context) {
    let entries = [BatchEntry::insert(new_link("a")), BatchEntry::update(retitled("nobody", "x"))];
    let error = cx.repo.batch_write(entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn an_empty_batch_is_fine(cx: &Context) {
    let (repo, probe) = cx.probe();
    let written = repo.batch_write([]).await.unwrap();
    assert_eq!((written.store_seq, written.ops), (None, 0));
    assert_eq!(probe.take_calls(), []);
}

async fn a_batch_with_nothing_to_write_is_fine(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    let written = cx.repo.batch_write([BatchEntry::update(link("a").into_active_model())]).await.unwrap();
    assert_eq!((written.store_seq, written.ops), (None, 0));
}

/// Makes `count` settings, each one op.
fn settings(count: usize) -> Vec<BatchEntry> {
    (0..count).map(|n| BatchEntry::insert(new_setting(&format!("s{n:04}")))).collect()
}

async fn a_thousand_ops_are_one_batch(cx: &Context) {
    let written = cx.repo.batch_write(settings(1000)).await.unwrap();
    assert_eq!(written.ops, 1000);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap().len(), 1000);
}

async fn a_thousand_and_one_ops_are_refused_with_their_count(cx: &Context) {
    let (repo, probe) = cx.probe();
    let error = repo.batch_write(settings(1001)).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    let text = error.to_string();
    assert!(text.contains("1001") && text.contains("1000") && text.contains("insert_many"), "{text}");
    // In flat mode the fields are counted.
    let links = (0..334).map(|n| BatchEntry::insert(new_link(&format!("l{n}"))));
    let error = repo.batch_write(links).await.unwrap_err();
    assert!(error.to_string().contains("1002"), "{error}");
    assert_eq!(probe.take_calls(), []);
}

async fn deletes_and_inserts_mix(cx: &Context) {
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    cx.set("links/b/stray", json!(1)).await;
    // Deleted and inserted again: no leaf of the old record is left.
    let entries = [
        BatchEntry::delete_by_id::<link::Entity>("a"),
        BatchEntry::delete_by_id::<link::Entity>("b"),
        BatchEntry::insert(link::ActiveModel { note: Set(None), ..new_link("b") }),
        BatchEntry::delete_by_id::<link::Entity>("nobody"),
        BatchEntry::insert(new_link("d")),
    ];
    cx.repo.batch_write(entries).await.unwrap();
    let all = cx.repo.all::<link::Entity>().await.unwrap();
    assert_eq!(all, [link::Model { note: None, ..link("b") }, link("c"), link("d")]);
    assert_eq!(cx.value("links/b/stray").await, None);
}

async fn entries_are_written_in_order(cx: &Context) {
    let written = cx.repo.batch_write(["c", "a", "b"].map(|name| BatchEntry::insert(new_setting(name)))).await.unwrap();
    let revisions: Vec<u64> = cx.entries("app/settings").await.iter().map(|leaf| leaf.revision).collect();
    let last = written.store_seq.unwrap();
    assert_eq!((revisions[0], revisions[4], revisions[8]), (last - 1, last, last - 2));
}

async fn builders_and_changesets_are_entries(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    let builder = book::ActiveModel::builder().set_isbn("1").set_title("Dune").set_author_slug("herbert");
    let changes = Changeset::cast(link("a").into_active_model(), json!({"title": "cast"}), [link::Column::Title]);
    cx.repo.batch_write([BatchEntry::insert(builder), BatchEntry::update(changes)]).await.unwrap();
    assert_eq!(cx.repo.get::<book::Entity>("1").await.unwrap().title, "Dune");
    assert_eq!(cx.repo.get::<link::Entity>("a").await.unwrap().title, "cast");
}

async fn a_deleted_entry_can_have_a_revision(cx: &Context) {
    cx.repo.insert_many(["a", "b"].map(new_link)).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("a").await.unwrap().unwrap();
    let entries = || {
        [BatchEntry::delete_by_id::<link::Entity>("a").if_match(&seen.revision), BatchEntry::insert(new_setting("s"))]
    };
    cx.repo.batch_write(entries()).await.unwrap();
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("b")]);
    cx.repo.delete_all::<setting::Entity>().await.unwrap();
    assert_eq!(cx.repo.batch_write(entries()).await.unwrap_err().kind(), ErrKind::Conflict);
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), []);
}

async fn if_absent_is_for_inserts_only(cx: &Context) {
    cx.repo.insert(new_link("a")).await.unwrap();
    let before = cx.leaves_of_all().await;
    for entry in [
        BatchEntry::update(retitled("a", "x")).if_absent(),
        BatchEntry::delete(new_link("a")).if_absent(),
        BatchEntry::delete_by_id::<link::Entity>("a").if_absent(),
    ] {
        let error = cx.repo.batch_write([entry]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrKind::InvalidParams | ErrKind::NotSupported), "{error}");
    }
    assert_eq!(cx.leaves_of_all().await, before);
}

async fn a_fence_guards_the_whole_batch(cx: &Context) {
    let fence = Fence { key: path("locks/x"), token: 1 };
    let entries = ["a", "b"].map(|slug| BatchEntry::insert(new_link(slug)));
    let error = cx.repo.batch_write(entries).fence(fence).await.unwrap_err();
    let fences = cx.transport.capabilities().fenced_batches;
    assert_eq!(error.kind(), if fences { ErrKind::Fenced } else { ErrKind::NotSupported }, "{error}");
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn the_result_says_what_was_written(cx: &Context) {
    let entries = [BatchEntry::insert(new_link("a")), BatchEntry::insert(new_setting("s"))];
    let written = cx.repo.batch_write(entries).await.unwrap();
    assert_eq!(written.ops, 3 + 1, "a field is an op in flat mode, a record in map mode");
    assert_eq!(written.store_seq, Some(cx.entries("app/settings").await[0].revision));
}
