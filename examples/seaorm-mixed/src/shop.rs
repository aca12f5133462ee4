//! What a web handler would call. Each function takes the database and the repo, and `?` carries the errors of both.

use dust_orm::{DustErr, DustRepo, Errors};
use sea_orm::{
    ActiveModelTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, NotSet, PaginatorTrait, QueryOrder,
    SqlErr, TransactionTrait,
};
use serde_json::{Value, json};

use crate::{feature, link, order, outbox};

/// An order that stands.
pub struct Placed {
    pub order: order::Model,
    /// Whether its link has reached Dust as well. If not, [`publish_pending`] brings it there later.
    pub published: Result<(), DustErr>,
}

/// Places an order: settings from Dust, order and link in one SQL transaction, then the same link in Dust.
///
/// An error means that there is no order. Once the transaction is committed there is one, whatever becomes of Dust: to
/// answer with an error then would only make the customer order again.
pub async fn place_order(db: &DatabaseConnection, dust: &DustRepo, params: Value) -> Result<Placed, DustErr> {
    let free_shipping = dust.find_by_id::<feature::Entity>("free-shipping").await?; // DustErr
    let free_from = free_shipping.filter(|feature| feature.enabled).map(|feature| feature.from_cents);
    let order = order::create(params, free_from).prepare().apply()?; // Errors of the changeset

    let sql = db.begin().await?; // DbErr; any `?` before the commit rolls back
    let order = order.insert(&sql).await.map_err(taken)?;
    let link = link::create(link_to(&order)).apply()?;
    link.clone().insert(&sql).await?;
    let pending = outbox::ActiveModel { id: NotSet, link_slug: link.slug.clone() };
    let pending = pending.insert(&sql).await?;
    sql.commit().await?;

    let published = publish(db, dust, pending, link).await; // the ActiveModel that SQL has just been given
    Ok(Placed { order, published })
}

/// Brings to Dust what could not be brought there before, oldest first, and tells how many links that were.
///
/// An application runs it every now and then in one place. Doing it twice does no harm: an insert is an upsert.
pub async fn publish_pending(db: &DatabaseConnection, dust: &DustRepo) -> Result<usize, DustErr> {
    let waiting = outbox::Entity::find().find_also_related(link::Entity).order_by_asc(outbox::Column::Id);
    let mut published = 0;
    for (pending, link) in waiting.all(db).await? {
        let Some(link) = link else { continue };
        publish(db, dust, pending, link.into_active_model()).await?;
        published += 1;
    }
    Ok(published)
}

async fn publish(
    db: &DatabaseConnection,
    dust: &DustRepo,
    pending: outbox::Model,
    link: link::ActiveModel,
) -> Result<(), DustErr> {
    dust.insert(link).await?;
    outbox::Entity::delete_by_id(pending.id).exec(db).await?;
    Ok(())
}

/// How many links wait for Dust.
pub async fn pending(db: &DatabaseConnection) -> Result<u64, DbErr> {
    outbox::Entity::find().count(db).await
}

/// Code that speaks SeaORM's `DbErr` may ask Dust too: `?` converts in this direction as well.
pub async fn overview(db: &DatabaseConnection, dust: &DustRepo) -> Result<String, DbErr> {
    let orders = order::Entity::find().count(db).await?;
    let features = dust.all::<feature::Entity>().await?;
    let on: Vec<_> = features.iter().filter(|feature| feature.enabled).map(|feature| &*feature.name).collect();
    Ok(format!("{orders} orders; features that are on: {}", on.join(", ")))
}

fn link_to(order: &order::Model) -> Value {
    json!({
        "slug": format!("order-{}", order.id),
        "title": format!("{} x {}", order.quantity, order.item),
        "url": format!("https://shop.example/orders/{}", order.id),
    })
}

/// A reference that is taken is the customer's to mend, so it becomes an error of that field.
fn taken(error: DbErr) -> DustErr {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            let mut errors = Errors::default();
            errors.add("reference", "has already been taken", "unique");
            errors.into()
        }
        _ => error.into(),
    }
}
