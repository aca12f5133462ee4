//! Errors: those of the transport reach the caller unchanged, and an operation that a transport lacks is refused before
//! it is sent.

use std::pin::pin;
use std::time::Duration;

use dust_orm::sea_orm::DbErr;
use dust_orm::{BatchEntry, DustErr, DustRepo, ErrKind};
use dust_protocol::Fence;
use futures_util::StreamExt;

use crate::context::{Context, path};
use crate::entities::*;

super::tests![
    every_error_of_a_read_reaches_the_caller,
    every_error_of_a_write_reaches_the_caller,
    an_error_ends_a_stream,
    an_error_in_the_middle_of_all_is_the_answer,
    an_error_of_one_read_fails_get_many,
    a_failed_read_before_a_write_writes_nothing,
    a_fence_is_refused_where_there_are_none,
    a_lost_fence_refuses_every_verb,
    errors_travel_through_sea_orm,
];

/// Every error that a transport to a server can produce.
fn errors() -> Vec<DustErr> {
    vec![
        DustErr::network("connection refused"),
        DustErr::http(502, "bad gateway"),
        DustErr::conflict("links/dust/title", Some(7)),
        DustErr::exists("links/dust", Some(7)),
        DustErr::not_implemented("batch_write"),
        DustErr::timeout("a write"),
        DustErr::unauthorized("forbidden", Some("entries:write".to_owned())),
        DustErr::invalid_params("limit must be 1..1000"),
        DustErr::rate_limited(Duration::from_secs(3), "writes"),
        DustErr::not_found("the store `acme/reading`"),
        DustErr::fenced("locks/x"),
        DustErr::lease_held("locks/x"),
        DustErr::lease_lost("locks/x"),
        DustErr::not_a_lease("locks/x"),
        DustErr::storage("disk full"),
    ]
}

fn assert_same(seen: &DustErr, given: &DustErr) {
    assert_eq!(seen.to_string(), given.to_string());
    assert_eq!(
        (seen.kind(), seen.is_retryable(), seen.retry_after()),
        (given.kind(), given.is_retryable(), given.retry_after())
    );
}

async fn every_error_of_a_read_reaches_the_caller(cx: &Context) {
    let (repo, probe) = cx.probe();
    for given in errors() {
        let fail = || probe.fail_read(0, given.clone());
        fail();
        assert_same(&repo.all::<link::Entity>().await.unwrap_err(), &given);
        fail();
        assert_same(&repo.find_by_id::<link::Entity>("dust").await.unwrap_err(), &given);
        fail();
        assert_same(&repo.get::<link::Entity>("dust").await.unwrap_err(), &given);
        fail();
        assert_same(&repo.find_versioned::<link::Entity>("dust").await.unwrap_err(), &given);
        fail();
        assert_same(&repo.exists::<link::Entity>("dust").await.unwrap_err(), &given);
    }
}

async fn every_error_of_a_write_reaches_the_caller(cx: &Context) {
    cx.repo.insert(new_link("there")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let (repo, probe) = cx.probe();
    for given in errors() {
        let fail = || probe.fail_write(0, given.clone());
        fail();
        assert_same(&repo.insert(new_link("dust")).await.unwrap_err(), &given);
        fail();
        assert_same(&repo.insert(new_setting("theme")).await.unwrap_err(), &given);
        fail();
        assert_same(&repo.update(retitled("there", "x")).await.unwrap_err(), &given);
        fail();
        assert_same(&repo.put(link("dust")).await.unwrap_err(), &given);
        fail();
        assert_same(&repo.delete_by_id::<link::Entity>("there").await.unwrap_err(), &given);
        fail();
        assert_same(&repo.delete_all::<link::Entity>().await.unwrap_err(), &given);
        fail();
        assert_same(&repo.batch_write([BatchEntry::insert(new_link("dust"))]).await.unwrap_err(), &given);
        fail();
        assert_same(&repo.insert_many([new_link("dust")]).await.unwrap_err(), &given);
    }
    assert_eq!(cx.leaves_of_all().await, before, "and none of them is tried again behind the caller's back");
}

/// Enough links for two pages.
async fn two_pages(cx: &Context) {
    cx.repo.insert_many((0..400).map(|n| new_link(&format!("l{n:03}")))).await.unwrap();
}

/// An error that is not retryable.
fn revoked() -> DustErr {
    DustErr::unauthorized("the token was revoked", None)
}

async fn an_error_ends_a_stream(cx: &Context) {
    two_pages(cx).await;
    let (repo, probe) = cx.probe();
    probe.fail_read(1, revoked());
    let mut stream = pin!(repo.stream::<link::Entity>());
    let mut seen = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (seen, error.kind()),
        (333, ErrKind::Unauthorized),
        "the record at the seam of the pages is not given in part"
    );
    assert!(stream.next().await.is_none());
}

