use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::None)", rename_all = "snake_case")]
pub enum Kind {
    Talk,
    Work,
}

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
#[sea_orm(table_name = "links")]
#[dust(prefix = "links")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: Kind,
    pub title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
