//! Helpers for the tests of the derives of `dust-orm`, which are in `tests/`.

#![allow(clippy::expect_used, reason = "a panic here is a test that fails")]

use std::fmt::Debug;

use dust_orm::DustRepo;
use dust_orm::entity::{DustEntity, Fields};
use dust_orm::sea_orm::{ActiveModelTrait, IntoActiveModel, TryIntoModel};
use serde::Serialize;

/// Checks that every field of a model, and the key, reads back as it was written, as text and as a JSON value.
///
/// The model that is read equals the one that was written, and the fields have the JSON that serde writes for the
/// model.
pub fn round_trip<E>(model: &E::Model)
where
    E: DustEntity,
    E::Model: Serialize + PartialEq + Debug,
{
    // By way of text, because `serde_json::to_value` widens an `f32`, and text does not.
    let whole = serde_json::to_string(model).expect("the model serializes");
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("the model is JSON");
    let written = model.clone().into_active_model();
    let mut from_text = <E::ActiveModel as ActiveModelTrait>::default();
    let mut from_value = from_text.clone();
    let key = E::active_key_segments(&written);
    for (part, segment) in key.as_ref().iter().enumerate() {
        let segment = segment.as_deref().expect("the key is set");
        for read in [&mut from_text, &mut from_value] {
            E::set_key_part(read, part, segment).expect("the key reads what it writes");
        }
    }
    for (position, field) in E::ActiveModel::FIELDS.iter().enumerate().filter(|(_, field)| !field.key) {
        if field.skipped {
            assert!(from_text.set_absent(position) && from_value.set_absent(position), "{}", field.name);
            assert_eq!(whole.get(field.name), None);
            continue;
        }
        let mut text = Vec::new();
        written.serialize_field(position, &mut serde_json::Serializer::new(&mut text)).expect(field.name);
        let value: serde_json::Value = serde_json::from_slice(&text).expect(field.name);
        assert_eq!(Some(&value), whole.get(field.name), "{}", field.name);
        from_text.deserialize_field(position, &mut serde_json::Deserializer::from_slice(&text)).expect(field.name);
        from_value.deserialize_field(position, value).expect(field.name);
        assert!(from_text.same_value(&written, position), "{}", field.name);
        assert!(from_value.same_value(&written, position), "{}", field.name);
    }
    assert_eq!(&from_text.try_into_model().expect("every field is set"), model);
    assert_eq!(&from_value.try_into_model().expect("every field is set"), model);
}

/// The JSON text of one field of a model.
pub fn field_text<E: DustEntity>(model: &E::Model, column: E::Column) -> String {
    let mut text = Vec::new();
    let position = E::ActiveModel::position(column);
    let active = model.clone().into_active_model();
    active.serialize_field(position, &mut serde_json::Serializer::new(&mut text)).expect("the field serializes");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Reads one field from JSON text into an `ActiveModel`.
pub fn read_field<E: DustEntity>(column: E::Column, text: &str) -> Result<E::ActiveModel, serde_json::Error> {
    let mut model = <E::ActiveModel as ActiveModelTrait>::default();
    let position = E::ActiveModel::position(column);
    model.deserialize_field(position, &mut serde_json::Deserializer::from_str(text))?;
    Ok(model)
}

/// Runs a future on a store in memory that the tests of a thread share: a new store for every case of a property is
/// slow.
pub fn embedded<T>(run: impl AsyncFnOnce(&DustRepo) -> T) -> T {
    thread_local! {
        static REPO: DustRepo = DustRepo::embedded();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    REPO.with(|repo| runtime.block_on(run(repo)))
}

/// Writes a whole model to a store, reads it back, and leaves the store empty.
pub fn record_round_trip<E>(model: &E::Model)
where
    E: DustEntity,
    E::Model: PartialEq + Debug,
{
    embedded(async |repo| {
        let answered = repo.put(model.clone()).await.expect("the model is written");
        assert_eq!(&answered, model);
        let stored = repo.all::<E>().await.expect("the store is read");
        assert_eq!(stored, std::slice::from_ref(model));
        repo.delete_all::<E>().await.expect("the store is emptied");
    });
}
