//! SeaORM entities that live in [Dust](https://dustlayer.io), a hosted, reactive key-value store.

pub mod changeset;
pub mod entity;
pub mod error;
pub mod protocol;
#[cfg(feature = "embedded")]
pub mod store;
pub mod transport;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private;

pub use changeset::Changeset;
#[cfg(feature = "macros")]
pub use entity::{DeriveChangeset, DeriveDustEntity};
pub use error::{DustErr, ErrKind, Errors, FieldError, InvalidRecord};
pub use sea_orm;
pub use transport::{Capabilities, Transport};
