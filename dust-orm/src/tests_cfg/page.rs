//! A page: flat mode, fields that are counted, collected and uploaded.

use crate::entity::prelude::*;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "pages")]
#[dust(prefix = "pages", crate = "crate")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    /// The number of visits.
    #[serde(default)]
    pub hits: Counter,
    /// The topics.
    #[serde(default)]
    pub tags: DustSet<String>,
    /// The picture.
    pub cover: Option<FileRef>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
