//! The builders of the verbs, their options, and their sending.

use std::future::IntoFuture;

use dust_protocol::Fence;
use futures_core::future::BoxFuture;
use sea_orm::EntityTrait;

use super::dispatch::send;
use super::insert_if_absent::insert_if_absent;
use super::options::{Condition, ExceptedColumn, Options};
use super::save::{Draft, Written};
use super::versioned::VersionedWrite;
use crate::entity::{DustEntity, KeyOf, Revision, Versioned};
use crate::error::DustErr;
use crate::repo::DustRepo;
use crate::transport::Transport;

/// The result of a delete. SeaORM's has the number of rows, this one the number of the op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// The number of the op in the order of the store's ops.
    pub store_seq: u64,
}

/// The outcome of a write that is under way.
pub(in crate::repo) type Sent<'r, T> = BoxFuture<'r, Result<T, DustErr>>;

/// An insert. [`DustRepo::insert`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Insert<'r, E: EntityTrait> {
    pub(super) repo: &'r DustRepo,
    pub(super) active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    pub(super) options: Options,
    pub(super) send: fn(Self) -> Sent<'r, E::Model>,
}

/// An update. [`DustRepo::update`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Update<'r, E: EntityTrait> {
    pub(super) repo: &'r DustRepo,
    pub(super) active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    pub(super) options: Options,
    pub(super) send: fn(Self) -> Sent<'r, E::Model>,
}

/// A write of a whole Model. [`DustRepo::put`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Put<'r, E: EntityTrait> {
    pub(super) repo: &'r DustRepo,
    pub(super) model: E::Model,
    pub(super) options: Options,
    pub(super) send: fn(Self) -> Sent<'r, E::Model>,
}

/// A delete. [`DustRepo::delete`] and [`DustRepo::delete_by_id`] make it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Delete<'r, E: EntityTrait> {
    pub(super) repo: &'r DustRepo,
    pub(super) target: Result<Target<E>, DustErr>,
    pub(super) options: Options,
    pub(super) send: fn(Self) -> Sent<'r, DeleteResult>,
}

/// The record to delete.
#[derive(Debug)]
pub(super) enum Target<E: EntityTrait> {
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
            pub(super) fn send(self) -> Sent<'r, $output> {
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
        into_future!($verb -> E::Model, |this, transport| {
            this.write(transport).await?.pending.outcome.into_saved().await
        });

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
