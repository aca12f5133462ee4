//! A persistent copy of the realtime client's mirror.
//!
//! A [`SyncClient`](crate::realtime::SyncClient) reads from its memory. With a [`Cache`] it also writes its mirror to a
//! database, and starts from that copy: reads work at once, even without a connection, and the server sends only the
//! ops since the copy.
//!
//! Neither the socket nor a reader waits for a cache. The client writes to it in the background, and after a failure
//! writes the missed changes later. The leaves and their [`Cursor`], which names the last op in them, are committed in
//! one transaction: when a process ends, the cache is the exact state of the store at some recent op.
//!
//! A large mirror is written in several transactions of bounded size, so that other users of the database wait for one
//! of them at most. Each but the last stores a cursor that is [`unfinished`](Cursor::unfinished): if the process ends
//! in between, no client uses the cache.
//!
//! `SqlCache` (feature `cache-sql`) keeps a mirror in the application's own database.

#[cfg(feature = "cache-sql-migration")]
mod migration;
#[cfg(feature = "cache-sql")]
mod sql;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{Entry, Path};

use crate::error::DustErr;

#[cfg(feature = "cache-sql-migration")]
pub use migration::Migration;
#[cfg(feature = "cache-sql")]
pub use sql::SqlCache;

/// Persistent storage for mirrors.
///
/// Several clients, also of several processes, may use one cache for the same store. They compare their
/// [`Cursor`]s; a cache only has to isolate the transactions of the writers of a store.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Starts to read the copy of a store, `org/name`, as one consistent snapshot.
    ///
    /// # Errors
    ///
    /// [`start`](crate::realtime::SyncClientBuilder::start) returns the error, so it names the configuration that is
    /// wrong and says how to correct it.
    async fn read(&self, store: &str) -> Result<Box<dyn CacheRead>, DustErr>;

    /// Starts a transaction that changes the copy of a store, `org/name`. Other writers of the same store wait, or fail
    /// and try again.
    ///
    /// # Errors
    ///
    /// The client logs the error and tries again later.
    async fn write(&self, store: &str) -> Result<Box<dyn CacheWrite>, DustErr>;
}

/// A consistent read of the copy of one store in a [`Cache`].
#[async_trait]
pub trait CacheRead: Send {
    /// The cursor of the copy; `None` if the cache has no copy of the store.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// The next leaves, in any order; empty at the end. Envelopes are as they were written.
    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr>;
}

/// A transaction that changes the copy of one store in a [`Cache`]. [`commit`](CacheWrite::commit) applies all changes;
/// dropping the transaction before that applies none.
#[async_trait]
pub trait CacheWrite: Send {
    /// The cursor of the copy, which no other writer changes until this transaction ends. `None` if the cache has no
    /// copy of the store.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// Removes up to `at_most` leaves, in any order. Returns true if more are left.
    async fn clear(&mut self, at_most: usize) -> Result<bool, DustErr>;

    /// Inserts or replaces the leaves `set`, and removes the leaves at the paths `removed`. No path occurs twice.
    async fn change(&mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<(), DustErr>;

    /// Stores the cursor and commits the transaction.
    async fn commit(self: Box<Self>, cursor: Cursor) -> Result<(), DustErr>;
}

/// The position in a store's log of the leaves in a [`Cache`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The base URL of the store's server. The same name on another server is another store.
    pub server: String,
    /// The `store_seq` of the last op in the leaves.
    pub seq: u64,
    /// The `client_op_id` of that op, if it is known. A client compares it with the store's when it connects: a store
    /// that was restored from a backup and has grown since has another op with that number.
    pub last_op_id: Option<Arc<str>>,
    /// The largest revision that may be higher than the server's.
    pub inexact_through: u64,
    /// The mark of a client that writes the leaves in several transactions and has not committed the last one: the
    /// leaves are not the state of the store at any op, and no client reads them. `None` if they are complete.
    pub unfinished: Option<Arc<str>>,
}

impl Cursor {
    /// A cursor of complete leaves at the op `seq`, whose id is unknown.
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
