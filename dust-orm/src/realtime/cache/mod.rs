//! Keeping the mirror of the realtime client across restarts.
//!
//! A [`SyncClient`](crate::realtime::SyncClient) reads from its memory. With a [`Cache`] it also writes what it mirrors to
//! the side, and begins with that when it is started again: reads work at once, even while there is no connection, and the
//! server sends only what was written since.
//!
//! Writing is behind: neither the socket nor a reader waits for a cache, and one that fails for a while is caught up with
//! later. Leaves and the [`Cursor`] that says which op they are as of are committed together, so that a cache is exact
//! whenever a process ends, and old by a moment at the most.
//!
//! A large mirror is written in several transactions of bounded size, so that other users of the database do not wait
//! for all of it. Each but the last leaves a cursor that is [`unfinished`](Cursor::unfinished): a process that ends in
//! between leaves a cache that no client uses.
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

/// A place where mirrors are kept across restarts.
///
/// Several clients, of several processes too, may use one for the same store. Which of them is ahead they find out by the
/// [`Cursor`]; a cache only has to keep one writer of a store from seeing half of what another does.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync + 'static {
    /// Reads what is kept of a store, all as of one moment. An error is one of [`start`](crate::realtime::SyncClientBuilder::start),
    /// so it says what is wrong with the configuration, and the way out.
    async fn read(&self, store: &str) -> Result<Box<dyn CacheRead>, DustErr>;

    /// Begins to change what is kept of a store. Other writers of the same store wait, or fail and try again.
    async fn write(&self, store: &str) -> Result<Box<dyn CacheWrite>, DustErr>;
}

/// One look at what a [`Cache`] keeps of a store.
#[async_trait]
pub trait CacheRead: Send {
    /// As of which op it is; `None` when nothing is kept.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// The next leaves, in any order; none at the end. Envelopes are as they were written.
    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr>;
}

/// One transaction that changes what a [`Cache`] keeps of a store: all of it happens at
/// [`commit`](CacheWrite::commit), and nothing when it is dropped before.
#[async_trait]
pub trait CacheWrite: Send {
    /// As of which op it is kept so far; no other writer moves it from now on. `None` when nothing is kept.
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr>;

    /// Removes leaves, whichever and no more than `at_most`, and answers if there are more.
    async fn clear(&mut self, at_most: usize) -> Result<bool, DustErr>;

    /// Writes some leaves, in place of those at the same paths, and removes others. No path occurs twice.
    async fn change(&mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<(), DustErr>;

    /// Makes it last, and says what the leaves are as of.
    async fn commit(self: Box<Self>, cursor: Cursor) -> Result<(), DustErr>;
}

/// What the leaves in a [`Cache`] are as of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The address of the server the store is on. The same name on another server is another store.
    pub server: String,
    /// The `store_seq` of the last op.
    pub seq: u64,
    /// The `client_op_id` of that op, where it is known. A client compares it with the store's when it connects: a store that
    /// was restored from a backup, and has grown since, has another op of that number.
    pub last_op_id: Option<Arc<str>>,
    /// Up to which `store_seq` revisions may be too high; see [`Mirror::inexact_through`](crate::realtime::Mirror::inexact_through).
    pub inexact_through: u64,
    /// The mark of a client that writes the leaves in several transactions, and has not come to the last one: the
    /// leaves are the state at no op, and no client reads them. `None` in all other cases.
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
