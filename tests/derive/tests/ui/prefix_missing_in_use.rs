use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: String,
    pub title: String,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub fn changeset(link: ActiveModel, params: serde_json::Value) -> Changeset<ActiveModel> {
    Changeset::cast(link, params, [Column::Slug, Column::Title, Column::Note])
        .validate_required(Entity::required_columns())
        .validate_slug()
}

pub async fn add(repo: &dust_orm::DustRepo, params: serde_json::Value) -> Result<Model, dust_orm::DustErr> {
    repo.insert(changeset(ActiveModel::new(), params)).await?;
    repo.get::<Entity>("dust").await
}

fn main() {}
