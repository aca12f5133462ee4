//! Functions and traits for the code that the derives generate. Not part of the public interface: they change with the
//! derives.

use std::any::Any;
use std::fmt::Display;
use std::str::FromStr;

use sea_orm::{ActiveValue, EntityTrait, Value};
use serde::de::DeserializeOwned;
use serde::{Serialize, de, ser};

use crate::entity::fields;
use crate::entity::key_text;

pub use std::borrow::Cow;
pub use std::string::String;
pub use std::vec::Vec;

pub use serde::{Deserializer, Serializer};

pub use crate::entity::{DustEntity, Field, FieldState, Fields, KeyCase, KeyFrom, KeyOf, StorageMode};

/// The type of a field that functions of the application write or read, or that is skipped.
///
/// The generated code reaches every function of a field through `<T as ColumnField<_>>::Field` or `<T as
/// StoredField<_>>::Field`, at the place of the type. A type that lacks something is then one error, since the compiler
/// shows the same words about the same place once. For that, no other bound may fail beside it: the traits have no
/// supertraits, and the functions take the field as `dyn Any`, because an argument of the type `ActiveValue<T>` makes
/// the compiler report SeaORM's bounds of `T` once more. The second impl, for [`Never`], makes the compiler report the
/// trait itself and not the bounds of the only impl; the derive leaves the choice to it.
#[diagnostic::on_unimplemented(
    message = "the field type `{Self}` is no type of a column",
    label = "lacks what SeaORM requires of a column",
    note = "for a type of your own, derive SeaORM's `DeriveActiveEnum`, `DeriveValueType` or `FromJsonQueryResult`",
    note = "a map, a list or a type of another crate goes into a struct of your own with `FromJsonQueryResult`; a \
            list of texts or numbers can be a `Vec` with SeaORM's feature `postgres-array`; a field that \
            is no column has `#[sea_orm(ignore)]`"
)]
pub trait ColumnField<By> {
    /// `Self`
    type Field;
}

/// The type of a field that serde itself writes and reads, with no function of the application; see [`ColumnField`].
#[diagnostic::on_unimplemented(
    message = "the field type `{Self}` cannot be stored in Dust",
    label = "needs serde's `Serialize` and `Deserialize`, and what SeaORM requires of a column",
    note = "for a type of your own, derive serde's `Serialize` and `Deserialize` beside SeaORM's `DeriveActiveEnum`, \
            `DeriveValueType` or `FromJsonQueryResult`",
    note = "a map, a list or a type of another crate goes into a struct of your own with these derives and \
            `FromJsonQueryResult`; a list of texts or numbers can be a `DustSet`, or a `Vec` with SeaORM's feature \
            `postgres-array`"
)]
pub trait StoredField<By> {
    /// `Self`
    type Field;
}

/// The marker of impls that have the bounds of the traits.
pub enum Bounds {}

/// The marker of impls that match no type: no type implements [`Impossible`].
pub enum Never {}

pub trait Impossible {}

#[diagnostic::do_not_recommend]
impl<V: Into<Value> + Clone + PartialEq + 'static> ColumnField<Bounds> for V {
    type Field = V;
}

#[diagnostic::do_not_recommend]
impl<V: Impossible> ColumnField<Never> for V {
    type Field = V;
}

#[diagnostic::do_not_recommend]
impl<V: Into<Value> + Clone + PartialEq + Serialize + DeserializeOwned + 'static> StoredField<Bounds> for V {
    type Field = V;
}

#[diagnostic::do_not_recommend]
impl<V: Impossible> StoredField<Never> for V {
    type Field = V;
}

/// The type of the key, or of one part of it; see [`ColumnField`].
#[diagnostic::on_unimplemented(
    message = "the type `{Self}` cannot be the key of a record in Dust",
    label = "needs `Display` and `FromStr`, by which a key is written into the path of its record and read from it",
    note = "a key is always there: a `String`, an integer, a `Uuid`, or a type of your own that implements both; an \
            `Option` or a list is none"
)]
pub trait KeyField<By> {
    /// `Self`
    type Field;
}

#[diagnostic::do_not_recommend]
impl<K: Into<Value> + Display + FromStr<Err: Display> + 'static> KeyField<Bounds> for K {
    type Field = K;
}

#[diagnostic::do_not_recommend]
impl<K: Impossible> KeyField<Never> for K {
    type Field = K;
}

/// The functions of a key, or of one part of it.
pub trait KeyAccess {
    /// `Self`
    type Key;

    /// The key as a path segment.
    fn to_segment(key: &Self::Key) -> Cow<'_, str>;

    /// The key of an ActiveModel as a path segment.
    fn segment(key: &dyn Any) -> Option<Cow<'_, str>>;

    /// Reads a key. A segment that the key itself would write otherwise is refused: `007` is the number 7, but not the
    /// path of the record 7, which a later write would create beside it.
    fn set(key: &mut dyn Any, segment: &str) -> Result<(), String>;

    /// Moves the key out of an ActiveModel.
    fn take(key: &mut dyn Any) -> Option<Self::Key>;
}

impl<K: Into<Value> + Display + FromStr<Err: Display> + 'static> KeyAccess for K {
    type Key = K;

    fn to_segment(key: &K) -> Cow<'_, str> {
        key_text(key)
    }

    fn segment(key: &dyn Any) -> Option<Cow<'_, str>> {
        value_of(key).map(key_text::<K>)
    }

    fn set(key: &mut dyn Any, segment: &str) -> Result<(), String> {
        let value = segment.parse::<K>().map_err(|error| error.to_string())?;
        let written = K::to_segment(&value);
        if written != segment {
            return Err(format!("this key is written {written:?}"));
        }
        drop(written);
        assign(key, ActiveValue::Unchanged(value));
        Ok(())
    }

    fn take(key: &mut dyn Any) -> Option<K> {
        key.downcast_mut::<ActiveValue<K>>()?.take()
    }
}

