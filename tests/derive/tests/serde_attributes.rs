//! Serde's attributes: the names of the leaves, and the functions that write and read them.

#![allow(clippy::unwrap_used, reason = "the strategies below are part of the tests")]
#![allow(unreachable_pub, reason = "entities are written as in an application")]

use derive_tests::{field_text, read_field, record_round_trip, round_trip};
use dust_orm::entity::{DustEntity, Fields};
use dust_orm::sea_orm::{NotSet, Set};
use proptest::prelude::*;

mod book {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "books")]
    #[dust(prefix = "books", required(shelf, rating))]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        #[serde(rename = "ISBN")]
        pub isbn: String,
        pub short_title: String,
        #[serde(rename = "by/whom")]
        #[sea_orm(enum_name = "Writer", column_name = "author_name")]
        pub author: String,
        pub r#type: String,
        #[serde(with = "hex")]
        pub cover: Vec<u8>,
        #[serde(with = "crate::reversed::As::<'!'>")]
        pub motto: String,
        #[serde(serialize_with = "shout")]
        pub genre: String,
        #[serde(default, deserialize_with = "lenient")]
        pub pages: i32,
        #[serde(default = "unread")]
        pub rating: i16,
        #[serde(default = "five")]
        pub copies: Option<i32>,
        #[serde(alias = "place")]
        pub shelf: Option<String>,
        #[serde(with = "time::serde::rfc3339")]
        pub read_at: TimeDateTimeWithTimeZone,
        #[serde(skip)]
        pub cache: String,
        #[serde(skip, default = "unread")]
        pub visits: i16,
        #[sea_orm(ignore)]
        #[serde(skip)]
        pub scratch: Scratch,
    }

    /// A type without traits of SeaORM and serde.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Scratch;

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    fn unread() -> i16 {
        -1
    }

    fn five() -> Option<i32> {
        Some(5)
    }

    fn shout<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text.to_uppercase())
    }

    /// Reads a number, or a text with a number.
    fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(text) => text.parse().map_err(serde::de::Error::custom),
            number => serde_json::from_value(number).map_err(serde::de::Error::custom),
        }
    }

    /// Accepts a slice, to which a reference to a `Vec` coerces.
    mod hex {
        use std::fmt::Write;

        pub fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
            let text = bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            serializer.serialize_str(&text)
        }

        pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
            let text: String = serde::Deserialize::deserialize(deserializer)?;
            let byte = |at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
            (0..text.len()).step_by(2).map(|at| byte(at).ok_or_else(|| serde::de::Error::custom("not hex"))).collect()
        }
    }
}

/// A type with parameters instead of a module, as in `serde_with`.
mod reversed {
    pub struct As<const END: char>;

    impl<const END: char> As<END> {
        pub fn serialize<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
            let reversed: String = text.chars().rev().chain([END]).collect();
            serializer.serialize_str(&reversed)
        }

        pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
            let text: String = serde::Deserialize::deserialize(deserializer)?;
            let text = text.strip_suffix(END).ok_or_else(|| serde::de::Error::custom("no end mark"))?;
            Ok(text.chars().rev().collect())
        }
    }
}

