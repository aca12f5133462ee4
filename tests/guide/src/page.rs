//! The page of the guide: a counter, a set and a file.
#![allow(missing_docs, reason = "as in an application")]

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "pages")]
#[dust(prefix = "pages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
    #[serde(default)]
    pub hits: Counter,
    #[serde(default)]
    pub tags: DustSet<String>,
    pub cover: Option<FileRef>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
