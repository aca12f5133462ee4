//! Links are stored in both: SQL searches them, Dust sends their changes to subscribers. One `Model`, one
//! `ActiveModel`, one changeset.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "shop_links")]
#[dust(prefix("seaorm-mixed", "links"))]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
    pub url: String,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A new link, from parameters that serialize as an object.
pub fn create(params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(ActiveModel::new(), params, [Column::Slug, Column::Title, Column::Url, Column::Note]))
}

/// A change of a link. The slug is its key, which cannot change.
pub fn edit(link: Model, params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(link.into_active_model(), params, [Column::Title, Column::Url, Column::Note]))
}

fn checked(link: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
    link.validate_required(Entity::required_columns())
        .validate_slug()
        .validate_length(Column::Title, 1..=200)
        .validate_url(Column::Url)
}
