//! The functions for web handlers. Each has the database and the repo as parameters, and `?` converts the errors of
//! both.

use dust_orm::changeset::Action;
use dust_orm::{DustErr, DustRepo, ErrKind, Errors, FieldError};
use sea_orm::{
    ActiveModelTrait, DatabaseConnection, DbErr, EntityTrait, PaginatorTrait, QueryOrder, SqlErr, TransactionTrait,
};
use serde_json::{Value, json};

use crate::{feature, link, order, outbox};

/// A committed order.
pub struct Placed {
    pub order: order::Model,
    /// The outcome of the write of its link to Dust. After an error [`publish_pending`] publishes it later.
    pub published: Result<(), DustErr>,
}

/// Places an order: settings from Dust, order and link in one SQL transaction, then the same link in Dust. An error
/// means that there is no order. Once the transaction is committed there is one, also if the write to Dust fails: an
/// error would make the customer order again.
pub async fn place_order(db: &DatabaseConnection, dust: &DustRepo, params: Value) -> Result<Placed, DustErr> {
    let free_shipping = dust.find_by_id::<feature::Entity>("free-shipping").await?; // DustErr
    let free_from = free_shipping.filter(|feature| feature.enabled).map(|feature| feature.from_cents);
    let order = order::create(params, free_from).prepare().apply()?; // Errors of the changeset

    let sql = db.begin().await?; // DbErr; any `?` before the commit rolls back
    let order = order.insert(&sql).await.map_err(taken)?;
    let link = link::create(link_to(&order)).apply()?;
    let link = link.insert(&sql).await?; // the ActiveModel that Dust accepts, too
    outbox::remember(&sql, &link.slug).await?;
    sql.commit().await?;

    let published = publish(db, dust, &link.slug).await;
    Ok(Placed { order, published })
}

/// Edits a link in SQL. [`publish_pending`] writes it to Dust.
pub async fn edit_link(db: &DatabaseConnection, slug: &str, params: Value) -> Result<link::Model, DustErr> {
    let sql = db.begin().await?;
    let link = link::Entity::find_by_id(slug).one(&sql).await?.ok_or(DustErr::not_found(slug))?;
    let link = link::edit(link, params).apply_action(Action::Update)?.update(&sql).await?;
    outbox::remember(&sql, slug).await?;
    sql.commit().await?;
    Ok(link)
}

async fn publish(db: &DatabaseConnection, dust: &DustRepo, slug: &str) -> Result<(), DustErr> {
    outbox::Pending::read(db, slug).await?.publish(db, dust).await
}

/// The outcome of [`publish_pending`].
#[derive(Debug, Default)]
pub struct Swept {
    /// The number of links that Dust has now.
    pub published: usize,
    /// The slugs of the links that Dust refused, with the reasons. Their entries stay, and an edit of the link tries
    /// again.
    pub refused: Vec<(String, DustErr)>,
    /// The first error of the store or the network. The entries stay for the next run.
    pub failed: Option<DustErr>,
}

/// Publishes the links of the outbox to Dust, oldest first. An application runs it at intervals in one process.
/// Publishing twice is safe. A link that Dust refuses does not delay the others.
pub async fn publish_pending(db: &DatabaseConnection, dust: &DustRepo) -> Result<Swept, DbErr> {
    let mut swept = Swept::default();
    for slug in waiting(db).await? {
        match publish(db, dust, &slug).await {
            Ok(()) => swept.published += 1,
            Err(error) if outbox::is_refusal(&error) => swept.refused.push((slug, error)),
            Err(error) => {
                // A lost answer or an error of the server may concern this link only.
                let goes_on = matches!(error.kind(), ErrKind::Timeout | ErrKind::Http);
                swept.failed.get_or_insert(error);
                if !goes_on {
                    break;
                }
            }
        }
    }
    Ok(swept)
}

/// The links that wait for Dust, oldest first. A refused link waits for its next edit.
async fn waiting(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let mut waiting: Vec<String> = Vec::new();
    for entry in outbox::Entity::find().order_by_asc(outbox::Column::Id).all(db).await? {
        match entry.refused {
            None if !waiting.contains(&entry.link_slug) => waiting.push(entry.link_slug),
            _ => {}
        }
    }
    Ok(waiting)
}

/// The number of entries that wait for Dust, refused ones included.
pub async fn pending(db: &DatabaseConnection) -> Result<u64, DbErr> {
    outbox::Entity::find().count(db).await
}

/// Code that returns SeaORM's `DbErr` can use Dust too: `?` converts in this direction as well.
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

/// The customer can change a reference that is taken, so it becomes an error of that field.
fn taken(error: DbErr) -> DustErr {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            let mut errors = Errors::default();
            errors.add("reference", FieldError::new("has already been taken", "unique"));
            errors.into()
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
