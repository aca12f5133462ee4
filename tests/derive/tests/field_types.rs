//! Field types: each reads back as it was written.

#![allow(clippy::unwrap_used, reason = "the strategies below are part of the tests")]
#![allow(unreachable_pub, reason = "entities are written as in an application")]

use derive_tests::{embedded, field_text, read_field, record_round_trip, round_trip};
use dust_orm::sea_orm::{Set, prelude::Decimal};
use proptest::prelude::*;

/// Declares an entity with these fields in a module, and the same entity in map mode in another.
macro_rules! entity {
    ($flat:ident, $map:ident { $($body:tt)* } $($item:item)*) => {
        entity!(@ $flat "flat" { $($body)* } $($item)*);
        entity!(@ $map "map" { $($body)* } $($item)*);
    };
    (@ $name:ident $mode:literal { $($body:tt)* } $($item:item)*) => {
        mod $name {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "records")]
            #[dust(prefix = "records", mode = $mode, key_case = "any")]
            pub struct Model { $($body)* }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            $($item)*
        }
    };
}

entity!(numbers, numbers_map {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub i_8: i8,
    pub i_16: i16,
    pub i_32: i32,
    pub i_64: i64,
    pub u_8: u8,
    pub u_16: u16,
    pub u_32: u32,
    pub u_64: u64,
    pub f_32: f32,
    pub f_64: f64,
    pub flag: bool,
    pub text: String,
    pub maybe_i_64: Option<i64>,
    pub maybe_u_64: std::option::Option<u64>,
    pub maybe_f_64: ::core::option::Option<f64>,
    pub maybe_flag: Option<bool>,
    pub maybe_text: Option<String>,
});

entity!(times, times_map {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: u64,
    pub date: Date,
    pub time: Time,
    pub date_time: DateTime,
    pub utc: DateTimeUtc,
    pub zoned: DateTimeWithTimeZone,
    pub time_date: TimeDate,
    pub time_time: TimeTime,
    pub time_date_time: TimeDateTime,
    pub time_zoned: TimeDateTimeWithTimeZone,
    pub maybe: Option<DateTimeUtc>,
});

entity!(documents, documents_map {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub parent: Uuid,
    pub price: Decimal,
    pub json: Json,
    pub options: Options,
    pub maybe_options: Option<Options>,
    pub bytes: Vec<u8>,
    pub tags: Vec<String>,
    pub maybe_tags: Option<Vec<String>>,
    pub maybe_price: Option<Decimal>,
    pub maybe_parent: Option<Uuid>,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Options {
    pub depth: i64,
    pub names: std::collections::BTreeMap<String, Option<String>>,
});

entity!(shared, shared_map {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub hits: Counter,
    pub maybe_hits: Option<Counter>,
    pub tags: DustSet<String>,
    pub ids: Option<DustSet<i64>>,
    pub file: FileRef,
    pub maybe_file: Option<FileRef>,
});

entity!(own_types, own_types_map {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: Slug,
    pub level: Level,
    pub color: Color,
    pub score: Score,
    pub owner: Slug,
    pub maybe_level: Option<Level>,
    pub maybe_score: Option<Score>,
}
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType, Serialize, Deserialize)]
pub struct Slug(pub String);
impl sea_orm::TryFromU64 for Slug {
    fn try_from_u64(_: u64) -> Result<Slug, DbErr> {
        Err(DbErr::ConvertFromU64("Slug"))
    }
}
impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::str::FromStr for Slug {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Slug, Self::Err> {
        if text.contains(' ') { Err("a slug has no spaces") } else { Ok(Slug(text.to_owned())) }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveValueType, Serialize, Deserialize)]
pub struct Score(pub i32);
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
pub enum Color {
    #[sea_orm(num_value = 0)]
    DarkRed,
    #[sea_orm(num_value = 1)]
    Green,
});

/// Any float that JSON can hold.
fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |float| float.is_finite())
}

