//! SeaORM's hooks, with every write verb.

use dust_orm::sea_orm::DbErr;
use dust_orm::{BatchEntry, Changeset, DustErr, ErrKind};
use serde_json::json;

use crate::context::Context;
use crate::entities::hooked::{self, hooked, take_calls};
use crate::entities::*;

super::tests![
    an_insert_calls_before_and_after_save,
    an_update_calls_before_and_after_save,
    a_put_calls_the_hooks_of_an_insert,
    deletes_call_before_and_after_delete,
    a_batch_calls_all_before_hooks_before_it_is_sent,
    insert_many_calls_the_hooks_of_each,
    delete_all_calls_no_hook,
    an_update_of_nothing_calls_no_after_hook,
    a_hook_changes_what_is_written,
    a_hook_refuses_a_write,
    a_hook_refuses_a_delete,
    a_hook_refuses_a_batch,
    a_hook_refuses_many,
    a_hook_that_uses_sql_is_told_that_there_is_none,
    a_hook_after_the_write_changes_the_answer,
    a_hook_that_fails_after_the_write_leaves_it_written,
    an_invalid_changeset_calls_no_hook,
    a_conflict_calls_no_after_hook,
];

async fn an_insert_calls_before_and_after_save(cx: &Context) {
    take_calls();
    cx.repo.insert(hooked("a", "T")).await.unwrap();
    assert_eq!(take_calls(), ["before_save a true", "after_save a true"]);
    cx.repo.insert(hooked("b", "T")).if_absent().await.unwrap();
    assert_eq!(take_calls(), ["before_save b true", "after_save b true"]);
}

async fn an_update_calls_before_and_after_save(cx: &Context) {
    cx.repo.insert(hooked("a", "T")).await.unwrap();
    let seen = cx.repo.find_versioned::<hooked::Entity>("a").await.unwrap().unwrap();
    take_calls();
    cx.repo.update(hooked("a", "U")).if_match(&seen.revision).await.unwrap();
    assert_eq!(take_calls(), ["before_save a false", "after_save a false"]);
}

async fn a_put_calls_the_hooks_of_an_insert(cx: &Context) {
    take_calls();
    let model = hooked::Model { slug: "a".into(), title: "  T  ".into(), note: None };
    let put = cx.repo.put(model).await.unwrap();
    assert_eq!(take_calls(), ["before_save a true", "after_save a true"]);
    assert_eq!(put.title, "T");
}

async fn deletes_call_before_and_after_delete(cx: &Context) {
    take_calls();
    cx.repo.delete(hooked("a", "T")).await.unwrap();
    cx.repo.delete_by_id::<hooked::Entity>("b").await.unwrap();
    assert_eq!(take_calls(), ["before_delete a", "after_delete a", "before_delete b", "after_delete b"]);
}

async fn a_batch_calls_all_before_hooks_before_it_is_sent(cx: &Context) {
    cx.repo.insert(hooked("b", "T")).await.unwrap();
    take_calls();
    let entries = [
        BatchEntry::insert(hooked("a", "T")),
        BatchEntry::update(hooked("b", "U")),
        BatchEntry::delete_by_id::<hooked::Entity>("c"),
    ];
    cx.repo.batch_write(entries).await.unwrap();
    let before = ["before_save a true", "before_save b false", "before_delete c"];
    let after = ["after_save a true", "after_save b false", "after_delete c"];
    assert_eq!(take_calls(), [before, after].concat());
}

async fn insert_many_calls_the_hooks_of_each(cx: &Context) {
    take_calls();
    cx.repo.insert_many(["a", "b"].map(|slug| hooked(slug, " T "))).await.unwrap();
    let calls = ["before_save a true", "before_save b true", "after_save a true", "after_save b true"];
    assert_eq!(take_calls(), calls);
    assert!(cx.repo.all::<hooked::Entity>().await.unwrap().iter().all(|model| model.title == "T"));
}

async fn delete_all_calls_no_hook(cx: &Context) {
    cx.repo.insert(hooked(hooked::KEPT, "T")).await.unwrap();
    take_calls();
    cx.repo.delete_all::<hooked::Entity>().await.unwrap();
    assert_eq!(take_calls(), Vec::<String>::new());
    assert_eq!(cx.leaves("hooked").await, []);
}

async fn an_update_of_nothing_calls_no_after_hook(cx: &Context) {
    let model = cx.repo.insert(hooked("a", "T")).await.unwrap();
    take_calls();
    cx.repo.update(model.into_active_model()).await.unwrap();
    assert_eq!(take_calls(), ["before_save a false"]);
}

