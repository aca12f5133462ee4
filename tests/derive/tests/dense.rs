//! SeaORM's dense format: relations are fields, and every derive and attribute is copied to a twin, `ModelEx`.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

use derive_tests::{record_round_trip, round_trip};
use dust_orm::entity::{DustEntity, Fields};
use dust_orm::sea_orm::{IntoActiveModel, Set};

mod author {
    use dust_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "authors")]
    #[dust(prefix = "authors", mode = "map")]
    #[serde(rename_all = "camelCase")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        pub full_name: String,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod book {
    use dust_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "books")]
    #[dust(prefix("library", "books"), required(note))]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub isbn: String,
        #[sea_orm(unique)]
        pub title: String,
        pub note: Option<String>,
        pub author_slug: String,
        #[sea_orm(belongs_to, from = "author_slug", to = "slug")]
        pub author: HasOne<super::author::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The attribute can also apply to `Model` alone.
mod aside {
    use dust_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "asides", model_attrs(derive(DeriveDustEntity), dust(prefix = "asides")))]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub text: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A SQL entity in the dense format.
mod reader {
    use dust_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
    #[sea_orm(table_name = "readers")]
    #[dust(required(nickname))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub nickname: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[test]
fn relations_are_not_fields() {
    let names = |fields: &[&'static str], expected: &[&str]| assert_eq!(fields, expected);
    names(&author::ActiveModel::FIELDS.iter().map(|f| f.name).collect::<Vec<_>>(), &["slug", "fullName"]);
    names(
        &book::ActiveModel::FIELDS.iter().map(|f| f.name).collect::<Vec<_>>(),
        &["isbn", "title", "note", "author_slug"],
    );
    names(&aside::ActiveModel::FIELDS.iter().map(|f| f.name).collect::<Vec<_>>(), &["id", "text"]);
    names(
        &reader::ActiveModel::FIELDS.iter().filter(|f| f.required).map(|f| f.name).collect::<Vec<_>>(),
        &["nickname"],
    );
}

#[test]
fn attributes_of_model_apply() {
    assert_eq!(author::Entity::PREFIX, ["authors"]);
    assert_eq!(book::Entity::PREFIX, ["library", "books"]);
    assert_eq!(aside::Entity::PREFIX, ["asides"]);
    assert_eq!(book::Entity::required_columns().len(), 4);
}

#[test]
fn records_read_back() {
    let author = author::Model { slug: "herbert".into(), full_name: "Frank Herbert".into() };
    round_trip::<author::Entity>(&author);
    record_round_trip::<author::Entity>(&author);
    let (isbn, title, author_slug) = ("1".into(), "Dune".into(), "herbert".into());
    let book = book::Model { isbn, title, note: Some("lent".into()), author_slug };
    round_trip::<book::Entity>(&book);
    record_round_trip::<book::Entity>(&book);
    round_trip::<aside::Entity>(&aside::Model { id: -7, text: String::new() });
}

#[test]
fn builder_of_dense_format_makes_same_active_model() {
    let built: author::ActiveModel = author::ActiveModel::builder().set_slug("herbert").set_full_name("Frank").into();
    let model = author::Model { slug: "herbert".into(), full_name: "Frank".into() };
    let read = model.into_active_model();
    assert!((0..author::ActiveModel::FIELDS.len()).all(|position| built.same_value(&read, position)));
    assert_eq!(built.slug, Set("herbert".into()));
}
