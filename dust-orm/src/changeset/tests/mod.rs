//! Entities of the tests: a post in Dust with fields of many types, a page, and an account that is stored only in SQL.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

mod casting;
mod changing;
mod finishing;
mod forms;
mod keys;
mod messages;
mod rules;
mod sql;

use serde_json::{Value, json};

use super::{Changeset, ColumnOf};
use crate::entity::Fields;

pub(super) mod post {
    use sea_orm::FromJsonQueryResult;

    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "posts")]
    #[dust(prefix = "posts", crate = "crate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        pub title: String,
        #[serde(rename = "text")]
        pub body: Option<String>,
        pub upvotes: i32,
        pub size: Option<u8>,
        pub rating: Option<f64>,
        pub public: bool,
        pub mood: Option<Mood>,
        pub topics: Topics,
        #[serde(default)]
        pub colour: String,
        pub meta: Option<Json>,
        #[serde(with = "cents")]
        pub price: Option<Price>,
        #[serde(skip)]
        pub secret: String,
        pub views: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    #[serde(rename_all = "lowercase")]
    pub enum Mood {
        #[sea_orm(string_value = "H")]
        Happy,
        #[sea_orm(string_value = "S")]
        Sad,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
    pub struct Topics(pub Vec<String>);

    /// A decimal that serializes as a text such as "12.50". Texts with different trailing zeros are equal values.
    #[derive(Clone, Debug, PartialEq, DeriveValueType)]
    pub struct Price(pub i64);

    mod cents {
        use serde::de::Error;

        use super::*;

        pub fn serialize<S: serde::Serializer>(price: &Option<Price>, serializer: S) -> Result<S::Ok, S::Error> {
            price.as_ref().map(|Price(cents)| format!("{}.{:02}", cents / 100, cents % 100)).serialize(serializer)
        }

        pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Price>, D::Error> {
            let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
            let euros: f64 = text.parse().map_err(D::Error::custom)?;
            Ok(Some(Price((euros * 100.0).round() as i64)))
        }
    }
}

/// An entity whose keys may have upper-case letters.
pub(super) mod page {
    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "pages")]
    #[dust(prefix = "pages", key_case = "any", crate = "crate")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub title: String,
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod account {
    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
    #[sea_orm(table_name = "accounts")]
    #[dust(crate = "crate")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub email: String,
        pub password: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) use post::Column as Post;

pub(super) fn all() -> Vec<Post> {
    <post::ActiveModel as Fields>::FIELDS.iter().map(|field| field.column).collect()
}

/// A new post with every column permitted.
pub(super) fn posted(params: Value) -> Changeset<post::ActiveModel> {
    Changeset::cast(post::ActiveModel::default(), params, all())
}

/// A stored post, to be edited.
pub(super) fn stored() -> post::ActiveModel {
    use sea_orm::Unchanged;
    post::ActiveModel {
        slug: Unchanged("dust".into()),
        title: Unchanged("Dust".into()),
        body: Unchanged(Some("A store".into())),
        upvotes: Unchanged(5),
        topics: Unchanged(post::Topics(vec!["db".into()])),
        ..Default::default()
    }
}

pub(super) fn edited(params: Value) -> Changeset<post::ActiveModel> {
    Changeset::cast(stored(), params, all())
}

pub(super) fn changes<A: Fields>(changeset: &Changeset<A>) -> Value {
    Value::Object(changeset.changes())
}

pub(super) fn errors<A: Fields>(changeset: &Changeset<A>) -> Value {
    json!(changeset.errors())
}

/// The only error of a column.
pub(super) fn error<A: Fields>(changeset: &Changeset<A>, column: ColumnOf<A>) -> crate::FieldError {
    let found = changeset.errors().get(super::name::<A>(A::position(column)));
    assert_eq!(found.len(), 1, "{:?}", changeset.errors());
    found[0].clone()
}
