//! dust-orm over HTTP beside a hand-written client that makes the same requests, in one process and one run, on an emulator:
//! `cargo bench -p bench --bench http`.
//!
//! Both take turns, round by round; a row is the median of the rounds. CPU is that of the whole process, the emulator's
//! included, which is the same for both: what differs is the client.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

mod by_hand;
mod cost;
mod page;

use by_hand::ByHand;
use cost::{Row, measure};
use dust_emulator::Emulator;
use dust_orm::entity::prelude::*;
use dust_orm::{DustConfig, DustRepo};
use page::page;

const ROUNDS: usize = 21;
const RECORDS: usize = 10_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run())
}

async fn run() -> Result<()> {
    // The hand-written client wants one, though it will not speak TLS.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a provider was installed before")?;
    let emulator = Emulator::start().await?;
    let by_hand = ByHand::new(&emulator.url(), &emulator.store(), emulator.token())?;
    let config =
        DustConfig::builder().base_url(emulator.url()).store(emulator.store()).token(emulator.token()).build()?;
    let repo = DustRepo::connect(config)?;
    repo.insert_many((0..RECORDS).map(|number| page(number).into_active_model().reset_all())).await?;
    assert_eq!(by_hand.all().await?, repo.all::<page::Entity>().await?);

    let [mut get, mut insert, mut puts, mut update, mut all] = std::array::from_fn(|_| Row::default());
    for round in 0..ROUNDS {
        let slug = format!("page-{:05}", round * 400);
        measure!(get.by_hand, 200, |_n| by_hand.get(&slug).await?);
        measure!(get.orm, 200, |_n| repo.get::<page::Entity>(slug.as_str()).await?);

        let new = |number: usize| page(RECORDS + number);
        measure!(insert.by_hand, 100, |n| by_hand.insert(&new(n)).await?);
        measure!(insert.orm, 100, |n| repo.insert(new(n).into_active_model().reset_all()).await?);
        measure!(puts.by_hand, 50, |n| by_hand.insert_by_puts(&new(n)).await?);
        measure!(puts.orm, 50, |n| repo.insert(new(n).into_active_model().reset_all()).await?);

        measure!(update.by_hand, 50, |n| {
            let (_, revision) = by_hand.get(&slug).await?;
            by_hand.set_title(&slug, &format!("title {n}"), revision).await?
        });
        measure!(update.orm, 50, |n| {
            let seen = repo.find_versioned::<page::Entity>(slug.as_str()).await?.ok_or("gone")?;
            let mut edit = seen.model.into_active_model();
            edit.title = Set(format!("title {n}"));
            repo.update(edit).if_match(&seen.revision).await?
        });

        measure!(all.by_hand, 1, |_n| by_hand.all().await?);
        measure!(all.orm, 1, |_n| repo.all::<page::Entity>().await?);
    }

    Row::print_header(ROUNDS);
    get.print("get");
    insert.print("insert, 4 fields");
    puts.print("insert, beside 4 PUTs");
    update.print("read and update with CAS");
    all.print("all of 10,000");
    emulator.stop().await;
    Ok(())
}
