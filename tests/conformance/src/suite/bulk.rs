//! `insert_many`: chunks that never cut through a record.

use dust_orm::{DustErr, ErrKind};
use dust_protocol::Fence;
use serde_json::json;

use crate::context::{Context, path};
use crate::entities::*;
use crate::probe::Call;

super::tests![
    an_empty_list_is_fine,
    models_come_back_in_order,
    many_records_are_sent_in_chunks,
    a_record_is_never_split,
    a_failure_says_how_many_are_written,
    a_failure_of_the_first_chunk_is_itself,
    all_are_checked_before_any_is_sent,
    of_two_with_the_same_key_the_last_stays,
    records_with_fields_not_set_merge_with_what_is_there,
    a_record_of_the_key_alone_is_refused,
    a_fence_guards_each_chunk,
];

/// The sizes of the batches that were sent. Only the first is certain: for a slow store, such as any store on a busy
/// machine, they become smaller.
fn chunks(calls: Vec<Call>) -> Vec<usize> {
    let size = |call| match call {
        Call::Batch(ops) => ops,
        other => panic!("no batch: {other:?}"),
    };
    calls.into_iter().map(size).collect()
}

async fn an_empty_list_is_fine(cx: &Context) {
    let (repo, probe) = cx.probe();
    assert_eq!(repo.insert_many(Vec::<link::ActiveModel>::new()).await.unwrap(), []);
    assert_eq!(probe.take_calls(), []);
}

async fn models_come_back_in_order(cx: &Context) {
    let models = cx.repo.insert_many(["c", "a", "b"].map(new_link)).await.unwrap();
    assert_eq!(models, ["c", "a", "b"].map(link));
    let models = cx.repo.insert_many(["c", "a", "b"].map(new_setting)).await.unwrap();
    assert_eq!(models, ["c", "a", "b"].map(setting));
}

async fn many_records_are_sent_in_chunks(cx: &Context) {
    let (repo, probe) = cx.probe();
    let names: Vec<String> = (0..2500).map(|n| format!("s{n:04}")).collect();
    let models = repo.insert_many(names.iter().map(|name| new_setting(name))).await.unwrap();
    let chunks = chunks(probe.take_calls());
    assert_eq!((chunks[0], chunks.iter().sum::<usize>()), (1000, 2500));
    assert_eq!(models.len(), 2500);
    // Four leaves each: ten pages, and no record at the end of a page is lost or doubled.
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap(), models);
}

async fn a_record_is_never_split(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.insert_many((0..500).map(|n| new_link(&format!("l{n:03}")))).await.unwrap();
    let chunks = chunks(probe.take_calls());
    assert_eq!((chunks[0], chunks.iter().sum::<usize>()), (999, 1500));
    assert!(chunks.iter().all(|ops| ops % 3 == 0), "{chunks:?}");
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap().len(), 500);
}

async fn a_failure_says_how_many_are_written(cx: &Context) {
    let (repo, probe) = cx.probe();
    probe.fail_write(1, DustErr::network("connection refused"));
    let names: Vec<String> = (0..1500).map(|n| format!("s{n:04}")).collect();
    let error = repo.insert_many(names.iter().map(|name| new_setting(name))).await.unwrap_err();
    assert!(!error.is_retryable());
    match error {
        DustErr::PartiallyWritten { done: 1000, source, .. } => assert_eq!(source.kind(), ErrKind::Network),
        other => panic!("{other:?}"),
    }
    let written = cx.repo.all::<setting::Entity>().await.unwrap();
    assert_eq!(written.last().unwrap().name, "s0999");
    // The rest can be sent again.
    repo.insert_many(names[1000..].iter().map(|name| new_setting(name))).await.unwrap();
    assert_eq!(cx.repo.all::<setting::Entity>().await.unwrap().len(), 1500);
}

async fn a_failure_of_the_first_chunk_is_itself(cx: &Context) {
    let (repo, probe) = cx.probe();
    probe.fail_write(0, DustErr::network("connection refused"));
    let error = repo.insert_many(["a", "b"].map(new_link)).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network);
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn all_are_checked_before_any_is_sent(cx: &Context) {
    let (repo, probe) = cx.probe();
    let mut drafts: Vec<link::ActiveModel> = (0..400).map(|n| new_link(&format!("l{n:03}"))).collect();
    drafts[399].title = NotSet;
    let error = repo.insert_many(drafts).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Invalid);
    assert_eq!(probe.take_calls(), []);
}

async fn of_two_with_the_same_key_the_last_stays(cx: &Context) {
    let second = link::ActiveModel { title: Set("second".to_owned()), ..new_link("a") };
    let models = cx.repo.insert_many([new_link("a"), second]).await.unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [models[1].clone()]);
}

async fn records_with_fields_not_set_merge_with_what_is_there(cx: &Context) {
    cx.repo.insert_many((0..20).map(|n| new_link(&format!("l{n:02}")))).await.unwrap();
    let drafts = (0..20).map(|n| link::ActiveModel { note: NotSet, ..new_link(&format!("l{n:02}")) });
    let models = cx.repo.insert_many(drafts).await.unwrap();
    assert!(models.iter().all(|link| link.note.as_deref() == Some("a note")), "the notes are those that are stored");
    assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), models);
}

async fn a_record_of_the_key_alone_is_refused(cx: &Context) {
    cx.set("flat-docs/a/maybe", json!(1)).await;
    let draft = docs::flat::ActiveModel { slug: Set("a".to_owned()), ..Default::default() };
    assert_eq!(cx.repo.insert_many([draft]).await.unwrap_err().kind(), ErrKind::Invalid);
}

async fn a_fence_guards_each_chunk(cx: &Context) {
    let fence = Fence { key: path("locks/x"), token: 1 };
    let error = cx.repo.insert_many(["a", "b"].map(new_link)).fence(fence).await.unwrap_err();
    let fences = cx.transport.capabilities().fenced_batches;
    assert_eq!(error.kind(), if fences { ErrKind::Fenced } else { ErrKind::NotSupported }, "{error}");
    assert_eq!(cx.leaves_of_all().await, []);
}
