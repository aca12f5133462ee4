//! The verbs that write one record. Each returns a builder: chain its options, then `.await` it.
//!
//! A write passes the files of this folder from top to bottom:
//!
//! ```text
//! verb             mod.rs                Insert, Update, Put, Delete: the input and its options
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
mod versioned;

use std::future::IntoFuture;

use dust_protocol::Fence;
use futures_core::future::BoxFuture;
use sea_orm::{EntityTrait, ModelTrait};

pub use into_active_model::IntoDustActiveModel;

use crate::changeset::Action;
use crate::entity::{DustEntity, IntoKey, KeyOf, Revision, Versioned};
use crate::error::DustErr;
use crate::repo::DustRepo;
use crate::transport::Transport;
use dispatch::send;
use insert_if_absent::insert_if_absent;
use options::{Condition, ExceptedColumn, Options};
use save::{Draft, Written};
pub use versioned::VersionedWrite;

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
    /// hold, or if the record would be too large to be read back; [`NothingToWrite`](DustErr::NothingToWrite) if no field has a value; the error of a hook;
    /// errors of the [transport](crate::Transport::write).
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

/// The result of a delete. SeaORM's has the number of rows, this one the number of the op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// The number of the op in the order of the store's ops.
    pub store_seq: u64,
}

/// The outcome of a write that is under way.
pub(super) type Sent<'r, T> = BoxFuture<'r, Result<T, DustErr>>;

/// An insert. [`DustRepo::insert`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Insert<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    options: Options,
    send: fn(Self) -> Sent<'r, E::Model>,
}

/// An update. [`DustRepo::update`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Update<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    options: Options,
    send: fn(Self) -> Sent<'r, E::Model>,
}

/// A write of a whole Model. [`DustRepo::put`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Put<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    model: E::Model,
    options: Options,
    send: fn(Self) -> Sent<'r, E::Model>,
}

/// A delete. [`DustRepo::delete`] and [`DustRepo::delete_by_id`] make it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Delete<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    target: Result<Target<E>, DustErr>,
    options: Options,
    send: fn(Self) -> Sent<'r, DeleteResult>,
}

/// The record to delete.
#[derive(Debug)]
enum Target<E: EntityTrait> {
    Active(Box<<E as EntityTrait>::ActiveModel>),
    /// Its key.
    Key(KeyOf<E>),
}

macro_rules! options {
    ($verb:ident: $($option:ident)*) => {
        impl<'r, E: EntityTrait> $verb<'r, E> {
            $(options!(@$option);)*

            /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it fails
            /// with [`Fenced`](DustErr::Fenced).
            pub fn fence(mut self, fence: Fence) -> Self {
                self.options.fence = Some(fence);
                self
            }
        }
    };
    (@if_match) => {
        /// Applies the write only if the fields it writes have not changed since `revision` was read; otherwise it
        /// fails with a [`Conflict`](DustErr::Conflict) that has the current revision.
        ///
        /// In map mode, and for a delete or put, the whole record is compared. Dust compares leaves, so a leaf that
        /// another writer has added beside those that were read is not detected. A bare number, the revision of the
        /// whole record, works in map mode only.
        pub fn if_match(mut self, revision: impl Into<Revision>) -> Self {
            self.options.condition = Condition::IfMatch(revision.into());
            self
        }
    };
    (@if_absent) => {
        /// Applies the write only if the record does not exist; otherwise it fails with [`Exists`](DustErr::Exists).
        pub fn if_absent(mut self) -> Self {
            self.options.condition = Condition::IfAbsent;
            self
        }
    };
}

options!(Insert: if_match if_absent);
options!(Update: if_match);

impl<E: DustEntity> Update<'_, E> {
    /// Leaves a column out of [`if_match`](Update::if_match): its field is written whatever its revision is. Several
    /// calls add up. Without `if_match` it has no effect.
    ///
    /// It is for fields that every write sets and no user edits, such as an `updated_at` that a hook sets: otherwise
    /// two edits of different fields of a record in flat mode would conflict in it. If every written field is left out,
    /// the record is read first, because it still has to exist.
    ///
    /// In map mode the whole record is compared and written, and the update fails with
    /// [`InvalidParams`](DustErr::InvalidParams), as for a column of the key.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let seen = repo.get_versioned::<link::Entity>("dust").await?;
    /// let mut edit = seen.model.into_active_model();
    /// edit.title = Set("Dust, a reactive store".into());
    /// edit.note = Set(Some("the title is edited".into()));
    /// // Another writer's note is no conflict, another writer's title is.
    /// repo.update(edit).if_match(&seen.revision).except(link::Column::Note).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn except(mut self, column: E::Column) -> Self {
        self.options.except.push(ExceptedColumn::new::<E>(column));
        self
    }
}
options!(Put: if_match if_absent);
options!(Delete: if_match);

