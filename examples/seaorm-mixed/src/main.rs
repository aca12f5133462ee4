//! A SeaORM application that keeps orders in SQL, feature settings in Dust, and links in both.
//!
//! `cargo run -p seaorm-mixed` needs no set-up: the database is SQLite in memory, and Dust an emulator in this process.
//! A URL as the argument is another database (`sqlite://shop.db?mode=rwc`, `postgres://…`, `mysql://…`), whose tables
//! `shop_*` are dropped and created. With `DUST_STORE` and `DUST_TOKEN` in the environment it uses that Dust store,
//! below the prefix `seaorm-mixed`.
//!
//! | file | content |
//! |---|---|
//! | `order`, `outbox` | SQL only, with SeaORM's migrations; an order has a changeset |
//! | `feature` | Dust only |
//! | `link` | in both |
//! | `shop` | functions for web handlers: both in one request |
//!
//! # Atomicity
//!
//! An SQL transaction is atomic, and so is a Dust batch, but nothing is atomic over both. So one side is written first,
//! and the writes that the other side still lacks are recorded. Here SQL is first, and the record is a row of the
//! outbox, written in the same transaction. The README beside this file lists the result of each failure.

mod feature;
mod link;
mod migration;
mod order;
mod outbox;
mod shop;

use std::error::Error;

use dust_emulator::{Emulator, Fault};
use dust_orm::{DustConfig, DustErr, DustRepo};
use sea_orm::{ColumnTrait, Database, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder};
use sea_orm_migration::MigratorTrait;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite::memory:".to_owned());
    let db = Database::connect(url).await?;
    title("SQL: migrations make the tables; Dust needs none");
    migration::Migrator::refresh(&db).await?;
    for migration in migration::Migrator::get_applied_migrations(&db).await? {
        println!("  applied {}", migration.name());
    }

    if std::env::var_os("DUST_STORE").is_some() {
        return Ok(story(&db, &DustRepo::from_env()?, None).await?);
    }
    let emulator = Emulator::start().await?;
    let config = DustConfig::builder().base_url(emulator.url()).store(emulator.store()).token(emulator.token());
    story(&db, &DustRepo::connect(config.build()?)?, Some(&emulator)).await?;
    emulator.stop().await;
    Ok(())
}

async fn story(db: &DatabaseConnection, dust: &DustRepo, emulator: Option<&Emulator>) -> Result<(), DustErr> {
    dust.delete_all::<feature::Entity>().await?;
    dust.delete_all::<link::Entity>().await?;

    title("Dust: a feature is turned on");
    let params = json!({"name": "free-shipping", "enabled": false, "from_cents": 2000});
    let feature = dust.insert(feature::create(params)).await?;
    let feature = dust.update(feature::edit(feature, json!({"enabled": "true"}))).await?;
    println!("  {} from {}", feature.name, euros(feature.from_cents));

    title("One request: settings from Dust, order and link to SQL, the same link to Dust");
    let params = json!({"reference": "A-1", "email": "ada@example.com", "item": "stickers", "quantity": "8"});
    show(&shop::place_order(db, dust, params).await?);
    let params = json!({"reference": "A-2", "email": "bob@example.com", "item": "posters", "quantity": "2"});
    show(&shop::place_order(db, dust, params).await?);
    let in_sql = link::Entity::find_by_id("order-1").one(db).await?;
    let in_dust = dust.find_by_id::<link::Entity>("order-1").await?;
    println!("  the link of order 1 is the same in both: {}", in_sql.is_some() && in_sql == in_dust);

    title("Refused by a changeset: nothing was written anywhere");
    let params = json!({"reference": "A-3", "email": "nobody", "quantity": 1000});
    refused(shop::place_order(db, dust, params).await);

    title("Refused by SQL: the transaction is rolled back, and nothing was written to Dust");
    let params = json!({"reference": "A-1", "email": "ada@example.com", "item": "stickers", "quantity": 1});
    refused(shop::place_order(db, dust, params).await);
    println!("  links in Dust: {}", dust.all::<link::Entity>().await?.len());

    if let Some(emulator) = emulator {
        title("Dust does not answer, after SQL has committed: the order is valid, the outbox has its link");
        emulator.faults().add(Fault::close().applied().writes());
        let params = json!({"reference": "A-3", "email": "eve@example.com", "item": "stickers", "quantity": 1});
        show(&shop::place_order(db, dust, params).await?);
        println!("  waiting in the outbox: {}", shop::pending(db).await?);
        println!("  published later: {}", shop::publish_pending(db, dust).await?.published);
        println!("  waiting in the outbox: {}", shop::pending(db).await?);
    }

    title("An edit: SQL has it at once, and the outbox publishes it to Dust");
    shop::edit_link(db, "order-1", json!({"note": "on its way"})).await?;
    println!("  published: {}", shop::publish_pending(db, dust).await?.published);
    let note = dust.get::<link::Entity>("order-1").await?.note.unwrap_or_default();
    println!("  the note of order 1 in Dust: {note}");

    title("A query that needs SQL: the links to stickers, newest first");
    let stickers = link::Entity::find().filter(link::Column::Title.contains("stickers"));
    for link in stickers.order_by_desc(link::Column::Slug).all(db).await? {
        println!("  {:<8} {:<13} {}", link.slug, link.title, link.url);
    }

    title("SQL code that reads from Dust");
    println!("  {}", shop::overview(db, dust).await?);
    Ok(())
}

fn title(text: &str) {
    println!("\n{text}");
}

fn show(placed: &shop::Placed) {
    let order = &placed.order;
    println!("  order {}: {} {} for {}", order.id, order.quantity, order.item, euros(order.total_cents));
    if let Err(error) = &placed.published {
        println!("  its link is not known to be in Dust: {error}");
    }
}

fn refused(placed: Result<shop::Placed, DustErr>) {
    match placed {
        Err(DustErr::Invalid { errors, .. }) => println!("  {}", json!(errors)),
        Err(error) => println!("  {error}"),
        Ok(placed) => show(&placed),
    }
}

fn euros(cents: i64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}
