//! Repos that were opened for a server, while a channel does not answer, and after a restore of the store from a
//! backup.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use dust_emulator::{Emulator, Fault, Route};
use dust_orm::realtime::Timing;
use dust_orm::realtime::{StoreState, SyncClient, SyncClientBuilder};
use dust_orm::{DustConfig, DustRepo, ErrKind, Transport};
use dust_protocol::{FileUpload, Op, Path, RawJson};
use dust_store::Origin;
use futures_util::StreamExt;

fn repo(emulator: &Emulator) -> DustRepo {
    let config = DustConfig::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url());
    DustRepo::connect(config.build().unwrap()).unwrap()
}

const SOON: Duration = Duration::from_millis(100);

/// The default timing, changed.
fn timing(change: impl FnOnce(&mut Timing)) -> Timing {
    let mut timing = Timing::default();
    change(&mut timing);
    timing
}

/// A client with short limits only for the faults of the test: a busy machine would exceed the others.
fn client(emulator: &Emulator, mut timing: Timing) -> SyncClientBuilder {
    timing.lost_grace = SOON;
    SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url()).timing(timing)
}

async fn state(client: &SyncClient, wanted: impl Fn(&StoreState) -> bool) {
    let mut states = std::pin::pin!(client.states(&client.status()[0].store).unwrap());
    let wait = async { while !wanted(&states.next().await.expect("the client runs")) {} };
    tokio::time::timeout(Duration::from_secs(300), wait).await.expect("the state comes");
}

fn way(repo: &DustRepo) -> &'static str {
    repo.transport().name()
}

fn set(path: &str, value: &str) -> Op {
    Op::set(Path::parse(path).unwrap(), RawJson::parse(value).unwrap())
}

/// Writes on the server itself: no event is pushed over a socket.
fn commit(emulator: &Emulator, path: &str, value: &str) {
    let store = emulator.store_handle(&emulator.store()).unwrap();
    store.write(set(path, value), None, &Origin::new("another", "op")).unwrap();
}

/// Waits until a repo reads the mirror, and reads it.
async fn read_in_realtime(client: &SyncClient, repo: &DustRepo, path: &str) -> Option<String> {
    loop {
        state(client, StoreState::is_live).await;
        let transport = repo.transport();
        if transport.name() == "realtime" {
            return value(&*transport, path).await;
        }
        tokio::task::yield_now().await;
    }
}

async fn read(repo: &DustRepo, path: &str) -> Option<String> {
    value(&*repo.transport(), path).await
}

async fn value(transport: &dyn Transport, path: &str) -> Option<String> {
    let entry = transport.get(&Path::parse(path).unwrap()).await.unwrap();
    entry.map(|entry| entry.value.to_string())
}

