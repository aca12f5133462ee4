//! A counter, a set and a file, in both storage modes.

macro_rules! page {
    ($module:ident, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "pages")]
            #[dust(prefix = $prefix, mode = $mode)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub title: String,
                #[serde(default)]
                pub hits: Counter,
                pub stock: Option<u32>,
                pub score: Option<f64>,
                #[serde(default)]
                pub tags: DustSet<String>,
                pub editors: Option<DustSet<i64>>,
                pub cover: Option<FileRef>,
                #[serde(skip)]
                pub draft: bool,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            /// A page without views.
            pub fn page(slug: &str) -> Model {
                Model {
                    slug: slug.to_owned(),
                    title: format!("Title of {slug}"),
                    hits: Counter::default(),
                    stock: None,
                    score: None,
                    tags: DustSet::default(),
                    editors: None,
                    cover: None,
                    draft: false,
                }
            }
        }
    };
}

page!(flat, "flat-pages", "flat");
page!(map, "map-pages", "map");
