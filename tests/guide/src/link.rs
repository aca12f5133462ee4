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

pub fn changeset(link: ActiveModel, params: serde_json::Value) -> Changeset<ActiveModel> {
    Changeset::cast(link, params, [Column::Slug, Column::Title, Column::Url, Column::Note])
        .validate_required(Entity::required_columns())
        .validate_slug()
        .validate_length(Column::Title, 1..=200)
        .validate_url(Column::Url)
}
