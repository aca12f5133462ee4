//! Entities whose prefixes share a start.

macro_rules! shelf {
    ($module:ident, prefix $prefix:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "shelf")]
            #[dust(prefix $prefix)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub title: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn book(slug: &str) -> Model {
                Model { slug: slug.to_owned(), title: format!("{slug} on {:?}", Entity::PREFIX) }
            }
        }
    };
}

shelf!(a, prefix("a"));
shelf!(a_1, prefix("a-1"));
shelf!(a_b, prefix("a", "b"));
shelf!(ab, prefix("ab"));
