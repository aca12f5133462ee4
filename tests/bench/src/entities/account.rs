//! An account: eight fields with rules.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "accounts")]
#[dust(prefix = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub name: String,
    pub email: String,
    pub role: String,
    pub age: i32,
    pub score: f64,
    pub active: bool,
    pub bio: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn cast(params: &serde_json::Value) -> Changeset<ActiveModel> {
    Changeset::cast(
        <ActiveModel as ActiveModelTrait>::default(),
        params,
        [
            Column::Slug,
            Column::Name,
            Column::Email,
            Column::Role,
            Column::Age,
            Column::Score,
            Column::Active,
            Column::Bio,
        ],
    )
}
