//! `DeriveChangeset`: entities that are stored in SQL only, without other changes.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

use dust_orm::entity::{FieldState, Fields};
use dust_orm::sea_orm::Set;

mod user {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset, Default, Serialize, Deserialize)]
    #[sea_orm(table_name = "users")]
    #[dust(required(nickname))]
    #[serde(default, rename_all(deserialize = "camelCase"))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[serde(rename(serialize = "email_address", deserialize = "eMail"))]
        pub email: String,
        #[serde(skip_serializing)]
        pub password_hash: String,
        #[serde(skip_deserializing)]
        pub is_admin: bool,
        pub nickname: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// No serde, and a composite key.
mod membership {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
    #[sea_orm(table_name = "memberships")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub user_id: i32,
        #[sea_orm(primary_key)]
        pub group_id: i32,
        pub role: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Keys that the application generates.
mod page {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
    #[sea_orm(table_name = "pages")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The derive through another crate's re-export, next to items whose names the generated code uses too.
mod crowded {
    mod reexport {
        pub use dust_orm as dust;
    }

    pub mod entity {
        use dust_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
        #[sea_orm(table_name = "shadows")]
        #[dust(prefix = "shadows", crate = "super::reexport::dust")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub key: i32,
            #[serde(default = "position", serialize_with = "serializer")]
            pub position: std::string::String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        fn position() -> std::string::String {
            "a function, not the parameter".to_owned()
        }

        fn serializer<S: serde::Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str("also a function")
        }

        #[allow(dead_code)]
        pub trait Fields {}
        #[allow(dead_code)]
        pub struct Field;
        #[allow(dead_code)]
        pub struct String(pub ());
    }
}

fn summary<A: Fields>() -> Vec<(&'static str, bool, bool, bool)> {
    A::FIELDS.iter().map(|field| (field.name, field.key, field.required, field.skipped)).collect()
}

#[test]
fn names_are_those_of_deserialization() {
    assert_eq!(
        summary::<user::ActiveModel>(),
        [
            ("id", true, false, false),
            ("eMail", false, true, false),
            ("passwordHash", false, true, false),
            ("isAdmin", false, false, true),
            ("nickname", false, true, false),
        ]
    );
}

#[test]
fn key_generated_by_database_is_not_required() {
    // SeaORM's rule: the database never generates a composite key, or one of type String or Uuid.
    assert_eq!(
        summary::<membership::ActiveModel>(),
        [("user_id", true, true, false), ("group_id", true, true, false), ("role", false, true, false)]
    );
    assert_eq!(summary::<page::ActiveModel>(), [("id", true, true, false)]);
}

#[test]
fn fields_are_reached_by_position() {
    let mut user = user::ActiveModel { ..Default::default() };
    let position = user::ActiveModel::position(user::Column::PasswordHash);
    user.deserialize_field(position, serde_json::json!("#!")).unwrap();
    assert_eq!((user.state(position), &user.password_hash), (FieldState::Set, &Set("#!".into())));
    assert_eq!(user.serialize_field(position, serde_json::value::Serializer).unwrap(), "#!");
}

#[test]
fn names_beside_entity_do_not_collide() {
    use dust_orm::entity::DustEntity;
    assert_eq!(crowded::entity::Entity::PREFIX, ["shadows"]);
    assert_eq!(summary::<crowded::entity::ActiveModel>().len(), 2);
    let mut model = crowded::entity::ActiveModel { ..Default::default() };
    assert!(model.set_absent(1));
    assert_eq!(model.position, Set("a function, not the parameter".into()));
    assert_eq!(model.serialize_field(1, serde_json::value::Serializer).unwrap(), "also a function");
}

#[test]
fn required_columns_are_fields_without_default() {
    use dust_orm::entity::prelude::*;

    let user: Vec<_> = user::Entity::required_columns().iter().map(IdenStatic::as_str).collect();
    assert_eq!(user, ["email", "password_hash", "nickname"]);
    let membership: Vec<_> = membership::Entity::required_columns().iter().map(IdenStatic::as_str).collect();
    assert_eq!(membership, ["user_id", "group_id", "role"]);
    let in_dust = crowded::entity::Entity::required_columns();
    assert!(matches!(in_dust[..], [crowded::entity::Column::Key]), "{in_dust:?}");
}
