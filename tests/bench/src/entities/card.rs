//! A card: the fields of a page in map mode.

use dust_orm::entity::prelude::*;

use super::page;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "cards")]
#[dust(prefix = "cards", mode = "map")]
pub struct Model {
    /// Its key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    /// What it is called.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// What there is to say about it.
    pub note: Option<String>,
    /// How often it was looked at.
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
