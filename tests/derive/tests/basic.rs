//! The metadata that the derive generates for the entity of the README.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

use dust_orm::entity::{DustEntity, FieldState, Fields, KeyCase, StorageMode};
use dust_orm::sea_orm::{NotSet, Set, Unchanged};

mod link {
    use dust_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "links")]
    #[dust(prefix("reading", "links"), mode = "map", key_case = "any")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slug: String,
        pub title: String,
        pub url: String,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[test]
fn entity_has_prefix_mode_and_key_case() {
    assert_eq!(link::Entity::PREFIX, ["reading", "links"]);
    assert_eq!(link::Entity::MODE, StorageMode::Map);
    assert_eq!(link::Entity::KEY_CASE, KeyCase::Any);
    assert_eq!(link::Entity::prefix_path().unwrap().as_str(), "reading/links");
}

#[test]
fn fields_have_names_and_positions() {
    let fields: Vec<_> =
        link::ActiveModel::FIELDS.iter().map(|f| (f.name, f.key, f.required, f.nullable, f.skipped)).collect();
    assert_eq!(
        fields,
        [
            ("slug", true, true, false, false),
            ("title", false, true, false, false),
            ("url", false, true, false, false),
            ("note", false, false, true, false),
        ]
    );
    for (position, field) in link::ActiveModel::FIELDS.iter().enumerate() {
        assert_eq!(link::ActiveModel::position(field.column), position);
    }
}

#[test]
fn active_model_keeps_values_and_states() {
    let mut one = link::ActiveModel { title: Set("Dust".into()), ..Default::default() };
    let position = link::ActiveModel::position(link::Column::Title);
    assert_eq!(one.state(position), FieldState::Set);
    assert_eq!(one.serialize_field(position, serde_json::value::Serializer).unwrap(), "Dust");

    one.set_state(position, FieldState::Unchanged);
    assert_eq!(one.title, Unchanged("Dust".into()));
    let mut other = link::ActiveModel::default();
    assert!(!other.same_value(&one, position));
    other.copy_field(&one, position);
    assert_eq!(other.title, Unchanged("Dust".into()));
    other.set_state(position, FieldState::Set);
    assert!(other.same_value(&one, position), "the state is not part of the value");
    other.set_state(position, FieldState::NotSet);
    assert_eq!(other.title, NotSet);
    other.set_state(position, FieldState::Set);
    assert_eq!(other.title, NotSet, "there is no value to make Set");
    assert!(!other.same_value(&link::ActiveModel::default(), position), "two unknown values are not the same");

    let note = link::ActiveModel::position(link::Column::Note);
    assert!(one.set_absent(note) && !one.set_absent(position));
    assert_eq!((one.note, one.title), (Set(None), Unchanged("Dust".into())));
}

#[test]
fn field_not_set_refuses_to_serialize() {
    let error = link::ActiveModel::default().serialize_field(1, serde_json::value::Serializer).unwrap_err();
    assert_eq!(error.to_string(), "the field is not set");
}

#[test]
fn position_past_end_is_ignored() {
    let mut model = link::ActiveModel::default();
    let before = model.clone();
    assert!(model.serialize_field(4, serde_json::value::Serializer).is_err());
    assert!(model.deserialize_field(4, serde_json::json!("x")).is_err());
    assert!(!model.set_absent(4));
    model.set_state(4, FieldState::Set);
    model.copy_field(&before, 4);
    assert_eq!(model.state(4), FieldState::NotSet);
    assert!(!model.same_value(&before, 4));
    assert_eq!(model, before);
}

#[test]
fn key_is_one_path_segment() {
    let mut model = link::ActiveModel::default();
    assert_eq!(link::Entity::KEY_PARTS, 1);
    assert_eq!(link::Entity::active_key_segments(&model).as_ref(), [None]);
    link::Entity::set_key_part(&mut model, 0, "a/b~c").unwrap();
    assert_eq!(model.slug, Unchanged("a/b~c".into()));
    assert_eq!(link::Entity::active_key_segments(&model).as_ref(), [Some("a/b~c".into())]);
    assert_eq!(link::Entity::take_key(&mut model).as_deref(), Some("a/b~c"));
    assert_eq!(link::Entity::take_key(&mut model), None);
    assert_eq!(link::Entity::key_segments(&"dust".to_owned()).as_ref(), ["dust"]);
    assert!(link::Entity::set_key_part(&mut model, 1, "x").is_err());
}
