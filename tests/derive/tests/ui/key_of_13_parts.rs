use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix = "links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_1: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_2: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_3: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_4: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_5: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_6: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_7: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_8: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_9: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_10: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_11: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_12: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part_13: String,
    pub title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
