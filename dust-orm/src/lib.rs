//! SeaORM entities that live in [Dust](https://dustlayer.io), a hosted, reactive key-value store.
//!
//! An application that uses SeaORM can keep some of its entities in Dust: the same `Model` and `ActiveModel`, one more
//! derive, and a [`DustRepo`] in place of a database connection.
//!
//! ```
//! use dust_orm::prelude::*;
//! use serde_json::json;
//!
//! mod link {
//!     use dust_orm::entity::prelude::*;
//!
//!     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
//!     #[sea_orm(table_name = "links")]
//!     #[dust(prefix = "links")]
//!     pub struct Model {
//!         #[sea_orm(primary_key, auto_increment = false)]
//!         pub slug: String,
//!         pub title: String,
//!         pub note: Option<String>,
//!     }
//!
//!     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     pub enum Relation {}
//!
//!     impl ActiveModelBehavior for ActiveModel {}
//!
//!     pub fn create(params: impl Serialize) -> Changeset<ActiveModel> {
//!         checked(Changeset::cast(ActiveModel::new(), params, [Column::Slug, Column::Title, Column::Note]))
//!     }
//!
//!     /// The key is not among the permitted columns: it names the link to change.
//!     pub fn edit(link: Model, params: impl Serialize) -> Changeset<ActiveModel> {
//!         checked(Changeset::cast(link.into_active_model(), params, [Column::Title, Column::Note]))
//!     }
//!
//!     fn checked(link: Changeset<ActiveModel>) -> Changeset<ActiveModel> {
//!         link.validate_required(Entity::required_columns()).validate_length(Column::Title, 1..=200)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), DustErr> {
//! let repo = DustRepo::embedded();
//! let params = json!({"slug": "dust", "title": "Dust"});
//! let link = repo.insert(link::create(params)).await?;
//! repo.update(link::edit(link, json!({"note": "read me"}))).await?;
//!
//! let found = repo.find_by_id::<link::Entity>("dust").await?;
//! assert_eq!(found.unwrap().note.as_deref(), Some("read me"));
//! # Ok(())
//! # }
//! ```
//!
//! # The map of the crate
//!
//! | to | look at |
//! |---|---|
//! | declare an entity | [`DeriveDustEntity`], [`StorageMode`], [`entity::prelude`]; [`DeriveChangeset`] for SQL only |
//! | open a repo | [`DustRepo::embedded`], [`open`], [`from_env`], [`connect`] with a [`DustConfig`] |
//! | check input | [`Changeset`], [`Errors`] |
//! | read a record | [`find_by_id`], [`get`], [`exists`] |
//! | read many | [`find`] (pages and ranges), [`find_many`], [`all`], [`stream`] |
//! | write a record | [`insert`], [`update`], [`put`], [`merge`], [`delete`], [`delete_by_id`] |
//! | write many | [`batch_write`] (all or nothing), [`insert_many`], [`delete_all`] |
//! | keep the writes of others | [`get_versioned`], [`Revision`], [`if_match`], [`if_absent`] |
//! | count, collect | [`Counter`], [`DustSet`]; [`increment`], [`add_to_set`], [`remove_from_set`] |
//! | store files | [`FileRef`]; [`put_file`], [`fetch_file`], [`download`] |
//! | receive changes | [`subscribe`], [`broadcast`], [`live`], [`on_change`], [`Event`] |
//! | coordinate processes | [`lease`], [`single_flight`] |
//! | read from a live local mirror | [`realtime::SyncClient`]; [`realtime::cache`] keeps it across restarts |
//! | handle errors | [`DustErr`], [`ErrKind`], [`http_status`], [`RetryPolicy`] |
//! | test an application | [`testing::TestRepo`], and the crate `dust-emulator` for a whole server |
//!
//! | module | contents |
//! |---|---|
//! | [`prelude`] | the names of programs that use a repo |
//! | [`repo`] | [`DustRepo`] and its verbs |
//! | [`changeset`] | [`Changeset`]: cast and validate before writing |
//! | [`entity`] | [`DustEntity`] and its derive, storage modes, revisions, field types |
//! | [`error`] | [`DustErr`], with a table of its kinds |
//! | [`config`] | [`DustConfig`]: which store on which server, with which token |
//! | [`realtime`] | the realtime client: a local mirror of a store, kept by a WebSocket |
//! | [`realtime::cache`] | keeping that mirror across restarts |
//! | [`transport`] | the ways to a store; implement [`Transport`] for another one |
//! | [`store`] | the embedded store |
//! | [`testing`] | a repo for the tests of applications |
//! | [`protocol`] | Dust's language: paths, patterns, values, ops |
//!
//! The guide in the repository (`docs/guide`) explains all of this in order.
//!
//! # Features
//!
//! | feature | default | contents |
//! |---|---|---|
//! | `embedded` | yes | the embedded store |
//! | `http` | yes | a store on a Dust server: [`DustRepo::from_env`] |
//! | `realtime` | yes | a local mirror of a store on a Dust server: [`realtime::SyncClient`] |
//! | `rustls` | yes | `https` and `wss` by rustls, with the provider that the application installed, otherwise ring |
//! | `native-tls` | no | `https` and `wss` by the system's library; used instead of `rustls` if both are on |
//! | `cache-sql` | no | keeps that mirror in the application's database, through SeaORM: `realtime::cache::SqlCache` |
//! | `cache-sql-migration` | no | its tables as a migration of `sea-orm-migration` |
//! | `macros` | yes | the derives, SeaORM's included |
//! | `with-chrono`, `with-time`, `with-uuid`, `with-rust_decimal` | no | SeaORM's support for these types, and serde's |
//!
//! [`open`]: DustRepo::open
//! [`from_env`]: DustRepo::from_env
//! [`connect`]: DustRepo::connect
//! [`find_by_id`]: DustRepo::find_by_id
//! [`get`]: DustRepo::get
//! [`find_many`]: DustRepo::find_many
//! [`find`]: DustRepo::find
//! [`all`]: DustRepo::all
//! [`stream`]: DustRepo::stream
//! [`exists`]: DustRepo::exists
//! [`insert`]: DustRepo::insert
//! [`update`]: DustRepo::update
//! [`put`]: DustRepo::put
//! [`merge`]: DustRepo::merge
//! [`delete`]: DustRepo::delete
//! [`delete_by_id`]: DustRepo::delete_by_id
//! [`batch_write`]: DustRepo::batch_write
//! [`insert_many`]: DustRepo::insert_many
//! [`delete_all`]: DustRepo::delete_all
//! [`get_versioned`]: DustRepo::get_versioned
//! [`if_match`]: repo::Update::if_match
//! [`if_absent`]: repo::Insert::if_absent
//! [`Counter`]: entity::Counter
//! [`DustSet`]: entity::DustSet
//! [`FileRef`]: entity::FileRef
//! [`increment`]: DustRepo::increment
//! [`add_to_set`]: DustRepo::add_to_set
//! [`remove_from_set`]: DustRepo::remove_from_set
//! [`put_file`]: DustRepo::put_file
//! [`fetch_file`]: DustRepo::fetch_file
//! [`download`]: DustRepo::download
//! [`subscribe`]: DustRepo::subscribe
//! [`broadcast`]: DustRepo::broadcast
//! [`live`]: DustRepo::live
//! [`on_change`]: repo::Subscribe::on_change
//! [`lease`]: DustRepo::lease
//! [`single_flight`]: DustRepo::single_flight
//! [`http_status`]: DustErr::http_status

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private;
pub mod changeset;
#[cfg(feature = "http")]
pub mod config;
pub mod entity;
pub mod error;
mod feed;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod pace;
mod patience;
pub mod prelude;
/// The types of Dust's language that a [`Transport`], a cache and a raw subscription name; `dust-protocol` has the
/// rest.
pub mod protocol {
    pub use dust_protocol::list::{MAX_BATCH_OPS, MAX_GET_MANY_PATHS, MAX_PAGE_LEAVES};
    pub use dust_protocol::{
        CommittedOp, Entry, Fence, FileUpload, Leaf, LeafChange, LeafKind, LeafPage, ListItem, ListRequest, Mutation,
        Op, OpKind, Order, PackedLeaves, Page, Path, Pattern, Precondition, RawJson, Select, Selector, content_hash,
    };
}
mod random;
pub mod repo;
mod runtime;
/// The embedded store, for applications that open one themselves; `dust-store` has the rest.
#[cfg(feature = "embedded")]
pub mod store {
    pub use dust_store::{Compaction, Origin, Store, StoreBuilder, StoreError};
}
#[cfg(feature = "realtime")]
pub mod realtime;
#[cfg(feature = "embedded")]
pub mod testing;
#[cfg(feature = "macros")]
#[doc(hidden)]
#[cfg(any(test, feature = "tests-cfg"))]
pub mod tests_cfg;
pub mod transport;

pub use changeset::Changeset;
#[cfg(feature = "http")]
pub use config::{DustConfig, RetryPolicy};
#[cfg(feature = "macros")]
pub use entity::{DeriveChangeset, DeriveDustEntity};
pub use entity::{DustEntity, KeyCase, Revision, StorageMode, Versioned};
pub use error::{DustErr, ErrKind, Errors, FieldError, InvalidRecord};
pub use repo::{BatchEntry, Broadcast, DustRepo, Event};
pub use sea_orm;
pub use transport::{Capabilities, Transport};
