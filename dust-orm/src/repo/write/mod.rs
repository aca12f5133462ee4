//! The verbs that write one record. Each returns a builder: chain its options, then `.await` it.
//!
//! A write passes the files of this folder in this order: `into_active_model` takes what the verb was given, `options` holds
//! its conditions, `save` runs the hooks of `hooks` and checks the record, `ops` makes ops of its fields, `dispatch` sends
//! them, by `insert_if_absent` where the record must not exist, and `save` completes the model.

pub(super) mod dispatch;
pub(super) mod hooks;
pub(super) mod insert_if_absent;
mod into_active_model;
pub(super) mod limits;
pub(super) mod ops;
pub(super) mod options;
pub(super) mod save;

use std::future::IntoFuture;

use dust_protocol::Fence;
use futures_core::future::BoxFuture;
use sea_orm::{EntityTrait, ModelTrait};

pub use into_active_model::IntoDustActiveModel;

use crate::changeset::Action;
use crate::entity::{DustEntity, KeyOf, Revision};
use crate::error::DustErr;
use crate::repo::DustRepo;
use crate::transport::Transport;
use dispatch::send;
use insert_if_absent::insert_if_absent;
use options::{Condition, Options};
use save::Draft;

impl DustRepo {
    /// Writes a record: an upsert that is validated first and, in flat mode, merges with what is there.
    ///
    /// Takes an `ActiveModel`, SeaORM's builder or a `Changeset`, and answers the whole `Model`. Fields that are `Set` or
    /// `Unchanged` are written in one atomic request; `NotSet` is never written, and `Set(None)` writes `null`. A required
    /// field that is `NotSet` is [`Invalid`](DustErr::Invalid), named. In map mode the record is replaced as a whole.
    ///
    /// [`if_absent`](Insert::if_absent) makes it insert-or-fail; over HTTP that takes three requests and not one, as a server
    /// can compare single leaves only. Where optional fields are `NotSet`, the record is read
    /// first, to answer it whole.
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
    pub fn insert<I: IntoDustActiveModel>(&self, input: I) -> Insert<'_, I::Entity> {
        Insert { repo: self, active: input.into_active(Action::Insert), options: Options::default() }
    }

    /// Writes what has changed of a record: the fields that are `Set`, never the key.
    ///
    /// Takes an `ActiveModel`, SeaORM's builder or a `Changeset`, and answers the whole `Model`. The key names the record: a
    /// changeset that has another one than its data is [`Invalid`](DustErr::Invalid), while of a plain `ActiveModel` nothing
    /// is known but its key, `Set` by hand or not. A record that is not there is [`NotFound`](DustErr::NotFound), also where
    /// it is deleted at the same time; no part of it comes back. (Over a realtime client, in map mode, an update that meets a
    /// delete writes the record whole.) With nothing `Set` nothing is written. In map mode the record is written as a whole,
    /// so that every field must be known; the error names those that are not.
    ///
    /// [`if_match`](Update::if_match) writes only if nobody has changed the same fields since they were read (in map mode:
    /// the record). It also saves the read that otherwise looks whether the record is there; in flat mode the fields that are
    /// not written are then answered as the `ActiveModel` has them, and may have changed since.
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
    pub fn update<I: IntoDustActiveModel>(&self, input: I) -> Update<'_, I::Entity> {
        Update { repo: self, active: input.into_active(Action::Update), options: Options::default() }
    }

    /// Writes a whole `Model` in place of whatever is there, in one op and in both storage modes: leaves that no field of
    /// the entity claims are removed.
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
        Put { repo: self, model, options: Options::default() }
    }

    /// Deletes a record, given by an `ActiveModel` or builder that has its key. Deleting what is absent succeeds.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo, link: link::Model) -> Result<(), dust_orm::DustErr> {
    /// repo.delete(link.into_active_model()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn delete<I: IntoDustActiveModel>(&self, input: I) -> Delete<'_, I::Entity> {
        Delete {
            repo: self,
            target: input.into_active(Action::Delete).map(|active| Target::Active(Box::new(active))),
            options: Options::default(),
        }
    }

    /// Deletes the record with this key. Deleting what is absent succeeds. Hooks see an `ActiveModel` with the key only.
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
    pub fn delete_by_id<E: DustEntity>(&self, key: impl Into<KeyOf<E>>) -> Delete<'_, E> {
        let target = Target::Key(E::key_to_segment(&key.into()).into_owned());
        Delete { repo: self, target: Ok(target), options: Options::default() }
    }
}

