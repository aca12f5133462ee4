//! Entities: SeaORM models that live in Dust, and how a record becomes leaves and leaves become a record.

mod counter;
mod decode;
#[cfg(feature = "macros")]
mod derives;
mod encode;
mod escape;
pub mod fields;
mod file_ref;
mod finite;
mod json_column;
mod key;
mod leaf;
pub mod prelude;
mod read_back;
mod record;
mod revision;
mod set;

use std::borrow::Cow;

use sea_orm::{EntityTrait, IntoActiveModel, PrimaryKeyTrait, TryIntoModel};

pub use counter::Counter;
pub(crate) use decode::{decode, fill};
#[cfg(feature = "macros")]
pub use derives::{DeriveChangeset, DeriveDustEntity};
pub(crate) use encode::{FieldSelection, check_required, encode_fields, encode_object, encode_set, is_leaf};
pub use fields::{Field, FieldState, Fields};
pub use file_ref::FileRef;
pub(crate) use finite::Finite;
pub(crate) use key::{KeyFault, active_path, lookup_path, record_path, writable_prefix};
pub(crate) use read_back::{reads_back, settle_nulls, written_bytes};
pub(crate) use record::SizeLimit;
pub(crate) use record::{
    MAX_RECORD_BYTES, MAX_RECORD_LEAVES, PackedRecord, RecordRef, StoredRecord, behind, check_size, last_record,
    record_of, records,
};
pub use revision::{Revision, Versioned};
pub use set::DustSet;

use dust_protocol::{Path, PathError};

/// The type of an entity's primary key, as SeaORM's `find_by_id` takes it.
pub type KeyOf<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A SeaORM entity whose records live in Dust, at `<prefix>/<key>/<field>`.
///
/// Derive it with `#[derive(DeriveDustEntity)]` beside `DeriveEntityModel`; nothing here is meant to be written by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no entity that lives in Dust",
    label = "needs `DeriveDustEntity`",
    note = "derive `DeriveDustEntity` on its `Model`, beside `DeriveEntityModel`, with `#[dust(prefix = \"..\")]`",
    note = "verbs take the type `Entity`, not `Model` or `ActiveModel`: `repo.get::<link::Entity>(key)`"
)]
pub trait DustEntity:
    EntityTrait<
        Model: IntoActiveModel<Self::ActiveModel> + Send + Sync,
        ActiveModel: Fields<Entity = Self> + TryIntoModel<Self::Model> + Send + Sync + 'static,
    >
{
    /// The segments under which all records of this entity live.
    const PREFIX: &'static [&'static str];
    /// How a record is written.
    const MODE: StorageMode;
    /// Which keys are accepted.
    const KEY_CASE: KeyCase;

    /// The key as the path segment that names a record.
    fn key_to_segment(key: &KeyOf<Self>) -> Cow<'_, str>;

    /// The key of an ActiveModel as a path segment; `None` when it is `NotSet`.
    fn key_segment(model: &Self::ActiveModel) -> Option<String>;

    /// Reads the key from a path segment into the ActiveModel, as `Unchanged`; the error says why it is no such key.
    fn set_key(model: &mut Self::ActiveModel, segment: &str) -> Result<(), String>;

    /// The columns without which a record is not one: those that are not an `Option`, and those named by
    /// `#[dust(required(..))]`. The changeset and the guard on reads share this list.
    fn required_columns() -> Vec<Self::Column> {
        fields::required_columns::<Self::ActiveModel>()
    }

    /// The path under which all records live.
    fn prefix_path() -> Result<Path, PathError> {
        Path::from_segments(Self::PREFIX)
    }
}

/// How the records of an entity are written (`#[dust(mode = "..")]`). They are read the same way in both modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageMode {
    /// One leaf per field: other writers can change a single field, and an update writes only what changed.
    #[default]
    Flat,
    /// The whole record at once: every write replaces it, all its leaves share one revision.
    Map,
}

/// Which keys and prefixes an entity accepts (`#[dust(key_case = "..")]`).
///
/// A Dust server ignores ASCII case when it removes a subtree, so two keys that differ only in case destroy each other, and
/// so do the records of two prefixes that differ only in case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCase {
    /// Keys and a prefix without ASCII upper-case letters; others are refused before anything is sent.
    #[default]
    Lower,
    /// Any key and prefix: the application promises that no two differ only in case.
    Any,
}
