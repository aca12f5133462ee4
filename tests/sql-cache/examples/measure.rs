//! What the cache costs and gives, over 25,000 records of four fields on SQLite:
//! `cargo run --release -p sql-cache --example measure`.
//!
//! The server is in this process, and each client in one of its own, so that its memory can be told.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub, reason = "a tool for the workspace")]

use std::hint::black_box;
use std::path::Path as FilePath;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use dust_emulator::Emulator;
use dust_orm::DustRepo;
use dust_orm::cache::SqlCache;
use dust_orm::entity::prelude::*;
use dust_orm::sync::{SyncClient, SyncClientBuilder};
use dust_orm::transport::RealtimeTransport;
use sea_orm::{ConnectOptions, Database};

const RECORDS: usize = 25_000;

/// A key and four fields.
mod page {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "pages")]
    #[dust(prefix = "pages")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        pub title: String,
        pub url: String,
        pub note: Option<String>,
        pub hits: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn page(number: usize) -> page::Model {
    page::Model {
        slug: format!("page-{number:05}"),
        title: format!("The title of page {number}"),
        url: format!("https://example.com/pages/{number}"),
        note: Some("a note of ordinary length".to_owned()),
        hits: i64::try_from(number).unwrap(),
    }
}

/// A line of `/proc/self/status`, in bytes.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

async fn database(file: &FilePath) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(2).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn cache(file: &FilePath) -> SqlCache {
    let cache = SqlCache::new(database(file).await);
    cache.create_if_missing().await.unwrap();
    cache
}

/// Starts a client, waits until its cache has everything, and says how long that took and what it needed.
async fn child(builder: SyncClientBuilder, file: Option<&FilePath>, payload: f64) {
    let builder = match file {
        Some(file) => builder.cache(cache(file).await),
        None => builder,
    };
    let before = memory("VmRSS");
    let began = Instant::now();
    let client = builder.start().await.unwrap();
    let started = began.elapsed();
    client.flush_cache().await.unwrap();
    let flushed = began.elapsed();
    let status = &client.status()[0];
    let peak = (memory("VmHWM") - before) / payload;
    let per_leaf = (memory("VmRSS") - before) / status.leaves as f64;
    println!(
        "started {started:>8.0?}  in the cache {flushed:>8.0?}  peak {peak:4.1}x the payload  {per_leaf:4.0} B per leaf now  {} leaves",
        status.leaves
    );
    client.shutdown().await;
}

/// The median of nine rounds, per call.
async fn timed(name: &str, calls: u32, call: impl AsyncFn(usize)) {
    let mut rounds = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        for index in 0..calls {
            call((index as usize * 7919) % RECORDS).await;
        }
        rounds.push(began.elapsed() / calls);
    }
    rounds.sort();
    println!("{name:<44} {:?}", rounds[4]);
}

async fn reads(builder: SyncClientBuilder, store: &str, file: &FilePath) {
    let client = builder.cache(cache(file).await).start().await.unwrap();
    let repo = DustRepo::with_transport(Arc::new(RealtimeTransport::new(&client, store).unwrap()));
    timed("get of a four-field record from the mirror", 20_000, async |index| {
        let found = repo.find_by_id::<page::Entity>(&format!("page-{index:05}")).await.unwrap();
        assert!(black_box(found).is_some());
    })
    .await;

    // The same records as rows of their own.
    let db = database(&file.with_extension("rows")).await;
    db.execute_unprepared("CREATE TABLE pages (slug text PRIMARY KEY, title text, url text, note text, hits bigint)")
        .await
        .unwrap();
    let models: Vec<page::ActiveModel> = (0..RECORDS).map(|number| page(number).into_active_model()).collect();
    for chunk in models.chunks(1000) {
        page::Entity::insert_many(chunk.to_vec()).exec_without_returning(&db).await.unwrap();
    }
    let pool = db.get_sqlite_connection_pool();
    timed("a row by sqlx, SQLite", 5_000, async |index| {
        let query = sea_orm::sqlx::query("SELECT slug, title, url, note, hits FROM pages WHERE slug = ?");
        let row = query.bind(format!("page-{index:05}")).fetch_one(pool).await.unwrap();
        use sea_orm::sqlx::Row;
        let read = |column: usize| row.get::<String, _>(column);
        black_box((read(0), read(1), read(2), read(3), row.get::<i64, _>(4)));
    })
    .await;
    timed("all of 25,000 records from the mirror", 5, async |_| {
        let all = repo.all::<page::Entity>().await.unwrap();
        assert_eq!(black_box(all).len(), RECORDS);
    })
    .await;
    client.shutdown().await;
}

fn run(what: &str, emulator: &Emulator, url: &str, file: &FilePath, payload: usize) {
    println!("{what}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", url, emulator.token(), &emulator.store(), file.to_str().unwrap(), &payload.to_string()])
        .output()
        .unwrap();
    print!("    {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, _, url, token, store, file, payload] = args.as_slice() {
        let builder = SyncClient::builder().store(store).token(token).base_url(url);
        let file = (!file.is_empty()).then(|| FilePath::new(file));
        return child(builder, file, payload.parse().unwrap()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let mut emulator = Emulator::start().await.unwrap();
    let mut seed = serde_json::Map::new();
    let mut payload = 0;
    for number in 0..RECORDS {
        let mut record = serde_json::to_value(page(number)).unwrap();
        let record = record.as_object_mut().map(std::mem::take).unwrap();
        let slug = record["slug"].as_str().unwrap().to_owned();
        let fields: serde_json::Map<_, _> = record.into_iter().filter(|(name, _)| name != "slug").collect();
        payload +=
            fields.iter().map(|(name, value)| 7 + slug.len() + name.len() + value.to_string().len()).sum::<usize>();
        seed.insert(format!("pages/{slug}"), fields.into());
    }
    emulator.import(&emulator.store(), &serde_json::Value::from(seed).to_string()).unwrap();
    println!("payload {payload} bytes in {} leaves", RECORDS * 4);

    let url = emulator.url();
    run("cold start by catch-up, in memory only", &emulator, &url, FilePath::new(""), payload);
    run("cold start by catch-up, into SQLite", &emulator, &url, &file("a.db"), payload);
    emulator.store_handle(&emulator.store()).unwrap().compact().unwrap();
    run("cold start by snapshot, in memory only", &emulator, &url, FilePath::new(""), payload);
    run("cold start by snapshot, into SQLite", &emulator, &url, &file("b.db"), payload);
    run("restart", &emulator, &url, &file("a.db"), payload);
    let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(&url);
    reads(builder, &emulator.store(), &file("a.db")).await;
    emulator.go_down().await;
    run("restart without a server", &emulator, &url, &file("a.db"), payload);
}
