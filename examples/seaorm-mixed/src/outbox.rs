//! The outbox: an entry for each link that SQL has and Dust may lack.
//!
//! An entry is written in the transaction that writes the link. It only names the link: the worker publishes the link
//! as SQL has it at that moment, so the entries of one link need no order. An entry is removed when Dust has the link,
//! if it existed before the link was read: an edit that commits in between has an entry of its own, which stays.

use dust_orm::entity::prelude::*;
use dust_orm::{DustErr, DustRepo, ErrKind};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};

use crate::link;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shop_outbox")]
pub struct Model {
    /// Numbers are not reused, also after their entry was deleted.
    #[sea_orm(primary_key)]
    pub id: i32,
    pub link_slug: String,
    /// The reason why Dust refused the link.
    pub refused: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Records that Dust lacks a link as SQL has it. Call it in the transaction that writes the link, after the write.
pub async fn remember(sql: &impl ConnectionTrait, slug: &str) -> Result<(), DbErr> {
    ActiveModel { id: NotSet, link_slug: Set(slug.to_owned()), refused: Set(None) }.insert(sql).await?;
    Ok(())
}

/// A link to publish to Dust.
pub struct Pending {
    slug: String,
    entries: Vec<i32>,
    /// The link, or `None` if SQL has deleted it.
    link: Option<link::Model>,
}

impl Pending {
    /// Reads the entries of a link, and then the link: it is at least as new as they are.
    pub async fn read(db: &DatabaseConnection, slug: &str) -> Result<Pending, DbErr> {
        let entries = Entity::find().filter(Column::LinkSlug.eq(slug)).all(db).await?;
        let entries = entries.into_iter().map(|entry| entry.id).collect();
        Ok(Pending { slug: slug.to_owned(), entries, link: link::Entity::find_by_id(slug).one(db).await? })
    }

    /// Writes the link to Dust and removes the entries that were read, or keeps them with the reason of a refusal.
    pub async fn publish(self, db: &DatabaseConnection, dust: &DustRepo) -> Result<(), DustErr> {
        // Both are safe to repeat: an insert is an upsert, and deleting an absent record succeeds.
        let written = match self.link {
            Some(link) => dust.insert(link.into_active_model()).await.map(drop),
            None => dust.delete_by_id::<link::Entity>(&self.slug).await.map(drop),
        };
        let mine = Column::Id.is_in(self.entries.iter().copied());
        match written {
            Ok(()) => {
                let gone = Entity::delete_many().filter(mine).exec(db).await?;
                if gone.rows_affected < self.entries.len() as u64 {
                    // Another publisher ran, perhaps with a newer link, which this one may have replaced.
                    remember(db, &self.slug).await?;
                }
                Ok(())
            }
            Err(error) => {
                if is_refusal(&error) {
                    let reason = ActiveModel { refused: Set(Some(error.to_string())), ..Default::default() };
                    Entity::update_many().set(reason).filter(mine).exec(db).await?;
                }
                Err(error)
            }
        }
    }
}

/// True if the error concerns this record and a repetition fails in the same way, unlike errors of the store or the
/// network.
pub fn is_refusal(error: &DustErr) -> bool {
    !error.is_retryable() && !matches!(error.kind(), ErrKind::Timeout | ErrKind::Unauthorized | ErrKind::Database)
}
