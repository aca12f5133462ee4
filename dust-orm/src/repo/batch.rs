//! Atomic batches over several records and entities.

use std::fmt;
use std::future::IntoFuture;

use async_trait::async_trait;
use dust_protocol::{Fence, PackedLeaves};
use futures_core::future::BoxFuture;
use sea_orm::EntityTrait;

use super::DustRepo;
use super::many::{Wanted, fetch_many};
use super::write::IntoDustActiveModel;
use super::write::dispatch::WriteBatch;
use super::write::options::{Condition, Options};
use super::write::save::{After, Draft, Planned};
use crate::changeset::Action;
use crate::entity::{DustEntity, KeyOf, Revision};
use crate::error::DustErr;
use crate::transport::Transport;

impl DustRepo {
    /// Writes several records, of one entity or of several, all or nothing.
    ///
    /// Every entry is checked, and its hooks run, before anything is sent; an invalid changeset anywhere means that nothing
    /// is. A batch holds at most 1000 ops: one per field in flat mode, one per record in map mode, one per delete, and under
    /// `if_match` one more per leaf that was read. An empty batch is fine. A record should be in a batch once.
    ///
    /// The batch itself is one request. Records of which an entry needs to know what is stored are read together before
    /// it: those that are updated, and those that are inserted with optional fields `NotSet`. [`BatchResult::requests`]
    /// counts all.
    ///
    /// ```
    /// # use dust_orm::{BatchEntry, DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo, new: link::ActiveModel, edit: link::ActiveModel) -> Result<(), dust_orm::DustErr> {
    /// let written = repo
    ///     .batch_write([
    ///         BatchEntry::insert(new),
    ///         BatchEntry::update(edit),
    ///         BatchEntry::delete_by_id::<link::Entity>("old"),
    ///     ])
    ///     .await?;
    /// println!("{} ops, the last is {:?}", written.ops, written.store_seq);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn batch_write(&self, entries: impl IntoIterator<Item = BatchEntry>) -> BatchWrite<'_> {
        BatchWrite { repo: self, entries: entries.into_iter().collect(), fence: None }
    }
}

/// One write of a [`batch`](DustRepo::batch_write).
pub struct BatchEntry {
    options: Options,
    write: Box<dyn Pending>,
}

impl BatchEntry {
    /// As [`DustRepo::insert`].
    pub fn insert<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Insert(input.into_active(Action::Insert)))
    }

    /// As [`DustRepo::update`].
    pub fn update<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Update(input.into_active(Action::Update)))
    }

    /// As [`DustRepo::delete`].
    pub fn delete<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Delete(input.into_active(Action::Delete)))
    }

    /// As [`DustRepo::delete_by_id`].
    pub fn delete_by_id<E: DustEntity>(key: impl Into<KeyOf<E>>) -> BatchEntry {
        BatchEntry::new(Verb::<E>::DeleteById(E::key_to_segment(&key.into()).into_owned()))
    }

    fn new<E: DustEntity>(verb: Verb<E>) -> BatchEntry {
        BatchEntry { options: Options::default(), write: Box::new(verb) }
    }

    /// Applies the whole batch only if what this entry touches has not changed since `revision` was read, as
    /// [`Update::if_match`](super::Update::if_match).
    #[must_use]
    pub fn if_match(mut self, revision: impl Into<Revision>) -> BatchEntry {
        self.options.condition = Condition::IfMatch(revision.into());
        self
    }

    /// Applies the whole batch only if there is no such record, as [`Insert::if_absent`](super::Insert::if_absent). For an
    /// insert only.
    #[must_use]
    pub fn if_absent(mut self) -> BatchEntry {
        self.options.condition = Condition::IfLeafAbsent;
        self
    }
}

impl fmt::Debug for BatchEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchEntry").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A batch, made by [`DustRepo::batch_write`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct BatchWrite<'r> {
    repo: &'r DustRepo,
    entries: Vec<BatchEntry>,
    fence: Option<Fence>,
}

