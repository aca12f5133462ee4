//! Any JSON, in a required and in an optional field, in both storage modes.

macro_rules! doc {
    ($module:ident, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "docs")]
            #[dust(prefix = $prefix, mode = $mode)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub value: Json,
                pub maybe: Option<Json>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            /// A document with the same value in both fields.
            pub fn doc(slug: &str, value: &Json) -> Model {
                Model { slug: slug.to_owned(), value: value.clone(), maybe: Some(value.clone()) }
            }
        }
    };
}

doc!(flat, "flat-docs", "flat");
doc!(map, "map-docs", "map");