// A verb is a future for any entity. Only the method that makes it requires `DustEntity`, and passes the function that
// does: an entity without the derive is then one compile error, not one for each part of `repo.insert(active).await`.
macro_rules! into_future {
    ($verb:ident -> $output:ty, |$this:ident, $transport:ident| $body:block) => {
        impl<'r, E: EntityTrait> IntoFuture for $verb<'r, E> {
            type Output = Result<$output, DustErr>;
            type IntoFuture = BoxFuture<'r, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                (self.send)(self)
            }
        }

        impl<'r, E: DustEntity> $verb<'r, E> {
            fn send(self) -> Sent<'r, $output> {
                let $this = self;
                Box::pin(async move {
                    let $transport = &*$this.repo.active_for::<E>();
                    $body
                })
            }
        }
    };
}

// The verbs that save a record: as `into_future`, and `versioned`.
macro_rules! into_saved {
    ($verb:ident, |$this:ident, $transport:ident| $body:block) => {
        into_future!($verb -> E::Model, |this, transport| { this.write(transport).await?.pending.outcome.into_saved().await });

        impl<'r, E: DustEntity> $verb<'r, E> {
            /// Returns the record with its [`Revision`], for the `ETag` of the response, without another read. It is
            /// the last option.
            ///
            /// The revision is what a read right after the write returns if no other writer has changed the record.
            /// If one has, the returned revision is still that of the returned Model, so that a later `if_match`
            /// conflicts and the tag does not match.
            ///
            /// It is computed from the answer of the store and from what was read before the write. Where an update
            /// with `if_match` reads nothing, the revision of `if_match` supplies the leaves that are not written. Over
            /// HTTP an insert with a value for every field reads nothing either: if leaves that belong to no field are
            /// stored at the record, they are not in the revision, and its tag does not match that of a read.
            ///
            /// ```
            /// # use dust_orm::{DustRepo, Versioned, entity::prelude::*, tests_cfg::link};
            /// # async fn example(repo: DustRepo, link: link::Model) -> Result<(), dust_orm::DustErr> {
            /// let saved: Versioned<link::Model> = repo.put(link).versioned().await?;
            /// let etag = saved.revision.etag();
            /// # Ok(())
            /// # }
            /// ```
            pub fn versioned(mut self) -> VersionedWrite<'r, Versioned<E::Model>> {
                self.options.versioned = true;
                VersionedWrite::new(async move {
                    let transport = &*self.repo.active_for::<E>();
                    self.write(transport).await?.into_versioned().await
                })
            }

            /// Writes the record.
            async fn write(self, $transport: &dyn Transport) -> Result<Written<E>, DustErr> {
                let $this = self;
                $body
            }
        }
    };
}

into_saved!(Insert, |this, transport| {
    if matches!(this.options.condition, Condition::IfAbsent) && !transport.capabilities().if_subtree_absent {
        return insert_if_absent::<E>(this.active?, this.options, transport).await;
    }
    let draft = Draft::<E>::insert(this.active?, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_saved!(Update, |this, transport| {
    let draft = Draft::<E>::update(this.active?, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_saved!(Put, |this, transport| {
    let draft = Draft::<E>::put(this.model, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_future!(Delete -> DeleteResult, |this, transport| {
    let draft = match this.target? {
        Target::Active(active) => Draft::<E>::delete(*active, &this.options, transport).await?,
        Target::Key(key) => Draft::<E>::delete_by_key(key, &this.options, transport).await?,
    };
    let (planned, pending) = draft.prepare(&this.options, transport).await?;
    let store_seq = send(planned, this.options, transport).await?.store_seq.unwrap_or_default();
    pending.outcome.run_after_hooks().await?;
    Ok(DeleteResult { store_seq })
});

/// Writes a drafted record.
async fn save<E: DustEntity>(
    draft: Draft<E>,
    options: Options,
    transport: &dyn Transport,
) -> Result<Written<E>, DustErr> {
    let (planned, pending) = draft.prepare(&options, transport).await?;
    let committed = send(planned, options, transport).await?;
    Ok(Written { pending, committed })
}