#[tokio::test]
async fn a_promoted_repo_does_not_read_the_mirror_of_a_channel_whose_status_is_swallowed() {
    let emulator = Emulator::start().await.unwrap();
    let timing = timing(|timing| {
        timing.status = SOON;
        timing.answer = SOON;
    });
    let (client, repo) = (client(&emulator, timing).start().await.unwrap(), repo(&emulator));
    assert_eq!(read_in_realtime(&client, &repo, "a").await, None);
    emulator.faults().add(Fault::swallow_reply().route(Route::SocketStatus).forever());
    // It stays offline as long as the faults last.
    emulator.faults().add(Fault::stall_catch_up().forever());
    state(&client, |state| matches!(state, StoreState::Offline)).await;
    commit(&emulator, "a", "1");
    assert_eq!((way(&repo), read(&repo, "a").await.as_deref()), ("http", Some("1")));
    emulator.faults().clear();
    emulator.disconnect_all();
    assert_eq!(read_in_realtime(&client, &repo, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn joins_that_are_not_answered_and_catch_ups_that_stall_hold_nobody_up_for_long() {
    for fault in [Fault::stall_catch_up(), Fault::swallow_reply().route(Route::SocketJoin)] {
        let emulator = Emulator::start().await.unwrap();
        commit(&emulator, "a", "1");
        emulator.faults().add(fault.times(3));
        let timing = timing(|timing| {
            timing.join = SOON;
            timing.catch_up = SOON;
        });
        let client = client(&emulator, timing).enabled(false).start().await.unwrap();
        client.enable().await;
        state(&client, StoreState::is_live).await;
        assert!(emulator.faults().pending().is_empty());
        let repo = repo(&emulator);
        assert_eq!((way(&repo), read(&repo, "a").await.as_deref()), ("realtime", Some("1")));
        repo.transport().write(vec![set("b", "2")], None).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_not_sent_again_over_http() {
    let record = |value: &str| {
        let op = |field: &str| Op::set(Path::parse(field).unwrap(), RawJson::parse(value).unwrap());
        vec![op("r/a"), op("r/b")]
    };
    for fault in [Fault::hang(), Fault::crash(), Fault::crash().applied(), Fault::close(), Fault::close().applied()] {
        for is_batch in [false, true] {
            let emulator = Emulator::start().await.unwrap();
            // Only hanging calls end by the clock.
            let answer = if fault == Fault::hang() { SOON } else { Timing::default().answer };
            let timing = timing(|timing| timing.answer = answer);
            let (client, repo) = (client(&emulator, timing).start().await.unwrap(), repo(&emulator));
            let transport = repo.transport();
            assert_eq!(transport.name(), "realtime");
            emulator.clear_requests();
            emulator.faults().add(fault.clone().route(Route::SocketWrite));
            // The following ops hide its outcome.
            emulator.faults().add(Fault::status(503).route(Route::Socket));
            let result = match is_batch {
                true => transport.write(record("1"), None).await.map(drop),
                false => transport.write(vec![set("a", "1")], None).await.map(drop),
            };
            let writes: Vec<String> = emulator
                .requests()
                .into_iter()
                .filter(|request| request.method != "GET" && request.method != "HEAD")
                .map(|request| format!("{} {}", request.method, request.target))
                .collect();
            assert_eq!(writes, Vec::<String>::new(), "{fault:?}");
            let seq = emulator.store_handle(&emulator.store()).unwrap().current_seq();
            match result {
                Ok(()) => assert_eq!(seq, 1),
                Err(error) => assert_eq!((error.kind(), seq), (ErrKind::Timeout, 0), "{error}"),
            }
            client.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_file_whose_channel_crashes_over_it_is_told_as_that() {
    let emulator = Emulator::start().await.unwrap();
    emulator.faults().add(Fault::one_file());
    let client = client(&emulator, Timing::default()).start().await.unwrap();
    let transport = DustRepo::with_client(&client, &emulator.store()).unwrap().transport();
    let file = |path: &str| FileUpload::new(Path::parse(path).unwrap(), b"hello".to_vec());
    transport.put_file(file("f/a"), None).await.unwrap();
    let error = transport.put_file(file("f/b"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout);
    assert!(error.to_string().contains("put_file of `f/b` (the channel crashed before its answer came"), "{error}");
    transport.write(vec![set("after", "1")], None).await.unwrap();
}

#[tokio::test]
async fn a_promoted_repo_comes_back_to_realtime_after_the_store_was_restored_from_a_backup() {
    // As of an op that the mirror has, of one that it has not, and of one after which the store has grown again.
    for (through, grown) in [(1, 0), (2, 0), (4, 0), (2, 3), (2, 6)] {
        let emulator = Emulator::start().await.unwrap();
        let timing = timing(|timing| {
            timing.status = SOON;
            timing.status_soon = SOON;
        });
        let (client, repo) = (client(&emulator, timing.clone()).start().await.unwrap(), repo(&emulator));
        for value in 1..=3 {
            repo.transport().write(vec![set("a", &value.to_string())], None).await.unwrap();
        }
        assert_eq!((way(&repo), client.status()[0].seq), ("realtime", 3));
        emulator.faults().add(Fault::status(503).route(Route::Socket).forever());
        emulator.disconnect_all();
        state(&client, |state| matches!(state, StoreState::Offline)).await;
        for value in 4..=6 {
            repo.transport().write(vec![set("a", &value.to_string())], None).await.unwrap();
        }
        assert_eq!(way(&repo), "http");
        assert!(emulator.restore(&emulator.store(), through).unwrap());
        for value in 0..grown {
            repo.transport().write(vec![set("b", &value.to_string())], None).await.unwrap();
        }
        emulator.faults().clear();
        state(&client, StoreState::is_live).await;
        let now = (way(&repo), client.status()[0].seq, read(&repo, "a").await);
        assert_eq!(now, ("realtime", through + grown, Some(through.to_string())), "restored as of op {through}");
        // A client that starts now is not delayed by earlier writes.
        let late = self::client(&emulator, timing).start().await.unwrap();
        assert!(late.status()[0].state.is_live());
        client.shutdown().await;
        assert_eq!(way(&repo), "realtime");
        repo.transport().write(vec![set("c", "1")], None).await.unwrap();
        assert_eq!(read(&repo, "c").await.as_deref(), Some("1"));
    }
}
