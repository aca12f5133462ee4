//! SeaORM's migrations: for what lives in SQL. What lives in Dust has no schema to migrate.

mod m20260101_000001_create_shop;

use sea_orm_migration::prelude::*;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20260101_000001_create_shop::Migration)]
    }

    /// A table of its own, so that the example can be pointed at a database that has migrations already.
    fn migration_table_name() -> DynIden {
        "shop_migrations".into_iden()
    }
}