fn numbers() -> impl Strategy<Value = numbers::Model> {
    let ints = (any::<i8>(), any::<i16>(), any::<i32>(), any::<i64>());
    let uints = (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>());
    let others = (any::<f32>().prop_filter("finite", |f| f.is_finite()), finite(), any::<bool>(), ".*");
    let options = (any::<Option<i64>>(), any::<Option<u64>>(), proptest::option::of(finite()), any::<Option<bool>>());
    let key = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    (key, ints, uints, others, options, proptest::option::of(".*")).prop_map(
        |(id, (i_8, i_16, i_32, i_64), (u_8, u_16, u_32, u_64), (f_32, f_64, flag, text), options, maybe_text)| {
            let (maybe_i_64, maybe_u_64, maybe_f_64, maybe_flag) = options;
            numbers::Model {
                id,
                i_8,
                i_16,
                i_32,
                i_64,
                u_8,
                u_16,
                u_32,
                u_64,
                f_32,
                f_64,
                flag,
                text,
                maybe_i_64,
                maybe_u_64,
                maybe_f_64,
                maybe_flag,
                maybe_text,
            }
        },
    )
}

/// Seconds and nanoseconds from the year 0 to the year 9999, the years that both date crates write with four digits.
fn instant() -> impl Strategy<Value = (i64, u32)> {
    (-62_135_596_800..253_402_214_400_i64, 0..1_000_000_000_u32)
}

fn times() -> impl Strategy<Value = times::Model> {
    use dust_orm::sea_orm::prelude::{DateTimeUtc, TimeDateTime, TimeDateTimeWithTimeZone};

    (any::<u64>(), instant(), -14 * 60..=14 * 60_i32).prop_map(|(id, (seconds, nanos), minutes)| {
        let utc = DateTimeUtc::from_timestamp(seconds, nanos).unwrap();
        let time_utc =
            TimeDateTimeWithTimeZone::from_unix_timestamp(seconds).unwrap().replace_nanosecond(nanos).unwrap();
        let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
        let time_zone = time::UtcOffset::from_whole_seconds(minutes * 60).unwrap();
        times::Model {
            id,
            date: utc.date_naive(),
            time: utc.time(),
            date_time: utc.naive_utc(),
            utc,
            zoned: utc.with_timezone(&zone),
            time_date: time_utc.date(),
            time_time: time_utc.time(),
            time_date_time: TimeDateTime::new(time_utc.date(), time_utc.time()),
            time_zoned: time_utc.checked_to_offset(time_zone).unwrap_or(time_utc),
            maybe: (nanos % 2 == 0).then_some(utc),
        }
    })
}

/// Any key of an object; a NUL in one is refused.
const MEMBER: &str = "[^\\x00\n]*";

/// Any JSON, empty lists and objects included.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        finite().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map(MEMBER, inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0..=28_u32).prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

fn documents() -> impl Strategy<Value = documents::Model> {
    let options = (any::<i64>(), proptest::collection::btree_map(MEMBER, proptest::option::of(".*"), 0..3))
        .prop_map(|(depth, names)| documents::Options { depth, names });
    let tags = proptest::collection::vec(".*", 0..4);
    (any::<u128>(), decimal(), json(), options, any::<Vec<u8>>(), tags, any::<bool>()).prop_map(
        |(id, price, json, options, bytes, tags, given)| documents::Model {
            id: uuid::Uuid::from_u128(id),
            parent: uuid::Uuid::from_u128(!id),
            price,
            json,
            maybe_options: given.then(|| options.clone()),
            options,
            bytes,
            maybe_tags: given.then(|| tags.clone()),
            tags,
            maybe_price: given.then_some(price),
            maybe_parent: given.then(|| uuid::Uuid::from_u128(id)),
        },
    )
}

fn own_types() -> impl Strategy<Value = own_types::Model> {
    use own_types::{Color, Level, Score, Slug};

    let level = prop_oneof![Just(Level::High), Just(Level::Low)];
    let color = prop_oneof![Just(Color::DarkRed), Just(Color::Green)];
    ("[^ \\x00]+", ".*", level, color, any::<i32>(), any::<bool>()).prop_map(
        |(slug, owner, level, color, score, given)| own_types::Model {
            slug: Slug(slug),
            level,
            color,
            score: Score(score),
            owner: Slug(owner),
            maybe_level: given.then_some(level),
            maybe_score: given.then_some(Score(score)),
        },
    )
}