/// What a delete answers: SeaORM counts rows, Dust numbers the op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// The place of the op in the store's order.
    pub store_seq: u64,
}

/// An insert, made by [`DustRepo::insert`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Insert<'r, E: DustEntity> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    options: Options,
}

/// An update, made by [`DustRepo::update`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Update<'r, E: DustEntity> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    options: Options,
}

/// A write of a whole Model, made by [`DustRepo::put`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Put<'r, E: DustEntity> {
    repo: &'r DustRepo,
    model: E::Model,
    options: Options,
}

/// A delete, made by [`DustRepo::delete`] or [`DustRepo::delete_by_id`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Delete<'r, E: DustEntity> {
    repo: &'r DustRepo,
    target: Result<Target<E>, DustErr>,
    options: Options,
}

#[derive(Debug)]
enum Target<E: DustEntity> {
    Active(Box<<E as EntityTrait>::ActiveModel>),
    Key(String),
}

macro_rules! options {
    ($verb:ident: $($option:ident)*) => {
        impl<'r, E: DustEntity> $verb<'r, E> {
            $(options!(@$option);)*

            /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it is
            /// [`Fenced`](DustErr::Fenced).
            pub fn fence(mut self, fence: Fence) -> Self {
                self.options.fence = Some(fence);
                self
            }
        }
    };
    (@if_match) => {
        /// Applies the write only if what it touches has not changed since `revision` was read; otherwise it is a
        /// [`Conflict`](DustErr::Conflict) that tells the revision now.
        ///
        /// In flat mode that is the fields being written, in map mode, and for a delete or put, the whole record. A leaf
        /// that someone has added beside those that were read is not noticed, as Dust compares leaves. A bare number, the
        /// revision of the whole record, works in map mode only.
        pub fn if_match(mut self, revision: impl Into<Revision>) -> Self {
            self.options.condition = Condition::IfMatch(revision.into());
            self
        }
    };
    (@if_absent) => {
        /// Applies the write only if there is no such record; otherwise it is [`Exists`](DustErr::Exists).
        pub fn if_absent(mut self) -> Self {
            self.options.condition = Condition::IfLeafAbsent;
            self
        }
    };
}

options!(Insert: if_match if_absent);
options!(Update: if_match);
options!(Put: if_match if_absent);
options!(Delete: if_match);

macro_rules! into_future {
    ($verb:ident -> $output:ty, |$this:ident, $transport:ident| $body:block) => {
        impl<'r, E: DustEntity> IntoFuture for $verb<'r, E> {
            type Output = Result<$output, DustErr>;
            type IntoFuture = BoxFuture<'r, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                let $this = self;
                Box::pin(async move {
                    let $transport = &*$this.repo.active();
                    $body
                })
            }
        }
    };
}

into_future!(Insert -> E::Model, |this, transport| {
    if matches!(this.options.condition, Condition::IfLeafAbsent) && !transport.capabilities().if_subtree_absent {
        return insert_if_absent::<E>(this.active?, this.options, transport).await;
    }
    let draft = Draft::<E>::insert(this.active?, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_future!(Update -> E::Model, |this, transport| {
    let draft = Draft::<E>::update(this.active?, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_future!(Put -> E::Model, |this, transport| {
    let draft = Draft::<E>::put(this.model, &this.options, transport).await?;
    save(draft, this.options, transport).await
});

into_future!(Delete -> DeleteResult, |this, transport| {
    let draft = match this.target? {
        Target::Active(active) => Draft::<E>::delete(*active, &this.options, transport).await?,
        Target::Key(segment) => Draft::<E>::delete_by_key(&segment, &this.options, transport).await?,
    };
    let (planned, after) = draft.prepare(&this.options, transport).await?;
    let store_seq = send(planned, this.options, transport).await?.unwrap_or_default();
    after.finish().await?;
    Ok(DeleteResult { store_seq })
});

/// Writes what was drafted, and gives the record as it now is.
async fn save<E: DustEntity>(
    draft: Draft<E>,
    options: Options,
    transport: &dyn Transport,
) -> Result<E::Model, DustErr> {
    let (planned, after) = draft.prepare(&options, transport).await?;
    send(planned, options, transport).await?;
    after.saved().await
}
