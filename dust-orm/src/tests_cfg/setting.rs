//! A setting of a feature: map mode, a prefix of two segments, a JSON field.

use crate::entity::prelude::*;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "settings")]
#[dust(prefix("app", "settings"), mode = "map", crate = "crate")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// True if the feature is on.
    pub enabled: bool,
    /// The options of the feature.
    pub options: Json,
    /// The owner.
    pub owner: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