/// Converts a model to the entity in map mode.
fn twin<M: serde::de::DeserializeOwned>(model: &impl serde::Serialize) -> M {
    serde_json::from_str(&serde_json::to_string(model).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn numbers_and_text_read_back(model in numbers()) {
        round_trip::<numbers::Entity>(&model);
    }

    #[test]
    fn times_read_back(model in times()) {
        round_trip::<times::Entity>(&model);
    }

    #[test]
    fn documents_read_back(model in documents()) {
        round_trip::<documents::Entity>(&model);
    }

    #[test]
    fn own_types_read_back(model in own_types()) {
        round_trip::<own_types::Entity>(&model);
    }

    #[test]
    fn times_are_written_as_plain_strings(model in times()) {
        use times::Column;
        for column in [Column::Date, Column::Time, Column::DateTime, Column::Utc, Column::Zoned, Column::TimeDate,
            Column::TimeTime, Column::TimeDateTime, Column::TimeZoned]
        {
            let text = field_text::<times::Entity>(&model, column);
            prop_assert!(text.starts_with('"'), "{column:?}: {text}");
        }
    }
}

proptest! {
    // Fewer cases: a record in a store takes milliseconds, a field microseconds.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whole_records_read_back_in_both_modes(
        numbers in numbers(), times in times(), documents in documents(), own_types in own_types(),
    ) {
        record_round_trip::<numbers::Entity>(&numbers);
        record_round_trip::<numbers_map::Entity>(&twin(&numbers));
        record_round_trip::<times::Entity>(&times);
        record_round_trip::<times_map::Entity>(&twin(&times));
        record_round_trip::<documents::Entity>(&documents);
        record_round_trip::<documents_map::Entity>(&twin(&documents));
        record_round_trip::<own_types::Entity>(&own_types);
        record_round_trip::<own_types_map::Entity>(&twin(&own_types));
    }
}

fn file() -> impl Strategy<Value = dust_orm::entity::FileRef> {
    (".{0,9}", any::<u64>(), any::<Option<String>>(), any::<Option<String>>(), ".{0,9}").prop_map(
        |(hash, size, content_type, filename, uploaded_at)| dust_orm::entity::FileRef {
            hash,
            size,
            content_type,
            filename,
            uploaded_at,
        },
    )
}

