//! SeaORM entities that live in [Dust](https://dustlayer.io), a hosted, reactive key-value store.

#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private;
pub mod changeset;
pub mod entity;
pub mod error;
pub mod protocol;
pub mod repo;
#[cfg(feature = "embedded")]
pub mod store;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod tests_cfg;
pub mod transport;

pub use changeset::Changeset;
#[cfg(feature = "macros")]
pub use entity::{DeriveChangeset, DeriveDustEntity};
pub use entity::{DustEntity, KeyCase, Revision, StorageMode, Versioned};
pub use error::{DustErr, ErrKind, Errors, FieldError, InvalidRecord};
pub use repo::{BatchEntry, DustRepo};
pub use sea_orm;
pub use transport::{Capabilities, Transport};
