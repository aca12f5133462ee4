//! A bookmark of a user: a composite key.

use crate::entity::prelude::*;

/// A bookmark, at `bookmarks/<owner>/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "bookmarks")]
#[dust(prefix = "bookmarks", crate = "crate")]
pub struct Model {
    /// The user: the first part of the key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    /// The number among the bookmarks of the user: the second part of the key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The URL.
    pub url: String,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
