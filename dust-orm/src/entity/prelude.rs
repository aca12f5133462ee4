//! What an entity file needs: `use dust_orm::entity::prelude::*;` brings SeaORM's own entity prelude, serde, changesets,
//! and the Dust traits and derives.

pub use sea_orm;
pub use sea_orm::ActiveValue::{self, NotSet, Set, Unchanged};
pub use sea_orm::entity::prelude::*;
pub use sea_orm::{IntoActiveModel, TryIntoModel};
pub use serde::{Deserialize, Serialize};

#[cfg(feature = "macros")]
pub use super::{DeriveChangeset, DeriveDustEntity};
pub use super::{DustEntity, KeyCase, StorageMode};
pub use crate::changeset::Changeset;
