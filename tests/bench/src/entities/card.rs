//! A card: the fields of a page in map mode.

use dust_orm::entity::prelude::*;

use super::page;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "cards")]
#[dust(prefix = "cards", mode = "map")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    /// The title.
    pub title: String,
    /// The URL.
    pub url: String,
    /// A text about it.
    pub note: Option<String>,
    /// Number of views.
    pub visits: i64,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A card for a number.
pub fn card(number: usize) -> Model {
    let page::Model { slug, title, url, note, visits } = page::page(number);
    Model { slug, title, url, note, visits }
}
