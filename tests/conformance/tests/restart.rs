//! A subscription while the server restarts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use dust_emulator::Emulator;
use dust_orm::entity::prelude::*;
use dust_orm::realtime::{StoreState, SyncClient};
use dust_orm::repo::Subscription;
use dust_orm::tests_cfg::link;
use dust_orm::transport::RealtimeTransport;
use dust_orm::{DustRepo, ErrKind, Event};
use dust_protocol::{Op, Path, RawJson};
use dust_store::{Origin, Store};
use serde_json::json;

fn model(slug: &str, title: &str) -> link::Model {
    link::Model { slug: slug.into(), title: title.into(), url: "u".into(), note: None }
}

/// Writes on the server itself: no event is pushed over a socket.
fn commit(store: &Store, slug: &str, title: &str) {
    let path = Path::parse(&format!("links/{slug}")).unwrap();
    let value = RawJson::from(json!({"title": title, "url": "u"}));
    store.write(Op::set(path, value), None, &Origin::new("another", "op")).unwrap();
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes to pass")
}

async fn hears(links: &mut Subscription<link::Entity>, expected: Event<link::Model>) {
    assert_eq!(soon(links.next()).await, Some(expected));
}

#[tokio::test]
async fn a_subscription_lives_through_restarts_of_the_server() {
    let mut emulator = Emulator::start().await.unwrap();
    let name = emulator.store();
    let store = emulator.store_handle(&name).unwrap();
    let builder = SyncClient::builder().store(&name).token(emulator.token()).base_url(emulator.url());
    let client = builder.start().await.unwrap();
    let repo = DustRepo::with_transport(Arc::new(RealtimeTransport::new(&client, &name).unwrap()));
    let mut states = client.watch(&name).unwrap();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    let ready = repo.live::<link::Entity>().await.unwrap();
    repo.insert(model("a", "1").into_active_model()).await.unwrap();
    hears(&mut links, Event::Upserted(model("a", "1"))).await;

    emulator.go_down().await;
    soon(states.wait_for(|state| !state.is_live())).await.unwrap();
    let refused = repo.insert(model("refused", "1").into_active_model()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrKind::Network);
    commit(&store, "b", "2");
    commit(&store, "a", "2");
    assert_eq!(repo.all::<link::Entity>().await.unwrap(), [model("a", "1")], "what the mirror has");
    assert_eq!((ready.len(), ready.get("a").unwrap().title.as_str()), (1, "1"), "and what was read from it");
    emulator.come_up().await.unwrap();
    hears(&mut links, Event::Upserted(model("b", "2"))).await;
    hears(&mut links, Event::Upserted(model("a", "2"))).await;
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    repo.insert(model("c", "3").into_active_model()).await.unwrap();
    hears(&mut links, Event::Upserted(model("c", "3"))).await;

    // A snapshot shows only the existence of these records, not their ops.
    emulator.go_down().await;
    soon(states.wait_for(|state| !state.is_live())).await.unwrap();
    commit(&store, "d", "4");
    store.compact().unwrap();
    emulator.come_up().await.unwrap();
    // The other subscription has not read the records again.
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    assert_eq!((ready.len(), ready.get("d").unwrap().title.as_str()), (4, "4"));
    hears(&mut links, Event::Resync).await;
    assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 4);
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    repo.delete_by_id::<link::Entity>("d").await.unwrap();
    assert!(ready.get("d").is_none());
    hears(&mut links, Event::Deleted("d".into())).await;
    client.shutdown().await;
    assert_eq!(soon(links.next()).await, None);
    assert_eq!((ready.len(), ready.get("c").unwrap().title.as_str()), (3, "3"));
}
