//! Repos that were opened for a server: the transport of their calls while realtime clients start and stop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance::entities::{link, new_link, page, retitled};
use dust_emulator::{Emulator, Token};
use dust_orm::realtime::{StoreState, SyncClient, SyncClientBuilder};
use dust_orm::{BatchEntry, DustConfig, DustErr, DustRepo, ErrKind, Event};
use futures_util::StreamExt;
use tokio::net::TcpSocket;

fn config(emulator: &Emulator, token: &str) -> DustConfig {
    DustConfig::builder().store(emulator.store()).token(token).base_url(emulator.url()).build().unwrap()
}

fn repo(emulator: &Emulator) -> DustRepo {
    DustRepo::connect(config(emulator, emulator.token())).unwrap()
}

fn client(emulator: &Emulator) -> SyncClientBuilder {
    SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url())
}

/// Waits until a condition holds, on a busy machine too.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(300), what).await.expect("it comes to pass")
}

async fn state(client: &SyncClient, wanted: impl Fn(&StoreState) -> bool) {
    let mut states = std::pin::pin!(client.states(&client.status()[0].store).unwrap());
    let wait = async { while !wanted(&states.next().await.expect("the client runs")) {} };
    soon(wait).await;
}

fn way(repo: &DustRepo) -> &'static str {
    repo.transport().name()
}

/// A port of this machine that stays free of listeners while the socket is held.
fn nowhere() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_running_client_promotes_the_repos_of_its_store_and_token_only() {
    let emulator = Emulator::builder().store("acme/main").store("acme/other").start().await.unwrap();
    emulator.add_token(Token::new("dust_tok_reader").scopes(["entries:read"]));
    let (before, builder) = (repo(&emulator), client(&emulator));
    let other_token = DustRepo::connect(config(&emulator, "dust_tok_reader")).unwrap();
    let other_store = DustConfig::builder().store("acme/other").token(emulator.token()).base_url(emulator.url());
    let other_store = DustRepo::connect(other_store.build().unwrap()).unwrap();
    assert_eq!(way(&before), "http");

    let handle = builder.start().await.unwrap();
    let second = handle.clone();
    let after = repo(&emulator);
    assert_eq!([&before, &after, &other_token, &other_store].map(way), ["realtime", "realtime", "http", "http"]);
    before.insert(new_link("a")).await.unwrap();
    emulator.clear_requests();
    assert!(after.exists::<link::Entity>("a").await.unwrap());
    assert!(emulator.requests().is_empty(), "it read locally");

    drop(handle);
    assert_eq!(way(&before), "realtime", "another handle keeps it");
    drop(second);
    assert_eq!([&before, &after].map(way), ["http", "http"]);
    assert!(before.exists::<link::Entity>("a").await.unwrap());

    let again = client(&emulator).start().await.unwrap();
    assert_eq!(way(&before), "realtime");
    again.shutdown().await;
    assert_eq!(way(&before), "http");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_and_every_write_is_read_while_clients_come_and_go() {
    let emulator = Emulator::start().await.unwrap();
    let (repo, is_over) = (repo(&emulator), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (repo, is_over) = (repo.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let slug = format!("w{writer}");
                repo.insert(new_link(&slug)).await.unwrap();
                let mut round = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let title = format!("{round}");
                    if round % 2 == 0 {
                        repo.update(retitled(&slug, &title)).await.unwrap();
                    } else {
                        // Two records: over HTTP, whatever the way.
                        let batch = [
                            BatchEntry::update(retitled(&slug, &title)),
                            BatchEntry::insert(new_link(&format!("{slug}-beside"))),
                        ];
                        repo.batch_write(batch).await.unwrap();
                    }
                    let read = repo.get::<link::Entity>(slug.as_str()).await.unwrap();
                    assert_eq!(read.title, title, "it reads what it wrote, by {}", way(&repo));
                    round += 1;
                }
                round
            })
        })
        .collect();
    for round in 0..12 {
        let running = client(&emulator).start().await.unwrap();
        for _ in 0..20 {
            repo.exists::<link::Entity>("w0").await.unwrap();
            tokio::task::yield_now().await;
        }
        match round % 3 {
            0 => running.shutdown().await,
            1 => running.disable().await,
            _ => drop(running),
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_client_that_is_down_leaves_its_repos_to_http() {
    let emulator = Emulator::start().await.unwrap();
    let (_held, address) = nowhere();
    let client = client(&emulator).url(format!("ws://{address}")).start().await.unwrap();
    let repo = repo(&emulator);
    assert!(matches!(client.status()[0].state, StoreState::Offline));
    assert_eq!(way(&repo), "http");
    repo.insert(new_link("a")).await.unwrap();
    repo.batch_write([BatchEntry::insert(new_link("b")), BatchEntry::delete_by_id::<link::Entity>("a")]).await.unwrap();
    assert!(!repo.exists::<link::Entity>("a").await.unwrap());
    assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 1);
    let error = repo.increment("p", page::flat::Column::Hits, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network, "it needs the socket: {error}");
    let given = DustRepo::with_client(&client, &emulator.store()).unwrap();
    assert_eq!(way(&given), "realtime", "it was given, and stays");
    assert_eq!(given.insert(new_link("c")).await.unwrap_err().kind(), ErrKind::Network);
}

#[tokio::test]
async fn what_http_cannot_answer_either_comes_from_the_mirror() {
    let emulator = Emulator::start().await.unwrap();
    let (repo, client) = (repo(&emulator), client(&emulator).start().await.unwrap());
    repo.insert(new_link("a")).await.unwrap();
    emulator.stop().await;
    state(&client, |state| matches!(state, StoreState::Offline)).await;
    assert_eq!(way(&repo), "http");
    assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 1);
    assert!(repo.find_by_id::<link::Entity>("a").await.unwrap().is_some());
    assert!(repo.exists::<link::Entity>("a").await.unwrap());
    assert_eq!(repo.insert(new_link("b")).await.unwrap_err().kind(), ErrKind::Network);
}

