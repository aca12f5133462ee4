//! An entity of four fields and a key.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "pages")]
#[dust(prefix = "pages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(default)]
    pub slug: String,
    pub title: String,
    pub url: String,
    pub note: Option<String>,
    pub visits: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn page(number: usize) -> Model {
    Model {
        slug: format!("page-{number:05}"),
        title: format!("The title of page {number}"),
        url: format!("https://example.com/pages/{number}"),
        note: Some("a note of ordinary length".to_owned()),
        visits: number as i64,
    }
}
