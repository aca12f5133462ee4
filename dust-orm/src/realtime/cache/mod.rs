//! Caches: mirrors of the realtime client that outlast a restart.
//!
//! A [`SyncClient`](crate::realtime::SyncClient) reads from its memory. With a [`Cache`] it also writes its mirrors in
//! the background, and loads them when it is started again: reads work at once, even without a connection, and the
//! server sends only later ops.
//!
//! Neither the socket nor a reader waits for a cache, and the writes to a cache that fails are retried. Leaves are
//! committed together with a [`Cursor`], which names the last op in them. So a cache is exact whenever a process ends,
//! and behind by about 100 ms.
//!
//! A large mirror is written in several transactions of bounded size, so that other users of the database do not wait
//! for all of it. Each but the last leaves a cursor that is [`unfinished`](Cursor::unfinished): if the process ends in
//! between, no client uses the cache.
//!
//! `SqlCache` (feature `cache-sql`) keeps a mirror in the application's own database.

#[cfg(feature = "cache-sql-migration")]
pub mod migration;
#[cfg(feature = "cache-sql")]
mod sql;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{Entry, Path};

use crate::error::DustErr;

#[cfg(feature = "cache-sql")]
pub use sql::SqlCache;

/// A storage of mirrors that outlasts a restart.
///
/// Several clients, of several processes too, may use one cache for the same store. They compare their positions by the
/// [`Cursor`]; a cache only has to isolate the transactions of two writers of one store.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Begins to read the content of a store, as of one moment.
    ///
    /// # Errors
    ///
    /// [`start`](crate::realtime::SyncClientBuilder::start) returns the error, so it names the fault of the
    /// configuration and its remedy.
    async fn read(&self, store: &str) -> Result<Box<dyn CacheRead>, DustErr>;

    /// Begins a transaction that changes the content of a store. Other writers of the same store wait, or fail and
    /// retry.
    async fn write(&self, store: &str) -> Result<Box<dyn CacheWrite>, DustErr>;
}

/// A read of a store's content in a [`Cache`].
#[async_trait]
pub trait CacheRead: Send {
    /// The cursor of the content; `None` without content.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// The next leaves, in any order; none at the end. Envelopes are returned as they were written.
    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr>;
}

/// A transaction that changes a store's content in a [`Cache`]. [`commit`](CacheWrite::commit) applies all changes; a
/// drop without it applies none.
#[async_trait]
pub trait CacheWrite: Send {
    /// The cursor of the content before the transaction; `None` without content. No other writer changes it until the
    /// end of the transaction.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// Removes any leaves, `at_most` at a time. True if leaves are left.
    async fn clear(&mut self, at_most: usize) -> Result<bool, DustErr>;

    /// Writes the leaves of `set`, replacing those at the same paths, and removes the leaves at `removed`. No path
    /// occurs twice.
    async fn change(&mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<(), DustErr>;

    /// Applies the changes, and sets the cursor of the content.
    async fn commit(self: Box<Self>, cursor: Cursor) -> Result<(), DustErr>;
}

/// The position of the leaves in a [`Cache`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The address of the server. The same name on another server is another store.
    pub server: String,
    /// The `store_seq` of the last op.
    pub seq: u64,
    /// The `client_op_id` of that op, if it is known. A client compares it with the store's when it connects: a store
    /// that was restored from a backup, and has grown since, has another op of that number.
    pub last_op_id: Option<Arc<str>>,
    /// The last `store_seq` through which revisions may be too high; see
    /// [`Mirror::inexact_through`](crate::realtime::Mirror::inexact_through).
    pub inexact_through: u64,
    /// The mark of a client that writes the leaves in several transactions, before the last one: the leaves are the
    /// state at no op, and no client reads them. `None` in all other cases.
    pub unfinished: Option<Arc<str>>,
}

impl Cursor {
    /// The cursor of leaves that are the state of a server's store at the op `seq`, without an id of that op.
    ///
    /// ```
    /// use dust_orm::realtime::cache::Cursor;
    ///
    /// let mut cursor = Cursor::new("https://dustlayer.io", 7);
    /// cursor.last_op_id = Some("laptop-7".into());
    /// assert_eq!(cursor.unfinished, None);
    /// ```
    pub fn new(server: impl Into<String>, seq: u64) -> Cursor {
        Cursor { server: server.into(), seq, last_op_id: None, inexact_through: 0, unfinished: None }
    }
}