#[cold]
pub fn no_such_part(part: usize) -> String {
    format!("the key has no part at position {part}")
}

/// The functions of a field that need no serde. A field is an `ActiveValue<Self>` of an ActiveModel.
pub trait ColumnAccess: Sized {
    fn state(field: &dyn Any) -> FieldState;

    fn set_state(field: &mut dyn Any, state: FieldState);

    fn same_value(one: &dyn Any, other: &dyn Any) -> bool;

    fn copy(field: &mut dyn Any, from: &dyn Any);

    fn value<E: ser::Error>(field: &dyn Any) -> Result<&Self, E>;

    /// Stores the value that the function of `#[serde(deserialize_with)]` has read.
    fn set<E>(field: &mut dyn Any, value: Self) -> Result<(), E>;

    /// Sets the value. Always returns true.
    fn set_to(field: &mut dyn Any, value: Self) -> bool;
}

impl<V: Into<Value> + Clone + PartialEq + 'static> ColumnAccess for V {
    fn state(field: &dyn Any) -> FieldState {
        match field.downcast_ref::<ActiveValue<V>>() {
            Some(ActiveValue::Set(_)) => FieldState::Set,
            Some(ActiveValue::Unchanged(_)) => FieldState::Unchanged,
            Some(ActiveValue::NotSet) | None => FieldState::NotSet,
        }
    }

    fn set_state(field: &mut dyn Any, state: FieldState) {
        let Some(field) = field.downcast_mut::<ActiveValue<V>>() else { return };
        let value = std::mem::replace(field, ActiveValue::NotSet);
        *field = match (state, value) {
            (FieldState::Set, ActiveValue::Set(value) | ActiveValue::Unchanged(value)) => ActiveValue::Set(value),
            (FieldState::Unchanged, ActiveValue::Set(value) | ActiveValue::Unchanged(value)) => {
                ActiveValue::Unchanged(value)
            }
            (FieldState::NotSet, _) | (_, ActiveValue::NotSet) => ActiveValue::NotSet,
        };
    }

    fn same_value(one: &dyn Any, other: &dyn Any) -> bool {
        match (value_of::<V>(one), value_of::<V>(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }

    fn copy(field: &mut dyn Any, from: &dyn Any) {
        if let Some(from) = from.downcast_ref::<ActiveValue<V>>() {
            assign(field, from.clone());
        }
    }

    fn value<E: ser::Error>(field: &dyn Any) -> Result<&V, E> {
        value_of(field).ok_or_else(|| E::custom("the field is not set"))
    }

    fn set<E>(field: &mut dyn Any, value: V) -> Result<(), E> {
        assign(field, ActiveValue::Set(value));
        Ok(())
    }

    fn set_to(field: &mut dyn Any, value: V) -> bool {
        assign(field, ActiveValue::Set(value));
        true
    }
}

/// The functions of a field that serde itself writes and reads.
pub trait SerdeAccess {
    fn serialize<S: Serializer>(field: &dyn Any, serializer: S) -> Result<S::Ok, S::Error>;

    fn deserialize<'de, D: Deserializer<'de>>(field: &mut dyn Any, deserializer: D) -> Result<(), D::Error>;
}

impl<V: Into<Value> + Clone + PartialEq + Serialize + DeserializeOwned + 'static> SerdeAccess for V {
    fn serialize<S: Serializer>(field: &dyn Any, serializer: S) -> Result<S::Ok, S::Error> {
        V::value::<S::Error>(field)?.serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(field: &mut dyn Any, deserializer: D) -> Result<(), D::Error> {
        assign(field, ActiveValue::Set(V::deserialize(deserializer)?));
        Ok(())
    }
}

/// The value of a field, if it has one.
fn value_of<V: Into<Value> + 'static>(field: &dyn Any) -> Option<&V> {
    field.downcast_ref::<ActiveValue<V>>().and_then(ActiveValue::try_as_ref)
}

/// Replaces a field. The derive passes no field of another type.
fn assign<V: Into<Value> + 'static>(field: &mut dyn Any, value: ActiveValue<V>) {
    if let Some(field) = field.downcast_mut() {
        *field = value;
    }
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

/// The record codec on its own, for the benchmarks.
pub mod codec {
    use dust_protocol::{Entry, LeafKind, Path, RawJson};
    use sea_orm::EntityTrait;

    use crate::entity::{DustEntity, FieldSelection, StoredRecord, decode, encode_fields};
    use crate::error::DustErr;

    /// A stored record.
    pub struct Stored(StoredRecord);

    /// The texts of a record's leaves.
    pub fn encode<E: DustEntity>(active: &<E as EntityTrait>::ActiveModel) -> Result<Vec<(usize, RawJson)>, DustErr> {
        encode_fields(active, FieldSelection::All)
    }

    /// A record with these leaves.
    pub fn stored(path: Path, leaves: impl IntoIterator<Item = (Path, RawJson)>) -> Stored {
        let leaves = leaves.into_iter().map(|(path, value)| Entry::new(path, value, LeafKind::String, 1)).collect();
        Stored(StoredRecord { path, leaves })
    }

    /// Reads a record.
    pub fn read<E: DustEntity>(stored: &Stored) -> Result<E::Model, DustErr> {
        Ok(decode::<E>(&stored.0)?)
    }
}
