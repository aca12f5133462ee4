//! The bookmark of the guide: flat mode, one optional field.
#![allow(missing_docs, reason = "as in an application")]

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix = "links")]
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
        .validate_slug()
}

/// A change of a link. The key, which identifies the link, is not among the permitted columns.
pub fn edit(link: Model, params: impl Serialize) -> Changeset<ActiveModel> {
    checked(Changeset::cast(link.into_active_model(), params, [Column::Title, Column::Url, Column::Note]))
}

/// The rules that a link meets before it is written.
fn checked(link: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
    link.validate_required(Entity::required_columns()).validate_length(Column::Title, 1..=200).validate_url(Column::Url)
}
