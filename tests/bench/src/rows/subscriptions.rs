//! One commit on its way to many subscribers, or past them, in one process.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dust_orm::internals::{Ops, subscribe};
use dust_orm::repo::Subscription;
use dust_orm::{DustRepo, Event};
use dust_protocol::{Op, Path, Pattern, RawJson};
use dust_store::{Origin, Store};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::{Notify, broadcast, watch};

use crate::entities::page::{self, draft, page};
use crate::plan::{Case, Plan};
use crate::table::{Aim, Figure, Row};
use crate::{Result, alloc};

const EVENT: &str = "an event to 10,000 subscribers";
const UNTOUCHED: &str = "a write past 10,000 subscribers";
const ONE_OF_MANY: &str = "a write to one of 100,000 watched records";
const IDLE: &str = "one of 100,000 idle subscriptions to a record";

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("subscriptions");
    if plan.wants(EVENT) {
        event(plan).await?;
    }
    if plan.wants(UNTOUCHED) {
        untouched(plan).await?;
    }
    if plan.wants_any(&[ONE_OF_MANY, IDLE]) {
        watched_records(plan).await?;
    }
    Ok(())
}

/// Counts the models that have arrived at the subscribers' tasks.
#[derive(Default)]
struct Arrivals {
    left: AtomicUsize,
    all: Notify,
}

impl Arrivals {
    fn take(&self, model: page::Model) {
        black_box(model);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all.notify_one();
        }
    }
}

async fn receive(mut channel: broadcast::Receiver<page::Model>, arrivals: Arc<Arrivals>) {
    while let Ok(page) = channel.recv().await {
        arrivals.take(page);
    }
}

async fn follow(mut pages: Subscription<page::Entity>, arrivals: Arc<Arrivals>) {
    while let Some(Event::Upserted(page)) = pages.next().await {
        arrivals.take(page);
    }
}

/// Measures the time from a write to its arrival at the last subscriber.
async fn event(plan: &mut Plan) -> Result<()> {
    let scale = plan.scale;
    let store = Store::in_memory()?;
    let repo = DustRepo::with_store(store.clone());
    let (by_peer, by_dust) = (Arc::new(Arrivals::default()), Arc::new(Arrivals::default()));
    let (channel, _) = broadcast::channel(16);
    for _ in 0..scale.subscribers {
        tokio::spawn(receive(channel.subscribe(), Arc::clone(&by_peer)));
        tokio::spawn(follow(repo.subscribe::<page::Entity>().await?, Arc::clone(&by_dust)));
    }
    plan.compare(
        Case::new(EVENT, "tokio broadcast of the model", scale.rounds, scale.calls(5))
            .aims(&[Aim::Most(Figure::Time(5e6))]),
        async |n| {
            by_peer.left.store(scale.subscribers, Ordering::Release);
            channel.send(page(n)).map_err(|_| "there is no receiver")?;
            by_peer.all.notified().await;
            Ok(())
        },
        async |n| {
            by_dust.left.store(scale.subscribers, Ordering::Release);
            write(&store, n)?;
            by_dust.all.notified().await;
            Ok(())
        },
    )
    .await
}

/// A write that matches no subscription, with one and with many subscribers.
async fn untouched(plan: &mut Plan) -> Result<()> {
    let scale = plan.scale;
    let (alone, among) = (Store::in_memory()?, Store::in_memory()?);
    let quiet = DustRepo::with_store(alone.clone()).transport().op_hub().await?;
    let hub = DustRepo::with_store(among.clone()).transport().op_hub().await?;
    let pattern = |number: usize| Pattern::parse(&format!("entity-{number}/**"));
    // One subscriber, so that the hub has work to do.
    let _one = subscribe(&quiet, &pattern(0)?, 1000);
    let _many = (0..scale.subscribers)
        .map(|number| Ok(subscribe(&hub, &pattern(number)?, 1000)))
        .collect::<Result<Vec<Ops>>>()?;
    plan.compare(
        Case::new(UNTOUCHED, "the same past one subscriber", scale.rounds, scale.calls(1000)).aims(&[Aim::Ratio(1.1)]),
        async |n| write(&alone, n),
        async |n| write(&among, n),
    )
    .await
}

/// A write that concerns one subscription to a record, with its delivery, beside the same with no other subscription;
/// and the memory of the others.
async fn watched_records(plan: &mut Plan) -> Result<()> {
    let scale = plan.scale;
    let (alone, among) = (Store::in_memory()?, Store::in_memory()?);
    let (quiet, repo) = (DustRepo::with_store(alone.clone()), DustRepo::with_store(among.clone()));
    for repo in [&quiet, &repo] {
        repo.insert_many((0..scale.many_records).map(draft)).await?;
    }
    let written = page(scale.many_records / 2).slug;
    let mut only = quiet.subscribe::<page::Entity>().key(&*written).await?;
    begin_to_wait(&mut only)?;

    let before = alloc::live();
    let mut all = Vec::with_capacity(scale.many_records);
    for number in 0..scale.many_records {
        let mut pages = repo.subscribe::<page::Entity>().key(page(number).slug).await?;
        begin_to_wait(&mut pages)?;
        all.push(pages);
    }
    let taken = (alloc::live() - before) as f64 / scale.many_records as f64;
    if plan.wants(IDLE) {
        let peer = Figure::Memory(watch_channels(scale.many_records) as f64 / scale.many_records as f64);
        let row = Row::of(IDLE, "a tokio watch channel for each key", peer, Figure::Memory(taken));
        plan.add(row.aims(&[Aim::Most(Figure::Memory(300.0))]));
    }
    let one = &mut all[scale.many_records / 2];
    plan.compare(
        Case::new(ONE_OF_MANY, "the same with one subscription", scale.rounds, scale.calls(1000))
            .aims(&[Aim::Cpu(5.0)]),
        async |n| {
            write_to(&alone, &written, n)?;
            receive_one(&mut only).await
        },
        async |n| {
            write_to(&among, &written, n)?;
            receive_one(one).await
        },
    )
    .await
}

/// Waits for the next event, without a task.
fn begin_to_wait(pages: &mut Subscription<page::Entity>) -> Result<()> {
    if pages.next().now_or_never().is_some() { Err("a write is one event".into()) } else { Ok(()) }
}

/// Takes the event of a write, and waits for the next.
async fn receive_one(pages: &mut Subscription<page::Entity>) -> Result<()> {
    let Some(Event::Upserted(page)) = pages.next().await else { return Err("a page was written".into()) };
    black_box(page);
    begin_to_wait(pages)
}

/// The memory of a channel for each of a number of keys, and of a receiver of each.
fn watch_channels(keys: usize) -> i64 {
    let before = alloc::live();
    let mut receivers = Vec::with_capacity(keys);
    let mut senders = HashMap::new();
    for number in 0..keys {
        let (sender, receiver) = watch::channel(None::<Arc<page::Model>>);
        senders.insert(page(number).slug, sender);
        receivers.push(receiver);
    }
    let taken = alloc::live() - before;
    drop(black_box((senders, receivers)));
    taken
}

fn write(store: &Store, number: usize) -> Result<()> {
    write_to(store, "dust", number)
}

fn write_to(store: &Store, slug: &str, number: usize) -> Result<()> {
    let page::Model { title, url, note, visits, .. } = page(number);
    let record = json!({"title": title, "url": url, "note": note, "visits": visits});
    let write = Op::set(Path::parse(&format!("pages/{slug}"))?, RawJson::from(record));
    store.write(write, None, &Origin::new("bench", "1"))?;
    Ok(())
}
