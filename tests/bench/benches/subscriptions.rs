//! One write among ten thousand subscribers, on the embedded store in memory: `cargo bench -p bench --bench subscriptions`.
//!
//! Every subscriber is a task of its own that waits, and the time ends when the last of those concerned has its model.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use divan::Bencher;
use dust_orm::feed::{Hub, Ops};
use dust_orm::protocol::{CommittedOp, Glob, Op, OpKind, Path, RawJson, Write};
use dust_orm::repo::Subscription;
use dust_orm::store::{Origin, Store};
use dust_orm::tests_cfg::link;
use dust_orm::{DustRepo, Event};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

const SUBSCRIBERS: usize = 10_000;

fn main() {
    divan::main();
}

fn write(store: &Store, number: usize) {
    let record = serde_json::json!({"title": format!("title {number}"), "url": "https://example.com", "note": null});
    let write = Write::new(Path::parse("links/dust").unwrap(), Op::Set(RawJson::from(record)));
    store.write(write, &Origin::new("bench", "1")).unwrap();
}

/// Counts the events that subscribers have got.
#[derive(Default)]
struct Arrivals {
    left: AtomicUsize,
    all: Notify,
}

async fn count(mut links: Subscription<link::Entity>, arrivals: Arc<Arrivals>) {
    while let Some(Event::Upserted(link)) = links.next().await {
        divan::black_box(link);
        if arrivals.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            arrivals.all.notify_one();
        }
    }
}

fn last_of_10_000(bencher: Bencher, runtime: &Runtime) {
    let store = Store::in_memory().unwrap();
    let repo = DustRepo::with_store(store.clone());
    let arrivals = Arc::new(Arrivals::default());
    runtime.block_on(async {
        for _ in 0..SUBSCRIBERS {
            let links = repo.subscribe::<link::Entity>().await.unwrap();
            tokio::spawn(count(links, Arc::clone(&arrivals)));
        }
    });
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        arrivals.left.store(SUBSCRIBERS, Ordering::Release);
        write(&store, number);
        runtime.block_on(arrivals.all.notified());
    });
}

/// From the write to the last subscriber, on one thread.
#[divan::bench]
fn event_to_10_000_of_one_entity(bencher: Bencher) {
    last_of_10_000(bencher, &Builder::new_current_thread().build().unwrap());
}

/// The same on two threads.
#[divan::bench]
fn event_to_10_000_of_one_entity_on_two_threads(bencher: Bencher) {
    last_of_10_000(bencher, &Builder::new_multi_thread().worker_threads(2).build().unwrap());
}

fn write_beside(bencher: Bencher, subscribers: usize) {
    let store = Store::in_memory().unwrap();
    let repo = DustRepo::with_store(store.clone());
    let runtime = Builder::new_current_thread().build().unwrap();
    let hub = runtime.block_on(repo.transport().hub()).unwrap();
    let pattern = |number: usize| Glob::parse(&format!("entity-{number}/**")).unwrap();
    let _others: Vec<Ops> = (0..subscribers).map(|number| hub.subscribe(&pattern(number), 1000)).collect();
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        write(&store, number);
    });
}

/// A write that concerns none of ten thousand subscribers.
#[divan::bench]
fn write_beside_10_000_of_other_entities(bencher: Bencher) {
    write_beside(bencher, SUBSCRIBERS);
}

/// The same write without subscribers, to compare with.
#[divan::bench]
fn write_beside_nobody(bencher: Bencher) {
    write_beside(bencher, 0);
}

/// An op into the queues of ten thousand subscribers to ops, none of whom takes it.
#[divan::bench]
fn op_to_10_000_queues(bencher: Bencher) {
    let hub = Hub::new(0);
    let pattern = Glob::parse("links/**").unwrap();
    let _all: Vec<Ops> = (0..SUBSCRIBERS).map(|_| hub.subscribe(&pattern, 1000)).collect();
    let mut op = CommittedOp {
        store_seq: 0,
        op: OpKind::Set,
        path: Path::parse("links/dust/title").unwrap(),
        value: RawJson::from(serde_json::json!("title")),
        device_id: "bench".into(),
        client_op_id: "1".into(),
    };
    bencher.bench_local(|| {
        op.store_seq += 1;
        hub.publish(std::slice::from_ref(&op));
    });
}
