//! The number of requests of each verb: a rate limit counts requests, not records.

use dust_orm::BatchEntry;

use crate::context::Context;
use crate::entities::*;
use crate::probe::Call;

super::tests![
    an_insert_of_everything_is_one_request,
    an_insert_with_options_not_set_reads_first,
    an_insert_in_map_mode_never_reads,
    an_update_looks_and_writes,
    an_update_by_revision_is_one_request,
    an_update_by_revision_reads_what_is_not_set,
    an_update_of_one_field_is_a_single_op,
    a_put_is_one_request,
    deletes_are_one_request,
    reads_of_one_record_are_one_request,
    get_many_takes_requests_for_pages_and_not_for_records,
    get_many_of_few_records_among_many_skips_the_rest,
    insert_many_reads_what_is_there_together,
    a_batch_reads_what_is_there_together,
    exists_is_one_cheap_request,
    all_of_nothing_is_one_request,
    a_verb_that_is_not_awaited_does_nothing,
    a_batch_is_one_write,
];

async fn an_insert_of_everything_is_one_request(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.insert(new_link("dust")).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Batch(3)]);
    repo.insert(link::ActiveModel { note: Set(None), ..new_link("dust") }).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Batch(3)]);
}

async fn an_insert_with_options_not_set_reads_first(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.insert(link::ActiveModel { note: NotSet, ..new_link("dust") }).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List, Call::Batch(2)]);
}

async fn an_insert_in_map_mode_never_reads(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.insert(new_setting("theme")).await.unwrap();
    repo.insert(setting::ActiveModel { owner: NotSet, ..new_setting("theme") }).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write, Call::Write]);
}

async fn an_update_looks_and_writes(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    repo.update(link("dust").into_active_model().reset_all()).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List, Call::Batch(3)]);
    repo.update(link("dust").into_active_model()).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List], "nothing is set, so nothing is written");
}

async fn an_update_by_revision_is_one_request(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    cx.repo.insert(new_setting("theme")).await.unwrap();
    let link_seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let setting_seen = cx.repo.find_versioned::<setting::Entity>("theme").await.unwrap().unwrap();
    let (repo, probe) = cx.probe();
    repo.update(retitled("dust", "mine")).if_match(&link_seen.revision).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
    repo.update(owned_by("theme", "me")).if_match(&setting_seen.revision).await.unwrap();
    // One op a leaf that was read, and the record as a whole.
    assert_eq!(probe.take_calls(), [Call::Batch(4 + 1)]);
}

async fn an_update_by_revision_reads_what_is_not_set(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let (repo, probe) = cx.probe();
    let edit = link::ActiveModel { slug: Set("dust".into()), title: Set("mine".into()), ..Default::default() };
    repo.update(edit).if_match(&seen.revision).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List, Call::Write]);
}

async fn an_update_of_one_field_is_a_single_op(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    repo.update(retitled("dust", "mine")).await.unwrap();
    let calls = probe.take_calls();
    assert_eq!(calls[..2], [Call::List, Call::Write]);
    // If a guarded write uses another transport than the mirror, the mirror is read instead, without a request.
    assert_eq!(calls.len() > 2, cx.transport.capabilities().merges_fields, "{calls:?}");
}

async fn a_put_is_one_request(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.put(link("dust")).await.unwrap();
    repo.put(setting("theme")).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write, Call::Write]);
}

async fn deletes_are_one_request(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let seen = cx.repo.find_versioned::<link::Entity>("dust").await.unwrap().unwrap();
    let (repo, probe) = cx.probe();
    repo.delete_by_id::<link::Entity>("dust").if_match(&seen.revision).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Batch(3 + 1)]);
    repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    repo.delete(new_link("dust")).await.unwrap();
    repo.delete_all::<link::Entity>().await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write; 3]);
}

async fn reads_of_one_record_are_one_request(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let (repo, probe) = cx.probe();
    repo.get::<link::Entity>("dust").await.unwrap();
    repo.find_by_id::<link::Entity>("nobody").await.unwrap();
    repo.find_versioned::<link::Entity>("dust").await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List; 3]);
}

fn is_remote(cx: &Context) -> bool {
    cx.transport.capabilities().remote
}

fn lists(calls: &[Call]) -> usize {
    calls.iter().filter(|call| **call == Call::List).count()
}

