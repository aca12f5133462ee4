//! The tables of [`SqlCache`] as a migration of `sea-orm-migration`.

use sea_orm::ConnectionTrait;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use super::sql::Tables;
use crate::realtime::cache::SqlCache;

/// Creates the tables of a [`SqlCache`]: `dust_cache` and `dust_cache_cursor`.
///
/// Add it to the application's own migrations, anywhere in their order; it depends on none of them.
///
/// ```
/// use dust_orm::realtime::cache::Migration;
/// use sea_orm_migration::{MigrationTrait, MigratorTrait};
///
/// struct Migrator;
///
/// impl MigratorTrait for Migrator {
///     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
///         vec![Box::new(Migration::default())]
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Migration {
    table: String,
    name: String,
}

impl Default for Migration {
    fn default() -> Migration {
        Migration::for_table(SqlCache::TABLE)
    }
}

impl Migration {
    /// The migration of a cache with another [`table`](SqlCache::table).
    pub fn for_table(table: impl Into<String>) -> Migration {
        let table = table.into();
        Migration { name: format!("m0001_create_{table}"), table }
    }
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), sea_orm::DbErr> {
        let connection = manager.get_connection();
        for statement in Tables::new(&self.table).create(connection.get_database_backend()) {
            connection.execute(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), sea_orm::DbErr> {
        for statement in Tables::new(&self.table).drop() {
            manager.get_connection().execute(&statement).await?;
        }
        Ok(())
    }
}
