//! Feature settings live in Dust only: whoever turns a feature on wants every process to know, and needs no migration.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "features")]
#[dust(prefix("seaorm-mixed", "features"), mode = "map")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub enabled: bool,
    pub from_cents: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn changeset(feature: ActiveModel, params: serde_json::Value) -> Changeset<ActiveModel> {
    Changeset::cast(feature, params, [Column::Name, Column::Enabled, Column::FromCents])
        .validate_required(Entity::required_columns())
        .validate_slug()
        .validate_number(Column::FromCents, 0..=1_000_000)
}
