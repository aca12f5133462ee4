//! A feature's settings: map mode, because the fields depend on each other, and a JSON field.

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

/// A new setting, from parameters that serialize as an object.
pub fn create(params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(
        ActiveModel::new(),
        params,
        [Column::Name, Column::Enabled, Column::Percentage, Column::Options],
    ))
    .validate_slug()
}

/// A change of a setting. The key, which identifies the setting, is not among the permitted columns.
pub fn edit(setting: Model, params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(
        setting.into_active_model(),
        params,
        [Column::Enabled, Column::Percentage, Column::Options],
    ))
}

/// The rules that a record meets before it is written.
fn checked(setting: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
    setting.validate_required(Entity::required_columns()).validate_number(Column::Percentage, 0..=100)
}
