//! Field names that a server takes for its own when they stand in one object.

macro_rules! reserved {
    ($module:ident, $name:tt, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "reserved")]
            #[dust(prefix = $prefix, mode = $mode)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                #[serde(rename = $name)]
                pub kind: String,
                pub title: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn reserved(kind: &str) -> Model {
                Model { slug: "a".to_owned(), kind: kind.to_owned(), title: "T".to_owned() }
            }
        }
    };
}

reserved!(typed_flat, "_type", "flat-typed", "flat");
reserved!(typed_map, "_type", "map-typed", "map");
reserved!(json_map, "_json", "map-json", "map");
