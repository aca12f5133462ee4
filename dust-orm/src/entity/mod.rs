//! Entities: SeaORM models that are stored in Dust, and the conversion of their records to and from leaves.

mod content_digest;
mod counter;
mod decode;
#[cfg(feature = "macros")]
mod derives;
mod encode;
mod entity_tag;
mod escape;
pub(crate) mod fields;
mod file_ref;
mod finite;
mod into_key;
mod json_column;
mod key;
mod key_prefix;
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
pub(crate) use fields::key_fields;
#[doc(hidden)]
pub use fields::{Field, FieldState};
pub use file_ref::FileRef;
pub(crate) use finite::Finite;
pub use into_key::IntoKey;
#[doc(hidden)]
pub use into_key::KeyFrom;
#[cfg(feature = "macros")]
pub(crate) use key::key_text;
pub(crate) use key::{
    KeyFault, active_path, lookup_path, parse_key, record_path, render_key, set_whole_key, writable_prefix,
};
pub use key_prefix::{KeyPrefix, KeyRest};
pub(crate) use key_prefix::{lookup_prefix, prefix_path_of};
pub(crate) use read_back::{normalize_nulls, round_trips, written_bytes};
pub(crate) use record::SizeLimit;
pub(crate) use record::{
    MAX_RECORD_BYTES, MAX_RECORD_LEAVES, RecordRef, StoredRecord, check_size, cursor_after, cursor_before,
    first_record, last_record, record_of, records,
};
pub use revision::{Revision, Versioned};
pub use set::DustSet;

use dust_protocol::{Path, PathError};

/// The type of an entity's primary key, as SeaORM's `find_by_id` takes it: a tuple for a composite key.
pub type KeyOf<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A SeaORM entity whose records are stored in Dust, at `<prefix>/<key>/<field>`. A composite key has one path segment
/// for each part, in the order of the fields: `links/ada/dust/title`.
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
    > + KeyFrom<<<Self as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType>
{
    /// The path segments below which all records of this entity are stored.
    const PREFIX: &'static [&'static str];
    /// The form in which a record is written.
    #[doc(hidden)]
    const MODE: StorageMode;
    /// The rule for the case of keys.
    #[doc(hidden)]
    const KEY_CASE: KeyCase;
    /// The number of fields of the primary key: each is one path segment.
    #[doc(hidden)]
    const KEY_PARTS: usize;

    /// The path segments of a key, one for each part, not escaped.
    #[doc(hidden)]
    fn key_segments(key: &KeyOf<Self>) -> impl AsRef<[Cow<'_, str>]>;

    /// The path segments of the key of an ActiveModel, not escaped; `None` for each part that is `NotSet`.
    #[doc(hidden)]
    fn active_key_segments(model: &Self::ActiveModel) -> impl AsRef<[Option<Cow<'_, str>>]>;

    /// Parses one part of the key from a path segment, which is not escaped, into the ActiveModel, as `Unchanged`.
    ///
    /// # Errors
    ///
    /// The reason why the segment is not this part of a key of this entity.
    #[doc(hidden)]
    fn set_key_part(model: &mut Self::ActiveModel, part: usize, segment: &str) -> Result<(), String>;

    /// Moves the key out of an ActiveModel; `None` if a part is `NotSet`.
    #[doc(hidden)]
    fn take_key(model: &mut Self::ActiveModel) -> Option<KeyOf<Self>>;

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
