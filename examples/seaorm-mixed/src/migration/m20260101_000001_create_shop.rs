use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, pk_auto, string, string_null, string_uniq, text_null};

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
        // No foreign key: a link that SQL deletes has to be deleted in Dust, too.
        outbox.table("shop_outbox").col(pk_auto("id")).col(string("link_slug")).col(text_null("refused"));
        manager.create_table(outbox).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["shop_outbox", "shop_links", "shop_orders"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}
