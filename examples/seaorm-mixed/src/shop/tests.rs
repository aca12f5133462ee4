use dust_emulator::{Emulator, Fault};
use dust_orm::{DustConfig, RetryPolicy};
use sea_orm::{ColumnTrait, Database, IntoActiveModel, QueryFilter, Set};
use sea_orm_migration::MigratorTrait;

use super::*;
use crate::migration::Migrator;
use crate::outbox::Pending;

/// A shop with some orders, whose links are in Dust or in the outbox.
struct Shop {
    db: DatabaseConnection,
    dust: DustRepo,
    emulator: Emulator,
}

impl Shop {
    async fn with_orders(count: usize) -> Shop {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let emulator = Emulator::start().await.unwrap();
        let config = DustConfig::builder().base_url(emulator.url()).store(emulator.store()).token(emulator.token());
        let config = config.retry(RetryPolicy::none()).build().unwrap();
        let shop = Shop { db, dust: DustRepo::connect(config).unwrap(), emulator };
        for number in 1..=count {
            let params =
                json!({"reference": format!("A-{number}"), "email": "a@b.example", "item": "pen", "quantity": 1});
            place_order(&shop.db, &shop.dust, params).await.unwrap().published.unwrap();
        }
        assert_eq!(pending(&shop.db).await.unwrap(), 0);
        shop
    }

    async fn edit(&self, slug: &str, note: &str) {
        edit_link(&self.db, slug, json!({"note": note})).await.unwrap();
    }

    async fn note_in_dust(&self, slug: &str) -> String {
        self.dust.get::<link::Entity>(slug).await.unwrap().note.unwrap_or_default()
    }

    /// Writes a title to SQL, without the changeset, that is too long for Dust.
    async fn spoil(&self, slug: &str) {
        let link = link::Entity::find_by_id(slug).one(&self.db).await.unwrap().unwrap();
        let mut link = link.into_active_model();
        link.title = Set("x".repeat(9_000_000));
        link.update(&self.db).await.unwrap();
        outbox::remember(&self.db, slug).await.unwrap();
    }
}

#[tokio::test]
async fn edit_between_read_and_delete_of_entry_is_published() {
    let shop = Shop::with_orders(1).await;
    shop.edit("order-1", "one").await;
    let late = Pending::read(&shop.db, "order-1").await.unwrap();
    shop.edit("order-1", "two").await;
    late.publish(&shop.db, &shop.dust).await.unwrap();
    assert_eq!((shop.note_in_dust("order-1").await, pending(&shop.db).await.unwrap()), ("one".to_owned(), 1));
    assert_eq!(publish_pending(&shop.db, &shop.dust).await.unwrap().published, 1);
    assert_eq!((shop.note_in_dust("order-1").await, pending(&shop.db).await.unwrap()), ("two".to_owned(), 0));
}

#[tokio::test]
async fn older_link_of_slow_publisher_is_repaired() {
    let shop = Shop::with_orders(1).await;
    shop.edit("order-1", "one").await;
    let slow = Pending::read(&shop.db, "order-1").await.unwrap();
    shop.edit("order-1", "two").await;
    publish_pending(&shop.db, &shop.dust).await.unwrap();
    slow.publish(&shop.db, &shop.dust).await.unwrap();
    assert_eq!(shop.note_in_dust("order-1").await, "one");
    publish_pending(&shop.db, &shop.dust).await.unwrap();
    assert_eq!((shop.note_in_dust("order-1").await, pending(&shop.db).await.unwrap()), ("two".to_owned(), 0));
}

#[tokio::test]
async fn refused_link_keeps_reason_and_others_are_published() {
    let shop = Shop::with_orders(3).await;
    shop.spoil("order-1").await;
    shop.edit("order-2", "two").await;
    shop.edit("order-3", "three").await;
    let swept = publish_pending(&shop.db, &shop.dust).await.unwrap();
    assert_eq!((swept.published, swept.refused.len()), (2, 1), "{swept:?}");
    assert_eq!(shop.note_in_dust("order-3").await, "three");
    let refused = outbox::Entity::find().filter(outbox::Column::LinkSlug.eq("order-1")).one(&shop.db).await.unwrap();
    let reason = refused.unwrap().refused.unwrap();
    assert!(reason == swept.refused[0].1.to_string() && swept.refused[0].0 == "order-1", "{reason}");

    // It is not sent again before it is edited, and then all its entries are removed.
    let again = publish_pending(&shop.db, &shop.dust).await.unwrap();
    assert_eq!((again.published, again.refused.len(), pending(&shop.db).await.unwrap()), (0, 0, 1));
    edit_link(&shop.db, "order-1", json!({"title": "1 x pen", "note": "mended"})).await.unwrap();
    assert_eq!(publish_pending(&shop.db, &shop.dust).await.unwrap().published, 1);
    assert_eq!((shop.note_in_dust("order-1").await, pending(&shop.db).await.unwrap()), ("mended".to_owned(), 0));
}

#[tokio::test]
async fn link_with_lost_answer_stays_and_others_are_published() {
    let shop = Shop::with_orders(2).await;
    shop.edit("order-1", "one").await;
    shop.edit("order-2", "two").await;
    shop.emulator.faults().add(Fault::close().applied().writes());
    let swept = publish_pending(&shop.db, &shop.dust).await.unwrap();
    assert_eq!(swept.published, 1, "{swept:?}");
    assert_eq!(swept.failed.map(|error| error.kind()), Some(ErrKind::Timeout));
    assert_eq!(shop.note_in_dust("order-2").await, "two");
    assert_eq!(publish_pending(&shop.db, &shop.dust).await.unwrap().published, 1);
    assert_eq!(pending(&shop.db).await.unwrap(), 0);
}

#[tokio::test]
async fn unreachable_store_leaves_every_entry() {
    let mut shop = Shop::with_orders(2).await;
    shop.edit("order-1", "one").await;
    shop.edit("order-2", "two").await;
    shop.emulator.go_down().await;
    let swept = publish_pending(&shop.db, &shop.dust).await.unwrap();
    assert!(swept.published == 0 && swept.refused.is_empty() && swept.failed.is_some(), "{swept:?}");
    assert_eq!(pending(&shop.db).await.unwrap(), 2);
    shop.emulator.come_up().await.unwrap();
    assert_eq!(publish_pending(&shop.db, &shop.dust).await.unwrap().published, 2);
}

#[tokio::test]
async fn link_deleted_in_sql_is_deleted_in_dust() {
    let shop = Shop::with_orders(1).await;
    link::Entity::delete_by_id("order-1").exec(&shop.db).await.unwrap();
    outbox::remember(&shop.db, "order-1").await.unwrap();
    assert_eq!(publish_pending(&shop.db, &shop.dust).await.unwrap().published, 1);
    assert_eq!(shop.dust.find_by_id::<link::Entity>("order-1").await.unwrap(), None);
}
