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

/// A new feature, from whatever serializes as an object.
pub fn create(params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(ActiveModel::new(), params, [Column::Name, Column::Enabled, Column::FromCents]))
        .validate_slug()
}

/// A change of a feature. Its key is not among the permitted columns: it says which feature is changed.
pub fn edit(feature: Model, params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(feature.into_active_model(), params, [Column::Enabled, Column::FromCents]))
}

/// What must hold before it is written.
fn checked(feature: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
    feature.validate_required(Entity::required_columns()).validate_number(Column::FromCents, 0..=1_000_000)
}
