//! A cache in a database of the application, through SeaORM.

mod tables;
mod transaction;

use std::fmt;

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use super::{Cache, CacheRead, CacheWrite};
use crate::error::DustErr;
pub(in crate::realtime::cache) use tables::Tables;
use transaction::{Read, Write};

/// Keeps the mirrors of a realtime client in the application's own database: SQLite, PostgreSQL or MySQL.
///
/// ```no_run
/// use dust_orm::realtime::cache::SqlCache;
/// use dust_orm::realtime::SyncClient;
///
/// # async fn example(db: dust_orm::sea_orm::DatabaseConnection) -> Result<(), dust_orm::DustErr> {
/// let cache = SqlCache::new(db);
/// cache.create_if_missing().await?;
/// let client = SyncClient::builder().store("acme/reading").token("dust_tok_…").cache(cache).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// The cache has two tables. `dust_cache` has a row for each leaf: its path, its value as JSON text, its type and its
/// revision. `dust_cache_cursor` has a row for each store, with the position of the leaves in the store's log; while
/// its column `unfinished` is not empty, a client is writing the leaves and they are not the state at any op. Other
/// programs may read the tables. [`clear`](SqlCache::clear) empties both for a store, while no client runs. An
/// application that has migrations adds [`Migration`](super::migration::Migration) to them (feature
/// `cache-sql-migration`) instead of calling [`create_if_missing`](SqlCache::create_if_missing).
///
/// The `sea-orm` features of the application decide which databases are supported. The connection may be the one that
/// the application uses: a change takes one connection of its pool for one transaction, at most several times a second.
/// Clients of several processes may share the tables, also for the same store.
#[derive(Clone)]
pub struct SqlCache {
    db: DatabaseConnection,
    tables: Tables,
}

impl SqlCache {
    /// The default name of the table of leaves. The table of cursors has the same name with `_cursor` appended.
    pub(super) const TABLE: &'static str = "dust_cache";

    /// A cache in the tables `dust_cache` and `dust_cache_cursor` of a database.
    pub fn new(db: DatabaseConnection) -> SqlCache {
        SqlCache { db, tables: Tables::new(SqlCache::TABLE) }
    }

    /// Sets the name of the table of leaves (default: `dust_cache`). The table of cursors has the same
    /// name with `_cursor` appended.
    pub fn table(mut self, table: &str) -> SqlCache {
        self.tables = Tables::new(table);
        self
    }

    /// Creates the tables that do not exist.
    ///
    /// # Errors
    ///
    /// [`Database`](DustErr::Database) if the database is not reached or refuses the statement.
    pub async fn create_if_missing(&self) -> Result<(), DustErr> {
        for statement in self.tables.create(self.backend().await?) {
            self.db.execute(&statement).await?;
        }
        Ok(())
    }

    /// Removes the copy of a store, `org/name`. The next client that starts fetches the whole store.
    ///
    /// # Errors
    ///
    /// [`Database`](DustErr::Database) if the database is not reached or refuses a statement.
    pub async fn clear(&self, store: &str) -> Result<(), DustErr> {
        let transaction = self.begin(false).await?;
        transaction.execute(&self.tables.delete_all_leaves(store)).await?;
        transaction.execute(&self.tables.delete_cursor(store)).await?;
        Ok(transaction.commit().await?)
    }

    /// The kind of the database. The ping comes first, as a closed connection does not know its kind.
    async fn backend(&self) -> Result<DbBackend, DustErr> {
        match self.db.ping().await {
            Ok(()) => Ok(self.db.get_database_backend()),
            Err(error) => {
                Err(DbErr::Custom(format!("the database of the SQL cache cannot be reached: {error}")).into())
            }
        }
    }

    async fn begin(&self, is_read: bool) -> Result<DatabaseTransaction, DustErr> {
        let options = match self.backend().await? {
            // A deferred transaction that reads first fails at its first write if another connection wrote in between.
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: (!is_read).then_some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            _ if is_read => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions::default(),
        };
        Ok(self.db.begin_with_options(options).await?)
    }
}

#[async_trait]
impl Cache for SqlCache {
    async fn read(&self, store: &str) -> Result<Box<dyn CacheRead>, DustErr> {
        let transaction = self.begin(true).await?;
        Ok(Box::new(Read::new(transaction, self.tables.clone(), store)))
    }

    async fn write(&self, store: &str) -> Result<Box<dyn CacheWrite>, DustErr> {
        let transaction = self.begin(false).await?;
        Ok(Box::new(Write::new(transaction, self.tables.clone(), store)))
    }
}

impl fmt::Debug for SqlCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlCache").field("tables", &self.tables).finish_non_exhaustive()
    }
}
