//! SQLite through SeaORM, and through sqlx.

use std::path::Path;

use dust_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use crate::Result;
use crate::entities::page;

/// A database in a file, or in memory.
pub async fn sqlite(file: Option<&Path>) -> Result<DatabaseConnection> {
    let url = match file {
        Some(file) => format!("sqlite://{}?mode=rwc", file.display()),
        None => "sqlite::memory:".to_owned(),
    };
    let mut options = ConnectOptions::new(url);
    // Each connection to memory has a database of its own.
    options.max_connections(1).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

/// Creates the table of pages, and fills it.
pub async fn create_pages(db: &DatabaseConnection, records: usize) -> Result<()> {
    let table = "CREATE TABLE pages (slug text PRIMARY KEY, title text, url text, note text, visits bigint)";
    db.execute_unprepared(table).await?;
    let drafts: Vec<page::ActiveModel> = (0..records).map(page::draft).collect();
    for chunk in drafts.chunks(1000) {
        page::Entity::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}
