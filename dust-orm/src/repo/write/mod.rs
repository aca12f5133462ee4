//! The verbs that write one record. Each returns a builder: chain its options, then `.await` it.
//!
//! A write passes the files of this folder from top to bottom:
//!
//! ```text
//! verb             mod.rs                DustRepo::{insert, update, put, delete}
//!   |              verb.rs               Insert, Update, Put, Delete: the input and its options
//!   |              into_active_model.rs  Changeset or ActiveModel -> ActiveModel, or the errors of the changeset
//!   |              options.rs            if_match, if_absent, fence
//!   v
//! Draft            save.rs               before_save or before_delete runs; required fields and key are checked
//!   |              hooks.rs
//!   |                                    the stored record is read, if the draft needs it
//!   v
//! Planned          ops.rs                fields -> leaves -> ops, each with its precondition
//!   |              presence.rs           the requirement that an updated record still exists
//!   v
//! WriteBatch       dispatch.rs           one op is sent by itself, several as one atomic batch
//!   |              insert_if_absent.rs   claims of absent leaves, for servers that compare single leaves only
//!   v
//! PendingSave      save.rs               after_save or after_delete runs, the whole Model is returned
//!                  record_before.rs      with `versioned`: its revision, from the leaves before and the ops
//! ```
//!
//! [`batch_write`](DustRepo::batch_write) and [`insert_many`](DustRepo::insert_many) make several drafts, read what
//! they need together, and send the ops of all of them as one `WriteBatch` or in chunks.

mod claims;
pub(super) mod dispatch;
pub(super) mod hooks;
pub(super) mod insert_if_absent;
mod into_active_model;
pub(super) mod limits;
pub(super) mod ops;
pub(super) mod options;
mod presence;
pub(super) mod record_before;
pub(super) mod save;
mod verb;
mod versioned;

use sea_orm::ModelTrait;

pub use into_active_model::IntoDustActiveModel;
pub(in crate::repo) use verb::Sent;
pub use verb::{Delete, DeleteResult, Insert, Put, Update};
pub use versioned::VersionedWrite;

use crate::changeset::Action;
use crate::entity::{DustEntity, IntoKey};
#[cfg(doc)]
use crate::error::DustErr;
use crate::repo::DustRepo;
use options::Options;
use verb::Target;

impl DustRepo {
    /// Inserts a record or, if it exists, updates it: a validated upsert. In flat mode stored fields that are not
    /// written stay; in map mode the record is replaced.
    ///
    /// Accepts an `ActiveModel`, SeaORM's builder or a `Changeset`, and returns the whole `Model`. Fields that are
    /// `Set` or `Unchanged` are written in one atomic request; `NotSet` is never written, and `Set(None)` writes
    /// `null`. If an optional field is `NotSet`, the stored record is read first, so that the returned Model is whole.
    /// Over HTTP an insert with a value for every field reads nothing, and does not count the leaves of the record that
    /// belong to no field when it checks the size of the result.
    ///
    /// [`if_absent`](Insert::if_absent) makes it insert-or-fail. Over HTTP that takes three requests instead of one,
    /// because a server compares single leaves only.
    ///
    /// # Errors
    /// [`Invalid`](DustErr::Invalid) with the names of required fields that are `NotSet`, the key among them, or with
    /// the errors of the changeset; [`InvalidParams`](DustErr::InvalidParams) if the key has a form that no path can
    /// hold, or if the record would be too large to be read back; [`NothingToWrite`](DustErr::NothingToWrite) if no
    /// field has a value; the error of a hook; errors of the [transport](crate::Transport::write).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, ErrKind, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let draft = link::ActiveModel {
    ///     slug: Set("dust".into()),
    ///     title: Set("Dust".into()),
    ///     url: Set("https://dustlayer.io".into()),
    ///     ..Default::default()
    /// };
    /// let link: link::Model = repo.insert(draft.clone()).await?;
    /// let error = repo.insert(draft).if_absent().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrKind::Exists);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn insert<I: IntoDustActiveModel>(&self, input: I) -> Insert<'_, I::Entity>
    where
        I::Entity: DustEntity,
    {
        Insert {
            repo: self,
            active: input.into_dust_active_model(Action::Insert),
            options: Options::default(),
            send: Insert::send,
        }
    }

