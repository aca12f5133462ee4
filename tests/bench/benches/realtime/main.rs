//! The realtime client with its mirror in memory, on an emulator in the same process:
//! `cargo bench -p bench --bench realtime`.
//!
//! Reads take no network, and stand by themselves. Writes, one after the other, take turns with those of a bare WebSocket
//! that sends frames made before to a store of its own, of the same size, and waits for the reply and the event of each; a
//! row is the median of the rounds. CPU is that of the whole process, the emulator's included, which is the same for both:
//! what differs is the client. On one thread nothing runs at once with anything else, so that the wall clock tells the work;
//! on two, the hand-over between threads is in it.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

mod bare;
#[path = "../http/cost.rs"]
mod cost;
#[path = "../http/page.rs"]
mod page;

use std::hint::black_box;

use bare::{Bare, Frame};
use cost::{Cost, Row, measure, median};
use dust_emulator::Emulator;
use dust_orm::DustRepo;
use dust_orm::entity::prelude::*;
use dust_orm::protocol::{Op, Path, RawJson, Write};
use dust_orm::sync::SyncClient;
use dust_orm::transport::{RealtimeTransport, Transport};
use page::page;
use serde_json::{Map, json};
use tokio::runtime::Builder;

const ROUNDS: usize = 21;
const RECORDS: usize = 10_000;
const READS: usize = 20_000;
const WRITES: usize = 200;

/// The store of dust-orm, and that of the bare client.
const STORE: &str = "local/orm";
const OTHER: &str = "local/bare";

const NONE_LEFT: &str = "a frame is made for each write";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let one_thread = Builder::new_current_thread().enable_all().build()?;
    one_thread.block_on(reads())?;
    // Writes are made by a task, as in an application; what is blocked on runs apart from tasks, on two threads in a third.
    println!("\nwrites, acknowledged and in the mirror, on one thread");
    one_thread.block_on(async { tokio::spawn(writes()).await? })?;
    drop(one_thread);
    println!("\nthe same on two threads");
    let two_threads = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    two_threads.block_on(async { tokio::spawn(writes()).await? })
}

/// An emulator whose two stores hold the same records, and a client of one of them.
async fn start() -> Result<(Emulator, SyncClient)> {
    let records: Map<_, _> = (0..RECORDS)
        .map(page)
        .map(|page| {
            let fields = json!({"title": page.title, "url": page.url, "note": page.note, "visits": page.visits});
            (format!("pages/{}", page.slug), fields)
        })
        .collect();
    let records = serde_json::to_string(&records)?;
    let emulator = Emulator::builder().seed(STORE, &records).seed(OTHER, &records).start().await?;
    let client = SyncClient::builder().store(STORE).token(emulator.token()).base_url(emulator.url());
    let client = client.device_id("orm").start().await?;
    Ok((emulator, client))
}

async fn reads() -> Result<()> {
    let (emulator, client) = start().await?;
    let repo = DustRepo::with_client(&client, STORE)?;
    assert_eq!(repo.all::<page::Entity>().await?, (0..RECORDS).map(page).collect::<Vec<_>>());

    let slugs: Vec<String> = (0..READS).map(|number| page((number * 7919) % RECORDS).slug).collect();
    let [mut get, mut find, mut missing, mut all] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        measure!(get, READS, |n| black_box(repo.get::<page::Entity>(slugs[n].as_str()).await?));
        measure!(find, READS, |n| black_box(repo.find_by_id::<page::Entity>(slugs[n].as_str()).await?));
        measure!(missing, READS, |_n| black_box(repo.find_by_id::<page::Entity>("page-none").await?));
        measure!(all, 1, |_n| black_box(repo.all::<page::Entity>().await?));
    }

    println!("\nreads from the mirror, medians of {ROUNDS} rounds");
    let print = |name: &str, costs: &[Cost]| println!("{name:<32} {:>9.2} µs", median(costs, |cost| cost.wall));
    print("get, 4 fields", &get);
    print("find_by_id, 4 fields", &find);
    print("find_by_id, missing", &missing);
    print("all of 10,000", &all);
    client.shutdown().await;
    emulator.stop().await;
    Ok(())
}

async fn writes() -> Result<()> {
    let (emulator, client) = start().await?;
    let repo = DustRepo::with_client(&client, STORE)?;
    let transport = RealtimeTransport::new(&client, STORE)?;
    let mut bare = Bare::join(&emulator, OTHER).await?;

    let [mut set, mut update, mut insert] = std::array::from_fn(|_| Row::default());
    for round in 0..ROUNDS {
        let old = |number: usize| page((round * WRITES + number) % RECORDS);
        let title = |number: usize| format!("title {number} of round {round}");
        let sets = |bare: &mut Bare| -> Result<Vec<Frame>> {
            (0..WRITES).map(|n| bare.set_title(&old(n).slug, &title(n))).collect()
        };

        let mut frames = sets(&mut bare)?.into_iter();
        measure!(set.by_hand, WRITES, |_n| bare.write(frames.next().ok_or(NONE_LEFT)?).await?);
        let paths = (0..WRITES).map(|n| Path::parse(&format!("pages/{}/title", old(n).slug)));
        let paths = paths.collect::<std::result::Result<Vec<_>, _>>()?;
        measure!(set.orm, WRITES, |n| {
            let value = RawJson::from(json!(title(n)));
            transport.write(Write::new(paths[n].clone(), Op::Set(value))).await?
        });

        let mut frames = sets(&mut bare)?.into_iter();
        measure!(update.by_hand, WRITES, |_n| bare.write(frames.next().ok_or(NONE_LEFT)?).await?);
        measure!(update.orm, WRITES, |n| {
            let mut edit = old(n).into_active_model();
            edit.title = Set(title(n));
            repo.update(edit).await?
        });

        let new = |number: usize| page(RECORDS + round * WRITES + number);
        let mut frames = (0..WRITES).map(|n| bare.insert(&new(n))).collect::<Result<Vec<_>>>()?.into_iter();
        measure!(insert.by_hand, WRITES, |_n| bare.write(frames.next().ok_or(NONE_LEFT)?).await?);
        measure!(insert.orm, WRITES, |n| repo.insert(new(n).into_active_model().reset_all()).await?);
    }
    assert_eq!(emulator.export(STORE)?, emulator.export(OTHER)?, "both have written the same");

    Row::print_header(ROUNDS);
    set.print("set of a leaf, by the transport");
    update.print("update of one field");
    insert.print("insert, 4 fields");
    client.shutdown().await;
    emulator.stop().await;
    Ok(())
}