async fn get_many_takes_requests_for_pages_and_not_for_records(cx: &Context) {
    cx.repo.insert_many(["a", "b"].map(new_link)).await.unwrap();
    let (repo, probe) = cx.probe();
    let found = repo.find_many::<link::Entity>(["b", "a", "nobody", "a"]).await.unwrap();
    assert_eq!(found, [Some(link("b")), Some(link("a")), None, Some(link("a"))]);
    assert_eq!(lists(&probe.take_calls()), if is_remote(cx) { 1 } else { 3 });
    assert_eq!(repo.find_many::<link::Entity>(Vec::<String>::new()).await.unwrap(), []);
    assert_eq!(probe.take_calls(), []);
    repo.find_many::<link::Entity>(["a"]).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::List]);

    // 1,200 records of three leaves are four pages.
    let slugs: Vec<String> = (0..1_200).map(|n| format!("k{n:04}")).collect();
    cx.repo.insert_many(slugs.iter().map(|slug| new_link(slug))).await.unwrap();
    let found = repo.find_many::<link::Entity>(slugs.clone()).await.unwrap();
    assert!(found.into_iter().flatten().eq(slugs.iter().map(|slug| link(slug))));
    let calls = probe.take_calls();
    assert!(!is_remote(cx) || calls == [Call::List; 4], "{calls:?}");
}

async fn get_many_of_few_records_among_many_skips_the_rest(cx: &Context) {
    if !is_remote(cx) {
        return;
    }
    let slugs: Vec<String> = (0..6_000).map(|n| format!("k{n:04}")).collect();
    cx.repo.insert_many(slugs.iter().map(|slug| new_link(slug))).await.unwrap();
    let (repo, probe) = cx.probe();
    // Two at the ends of 18 pages.
    let ends = ["k0001", "k5998", "k5999", "k9"];
    let found = repo.find_many::<link::Entity>(ends).await.unwrap();
    assert_eq!(found, [Some(link(ends[0])), Some(link(ends[1])), Some(link(ends[2])), None]);
    assert_eq!(probe.take_calls(), [Call::List; 2]);
    // One in each page and more: the rest is read by exact paths, which counts as a write, or in pages, if these are
    // fewer.
    let apart: Vec<&String> = slugs.iter().step_by(400).collect();
    let found = repo.find_many::<link::Entity>(apart.iter().map(|slug| (*slug).clone())).await.unwrap();
    assert!(found.into_iter().flatten().eq(apart.iter().map(|slug| link(slug))));
    let calls = probe.take_calls();
    assert!(calls.len() <= apart.len(), "{calls:?}");
}

async fn insert_many_reads_what_is_there_together(cx: &Context) {
    if !is_remote(cx) {
        return;
    }
    let slugs: Vec<String> = (0..1_000).map(|n| format!("k{n:04}")).collect();
    let without_note = |slug: &String| link::ActiveModel { note: NotSet, ..new_link(slug) };
    let (repo, probe) = cx.probe();
    let inserted = repo.insert_many(slugs.iter().map(without_note)).await.unwrap();
    assert!(inserted.iter().all(|link| link.note.is_none()));
    let calls = probe.take_calls();
    assert_eq!(lists(&calls), 1, "there is nothing to read: {calls:?}");

    cx.repo.insert_many(slugs.iter().map(|slug| new_link(slug))).await.unwrap();
    let inserted = repo.insert_many(slugs.iter().map(without_note)).await.unwrap();
    assert!(inserted.iter().all(|link| link.note.as_deref() == Some("a note")), "what is there stays");
    let calls = probe.take_calls();
    assert_eq!(lists(&calls), 3, "3,000 leaves: {calls:?}");
}

async fn a_batch_reads_what_is_there_together(cx: &Context) {
    if !is_remote(cx) {
        return;
    }
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    let (repo, probe) = cx.probe();
    let edits = ["a", "b", "c"].map(|slug| BatchEntry::update(retitled(slug, "new")));
    let written = repo.batch_write(edits).await.unwrap();
    assert_eq!((written.ops, probe.take_calls()), (3, vec![Call::List, Call::Batch(3)]));
}

async fn exists_is_one_cheap_request(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.exists::<link::Entity>("dust").await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Exists]);
}

async fn all_of_nothing_is_one_request(cx: &Context) {
    let (repo, probe) = cx.probe();
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), []);
    assert_eq!(probe.take_calls(), [Call::List]);
}

async fn a_verb_that_is_not_awaited_does_nothing(cx: &Context) {
    let (repo, probe) = cx.probe();
    drop(repo.insert(new_link("dust")));
    drop(repo.put(link("dust")));
    drop(repo.delete_by_id::<link::Entity>("dust"));
    drop(repo.batch_write([BatchEntry::insert(new_link("dust"))]));
    drop(repo.insert_many([new_link("dust")]));
    drop(repo.stream::<link::Entity>());
    assert_eq!(probe.take_calls(), []);
}

async fn a_batch_is_one_write(cx: &Context) {
    let (repo, probe) = cx.probe();
    repo.batch_write(["a", "b"].map(|slug| BatchEntry::insert(new_link(slug)))).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Batch(6)]);
    repo.batch_write([BatchEntry::insert(new_setting("one"))]).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::Write]);
}
