//! Feature settings are stored in Dust only: every process receives a change, and a new setting needs no migration.

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

/// A new feature, from parameters that serialize as an object.
pub fn create(params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(ActiveModel::new(), params, [Column::Name, Column::Enabled, Column::FromCents]))
        .validate_slug()
}

/// A change of a feature. The key, which identifies the feature, is not among the permitted columns.
pub fn edit(feature: Model, params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(feature.into_active_model(), params, [Column::Enabled, Column::FromCents]))
}

/// The rules that a record meets before it is written.
fn checked(feature: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
    feature.validate_required(Entity::required_columns()).validate_number(Column::FromCents, 0..=1_000_000)
}