    /// Writes the changed fields of an existing record: those that are `Set`, never the key.
    ///
    /// Accepts an `ActiveModel`, SeaORM's builder or a `Changeset`, and returns the whole `Model`. The key names the
    /// record, whether it is `Set` or `Unchanged`. If no field is `Set`, nothing is written. In map mode the record is
    /// written as a whole, so every field needs a value.
    ///
    /// An update never creates a record: if the record is deleted at the same time, no part of it remains. (Exception:
    /// over a realtime client, in map mode, an update at the time of a delete writes the whole record.)
    ///
    /// [`if_match`](Update::if_match) writes only if no other writer has changed the same fields since they were read
    /// (in map mode: the record). It also saves the read that otherwise checks that the record exists. In flat mode the
    /// fields that are not written are then returned as the `ActiveModel` has them; the stored ones may be newer.
    ///
    /// # Errors
    /// [`NotFound`](DustErr::NotFound) if the record does not exist; [`Invalid`](DustErr::Invalid) with the errors of
    /// the changeset, which include a key that differs from that of its data; [`InvalidParams`](DustErr::InvalidParams)
    /// with the names of fields that are `NotSet` in map mode; the error of a hook; errors of the
    /// [transport](crate::Transport::write).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo, link: link::Model) -> Result<(), dust_orm::DustErr> {
    /// let mut edit = link.into_active_model();
    /// edit.title = Set("Dust, a reactive store".into());
    /// let link: link::Model = repo.update(edit).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn update<I: IntoDustActiveModel>(&self, input: I) -> Update<'_, I::Entity>
    where
        I::Entity: DustEntity,
    {
        Update {
            repo: self,
            active: input.into_dust_active_model(Action::Update),
            options: Options::default(),
            send: Update::send,
        }
    }

    /// Replaces a record by a whole `Model`, in one op and in both storage modes. Stored leaves that belong to no field
    /// of the entity are removed.
    ///
    /// # Errors
    /// As [`insert`](DustRepo::insert).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo, link: link::Model) -> Result<(), dust_orm::DustErr> {
    /// let link = repo.put(link).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn put<M>(&self, model: M) -> Put<'_, M::Entity>
    where
        M: ModelTrait,
        M::Entity: DustEntity<Model = M>,
    {
        Put { repo: self, model, options: Options::default(), send: Put::send }
    }

    /// Deletes the record whose key an `ActiveModel`, builder or `Changeset` has. If there is none, it succeeds as
    /// well.
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) if the key is `NotSet`; the error of a hook; errors of the
    /// [transport](crate::Transport::write).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo, link: link::Model) -> Result<(), dust_orm::DustErr> {
    /// repo.delete(link.into_active_model()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn delete<I: IntoDustActiveModel>(&self, input: I) -> Delete<'_, I::Entity>
    where
        I::Entity: DustEntity,
    {
        Delete {
            repo: self,
            target: input.into_dust_active_model(Action::Delete).map(|active| Target::Active(Box::new(active))),
            options: Options::default(),
            send: Delete::send,
        }
    }

    /// Deletes the record with this key. If there is none, it succeeds as well. Hooks receive an `ActiveModel` that has
    /// the key only.
    ///
    /// # Errors
    /// As [`delete`](DustRepo::delete).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let deleted = repo.delete_by_id::<link::Entity>("dust").await?;
    /// println!("deleted by op {}", deleted.store_seq);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn delete_by_id<E: DustEntity>(&self, key: impl IntoKey<E>) -> Delete<'_, E> {
        let target = Ok(Target::Key(key.into_key()));
        Delete { repo: self, target, options: Options::default(), send: Delete::send }
    }
}
