use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, pk_auto, string, string_null, string_uniq};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut orders = Table::create();
        orders.table("shop_orders").col(pk_auto("id")).col(string_uniq("reference")).col(string("email"));
        orders.col(string("item")).col(integer("quantity")).col(big_integer("total_cents"));
        manager.create_table(orders).await?;

        let mut links = Table::create();
        links.table("shop_links").col(string("slug").primary_key()).col(string("title")).col(string("url"));
        links.col(string_null("note"));
        manager.create_table(links).await?;

        let mut outbox = Table::create();
        outbox.table("shop_outbox").col(pk_auto("id")).col(string("link_slug"));
        outbox.foreign_key(ForeignKey::create().from("shop_outbox", "link_slug").to("shop_links", "slug"));
        manager.create_table(outbox).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["shop_outbox", "shop_links", "shop_orders"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}