#[tokio::test]
async fn a_subscription_goes_on_through_a_break_and_ends_with_the_client() {
    let emulator = Emulator::start().await.unwrap();
    let repo = repo(&emulator);
    let refused = repo.subscribe::<link::Entity>().await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrKind::NotSupported, "HTTP has no subscriptions");
    let client = client(&emulator).start().await.unwrap();
    let mut changes = repo.subscribe::<link::Entity>().await.unwrap();
    for slug in ["a", "b"] {
        // On any transport: over HTTP until the connection is restored.
        repo.insert(new_link(slug)).await.unwrap();
        let heard = soon(changes.next()).await;
        assert!(matches!(&heard, Some(Event::Upserted(link)) if link.slug == slug), "{heard:?}");
        client.disable().await;
        client.enable().await;
    }
    client.shutdown().await;
    let end = soon(changes.next()).await;
    assert!(end.is_none());
}

#[tokio::test]
async fn a_client_that_is_not_enabled_does_nothing_until_it_is() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).enabled(false).start().await.unwrap();
    let found = repo(&emulator);
    let given = DustRepo::with_client(&client, &emulator.store()).unwrap();
    let is_dormant = |client: &SyncClient| matches!(client.status()[0].state, StoreState::Dormant);
    for _ in 0..2 {
        assert!(is_dormant(&client) && !client.is_enabled());
        assert_eq!((emulator.open_sockets(), [&found, &given].map(way)), (0, ["http", "http"]));
        given.insert(new_link("a")).await.unwrap();
        assert!(found.exists::<link::Entity>("a").await.unwrap());

        client.enable().await;
        client.enable().await;
        assert!(client.is_enabled());
        state(&client, StoreState::is_live).await;
        assert_eq!((emulator.open_sockets(), [&found, &given].map(way)), (1, ["realtime", "realtime"]));
        assert!(given.exists::<link::Entity>("a").await.unwrap());
        found.delete_by_id::<link::Entity>("a").await.unwrap();

        client.disable().await;
        client.disable().await;
        let closed = async {
            while emulator.open_sockets() > 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(closed).await;
    }
    client.shutdown().await;
    client.enable().await;
    assert_eq!([&found, &given].map(way), ["http", "http"]);
}

#[tokio::test]
async fn a_write_that_the_token_does_not_allow_is_refused_before_it_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    emulator.add_token(Token::new("dust_tok_reader").scopes(["entries:read"]));
    let builder = SyncClient::builder().store(emulator.store()).token("dust_tok_reader").base_url(emulator.url());
    let client = builder.start().await.unwrap();
    let permissions = client.status()[0].permissions.unwrap();
    assert!(permissions.read && !permissions.write && !permissions.files);
    let repo = DustRepo::with_client(&client, &emulator.store()).unwrap();
    emulator.clear_requests();
    let batch = repo.batch_write([BatchEntry::insert(new_link("a")), BatchEntry::insert(new_link("b"))]);
    for refused in [repo.insert(new_link("a")).await.map(drop), batch.await.map(drop)] {
        let Err(DustErr::Unauthorized { scope: Some(scope), message, .. }) = refused else { panic!("{refused:?}") };
        assert!(scope == "entries:write" && message.contains("not sent"), "{message}");
    }
    assert!(emulator.requests().is_empty());
    assert!(!repo.exists::<link::Entity>("a").await.unwrap());
}

#[tokio::test]
async fn a_write_waits_for_a_connection_if_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || Emulator::builder().data_dir(directory.path()).secret("dust_tok_stays").store("acme/main");
    let emulator = builder().start().await.unwrap();
    let client = client(&emulator).start().await.unwrap();
    let hasty = DustRepo::with_client(&client, "acme/main").unwrap();
    let patient = hasty.clone().wait_for_connection(Duration::from_secs(300));
    let address = emulator.address();
    emulator.stop().await;
    state(&client, |state| matches!(state, StoreState::Offline)).await;
    assert_eq!(hasty.insert(new_link("a")).await.unwrap_err().kind(), ErrKind::Network);
    let (written, emulator) = tokio::join!(patient.insert(new_link("a")), builder().address(address).start());
    written.unwrap();
    assert!(hasty.exists::<link::Entity>("a").await.unwrap());
    drop(emulator.unwrap());
}

#[tokio::test]
async fn a_subscription_through_the_repo_of_a_lease_ends_with_the_last_client() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator).start().await.unwrap();
    let given = DustRepo::with_client(&client, &emulator.store()).unwrap();
    let lease = given.lease("locks/a", Duration::from_secs(60)).await.unwrap();
    let mut links = lease.repo().subscribe::<link::Entity>().await.unwrap();
    given.insert(new_link("a")).await.unwrap();
    drop((client, given));
    assert!(matches!(links.next().await, Some(Event::Upserted(_))));
    lease.repo().insert(new_link("b")).await.expect("the repo of the lease holds the client");
    assert!(matches!(links.next().await, Some(Event::Upserted(_))));
    drop(lease);
    let end = soon(links.next()).await;
    assert_eq!(end, None);
}
