//! Fields whose types can hold more than their text, in both storage modes.

use dust_orm::entity::prelude::*;

/// A place on earth, in numbers that JSON may not have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Place {
    pub north: f32,
    pub east: f64,
}

macro_rules! lossy {
    ($module:ident, $prefix:tt, $mode:tt) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            use super::Place;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "visits")]
            #[dust(prefix = $prefix, mode = $mode)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub slug: String,
                pub at: DateTimeWithTimeZone,
                pub local: DateTime,
                pub day: Date,
                pub clock: Time,
                #[serde(with = "chrono::serde::ts_seconds")]
                pub stamp: DateTimeUtc,
                pub timed: TimeDateTimeWithTimeZone,
                pub timed_day: TimeDate,
                pub price: Decimal,
                pub single: f32,
                pub double: f64,
                pub place: Option<Place>,
                pub json: Json,
                pub maybe_json: Option<Json>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

lossy!(flat, "flat-visits", "flat");
lossy!(map, "map-visits", "map");
