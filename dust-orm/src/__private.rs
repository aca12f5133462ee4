//! What the code that the derives generate calls. No part of the public interface: it changes with the derives.

use std::any::Any;
use std::fmt::Display;
use std::str::FromStr;

use sea_orm::{ActiveValue, EntityTrait, Value};
use serde::{Deserialize, Serialize, de, ser};

use crate::entity::fields;

pub use std::borrow::Cow;
pub use std::string::String;
pub use std::vec::Vec;

pub use serde::{Deserializer, Serializer};

pub use crate::entity::{DustEntity, Field, FieldState, Fields, KeyCase, KeyOf, StorageMode};

pub fn state<V: Into<Value>>(field: &ActiveValue<V>) -> FieldState {
    match field {
        ActiveValue::Set(_) => FieldState::Set,
        ActiveValue::Unchanged(_) => FieldState::Unchanged,
        ActiveValue::NotSet => FieldState::NotSet,
    }
}

pub fn set_state<V: Into<Value>>(field: &mut ActiveValue<V>, state: FieldState) {
    let value = std::mem::replace(field, ActiveValue::NotSet);
    *field = match (state, value) {
        (FieldState::Set, ActiveValue::Set(value) | ActiveValue::Unchanged(value)) => ActiveValue::Set(value),
        (FieldState::Unchanged, ActiveValue::Set(value) | ActiveValue::Unchanged(value)) => {
            ActiveValue::Unchanged(value)
        }
        (FieldState::NotSet, _) | (_, ActiveValue::NotSet) => ActiveValue::NotSet,
    };
}

pub fn same_value<V: Into<Value> + PartialEq>(one: &ActiveValue<V>, other: &ActiveValue<V>) -> bool {
    match (one.try_as_ref(), other.try_as_ref()) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

pub fn copy<V: Into<Value> + Clone>(field: &mut ActiveValue<V>, from: &ActiveValue<V>) {
    *field = from.clone();
}

pub fn value<V: Into<Value>, E: ser::Error>(field: &ActiveValue<V>) -> Result<&V, E> {
    field.try_as_ref().ok_or_else(|| E::custom("the field is not set"))
}

pub fn serialize<V, S>(field: &ActiveValue<V>, serializer: S) -> Result<S::Ok, S::Error>
where
    V: Into<Value> + Serialize,
    S: Serializer,
{
    value::<V, S::Error>(field)?.serialize(serializer)
}

pub fn deserialize<'de, V, D>(field: &mut ActiveValue<V>, deserializer: D) -> Result<(), D::Error>
where
    V: Into<Value> + Deserialize<'de>,
    D: Deserializer<'de>,
{
    *field = ActiveValue::Set(V::deserialize(deserializer)?);
    Ok(())
}

/// Keeps what the function of `#[serde(deserialize_with)]` has read.
pub fn set<V: Into<Value>, E>(field: &mut ActiveValue<V>, value: V) -> Result<(), E> {
    *field = ActiveValue::Set(value);
    Ok(())
}

pub fn set_default<V: Into<Value> + Default>(field: &mut ActiveValue<V>) -> bool {
    set_to(field, V::default())
}

/// `true`: there was a value to set.
pub fn set_to<V: Into<Value>>(field: &mut ActiveValue<V>, value: V) -> bool {
    *field = ActiveValue::Set(value);
    true
}

#[cold]
pub fn not_serialized<T, E: ser::Error>(position: usize) -> Result<T, E> {
    Err(E::custom(format_args!("no field to serialize at position {position}")))
}

#[cold]
pub fn not_deserialized<E: de::Error>(position: usize) -> Result<(), E> {
    Err(E::custom(format_args!("no field to deserialize at position {position}")))
}

pub fn required_columns<A: Fields>() -> Vec<<A::Entity as EntityTrait>::Column> {
    fields::required_columns::<A>()
}

/// The one place that needs `ToString` of a key: a type without it is one error, not one for each method.
pub fn key_to_segment<K: ToString + 'static>(key: &K) -> Cow<'_, str> {
    // A text is one already; the question is answered by the compiler.
    match (key as &dyn Any).downcast_ref::<String>() {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(key.to_string()),
    }
}

pub fn key_segment<K: Into<Value>>(key: &ActiveValue<K>, write: fn(&K) -> Cow<'_, str>) -> Option<String> {
    key.try_as_ref().map(|key| write(key).into_owned())
}

/// Reads a key. A segment that the key itself would write otherwise is refused: `007` is the number 7, but not the path
/// of the record 7, which a later write would create beside it.
pub fn set_key<K>(key: &mut ActiveValue<K>, segment: &str, write: fn(&K) -> Cow<'_, str>) -> Result<(), String>
where
    K: Into<Value> + FromStr<Err: Display>,
{
    let value = segment.parse::<K>().map_err(|error| error.to_string())?;
    let written = write(&value);
    if written != segment {
        return Err(format!("this key is written {written:?}"));
    }
    drop(written);
    *key = ActiveValue::Unchanged(value);
    Ok(())
}

/// The record codec on its own, for the benchmarks.
pub mod codec {
    use sea_orm::EntityTrait;

    use crate::entity::{DustEntity, StoredRecord, Take, decode, encode_fields};
    use crate::error::DustErr;
    use dust_protocol::{Entry, LeafKind, Path, RawJson};

    /// A record as it is stored.
    pub struct Stored(StoredRecord);

    /// The texts of a record's leaves.
    pub fn encode<E: DustEntity>(active: &<E as EntityTrait>::ActiveModel) -> Result<Vec<(usize, RawJson)>, DustErr> {
        encode_fields(active, Take::Known)
    }

    /// A record with these leaves.
    pub fn stored(path: Path, leaves: impl IntoIterator<Item = (Path, RawJson)>) -> Stored {
        let leaves = leaves.into_iter().map(|(path, value)| Entry { path, value, kind: LeafKind::String, revision: 1 });
        Stored(StoredRecord { path, leaves: leaves.collect() })
    }

    /// Reads a record.
    pub fn read<E: DustEntity>(stored: &Stored) -> Result<E::Model, DustErr> {
        Ok(decode::<E>(&stored.0)?)
    }
}
