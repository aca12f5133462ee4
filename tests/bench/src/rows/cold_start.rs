//! The start of a realtime client: the time until its mirror is complete, and its memory.

use std::collections::HashMap;
use std::path::Path;

use dust_orm::realtime::SyncClient;
use dust_orm::realtime::cache::SqlCache;

use crate::entities::page::{self, LEAVES, page};
use crate::measure::{Meter, Turns};
use crate::peers::{Socket, sqlite};
use crate::plan::Plan;
use crate::server::{STORE, Server};
use crate::table::{Aim, Figure, Row};
use crate::{Result, alloc};

const IN_MEMORY: &str = "100,000 leaves, in memory";
const INTO_SQLITE: &str = "100,000 leaves, into SQLite";
const RESTART: &str = "again, from SQLite";
const RECORD: &str = "memory of a record of four leaves";
const PEAK: &str = "the most memory of a start, in memory";

const CATCH_UP: &str = "bare WebSocket, nothing kept";
const TWO_SECONDS: &[Aim] = &[Aim::Most(Figure::Time(2e9))];

pub async fn rows(plan: &mut Plan) -> Result<()> {
    plan.group("cold start");
    if !plan.wants_any(&[IN_MEMORY, INTO_SQLITE, RESTART, RECORD, PEAK]) {
        return Ok(());
    }
    let scale = plan.scale;
    let server = Server::twins(&page::seed(0..scale.cold_records)).await?;
    let directory = tempfile::tempdir()?;
    let file = |round: usize| directory.path().join(format!("cache-{round}.db"));

    for what in [IN_MEMORY, INTO_SQLITE, RESTART] {
        if !plan.wants(what) {
            continue;
        }
        let mut turns = Turns::default();
        for round in 0..scale.few_rounds {
            let meter = Meter::start();
            drop(Socket::join(&server, STORE).await?);
            let peer = meter.stop(1);
            let builder = server.client(STORE);
            let builder = match what {
                IN_MEMORY => builder,
                INTO_SQLITE => builder.cache(cache(&file(round)).await?),
                _ => {
                    // The cache is complete from an earlier run.
                    let filled = server.client(STORE).cache(cache(&file(0)).await?).start().await?;
                    filled.flush_cache().await?;
                    filled.shutdown().await;
                    builder.cache(cache(&file(0)).await?)
                }
            };
            let meter = Meter::start();
            let client = builder.start().await?;
            client.flush_cache().await?;
            turns.push(peer, meter.stop(1));
            check(&client, scale.cold_records)?;
            client.shutdown().await;
        }
        let row = Row::of_time(what, CATCH_UP, turns.medians());
        plan.add(if what == IN_MEMORY { row } else { row.on_many_threads() }.aims(TWO_SECONDS));
    }
    if plan.wants_any(&[RECORD, PEAK]) {
        memory(plan, &server).await?;
    }
    Ok(())
}

async fn memory(plan: &mut Plan, server: &Server) -> Result<()> {
    let records = plan.scale.cold_records;
    let before = alloc::live();
    let models: HashMap<String, page::Model> = (0..records).map(page).map(|page| (page.slug.clone(), page)).collect();
    let of_models = (alloc::live() - before) as f64;
    drop(models);

    let before = alloc::live();
    alloc::reset_peak();
    let client = server.client(STORE).start().await?;
    let (of_mirror, at_most) = ((alloc::live() - before) as f64, (alloc::peak() - before) as f64);
    check(&client, records)?;
    client.shutdown().await;

    let each = |whole: f64| Figure::Memory(whole / records as f64);
    if plan.wants(RECORD) {
        plan.add(Row::of(RECORD, "HashMap of ready models", each(of_models), each(of_mirror)));
    }
    if plan.wants(PEAK) {
        plan.add(Row::of(PEAK, "the mirror at rest", Figure::Memory(of_mirror), Figure::Memory(at_most)));
    }
    Ok(())
}

fn check(client: &SyncClient, records: usize) -> Result<()> {
    let leaves: usize = client.status().iter().map(|store| store.leaves).sum();
    if leaves != records * LEAVES {
        return Err(format!("the mirror has {leaves} leaves of {}", records * LEAVES).into());
    }
    Ok(())
}

async fn cache(file: &Path) -> Result<SqlCache> {
    let cache = SqlCache::new(sqlite(Some(file)).await?);
    cache.create_if_missing().await?;
    Ok(cache)
}
