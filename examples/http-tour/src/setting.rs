//! A feature's settings: map mode, because they only make sense together, and a JSON field.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "settings")]
#[dust(prefix("http-tour", "settings"), mode = "map")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub enabled: bool,
    pub percentage: u8,
    pub options: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn changeset(setting: ActiveModel, params: serde_json::Value) -> Changeset<ActiveModel> {
    Changeset::cast(setting, params, [Column::Name, Column::Enabled, Column::Percentage, Column::Options])
        .validate_required(Entity::required_columns())
        .validate_slug()
        .validate_number(Column::Percentage, 0..=100)
}
