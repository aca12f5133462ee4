//! Entities: SeaORM models that are stored in Dust, and the conversion of their records to and from leaves.

mod counter;
mod decode;
#[cfg(feature = "macros")]
mod derives;
mod encode;
mod escape;
pub(crate) mod fields;
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
pub use fields::Fields;
#[doc(hidden)]
pub use fields::{Field, FieldState};
pub use file_ref::FileRef;
pub(crate) use finite::Finite;
pub(crate) use key::{KeyFault, active_path, lookup_path, record_path, writable_prefix};
pub(crate) use read_back::{normalize_nulls, round_trips, written_bytes};
pub(crate) use record::SizeLimit;
pub(crate) use record::{
    MAX_RECORD_BYTES, MAX_RECORD_LEAVES, PackedRecord, RecordRef, StoredRecord, check_size, cursor_after, last_record,
    record_of, records,
};
pub use revision::{Revision, Versioned};
pub use set::DustSet;

use dust_protocol::{Path, PathError};

/// The type of an entity's primary key, as SeaORM's `find_by_id` takes it.
pub type KeyOf<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A SeaORM entity whose records are stored in Dust, at `<prefix>/<key>/<field>`.
///
/// Derive it with `#[derive(DeriveDustEntity)]` beside `DeriveEntityModel`; do not implement it by hand.
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
    /// The path segments below which all records of this entity are stored.
    const PREFIX: &'static [&'static str];
    /// The form in which a record is written.
    #[doc(hidden)]
    const MODE: StorageMode;
    /// The rule for the case of keys.
    #[doc(hidden)]
    const KEY_CASE: KeyCase;

    /// Converts a key to the path segment that names its record.
    #[doc(hidden)]
    fn key_to_segment(key: &KeyOf<Self>) -> Cow<'_, str>;

    /// The key of an ActiveModel as a path segment; `None` when it is `NotSet`.
    #[doc(hidden)]
    fn key_segment(model: &Self::ActiveModel) -> Option<String>;

    /// Parses the key from a path segment into the ActiveModel, as `Unchanged`.
    ///
    /// # Errors
    ///
    /// The reason why the segment is not a key of this entity.
    #[doc(hidden)]
    fn set_key(model: &mut Self::ActiveModel, segment: &str) -> Result<(), String>;

    /// The columns that every record must have: those that neither are an `Option` nor have a default of serde, and
    /// those named by `#[dust(required(..))]`. Changesets and reads both use this list.
    fn required_columns() -> Vec<Self::Column> {
        fields::required_columns::<Self::ActiveModel>()
    }

    /// The path below which all records are stored.
    ///
    /// # Errors
    ///
    /// [`PREFIX`](DustEntity::PREFIX) is not a valid path.
    #[doc(hidden)]
    fn prefix_path() -> Result<Path, PathError> {
        Path::from_segments(Self::PREFIX)
    }
}

/// The form in which the records of an entity are written (`#[dust(mode = "..")]`, default: `flat`). Reads accept both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageMode {
    /// One leaf per field: other writers can change a single field, and an update writes only the changed fields.
    #[default]
    Flat,
    /// The whole record at once: every write replaces it, and all its leaves share one revision.
    Map,
}

/// The rule for the case of keys and prefixes (`#[dust(key_case = "..")]`, default: `lower`).
///
/// A Dust server ignores ASCII case when it removes a subtree. So the records of two keys that differ only in case
/// destroy each other, and so do those of two prefixes that differ only in case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyCase {
    /// Keys and prefixes without ASCII upper-case letters; others are refused before anything is sent.
    #[default]
    Lower,
    /// Any key and prefix: the application promises that no two differ only in case.
    Any,
}
