//! Verbs outside of a tokio runtime: they work, or their error names the solution.

use std::sync::Arc;
use std::time::Duration;

use dust_protocol::Path;
use dust_store::{ManualClock, Store};
use futures_executor::block_on;
use futures_util::{StreamExt, TryStreamExt};

use super::*;
use crate::entity::prelude::*;
use crate::error::{DustErr, ErrKind};
use crate::tests_cfg::{link, page};

/// A repo on a store whose clock does not advance, so that no lease expires.
fn repo() -> (DustRepo, Store) {
    let store = Store::builder().clock(Arc::new(ManualClock::new(1_000_000))).in_memory().unwrap();
    (DustRepo::with_store(store.clone()), store)
}

fn link(slug: &str) -> link::ActiveModel {
    let text = Set(slug.to_owned());
    link::ActiveModel { slug: text.clone(), title: text.clone(), url: text, note: NotSet }
}

#[test]
fn verbs_of_embedded_store_work_without_runtime() {
    let (repo, _) = repo();
    block_on(async {
        let mut changes = repo.subscribe::<link::Entity>().await?;
        repo.insert(link("a")).if_absent().await?;
        repo.insert_many((0..300).map(|index| link(&format!("b{index}")))).await?;
        repo.increment("home", page::Column::Hits, 1).await?;
        assert!(matches!(changes.next().await, Some(Event::Upserted(_))));
        let streamed: Vec<link::Model> = repo.stream::<link::Entity>().try_collect().await?;
        assert_eq!(streamed.len(), repo.all::<link::Entity>().await?.len());
        repo.delete_by_id::<link::Entity>("a").await
    })
    .unwrap();
}

#[test]
fn lease_is_renewed_without_runtime() {
    let (repo, store) = repo();
    let revision = move || store.get(&Path::parse("locks/a").unwrap()).unwrap().map(|entry| entry.revision);
    block_on(async {
        let mut lease = repo.lease("locks/a", Duration::from_millis(30)).await?;
        lease.renew(Duration::from_millis(30)).await?;
        let before = revision();
        lease
            .scope(async |_| {
                while revision() == before {
                    crate::patience::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
        Ok::<_, DustErr>(())
    })
    .unwrap();
}

#[test]
fn flight_waits_for_lease_without_runtime() {
    let (repo, _) = repo();
    block_on(async {
        let options = || FlightOptions::<u32>::new().wait(Duration::from_millis(20));
        let flight = repo.single_flight("sums/a", options(), async |_| Ok::<_, DustErr>(1)).await?;
        assert_eq!(flight.value, 1);
        let lease = repo.lease(format!("{}/sums/b", single_flight::LEASES), Duration::from_secs(60)).await?;
        let held = repo.single_flight("sums/b", options(), async |_| Ok::<_, DustErr>(2)).await.unwrap_err();
        assert_eq!(held.kind(), ErrKind::LeaseHeld);
        lease.release().await
    })
    .unwrap();
}

#[cfg(feature = "http")]
#[test]
fn verbs_over_http_without_runtime_name_solution() {
    let config = crate::DustConfig::builder().store("a/b").token("t").base_url("http://127.0.0.1:9").pace_writes(true);
    let repo = DustRepo::connect(config.build().unwrap()).unwrap();
    let errors: [DustErr; 4] = block_on(async {
        [
            repo.all::<link::Entity>().await.unwrap_err(),
            repo.insert(link("a")).await.unwrap_err(),
            repo.insert_many([link("a"), link("b")]).await.unwrap_err(),
            repo.stream::<link::Entity>().boxed().next().await.unwrap().unwrap_err(),
        ]
    });
    for error in errors {
        assert!(error.to_string().contains("#[tokio::main]"), "{error}");
    }
}

#[cfg(feature = "realtime")]
#[test]
fn start_of_client_without_runtime_names_solution() {
    let error = block_on(crate::realtime::SyncClient::builder().store("a/b").token("t").start()).unwrap_err();
    assert!(error.kind() == ErrKind::InvalidParams && error.to_string().contains("#[tokio::main]"), "{error}");
}
