//! Errors of the start, and the creation of the tables.

use dust_emulator::Emulator;
use dust_orm::DustErr;
use dust_orm::error::ErrKind;
use dust_orm::realtime::cache::{Migration, SqlCache};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::support::*;

async fn refused(emulator: &Emulator, cache: SqlCache) -> (ErrKind, String) {
    let error: DustErr = client(emulator).cache(cache).start().await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn disconnected_connection_is_error_of_start() {
    let emulator = Emulator::start().await.unwrap();
    let (kind, text) = refused(&emulator, SqlCache::new(DatabaseConnection::default())).await;
    assert!(kind == ErrKind::Database && text.contains("the database of the SQL cache cannot be reached"), "{text}");
    let cache = SqlCache::new(DatabaseConnection::default());
    assert!(cache.create_if_missing().await.is_err() && cache.clear("a/b").await.is_err());
    everywhere("closed", async |db| {
        let connection = db.connect().await;
        connection.close_by_ref().await.unwrap();
        let (_, text) = refused(&emulator, SqlCache::new(connection)).await;
        assert!(text.contains("cannot be reached"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn missing_tables_are_error_of_start() {
    everywhere("missing", async |db| {
        let emulator = Emulator::start().await.unwrap();
        let (kind, text) = refused(&emulator, db.bare_cache().await).await;
        assert_eq!(kind, ErrKind::InvalidParams);
        for part in [&db.table, "create_if_missing", "realtime::cache::Migration"] {
            assert!(text.contains(part), "{text}");
        }
        db.cache().await;
        let _client = client(&emulator).cache(db.cache().await).start().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn cache_of_other_server_is_error_of_start() {
    everywhere("other_server", async |db| {
        let (emulator, other) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
        client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
        let (kind, text) = refused(&other, db.cache().await).await;
        assert_eq!(kind, ErrKind::InvalidParams);
        for part in [&emulator.address().to_string(), &other.address().to_string(), "SqlCache::clear", "table"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains(other.token()) && !text.contains(emulator.token()));
        db.cache().await.clear(&emulator.store()).await.unwrap();
        let _client = client(&other).cache(db.cache().await).start().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn malformed_rows_are_error_of_start() {
    everywhere("strange", async |db| {
        let emulator = Emulator::start().await.unwrap();
        set(&emulator, "p", "1");
        for change in ["value = '{'", "path = 'a//b'", "path = ''"] {
            client(&emulator).cache(db.cache().await).start().await.unwrap().shutdown().await;
            db.execute(&format!("UPDATE {} SET {change}", db.table)).await;
            let (kind, text) = refused(&emulator, db.cache().await).await;
            assert!(kind == ErrKind::InvalidParams && text.contains("SqlCache::clear"), "{text}");
            db.cache().await.clear(&emulator.store()).await.unwrap();
        }
    })
    .await;
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Migration::for_table("t_migrated")), Box::new(Migration::for_table("t_migrated_too"))]
    }

    fn migration_table_name() -> sea_orm::DynIden {
        sea_orm::sea_query::Alias::new("t_migrated_migrations").into()
    }
}

#[tokio::test]
async fn migration_creates_and_drops_tables() {
    everywhere("migrated", async |db| {
        let connection = db.connect().await;
        Migrator::up(&connection, None).await.unwrap();
        Migrator::up(&connection, None).await.unwrap();
        let emulator = Emulator::start().await.unwrap();
        set(&emulator, "p", "1");
        client(&emulator).cache(db.bare_cache().await).start().await.unwrap().shutdown().await;
        assert_eq!(kept(&db.bare_cache().await, &emulator.store()).await.0, 1);
        let tables =
            ["t_migrated", "t_migrated_cursor", "t_migrated_too"].map(|name| format!("SELECT store FROM {name}"));
        for table in &tables {
            connection.execute_unprepared(table).await.unwrap();
        }
        Migrator::down(&connection, None).await.unwrap();
        for table in &tables {
            connection.execute_unprepared(table).await.unwrap_err();
        }
        connection.execute_unprepared("DROP TABLE t_migrated_migrations").await.unwrap();
        let default: &dyn MigrationTrait = &Migration::default();
        assert_eq!(default.name(), "m0001_create_dust_cache");
    })
    .await;
}
