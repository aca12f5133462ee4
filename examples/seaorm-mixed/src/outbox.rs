//! What is in SQL and may not be in Dust yet. A row is written in the transaction that writes the link, and removed when
//! Dust has it.

use dust_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shop_outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub link_slug: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::link::Entity", from = "Column::LinkSlug", to = "super::link::Column::Slug")]
    Link,
}

impl Related<super::link::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Link.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