fn book() -> impl Strategy<Value = book::Model> {
    let texts = ("[a-z]+", ".*", ".*", ".*", ".*", "[A-Z]*");
    let numbers = (any::<i32>(), any::<i16>(), any::<Option<i32>>(), 0..4_000_000_000_i64);
    (texts, numbers, any::<Vec<u8>>(), any::<Option<String>>()).prop_map(|(texts, numbers, cover, shelf)| {
        let (isbn, short_title, author, r#type, motto, genre) = texts;
        let (pages, rating, copies, read_at) = numbers;
        book::Model {
            isbn,
            short_title,
            author,
            r#type,
            cover,
            motto,
            genre,
            pages,
            rating,
            copies,
            // Serde leaves a `None` out of the whole model, and the comparison with the whole model needs it.
            shelf: shelf.or(Some(String::new())),
            read_at: time::OffsetDateTime::from_unix_timestamp(read_at).unwrap(),
            cache: String::new(),
            visits: -1,
            scratch: book::Scratch,
        }
    })
}

proptest! {
    #[test]
    fn books_read_back(model in book()) {
        round_trip::<book::Entity>(&model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whole_books_read_back(model in book()) {
        record_round_trip::<book::Entity>(&model);
    }
}

fn a_book() -> book::Model {
    book::Model {
        isbn: "1".into(),
        short_title: "Dune".into(),
        author: "Herbert".into(),
        r#type: "novel".into(),
        cover: vec![0, 255],
        motto: "fear".into(),
        genre: "sf".into(),
        pages: 412,
        rating: 5,
        copies: None,
        shelf: None,
        read_at: time::OffsetDateTime::UNIX_EPOCH,
        cache: "not stored".into(),
        visits: 3,
        scratch: book::Scratch,
    }
}

#[test]
fn names_are_those_of_serde() {
    let names: Vec<_> = book::ActiveModel::FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(
        names,
        [
            "ISBN",
            "shortTitle",
            "by/whom",
            "type",
            "cover",
            "motto",
            "genre",
            "pages",
            "rating",
            "copies",
            "shelf",
            "readAt",
            "cache",
            "visits"
        ]
    );
    assert_eq!(book::ActiveModel::position(book::Column::Writer), 2);
}

#[test]
fn with_functions_write_and_read_leaf() {
    use book::{Column, Entity};
    let book = a_book();
    assert_eq!(field_text::<Entity>(&book, Column::Cover), "\"00ff\"");
    assert_eq!(field_text::<Entity>(&book, Column::Motto), "\"raef!\"");
    assert_eq!(field_text::<Entity>(&book, Column::Genre), "\"SF\"");
    assert_eq!(field_text::<Entity>(&book, Column::ReadAt), "\"1970-01-01T00:00:00Z\"");
    assert_eq!(read_field::<Entity>(Column::Cover, "\"00ff\"").unwrap().cover, Set(vec![0, 255]));
    assert_eq!(read_field::<Entity>(Column::Pages, "\"412\"").unwrap().pages, Set(412));
    assert_eq!(read_field::<Entity>(Column::Cover, "\"0g\"").unwrap_err().to_string(), "not hex");
}

#[test]
fn leaf_is_written_if_serde_leaves_it_out() {
    assert_eq!(field_text::<book::Entity>(&a_book(), book::Column::Shelf), "null");
}

#[test]
fn absent_leaves_have_serde_default() {
    let mut model = book::ActiveModel { ..Default::default() };
    let absent: Vec<_> = book::ActiveModel::FIELDS
        .iter()
        .enumerate()
        .filter(|(position, _)| model.set_absent(*position))
        .map(|(_, field)| field.name)
        .collect();
    assert_eq!(absent, ["pages", "rating", "copies", "shelf", "cache", "visits"]);
    assert_eq!((model.pages, model.rating, model.copies), (Set(0), Set(-1), Set(Some(5))));
    assert_eq!((model.shelf, model.cache, model.visits), (Set(None), Set(String::new()), Set(-1)));
    assert_eq!(model.motto, NotSet);
}

#[test]
fn required_columns_lack_default_or_are_named() {
    let required: Vec<_> = book::Entity::required_columns().into_iter().map(book::ActiveModel::position).collect();
    let names: Vec<_> = required.into_iter().map(|position| book::ActiveModel::FIELDS[position].name).collect();
    assert_eq!(
        names,
        ["ISBN", "shortTitle", "by/whom", "type", "cover", "motto", "genre", "rating", "shelf", "readAt"]
    );
}

#[test]
fn skipped_fields_are_neither_written_nor_read() {
    use dust_orm::sea_orm::IntoActiveModel;
    let skipped: Vec<_> = book::ActiveModel::FIELDS.iter().filter(|f| f.skipped).map(|f| f.name).collect();
    assert_eq!(skipped, ["cache", "visits"]);
    let mut active = a_book().into_active_model();
    let position = book::ActiveModel::position(book::Column::Cache);
    assert!(active.serialize_field(position, serde_json::value::Serializer).is_err());
    assert!(active.deserialize_field(position, serde_json::json!("x")).is_err());
    assert_eq!(active.cache.unwrap(), "not stored");
}

/// Each rule produces the names that serde produces.
macro_rules! rename_all {
    ($($module:ident = $rule:literal,)*) => {$(
        mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "names")]
            #[dust(prefix = "names")]
            #[serde(rename_all = $rule)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub the_key: i32,
                pub title: i32,
                pub very_long_title: i32,
                pub r#type: i32,
                pub is_2d: i32,
                pub line_1: i32,
                pub a: i32,
                #[serde(rename = "As_it-IS")]
                pub renamed: i32,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            #[test]
            fn names_are_those_of_serde() {
                use dust_orm::entity::Fields;

                let (the_key, title, very_long_title, r#type, is_2d, line_1, a, renamed) = (0, 1, 2, 3, 4, 5, 6, 7);
                let model = Model { the_key, title, very_long_title, r#type, is_2d, line_1, a, renamed };
                let json = serde_json::to_value(&model).unwrap();
                for (position, field) in ActiveModel::FIELDS.iter().enumerate() {
                    assert_eq!(json.get(field.name), Some(&position.into()), "{}", field.name);
                }
            }
        }
    )*};
}

rename_all! {
    lower = "lowercase",
    upper = "UPPERCASE",
    pascal = "PascalCase",
    camel = "camelCase",
    snake = "snake_case",
    screaming_snake = "SCREAMING_SNAKE_CASE",
    kebab = "kebab-case",
    screaming_kebab = "SCREAMING-KEBAB-CASE",
}