fn shared() -> impl Strategy<Value = shared::Model> {
    let member = prop_oneof!["[ab]{0,2}", Just("$json".to_owned())];
    let tags = proptest::collection::vec(member, 0..5);
    (any::<[i64; 2]>(), any::<Option<i64>>(), tags, any::<Option<Vec<i64>>>(), file(), proptest::option::of(file()))
        .prop_map(|([id, hits], maybe_hits, tags, ids, file, maybe_file)| shared::Model {
            id,
            hits: hits.into(),
            maybe_hits: maybe_hits.map(Into::into),
            tags: tags.into(),
            ids: ids.map(Into::into),
            file,
            maybe_file,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shared_types_read_back(shared in shared()) {
        round_trip::<shared::Entity>(&shared);
        record_round_trip::<shared::Entity>(&shared);
        record_round_trip::<shared_map::Entity>(&twin(&shared));
    }
}

/// The formats that other readers of the store see.
#[test]
fn times_have_expected_formats() {
    use times::Column;
    let utc = chrono::DateTime::parse_from_rfc3339("2026-01-02T03:04:05.678Z").unwrap().to_utc();
    let time_utc = time::OffsetDateTime::from_unix_timestamp(utc.timestamp()).unwrap();
    let model = times::Model {
        id: 1,
        date: utc.date_naive(),
        time: utc.time(),
        date_time: utc.naive_utc(),
        utc,
        zoned: utc.with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap()),
        time_date: time_utc.date(),
        time_time: time_utc.time(),
        time_date_time: time::PrimitiveDateTime::new(time_utc.date(), time_utc.time()),
        time_zoned: time_utc,
        maybe: None,
    };
    for (column, expected) in [
        (Column::Date, "\"2026-01-02\""),
        (Column::Time, "\"03:04:05.678\""),
        (Column::DateTime, "\"2026-01-02T03:04:05.678\""),
        (Column::Utc, "\"2026-01-02T03:04:05.678Z\""),
        (Column::Zoned, "\"2026-01-02T05:04:05.678+02:00\""),
        (Column::TimeDate, "\"2026-01-02\""),
        (Column::TimeTime, "\"03:04:05.0\""),
        (Column::TimeDateTime, "\"2026-01-02 03:04:05.0\""),
        (Column::TimeZoned, "\"2026-01-02 03:04:05.0 +00:00:00\""),
        (Column::Maybe, "null"),
    ] {
        assert_eq!(field_text::<times::Entity>(&model, column), expected, "{column:?}");
    }
}

#[test]
fn decimals_are_strings_and_read_numbers_too() {
    use documents::{Column, Entity};
    let price = |text: &str| read_field::<Entity>(Column::Price, text).map(|model| model.price);
    assert_eq!(price("\"1.20\"").unwrap(), Set(Decimal::new(120, 2)));
    assert_eq!(price("1.25").unwrap(), Set(Decimal::new(125, 2)));
    assert_eq!(price("18446744073709551615").unwrap(), Set(u64::MAX.into()));
    assert_eq!(price("-3").unwrap(), Set(Decimal::new(-3, 0)));
    assert!(price("\"one\"").is_err() && price("null").is_err());
}

#[test]
fn float_that_is_not_finite_is_refused() {
    use proptest::strategy::ValueTree;
    let model = numbers().new_tree(&mut proptest::test_runner::TestRunner::deterministic()).unwrap().current();
    for f_64 in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let not_finite = numbers::Model { f_64, ..model.clone() };
        let error = embedded(async |repo| repo.put(not_finite).await).unwrap_err();
        assert!(error.to_string().contains("`f_64`"), "{error}");
        let maybe_f_64 = Some(f_64);
        let not_finite = numbers_map::Model { maybe_f_64, ..twin(&model) };
        let error = embedded(async |repo| repo.put(not_finite).await).unwrap_err();
        assert!(error.to_string().contains("`maybe_f_64`"), "{error}");
    }
}

#[test]
fn keys_of_any_type_read_back() {
    use dust_orm::entity::DustEntity;
    let mut number = numbers::ActiveModel { ..Default::default() };
    assert_eq!(numbers::Entity::set_key_part(&mut number, 0, "seven").unwrap_err(), "invalid digit found in string");
    for odd in ["007", "+7"] {
        assert_eq!(numbers::Entity::set_key_part(&mut number, 0, odd).unwrap_err(), "this key is written \"7\"");
    }
    numbers::Entity::set_key_part(&mut number, 0, "-7").unwrap();
    assert_eq!(numbers::Entity::active_key_segments(&number).as_ref(), [Some("-7".into())]);

    let mut slug = own_types::ActiveModel { ..Default::default() };
    assert_eq!(own_types::Entity::set_key_part(&mut slug, 0, "a b").unwrap_err(), "a slug has no spaces");

    let mut id = documents::ActiveModel { ..Default::default() };
    let upper = "67E55044-10B1-426F-9247-BB680E5FE0C8";
    assert!(documents::Entity::set_key_part(&mut id, 0, upper).is_err(), "the same Uuid, but another path");
    documents::Entity::set_key_part(&mut id, 0, &upper.to_lowercase()).unwrap();
}

#[test]
fn only_option_has_absent_value() {
    use dust_orm::entity::Fields;
    let mut model = numbers::ActiveModel { ..Default::default() };
    for (position, field) in numbers::ActiveModel::FIELDS.iter().enumerate() {
        assert_eq!(field.nullable, field.name.starts_with("maybe"), "{}", field.name);
        assert_eq!(field.required, !field.nullable, "{}", field.name);
        assert_eq!(model.set_absent(position), field.nullable, "{}", field.name);
    }
    assert_eq!((model.maybe_u_64, model.maybe_f_64), (Set(None), Set(None)));
}
