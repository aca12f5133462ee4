//! The imports of an entity file: `use dust_orm::entity::prelude::*;` imports SeaORM's own entity prelude, serde,
//! changesets, and the Dust traits, derives and field types.

pub use sea_orm;
pub use sea_orm::ActiveValue::{self, NotSet, Set, Unchanged};
pub use sea_orm::entity::prelude::*;
pub use sea_orm::{IntoActiveModel, TryIntoModel};
pub use serde::{Deserialize, Serialize};

pub use super::{Counter, DustEntity, DustSet, FileRef, KeyCase, StorageMode};
#[cfg(feature = "macros")]
pub use super::{DeriveChangeset, DeriveDustEntity};
pub use crate::changeset::Changeset;
