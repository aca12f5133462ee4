//! Databases, servers and the leaves to compare.

use std::collections::BTreeMap;
use std::time::Duration;

use dust_emulator::Emulator;
use dust_orm::internals::Mirror;
use dust_orm::realtime::cache::{Cache, Cursor, SqlCache};
use dust_orm::realtime::{SyncClient, SyncClientBuilder, Timing};
use dust_orm::transport::RealtimeTransport;
use dust_orm::{DustErr, Transport};
use dust_protocol::{Entry, Leaf, LeafKind, ListItem, ListRequest, Mutation, Op, Path, Pattern, RawJson, read};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

/// The tables of one test in one database.
pub(crate) struct Db {
    url: String,
    pub(crate) table: String,
    _dir: Option<tempfile::TempDir>,
}

impl Db {
    /// A new connection, like that of another process.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(4).sqlx_logging(false);
        Database::connect(options).await.expect("the database is reached")
    }

    /// The cache, through a connection of its own; its tables may be missing.
    pub(crate) async fn bare_cache(&self) -> SqlCache {
        SqlCache::new(self.connect().await).table(&self.table)
    }

    pub(crate) async fn cache(&self) -> SqlCache {
        let cache = self.bare_cache().await;
        cache.create_if_missing().await.unwrap();
        cache
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.connect().await.execute_unprepared(sql).await.unwrap();
    }

    async fn drop_tables(&self) {
        for table in [self.table.clone(), format!("{}_cursor", self.table)] {
            self.execute(&format!("DROP TABLE IF EXISTS {table}")).await;
        }
    }
}

/// Runs a test on SQLite and on every configured database.
pub(crate) async fn everywhere(name: &str, test: impl AsyncFn(&Db)) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cache.db");
    let table = format!("t_{name}");
    let sqlite = Db { url: format!("sqlite://{}?mode=rwc", file.display()), table: table.clone(), _dir: Some(dir) };
    test(&sqlite).await;
    for variable in ["DUST_TEST_POSTGRES_URL", "DUST_TEST_MYSQL_URL"] {
        if let Ok(url) = std::env::var(variable) {
            let db = Db { url, table: table.clone(), _dir: None };
            db.drop_tables().await;
            test(&db).await;
            db.drop_tables().await;
        }
    }
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

/// A client with a short status interval, as the emulator does not push writes that a test makes outside of the
/// protocol.
pub(crate) fn client(emulator: &Emulator) -> SyncClientBuilder {
    let mut timing = Timing::default();
    timing.status = Duration::from_millis(20);
    timing.grace = Duration::from_millis(1);
    timing.max_pause = Duration::from_millis(50);
    let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).timing(timing);
    builder.base_url(emulator.url())
}

/// Writes as another program.
pub(crate) fn write(emulator: &Emulator, at: &str, op: Mutation) -> u64 {
    let store = emulator.store_handle(&emulator.store()).unwrap();
    store.write(Op::new(path(at), op), None, &dust_store::Origin::new("other", "1")).unwrap().unwrap().store_seq
}

pub(crate) fn set(emulator: &Emulator, at: &str, value: &str) -> u64 {
    write(emulator, at, Mutation::Set(raw(value)))
}

pub(crate) fn compact(emulator: &Emulator) -> u64 {
    emulator.store_handle(&emulator.store()).unwrap().compact().unwrap().unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: impl AsyncFn() -> bool) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the condition holds in time");
}

/// Waits until the mirror has an op, and writes it to the cache.
pub(crate) async fn caught_up(client: &SyncClient, seq: u64) {
    until(async || client.status()[0].seq == seq).await;
    client.flush_cache().await.unwrap();
}

pub(crate) type Leaves = BTreeMap<String, (String, LeafKind, u64)>;

fn leaves(entries: impl IntoIterator<Item = Entry>) -> Leaves {
    entries
        .into_iter()
        .map(|Entry { path, value, kind, revision, .. }| (path.to_string(), (value.to_string(), kind, revision)))
        .collect()
}

/// Every leaf of a transport, as a reader sees it.
pub(crate) async fn listed(transport: &dyn Transport) -> Leaves {
    let mut request = ListRequest::pattern(Pattern::parse("**").unwrap());
    let mut all = Leaves::new();
    loop {
        let page = transport.list(&request).await.unwrap();
        all.extend(leaves(page.items.into_iter().filter_map(ListItem::into_entry)));
        match page.next_cursor {
            Some(next) => request.after = Some(next),
            None => return all,
        }
    }
}

pub(crate) fn of_mirror(mirror: &Mirror) -> Leaves {
    let mut request = ListRequest::pattern(Pattern::parse("**").unwrap());
    let mut all = Leaves::new();
    loop {
        let page = mirror.list(&request).unwrap();
        all.extend(leaves(page.items.into_iter().filter_map(ListItem::into_entry)));
        match page.next_cursor {
            Some(next) => request.after = Some(next),
            None => return all,
        }
    }
}

pub(crate) async fn mirrored(client: &SyncClient) -> Leaves {
    listed(&RealtimeTransport::new(client, &client.status()[0].store).unwrap()).await
}

/// The leaves of the emulator, read outside of the protocol.
pub(crate) async fn stored(emulator: &Emulator) -> Leaves {
    let store = emulator.store_handle(&emulator.store()).unwrap();
    listed(&dust_orm::transport::EmbeddedTransport::new(store)).await
}

pub(crate) async fn try_kept(cache: &SqlCache, store: &str) -> Result<(Option<Cursor>, Vec<Entry>), DustErr> {
    let mut read = cache.read(store).await?;
    let cursor = read.cursor().await?;
    let mut entries = Vec::new();
    loop {
        let page = read.next_leaves().await?;
        if page.is_empty() {
            return Ok((cursor, entries));
        }
        entries.extend(page);
    }
}

/// The content of a cache for a store: its op, and every leaf as a reader sees it.
pub(crate) async fn kept(cache: &SqlCache, store: &str) -> (u64, Leaves) {
    let (cursor, entries) = try_kept(cache, store).await.unwrap();
    assert_eq!(cursor.as_ref().and_then(|cursor| cursor.unfinished.as_deref()), None, "the save is complete");
    let shown = entries
        .into_iter()
        .map(|Entry { path, value, kind, revision, .. }| read::entry(path, Leaf { value, kind, revision }));
    (cursor.map_or(0, |cursor| cursor.seq), leaves(shown))
}