impl BatchWrite<'_> {
    /// Applies the batch only while the lease at `fence.key` is held with `fence.token`.
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

/// What a batch answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchResult {
    /// The place of the last op in the store's order; `None` when there was nothing to write.
    pub store_seq: Option<u64>,
    /// The number of ops that were written.
    pub ops: usize,
    /// The number of HTTP requests that the batch took, reads and retries included; 0 over a transport that sends none.
    pub requests: usize,
}

impl<'r> IntoFuture for BatchWrite<'r> {
    type Output = Result<BatchResult, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let transport = &*self.repo.active();
            let mut drafts = Vec::with_capacity(self.entries.len());
            for entry in self.entries {
                let options = Options { fence: self.fence.clone(), ..entry.options };
                drafts.push((entry.write.draft(&options, transport).await?, options));
            }
            let wanted: Vec<Option<Wanted>> = drafts.iter().map(|(draft, _)| draft.to_read()).collect();
            let mut stored = fetch_many(transport, &wanted).await?.into_iter();
            let mut outgoing = WriteBatch::default();
            let mut prepared = Vec::with_capacity(drafts.len());
            let among_others = drafts.len() > 1;
            for (draft, options) in drafts {
                let (planned, after) = draft.plan(&options, stored.next().flatten(), among_others, transport)?;
                outgoing.add(planned, &options.condition);
                prepared.push(after);
            }
            let ops = outgoing.len();
            let store_seq = outgoing.send(self.fence, transport).await?;
            for after in prepared {
                after.finish().await?;
            }
            Ok(BatchResult { store_seq, ops, requests: transport.requests() })
        })
    }
}

/// A verb of an entity that the batch does not know by type.
#[async_trait]
trait Pending: Send {
    async fn draft(self: Box<Self>, options: &Options, transport: &dyn Transport) -> Result<Box<dyn Drafted>, DustErr>;
}

/// An entry whose hooks have run.
trait Drafted: Send + Sync {
    /// The record to read before it is planned.
    fn to_read(&self) -> Option<Wanted>;

    fn plan(
        self: Box<Self>,
        options: &Options,
        stored: Option<PackedLeaves>,
        among_others: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, Box<dyn Finish>), DustErr>;
}

/// What is left to do for an entry once the batch is written.
#[async_trait]
trait Finish: Send {
    async fn finish(self: Box<Self>) -> Result<(), DustErr>;
}

enum Verb<E: DustEntity> {
    Insert(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    Update(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    Delete(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    DeleteById(String),
}

#[async_trait]
impl<E: DustEntity> Pending for Verb<E> {
    async fn draft(self: Box<Self>, options: &Options, transport: &dyn Transport) -> Result<Box<dyn Drafted>, DustErr> {
        Ok(Box::new(match *self {
            Verb::Insert(active) => Draft::<E>::insert(active?, options, transport).await?,
            Verb::Update(active) => Draft::<E>::update(active?, options, transport).await?,
            Verb::Delete(active) => Draft::<E>::delete(active?, options, transport).await?,
            Verb::DeleteById(segment) => Draft::<E>::delete_by_key(&segment, options, transport).await?,
        }))
    }
}

impl<E: DustEntity> Drafted for Draft<E> {
    fn to_read(&self) -> Option<Wanted> {
        Draft::to_read(self)
    }

    fn plan(
        self: Box<Self>,
        options: &Options,
        stored: Option<PackedLeaves>,
        among_others: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, Box<dyn Finish>), DustErr> {
        let (planned, after) = Draft::plan(*self, options, stored, among_others, transport)?;
        Ok((planned, Box::new(after)))
    }
}

#[async_trait]
impl<E: DustEntity> Finish for After<E> {
    async fn finish(self: Box<Self>) -> Result<(), DustErr> {
        After::finish(*self).await.map(drop)
    }
}
