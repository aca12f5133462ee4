//! The names of programs that use a repo: `use dust_orm::prelude::*;`. A file that declares an entity uses
//! [`entity::prelude`](crate::entity::prelude), which also has SeaORM's names; one file can import both.
//!
//! ```
//! use dust_orm::prelude::*;
//!
//! # async fn example() -> Result<(), DustErr> {
//! let repo = DustRepo::embedded();
//! # use dust_orm::tests_cfg::link;
//! match repo.get::<link::Entity>("dust").await {
//!     Err(error) if error.kind() == ErrKind::NotFound => {}
//!     found => drop(found?),
//! }
//! # Ok(())
//! # }
//! ```

pub use crate::changeset::Changeset;
#[cfg(feature = "http")]
pub use crate::config::{DustConfig, RetryPolicy};
pub use crate::entity::{DustEntity, KeyCase, Revision, StorageMode, Versioned};
pub use crate::error::{DustErr, ErrKind, Errors, FieldError};
#[cfg(feature = "realtime")]
pub use crate::realtime::SyncClient;
pub use crate::repo::{BatchEntry, Broadcast, DustRepo, Event};
