//! An entity that requires a field although its type is an `Option`, in both storage modes.

macro_rules! guarded {
    ($module:ident, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "guarded")]
            #[dust(prefix = $prefix, mode = $mode, required(note))]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub title: String,
                pub note: Option<String>,
                pub count: Option<i32>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn guarded(slug: &str) -> Model {
                Model { slug: slug.to_owned(), title: "T".to_owned(), note: Some("N".to_owned()), count: Some(1) }
            }
        }
    };
}

guarded!(flat, "flat-guarded", "flat");
guarded!(map, "map-guarded", "map");
