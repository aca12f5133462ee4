use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix = "links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub tag: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

async fn wrong(repo: dust_orm::DustRepo) {
    let _ = repo.delete_all::<Entity>().within(("ada", 7));
}

fn main() {}
