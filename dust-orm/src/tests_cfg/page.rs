//! A page: flat mode, fields that are counted, collected and uploaded.

use crate::entity::prelude::*;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "pages")]
#[dust(prefix = "pages", crate = "crate")]
pub struct Model {
    /// Its key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    /// How often it was looked at.
    #[serde(default)]
    pub hits: Counter,
    /// What it is about.
    #[serde(default)]
    pub tags: DustSet<String>,
    /// Its picture.
    pub cover: Option<FileRef>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
