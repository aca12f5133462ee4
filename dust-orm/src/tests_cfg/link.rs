//! A bookmark: flat mode, one optional field.

use crate::entity::prelude::*;

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix = "links", crate = "crate")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    /// The title.
    pub title: String,
    /// The address.
    pub url: String,
    /// A remark.
    pub note: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
