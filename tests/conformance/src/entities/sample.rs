//! Every kind of field, in both storage modes.

use dust_orm::entity::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(1))")]
pub enum Level {
    #[sea_orm(string_value = "H")]
    High,
    #[sea_orm(string_value = "L")]
    #[serde(rename = "low!")]
    Low,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "i32", db_type = "Integer")]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    #[sea_orm(num_value = 0)]
    DarkRed,
    #[sea_orm(num_value = 1)]
    Green,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveValueType, Serialize, Deserialize)]
pub struct Score(pub i32);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Options {
    pub depth: i64,
    pub names: std::collections::BTreeMap<String, Option<String>>,
    pub inner: Option<Box<Options>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Tags(pub Vec<String>);

macro_rules! sample {
    ($module:ident, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            use super::{Colour, Level, Options, Score, Tags};

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "samples")]
            #[dust(prefix = $prefix, mode = $mode)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub text: String,
                pub small: i8,
                pub integer: i64,
                pub unsigned: u64,
                pub single: f32,
                pub double: f64,
                pub flag: bool,
                pub level: Level,
                pub score: Score,
                pub json: Json,
                pub options: Options,
                pub tags: Tags,
                pub bytes: Vec<u8>,
                pub price: Decimal,
                pub parent: Uuid,
                pub day: Date,
                pub at: DateTimeUtc,
                pub maybe_text: Option<String>,
                pub maybe_integer: Option<i64>,
                pub maybe_double: Option<f64>,
                pub maybe_flag: Option<bool>,
                pub maybe_colour: Option<Colour>,
                pub maybe_score: Option<Score>,
                pub maybe_json: Option<Json>,
                pub maybe_options: Option<Options>,
                pub maybe_price: Option<Decimal>,
                pub maybe_at: Option<DateTimeUtc>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            /// Every field has a value.
            pub fn full(slug: &str) -> Model {
                let names = [("a".to_owned(), None), ("b/c".to_owned(), Some(String::new()))].into();
                let options = Options { depth: 3, names, inner: None };
                Model {
                    maybe_text: Some("text".to_owned()),
                    maybe_integer: Some(i64::MIN),
                    maybe_double: Some(-1.5e-300),
                    maybe_flag: Some(false),
                    maybe_colour: Some(Colour::DarkRed),
                    maybe_score: Some(Score(-1)),
                    maybe_json: Some(serde_json::json!({"a": {"b": [1, {}]}})),
                    maybe_options: Some(Options { inner: Some(Box::new(options.clone())), ..options }),
                    maybe_price: Some(Decimal::new(-120, 2)),
                    maybe_at: Some(DateTimeUtc::from_timestamp(-1, 999_999_999).unwrap()),
                    ..bare(slug)
                }
            }

            /// Every field that may be `None` is.
            pub fn bare(slug: &str) -> Model {
                Model {
                    slug: slug.to_owned(),
                    text: "a \"text\"\n".to_owned(),
                    small: -128,
                    integer: i64::MAX,
                    unsigned: u64::MAX,
                    single: 0.1,
                    double: f64::MIN_POSITIVE,
                    flag: true,
                    level: Level::Low,
                    score: Score(7),
                    json: serde_json::json!([1, "two", null, {"three": {}}]),
                    options: Options::default(),
                    tags: Tags(vec!["a".to_owned(), String::new()]),
                    bytes: (0..=255).collect(),
                    price: Decimal::new(120, 2),
                    parent: Uuid::from_u128(7),
                    day: Date::from_ymd_opt(2026, 1, 2).unwrap(),
                    at: DateTimeUtc::from_timestamp(1_767_323_045, 678_000_000).unwrap(),
                    maybe_text: None,
                    maybe_integer: None,
                    maybe_double: None,
                    maybe_flag: None,
                    maybe_colour: None,
                    maybe_score: None,
                    maybe_json: None,
                    maybe_options: None,
                    maybe_price: None,
                    maybe_at: None,
                }
            }
        }
    };
}

sample!(flat, "flat-samples", "flat");
sample!(map, "map-samples", "map");
