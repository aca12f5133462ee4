//! Subscriptions over the realtime client, with connections that break and servers that come back in another state.

use std::collections::BTreeMap;

use futures_util::FutureExt;

use super::*;
use crate::entity::prelude::*;
use crate::repo::{RawEvent, Subscription};
use crate::tests_cfg::link;
use crate::{BatchEntry, DustRepo, Event};

fn model(slug: &str, title: &str) -> link::Model {
    link::Model { slug: slug.into(), title: title.into(), url: "u".into(), note: None }
}

fn upserted(slug: &str, title: &str) -> Event<link::Model> {
    Event::Upserted(model(slug, title))
}

impl Remote {
    /// Another client writes a whole record.
    fn other_puts(&self, slug: &str, title: &str, push: bool) -> u64 {
        let value = format!(r#"{{"title":"{title}","url":"u"}}"#);
        self.other_writes(&format!("links/{slug}"), &value, push)
    }
}

async fn repo_of(builder: SyncClientBuilder) -> (DustRepo, RealtimeTransport) {
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    (DustRepo::with_transport(Arc::new(transport.clone())), transport)
}

async fn next(links: &mut Subscription<link::Entity>) -> Event<link::Model> {
    soon(links.next()).await.expect("the client runs")
}

/// The events in the queue.
fn waiting(links: &mut Subscription<link::Entity>) -> Vec<Event<link::Model>> {
    std::iter::from_fn(|| links.next().now_or_never().flatten()).collect()
}

#[tokio::test]
async fn own_writes_are_heard_of_once_whether_event_or_reply_comes_first() {
    let (remote, builder) = Remote::start().await;
    // The device id that the server reports for every client.
    let (repo, transport) = repo_of(builder.device_id("d")).await;
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    for event_first in [true, false] {
        remote.server.lock().unwrap().event_first = event_first;
        for slug in ["a", "b", "c"] {
            repo.insert(model(slug, "T").into_active_model()).await.unwrap();
            assert_eq!(waiting(&mut links), [upserted(slug, "T")], "told when the write returns, once");
            let Some(Some(RawEvent::Op(op))) = ops.next().now_or_never() else { panic!("an op") };
            assert!(op.own && op.store_seq == remote.server.lock().unwrap().seq());
        }
    }
    remote.other_puts("a", "Other", true);
    assert_eq!(next(&mut links).await, upserted("a", "Other"));
    assert!(matches!(soon(ops.next()).await, Some(RawEvent::Op(_))));

    transport.client.shutdown().await;
    assert_eq!(soon(links.next()).await, None);
    assert_eq!(soon(ops.next()).await, None);
}

#[tokio::test]
async fn a_batch_of_ones_own_is_heard_of_as_a_whole() {
    let (remote, builder) = Remote::start().await;
    let server = Arc::clone(&remote.server);
    // The two records of the batch, op by op, each with the request's id and the op's place.
    let (url, _) = http(move |request| {
        let mut server = server.lock().unwrap();
        let head = request.to_ascii_lowercase();
        let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        let ops = [("b/title", "\"B\""), ("b/url", "\"u\""), ("a/title", "\"A\""), ("a/url", "\"u\"")];
        for (place, (at, value)) in ops.into_iter().enumerate() {
            let id = format!("{id}:{place}");
            server.commit(&path(&format!("links/{at}")), &Mutation::Set(raw(value)), None, &id).unwrap();
        }
        ok(&format!(r#"{{"ops":[],"store_seq":{}}}"#, server.seq()))
    })
    .await;
    let (repo, _) = repo_of(builder.base_url(url)).await;
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    let entry = |slug, title| BatchEntry::insert(model(slug, title).into_active_model());
    repo.batch_write([entry("b", "B"), entry("a", "A")]).await.unwrap();
    assert_eq!(waiting(&mut links), [upserted("b", "B"), upserted("a", "A")], "never half a record");
    for seq in 1..=4 {
        let Some(Some(RawEvent::Op(op))) = ops.next().now_or_never() else { panic!("an op") };
        assert_eq!((op.store_seq, op.own), (seq, true));
    }
    remote.other_puts("a", "Other", true);
    let Some(RawEvent::Op(op)) = soon(ops.next()).await else { panic!("an op") };
    assert!(!op.own);
}

#[tokio::test]
async fn what_was_missed_comes_when_the_connection_is_back() {
    let (remote, builder) = Remote::start().await;
    let (repo, _) = repo_of(builder).await;
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    for round in 0..5 {
        remote.other_puts("seen", &round.to_string(), true);
        assert_eq!(next(&mut links).await, upserted("seen", &round.to_string()));
        remote.cut.notify_one();
        for missed in ["first", "second"] {
            remote.other_puts(missed, &round.to_string(), false);
        }
        assert_eq!(next(&mut links).await, upserted("first", &round.to_string()));
        assert_eq!(next(&mut links).await, upserted("second", &round.to_string()));
    }
    assert_eq!(waiting(&mut links), []);
}

#[tokio::test]
async fn a_snapshot_and_a_restore_are_a_resync() {
    let (remote, builder) = Remote::start().await;
    remote.other_puts("old", "1", false);
    let (repo, transport) = repo_of(builder).await;
    let mut links = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    assert_eq!(next(&mut links).await, upserted("old", "1"));

    remote.cut.notify_one();
    remote.other_puts("hidden", "2", false);
    remote.server.lock().unwrap().compact();
    assert_eq!(next(&mut links).await, Event::Resync);
    assert_eq!(soon(ops.next()).await, Some(RawEvent::Resync));
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), [model("hidden", "2"), model("old", "1")]);
    repo.insert(model("new", "3").into_active_model()).await.unwrap();
    assert_eq!(waiting(&mut links), [upserted("new", "3")]);

    remote.server.lock().unwrap().restore(1);
    remote.cut.notify_one();
    assert_eq!(next(&mut links).await, Event::Resync);
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), [model("old", "1")]);
    // The same sequence number as before the restore, for another op.
    repo.insert(model("other", "4").into_active_model()).await.unwrap();
    assert_eq!(transport.client.status()[0].seq, 2);
    assert_eq!(waiting(&mut links), [upserted("other", "4")]);
    repo.delete_by_id::<link::Entity>("old").await.unwrap();
    assert_eq!(waiting(&mut links), [Event::Deleted("old".into())]);
}

