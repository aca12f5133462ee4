//! One deadline for all requests of a call.

use dust_protocol::{Mutation, Op};

use super::peer::{Step, bytes, json};
use super::*;
use crate::entity::prelude::*;
use crate::error::{DustErr, ErrKind};
use crate::repo::DustRepo;
use crate::tests_cfg::link;
use crate::transport::Transport;

const WRITTEN: &str = r#"{"revision":7,"store_seq":7}"#;

/// An answer that takes one second.
fn slow(body: &str) -> Step {
    Step::AnswerAfter(Duration::from_secs(1), bytes(200, &[], body.as_bytes()))
}

/// A page of an endless list.
fn page(n: usize) -> String {
    let leaf = |field: &str| format!(r#"{{"path":"links/k{n:03}/{field}","value":"x","type":"string","revision":1}}"#);
    format!(r#"{{"items":[{},{}],"next_cursor":"links/k{n:03}/url"}}"#, leaf("title"), leaf("url"))
}

async fn repo(steps: impl IntoIterator<Item = Step>) -> (Peer, DustRepo, Arc<TestWorld>) {
    let (peer, transport, world) = configured(steps, |config| config.deadline(Duration::from_millis(2_500))).await;
    (peer, DustRepo::with_transport(Arc::new(transport)), world)
}

fn new_link(n: usize) -> link::ActiveModel {
    link::ActiveModel {
        slug: Set(format!("k{n:04}")),
        title: Set("T".to_owned()),
        url: Set("u".to_owned()),
        note: Set(None),
    }
}

#[tokio::test]
async fn the_pages_of_a_list_share_one() {
    let (_, repo, world) = repo((0..30).map(|n| slow(&page(n)))).await;
    let error = repo.all::<link::Entity>().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network, "{error}");
    assert!(world.now() <= Duration::from_secs(4), "{:?}", world.now());
    // The next call has a deadline of its own.
    repo.find_by_id::<link::Entity>("k000").await.unwrap_err();
    assert!(world.now() > Duration::from_secs(4));
}

#[tokio::test]
async fn each_page_of_a_stream_has_its_own() {
    use futures_util::TryStreamExt;
    let last = r#"{"items":[],"next_cursor":null}"#;
    let (_, repo, world) = repo((0..9).map(|n| slow(&page(n))).chain([json(200, last)])).await;
    let links: Vec<link::Model> = repo.stream::<link::Entity>().try_collect().await.unwrap();
    assert_eq!(links.len(), 9);
    assert_eq!(world.now(), Duration::from_secs(9));
}

#[tokio::test]
async fn the_chunks_of_insert_many_share_one() {
    let (peer, repo, world) = repo((0..30).map(|_| slow(WRITTEN))).await;
    let error = repo.insert_many((0..5_000).map(new_link)).await.unwrap_err();
    let DustErr::PartiallyWritten { done, requests, source } = &error else { panic!("{error:?}") };
    assert_eq!(*done % 333, 0, "{done}");
    assert_eq!(*requests, peer.received().len());
    assert!(world.now() <= Duration::from_secs(4), "{:?}", world.now());
    assert!(matches!(source.kind(), ErrKind::Network | ErrKind::Timeout), "{source:?}");
    assert!(error.to_string().contains("requests"), "{error}");
}

#[tokio::test]
async fn a_read_and_the_write_after_it_share_one() {
    let (peer, repo, world) =
        repo([slow(r#"{"items":[],"next_cursor":null}"#), Step::Stall(Duration::from_secs(9))]).await;
    let error = repo.insert(link::ActiveModel { note: NotSet, ..new_link(1) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout, "{error}");
    assert!(error.to_string().contains("no answer within 1.5s"), "{error}");
    assert_eq!(peer.received().len(), 2);
    assert_eq!(world.now(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_write_whose_time_is_up_is_not_sent() {
    let steps = [slow(r#"{"items":[],"next_cursor":null}"#), json(200, WRITTEN)];
    let (peer, transport, world) = configured(steps, |config| config.deadline(Duration::from_secs(1))).await;
    let call = transport.begin();
    assert!(call.exists(&path("a")).await.is_err() || world.now() >= Duration::from_secs(1));
    for write in [Mutation::Delete, Mutation::Set(value("1"))] {
        let error = call.write(vec![Op::new(path("a"), write)], None).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Network, "{error}");
    }
    assert_eq!(peer.received().len(), 1);
    assert_eq!(call.requests(), 1);
}

#[tokio::test]
async fn a_rate_limit_tells_the_requests_of_the_call_and_the_way_to_need_fewer() {
    let limited = || {
        Step::Response(bytes(
            429,
            &[("retry-after", "40"), ("x-ratelimit-remaining", "0")],
            br#"{"error":"rate_limited"}"#,
        ))
    };
    let (_, repo, _) = repo([json(200, r#"{"items":[],"next_cursor":null}"#), limited()]).await;
    let error = repo.insert(link::ActiveModel { note: NotSet, ..new_link(1) }).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(40)));
    let text = error.to_string();
    for part in ["writes that a token may make in a minute", "2 requests, of which 1 count as writes", "one batch"] {
        assert!(text.contains(part), "{text}");
    }
    let (_, repo, _) = self::repo([limited()]).await;
    let text = repo.find_by_id::<link::Entity>("a").await.unwrap_err().to_string();
    assert!(text.contains("reads that a token may make") && text.contains("`find_many`"), "{text}");
}