async fn an_error_in_the_middle_of_all_is_the_answer(cx: &Context) {
    two_pages(cx).await;
    let (repo, probe) = cx.probe();
    probe.fail_read(1, revoked());
    assert_eq!(repo.all::<link::Entity>().await.unwrap_err().kind(), ErrKind::Unauthorized);
}

async fn an_error_of_one_read_fails_get_many(cx: &Context) {
    let (repo, probe) = cx.probe();
    let nth = if cx.transport.capabilities().remote { 0 } else { 1 };
    probe.fail_read(nth, DustErr::network("gone"));
    assert_eq!(repo.find_many::<link::Entity>(["a", "b", "c"]).await.unwrap_err().kind(), ErrKind::Network);
}

async fn a_failed_read_before_a_write_writes_nothing(cx: &Context) {
    cx.repo.insert(new_link("dust")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let (repo, probe) = cx.probe();
    let fail = || probe.fail_read(0, DustErr::network("gone"));
    let partial = || link::ActiveModel { note: NotSet, ..new_link("dust") };
    fail();
    assert_eq!(repo.insert(partial()).await.unwrap_err().kind(), ErrKind::Network);
    fail();
    assert_eq!(repo.update(retitled("dust", "x")).await.unwrap_err().kind(), ErrKind::Network);
    fail();
    assert_eq!(repo.insert_many([partial()]).await.unwrap_err().kind(), ErrKind::Network);
    fail();
    let entries = [BatchEntry::insert(new_link("b")), BatchEntry::update(retitled("dust", "x"))];
    assert_eq!(repo.batch_write(entries).await.unwrap_err().kind(), ErrKind::Network);
    assert_eq!(cx.leaves_of_all().await, before);
}

fn fence() -> Fence {
    Fence { key: path("locks/x"), token: 1 }
}

/// The result of each verb if its fence does not hold.
async fn fenced(repo: &DustRepo) -> Vec<DustErr> {
    vec![
        repo.insert(new_link("dust")).fence(fence()).await.unwrap_err(),
        repo.insert(new_setting("theme")).fence(fence()).await.unwrap_err(),
        repo.insert(new_link("dust")).if_absent().fence(fence()).await.unwrap_err(),
        repo.update(retitled("there", "x")).fence(fence()).await.unwrap_err(),
        repo.put(link("dust")).fence(fence()).await.unwrap_err(),
        repo.delete_by_id::<link::Entity>("there").fence(fence()).await.unwrap_err(),
        repo.delete(new_link("there")).fence(fence()).await.unwrap_err(),
        repo.insert_many([new_link("dust")]).fence(fence()).await.unwrap_err(),
        repo.batch_write([BatchEntry::insert(new_link("dust"))]).fence(fence()).await.unwrap_err(),
    ]
}

async fn a_fence_is_refused_where_there_are_none(cx: &Context) {
    let (repo, probe) = cx.limited(|capabilities| capabilities.fences = false);
    for error in fenced(&repo).await {
        assert_eq!(error.kind(), ErrKind::NotSupported);
        assert!(error.to_string().contains(repo.transport().name()), "{error}");
    }
    assert_eq!(probe.take_calls(), []);
}

async fn a_lost_fence_refuses_every_verb(cx: &Context) {
    cx.repo.insert(new_link("there")).await.unwrap();
    let before = cx.leaves_of_all().await;
    let kind = if cx.transport.capabilities().fences { ErrKind::Fenced } else { ErrKind::NotSupported };
    for error in fenced(&cx.repo).await {
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(cx.leaves_of_all().await, before);
}

async fn errors_travel_through_sea_orm(cx: &Context) {
    async fn mixed(repo: &DustRepo) -> Result<link::Model, DbErr> {
        Ok(repo.get::<link::Entity>("nobody").await?)
    }
    assert!(matches!(mixed(&cx.repo).await, Err(DbErr::RecordNotFound(what)) if what.contains("links/nobody")));
    async fn back(repo: &DustRepo) -> Result<(), DustErr> {
        Err(DbErr::from(repo.insert(link::ActiveModel { ..Default::default() }).await.unwrap_err()))?
    }
    let error = back(&cx.repo).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Database);
    assert!(error.to_string().contains("title can't be blank"), "{error}");
}