async fn a_hook_changes_what_is_written(cx: &Context) {
    let inserted = cx.repo.insert(hooked("a", "  T\n")).await.unwrap();
    assert_eq!(inserted.title, "T");
    let mut edit = inserted.into_active_model();
    edit.title = Set(" U ".to_owned());
    assert_eq!(cx.repo.update(edit).await.unwrap().title, "U");
    assert_eq!(cx.value("hooked/a/title").await, Some(json!("U")));
}

fn assert_refused(error: &DustErr, message: &str) {
    match error {
        DustErr::Database { source: error, .. } => assert_eq!(**error, DbErr::Custom(message.to_owned())),
        other => panic!("{other:?}"),
    }
}

async fn a_hook_refuses_a_write(cx: &Context) {
    let (repo, probe) = cx.probe();
    let model = hooked::Model { slug: "a".into(), title: hooked::REFUSED.into(), note: None };
    for error in [
        repo.insert(hooked("a", hooked::REFUSED)).await.unwrap_err(),
        repo.update(hooked("a", hooked::REFUSED)).await.unwrap_err(),
        repo.put(model).await.unwrap_err(),
    ] {
        assert_refused(&error, "refused by a hook");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_hook_refuses_a_delete(cx: &Context) {
    cx.repo.insert(hooked(hooked::KEPT, "T")).await.unwrap();
    let error = cx.repo.delete_by_id::<hooked::Entity>(hooked::KEPT).await.unwrap_err();
    assert_refused(&error, "kept by a hook");
    assert!(cx.repo.exists::<hooked::Entity>(hooked::KEPT).await.unwrap());
}

async fn a_hook_refuses_a_batch(cx: &Context) {
    let (repo, probe) = cx.probe();
    for last in
        [BatchEntry::insert(hooked("b", hooked::REFUSED)), BatchEntry::delete_by_id::<hooked::Entity>(hooked::KEPT)]
    {
        let error = repo.batch_write([BatchEntry::insert(new_link("a")), last]).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Database);
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_hook_refuses_many(cx: &Context) {
    let (repo, probe) = cx.probe();
    let many = [hooked("a", "T"), hooked("b", hooked::REFUSED), hooked("c", "T")];
    assert_refused(&repo.insert_many(many).await.unwrap_err(), "refused by a hook");
    assert_eq!(probe.take_calls(), []);
}

async fn a_hook_that_uses_sql_is_told_that_there_is_none(cx: &Context) {
    let (repo, probe) = cx.probe();
    for title in [hooked::QUERIES, hooked::EXECUTES] {
        let error = repo.insert(hooked("a", title)).await.unwrap_err();
        match &error {
            DustErr::Database { source: error, .. } => {
                assert!(matches!(**error, DbErr::BackendNotSupported { db: "Dust", .. }), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_hook_after_the_write_changes_the_answer(cx: &Context) {
    let inserted = cx.repo.insert(hooked("a", hooked::QUIET)).await.unwrap();
    assert_eq!(inserted.title, "QUIET");
    assert_eq!(cx.repo.get::<hooked::Entity>("a").await.unwrap().title, hooked::QUIET);
}

/// As in SeaORM outside of a transaction: the write is applied, and the result is the hook's error.
async fn a_hook_that_fails_after_the_write_leaves_it_written(cx: &Context) {
    let error = cx.repo.insert(hooked("a", hooked::REGRETTED)).await.unwrap_err();
    assert_refused(&error, "regretted by a hook");
    assert_eq!(cx.repo.get::<hooked::Entity>("a").await.unwrap().title, hooked::REGRETTED);
}

async fn an_invalid_changeset_calls_no_hook(cx: &Context) {
    take_calls();
    let invalid = Changeset::change(hooked("a", "T")).add_error(hooked::Column::Title, "is not nice");
    assert_eq!(cx.repo.insert(invalid).await.unwrap_err().kind(), ErrKind::Invalid);
    assert_eq!(take_calls(), Vec::<String>::new());
}

async fn a_conflict_calls_no_after_hook(cx: &Context) {
    cx.repo.insert(hooked("a", "T")).await.unwrap();
    let stale = cx.repo.find_versioned::<hooked::Entity>("a").await.unwrap().unwrap().revision;
    cx.repo.update(hooked("a", "U")).await.unwrap();
    take_calls();
    let error = cx.repo.update(hooked("a", "V")).if_match(&stale).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Conflict);
    let error = cx.repo.insert(hooked("a", "V")).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Exists);
    assert_eq!(take_calls(), ["before_save a false", "before_save a true"]);
}