#[tokio::test]
async fn a_thousand_subscribers_hear_the_same_and_leave() {
    let (remote, builder) = Remote::start().await;
    let (repo, transport) = repo_of(builder).await;
    let mut all = Vec::new();
    for _ in 0..1_000 {
        all.push(repo.subscribe::<link::Entity>().await.unwrap());
    }
    let hub = transport.op_hub().await.unwrap();
    assert_eq!(hub.listeners(), 1, "an op is looked at once for all of them");
    for round in 0..10 {
        remote.other_puts(&(round % 3).to_string(), &round.to_string(), true);
    }
    for links in &mut all {
        for round in 0..10 {
            assert_eq!(next(links).await, upserted(&(round % 3).to_string(), &round.to_string()));
        }
    }
    drop(all.split_off(1));
    remote.other_puts("a", "last", true);
    assert_eq!(next(&mut all[0]).await, upserted("a", "last"));
    drop(all);
    assert_eq!(hub.listeners(), 0);
}

#[tokio::test]
async fn a_slow_subscriber_loses_what_is_outdated_then_resyncs_and_holds_up_nobody() {
    let (remote, builder) = Remote::start().await;
    let (repo, transport) = repo_of(builder).await;
    let mut slow = repo.subscribe::<link::Entity>().queue(2).await.unwrap();
    let mut quick = repo.subscribe::<link::Entity>().await.unwrap();
    let mut hear = async |slug: &str, round: u32| {
        remote.other_puts(slug, &round.to_string(), true);
        assert_eq!(next(&mut quick).await, upserted(slug, &round.to_string()));
    };
    for round in 0..100 {
        hear("a", round).await;
        hear("b", round).await;
    }
    assert_eq!(waiting(&mut slow), [upserted("a", "99"), upserted("b", "99")]);
    for slug in ["a", "b", "c"] {
        hear(slug, 100).await;
    }
    assert_eq!(waiting(&mut slow), [Event::Resync]);
    hear("c", 101).await;
    assert_eq!(waiting(&mut slow), [upserted("c", "101")]);
    assert!(matches!(transport.client.status()[0].state, StoreState::Live { .. }));
}

/// A subscriber that joins during a stream of writes has the records as of one op and receives every later op.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_and_what_comes_have_no_gap_and_no_repeat() {
    const RECORDS: u64 = 1_100;
    const WRITES: u64 = 300;
    let (remote, builder) = Remote::start().await;
    for number in 0..RECORDS {
        remote.other_puts(&format!("r{number}"), "0", false);
    }
    let slug_of = |write: u64| format!("r{}", write * 7 % RECORDS);
    let (repo, _) = repo_of(builder).await;
    let follow = |mut links: Subscription<link::Entity>| {
        tokio::spawn(async move {
            let mut known: BTreeMap<String, u64> = BTreeMap::new();
            loop {
                match next(&mut links).await {
                    Event::Upserted(link) if link.slug == "end" => return known,
                    Event::Upserted(link) => {
                        let is_current = (known.len() as u64) < RECORDS;
                        let write = link.title.parse().unwrap();
                        let before = known.insert(link.slug, write);
                        assert_eq!(before.is_none(), is_current, "what is there comes first, each once");
                        assert!(before.is_none_or(|before| before < write), "in order, and nothing twice");
                    }
                    other => panic!("nothing is missing: {other:?}"),
                }
            }
        })
    };
    let mut followers = Vec::new();
    for write in 1..=WRITES {
        remote.other_puts(&slug_of(write), &write.to_string(), true);
        if write % 20 == 0 {
            followers.push(follow(repo.subscribe::<link::Entity>().with_current().await.unwrap()));
        }
        if write % 50 == 0 {
            remote.cut.notify_one();
        }
        tokio::task::yield_now().await;
    }
    remote.other_puts("end", "end", true);
    let mut expected: BTreeMap<String, u64> = (0..RECORDS).map(|number| (format!("r{number}"), 0)).collect();
    expected.extend((1..=WRITES).map(|write| (slug_of(write), write)));
    for follower in followers {
        assert_eq!(soon(follower).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn before_there_is_anything_to_read_there_is_nothing_to_subscribe_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").base_url(format!("http://{address}"));
    let (repo, _) = repo_of(builder).await;
    let error = repo.subscribe::<link::Entity>().await.unwrap_err();
    assert!(error.kind() == ErrKind::Network && error.to_string().contains("nothing to read yet"), "{error}");
}
