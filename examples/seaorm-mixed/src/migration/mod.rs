//! SeaORM's migrations for the entities in SQL. Entities in Dust have no schema to migrate.

mod m20260101_000001_create_shop;

use sea_orm_migration::prelude::*;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20260101_000001_create_shop::Migration)]
    }

    /// A table of its own, so that the example can use a database that has migrations already.
    fn migration_table_name() -> DynIden {
        "shop_migrations".into_iden()
    }
}
