//! Entities with composite keys.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "entities are written as in an application")]

use derive_tests::embedded;
use dust_orm::DustRepo;
use dust_orm::entity::{DustEntity, Fields, IntoKey, KeyOf};
use dust_orm::sea_orm::{IntoActiveModel, NotSet, Unchanged};
use uuid::Uuid;

mod visit {
    use dust_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity)]
    #[sea_orm(table_name = "visits")]
    #[dust(prefix = "visits")]
    pub struct Model {
        pub note: Option<String>,
        #[sea_orm(primary_key, auto_increment = false)]
        pub page: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub visitor: Uuid,
        pub count: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The most parts that SeaORM supports, of several types.
mod twelve {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity)]
    #[sea_orm(table_name = "twelve")]
    #[dust(prefix = "twelve", key_case = "any")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub a: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub b: i8,
        #[sea_orm(primary_key, auto_increment = false)]
        pub c: i16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub d: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub e: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub f: u8,
        #[sea_orm(primary_key, auto_increment = false)]
        pub g: u16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub h: u32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub i: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub j: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub k: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub l: String,
        pub label: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn visit(page: &str, day: i64) -> visit::Model {
    visit::Model { note: None, page: page.to_owned(), visitor: Uuid::from_u128(7), count: 1, day }
}

#[test]
fn parts_are_in_the_order_of_the_fields() {
    assert_eq!(visit::Entity::KEY_PARTS, 3);
    let key: KeyOf<visit::Entity> = ("a/b".to_owned(), Uuid::from_u128(7), -3);
    let uuid = Uuid::from_u128(7).to_string();
    assert_eq!(visit::Entity::key_segments(&key).as_ref(), ["a/b", &uuid, "-3"]);

    let mut active = visit::ActiveModel { visitor: NotSet, ..visit("a/b", -3).into_active_model() };
    assert_eq!(visit::Entity::active_key_segments(&active).as_ref(), [Some("a/b".into()), None, Some("-3".into())]);
    assert_eq!(visit::Entity::take_key(&mut active.clone()), None);
    visit::Entity::set_key_part(&mut active, 1, &uuid).unwrap();
    assert_eq!(active.visitor, Unchanged(Uuid::from_u128(7)));
    assert_eq!(visit::Entity::set_key_part(&mut active, 2, "03").unwrap_err(), "this key is written \"3\"");
    assert!(visit::Entity::set_key_part(&mut active, 3, "x").unwrap_err().contains("no part at position 3"));
    assert_eq!(visit::Entity::take_key(&mut active), Some(key));
    let keys: Vec<bool> = visit::ActiveModel::FIELDS.iter().map(|field| field.key).collect();
    assert_eq!(keys, [false, true, true, false, true]);
}

#[test]
fn key_converts_part_by_part() {
    fn key<E: DustEntity>(key: impl IntoKey<E>) -> KeyOf<E> {
        key.into_key()
    }
    /// Code that is generic over the entity has only a whole key.
    fn generic<E: DustEntity>(whole: KeyOf<E>) -> KeyOf<E> {
        key::<E>(whole)
    }
    let whole = ("a".to_owned(), Uuid::from_u128(7), 3_i64);
    assert_eq!(key::<visit::Entity>(("a", Uuid::from_u128(7), 3_i32)), whole);
    assert_eq!(key::<visit::Entity>((&whole.0, whole.1, 3_u8)), whole);
    assert_eq!(generic::<visit::Entity>(whole.clone()), whole);
}

#[test]
fn key_of_twelve_parts_is_stored() {
    embedded(async |repo| twelve_parts(repo).await);
}

async fn twelve_parts(repo: &DustRepo) {
    let model = twelve::Model {
        a: "A".into(),
        b: -1,
        c: 2,
        d: -3,
        e: 4,
        f: 5,
        g: 6,
        h: 7,
        i: Uuid::from_u128(8),
        j: "/".into(),
        k: "~".into(),
        l: "*".into(),
        label: "L".into(),
    };
    repo.put(model.clone()).await.unwrap();
    let key = ("A", -1_i8, 2_i16, -3, 4, 5_u8, 6_u16, 7_u32, Uuid::from_u128(8), "/", "~", "*");
    assert_eq!(repo.get::<twelve::Entity>(key).await.unwrap(), model);
    let first = ("A", -1_i8, 2_i16, -3, 4, 5_u8, 6_u16, 7_u32, Uuid::from_u128(8), "/", "~");
    repo.delete_all::<twelve::Entity>().within(("A", -1_i8, 3_i16)).await.unwrap();
    assert_eq!(repo.all::<twelve::Entity>().await.unwrap(), [model]);
    repo.delete_all::<twelve::Entity>().within(first).await.unwrap();
    assert!(repo.all::<twelve::Entity>().await.unwrap().is_empty());
}
