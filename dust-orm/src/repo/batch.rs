//! Atomic batches over several records and entities.

use std::fmt;
use std::future::IntoFuture;

use async_trait::async_trait;
use dust_protocol::{Fence, PackedLeaves};
use futures_core::future::BoxFuture;
use sea_orm::{ColumnTrait, EntityTrait};

use super::DustRepo;
use super::many::{Wanted, fetch_many};
use super::prefixes::Prefixes;
use super::write::IntoDustActiveModel;
use super::write::dispatch::{Committed, Planned, WriteBatch};
use super::write::options::{Condition, ExceptedColumn, Options};
use super::write::record_before::RecordBefore;
use super::write::save::{Draft, PendingSave};
use crate::changeset::Action;
use crate::entity::{DustEntity, IntoKey, KeyOf, Revision};
use crate::error::DustErr;
use crate::transport::Transport;

impl DustRepo {
    /// Writes several records, of one entity or of several, atomically: all or none.
    ///
    /// Every entry is checked, and its before-hook runs, before anything is sent. A batch holds at most 1000 ops: one
    /// per field in flat mode, one per record in map mode, one per delete, and with `if_match` one more per leaf that
    /// was read. An empty batch succeeds. Each record should be in a batch once.
    ///
    /// The batch itself is one request. Before it the stored records that entries need are read together: those of
    /// updates, and those of inserts with optional fields that are `NotSet`. [`BatchResult::requests`] counts all
    /// requests.
    ///
    /// # Errors
    /// The first error of an entry, as its verb returns it, and nothing is written;
    /// [`InvalidParams`](DustErr::InvalidParams) for more than 1000 ops; a [`Conflict`](DustErr::Conflict) or
    /// [`Exists`](DustErr::Exists) of any entry, and nothing is written. An error of an after-hook comes after the
    /// write.
    ///
    /// ```
    /// # use dust_orm::{BatchEntry, DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(
    /// #     repo: DustRepo,
    /// #     new: link::ActiveModel,
    /// #     edit: link::ActiveModel,
    /// # ) -> Result<(), dust_orm::DustErr> {
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
    verb: Box<dyn UntypedVerb>,
}

impl BatchEntry {
    /// Inserts a record as [`DustRepo::insert`] does.
    pub fn insert<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Insert(input.into_dust_active_model(Action::Insert)))
    }

    /// Updates a record as [`DustRepo::update`] does.
    pub fn update<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Update(input.into_dust_active_model(Action::Update)))
    }

    /// Deletes a record as [`DustRepo::delete`] does.
    pub fn delete<I: IntoDustActiveModel>(input: I) -> BatchEntry {
        BatchEntry::new(Verb::<I::Entity>::Delete(input.into_dust_active_model(Action::Delete)))
    }

    /// Deletes the record with a key as [`DustRepo::delete_by_id`] does.
    pub fn delete_by_id<E: DustEntity>(key: impl IntoKey<E>) -> BatchEntry {
        BatchEntry::new(Verb::<E>::DeleteById(key.into_key()))
    }

    fn new<E: DustEntity>(verb: Verb<E>) -> BatchEntry {
        BatchEntry { options: Options::default(), verb: Box::new(verb) }
    }

    /// Applies the whole batch only if the fields that this entry writes have not changed since `revision` was read, as
    /// [`Update::if_match`](super::Update::if_match).
    #[must_use]
    pub fn if_match(mut self, revision: impl Into<Revision>) -> BatchEntry {
        self.options.condition = Condition::IfMatch(revision.into());
        self
    }

    /// Applies the whole batch only if the record of this entry does not exist, as
    /// [`Insert::if_absent`](super::Insert::if_absent). For an insert only. Only the embedded store supports it.
    #[must_use]
    pub fn if_absent(mut self) -> BatchEntry {
        self.options.condition = Condition::IfAbsent;
        self
    }

    /// Leaves a column out of [`if_match`](BatchEntry::if_match), as [`Update::except`](super::Update::except). For an
    /// update only. The column is one of the entity of this entry; otherwise the batch fails with
    /// [`InvalidParams`](DustErr::InvalidParams), and nothing is written.
    ///
    /// ```
    /// # use dust_orm::{BatchEntry, Revision, tests_cfg::link};
    /// # fn example(edit: link::ActiveModel, revision: &Revision) -> BatchEntry {
    /// BatchEntry::update(edit).if_match(revision).except(link::Column::Note)
    /// # }
    /// ```
    #[must_use]
    pub fn except<C>(mut self, column: C) -> BatchEntry
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
    {
        self.options.except.push(ExceptedColumn::new::<C::EntityName>(column));
        self
    }
}

impl fmt::Debug for BatchEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchEntry").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A batch. [`DustRepo::batch_write`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct BatchWrite<'r> {
    repo: &'r DustRepo,
    entries: Vec<BatchEntry>,
    fence: Option<Fence>,
}

impl BatchWrite<'_> {
    /// Applies the batch only while the lease at `fence.key` is held with `fence.token`; otherwise it fails with
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

/// The result of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchResult {
    /// The number of the last op in the order of the store's ops; `None` if there was nothing to write.
    pub store_seq: Option<u64>,
    /// The number of ops that were written.
    pub ops: usize,
    /// The number of HTTP requests of the batch, reads and retries included; 0 over a transport that sends none.
    pub requests: usize,
    records: Vec<RecordBefore>,
    committed: Committed,
}

impl BatchResult {
    /// The revision of the record of an entry after the batch, as [`Insert::versioned`](super::Insert::versioned)
    /// returns it. `None` for a deleted record, and for an index that no entry has. It is computed when it is called.
    ///
    /// ```
    /// # use dust_orm::{BatchEntry, DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo, new: link::ActiveModel) -> Result<(), dust_orm::DustErr> {
    /// let written = repo.batch_write([BatchEntry::insert(new)]).await?;
    /// let etag = written.revision(0).map(|revision| revision.etag());
    /// # Ok(())
    /// # }
    /// ```
    pub fn revision(&self, index: usize) -> Option<Revision> {
        let record = self.records.get(index)?;
        // The store has accepted every value.
        record.revision_after(&self.committed).ok().filter(Revision::has_leaves)
    }
}

impl<'r> IntoFuture for BatchWrite<'r> {
    type Output = Result<BatchResult, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let transport = &*self.repo.active();
            let mut drafts = Vec::with_capacity(self.entries.len());
            for entry in self.entries {
                entry.verb.note_entity(&self.repo.prefixes);
                let options = Options { fence: self.fence.clone(), ..entry.options };
                drafts.push((entry.verb.draft(&options, transport).await?, options));
            }
            let wanted: Vec<Option<Wanted>> = drafts.iter().map(|(draft, _)| draft.to_read()).collect();
            let mut stored = fetch_many(transport, &wanted).await?.into_iter();
            let mut batch = WriteBatch::new(true);
            let mut pending = Vec::with_capacity(drafts.len());
            let is_in_batch = drafts.len() > 1;
            for (draft, options) in drafts {
                let (planned, save) = draft.plan(&options, stored.next().flatten(), is_in_batch, transport)?;
                batch.add(planned, &options.condition);
                pending.push(save);
            }
            let ops = batch.len();
            let committed = batch.send(self.fence, transport).await?;
            let mut records = Vec::with_capacity(pending.len());
            for save in pending {
                records.push(save.run_after_hooks().await?);
            }
            let store_seq = committed.store_seq;
            Ok(BatchResult { store_seq, ops, requests: transport.requests(), records, committed })
        })
    }
}

/// The verb of an entry without the type of its entity.
#[async_trait]
trait UntypedVerb: Send {
    /// Adds the prefix of the entity to those that the repo has used.
    fn note_entity(&self, prefixes: &Prefixes);

    /// Runs the before-hook and checks the record.
    async fn draft(
        self: Box<Self>,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Box<dyn UntypedDraft>, DustErr>;
}

/// A [`Draft`] without the type of its entity.
trait UntypedDraft: Send + Sync {
    fn to_read(&self) -> Option<Wanted>;

    fn plan(
        self: Box<Self>,
        options: &Options,
        stored: Option<PackedLeaves>,
        is_in_batch: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, Box<dyn UntypedPendingSave>), DustErr>;
}

/// A [`PendingSave`] without the type of its entity.
#[async_trait]
trait UntypedPendingSave: Send {
    /// Runs the after-hook and returns the record before the write.
    async fn run_after_hooks(self: Box<Self>) -> Result<RecordBefore, DustErr>;
}

enum Verb<E: DustEntity> {
    Insert(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    Update(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    Delete(Result<<E as EntityTrait>::ActiveModel, DustErr>),
    DeleteById(KeyOf<E>),
}

#[async_trait]
impl<E: DustEntity> UntypedVerb for Verb<E> {
    fn note_entity(&self, prefixes: &Prefixes) {
        prefixes.note::<E>();
    }

    async fn draft(
        self: Box<Self>,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Box<dyn UntypedDraft>, DustErr> {
        if !options.except.is_empty() && !matches!(*self, Verb::Update(_)) {
            return Err(DustErr::invalid_params(format!(
                "an insert or delete under `{}` cannot have `except`, which is for updates",
                E::PREFIX.join("/")
            )));
        }
        Ok(Box::new(match *self {
            Verb::Insert(active) => Draft::<E>::insert(active?, options, transport).await?,
            Verb::Update(active) => Draft::<E>::update(active?, options, transport).await?,
            Verb::Delete(active) => Draft::<E>::delete(active?, options, transport).await?,
            Verb::DeleteById(key) => Draft::<E>::delete_by_key(key, options, transport).await?,
        }))
    }
}

impl<E: DustEntity> UntypedDraft for Draft<E> {
    fn to_read(&self) -> Option<Wanted> {
        Draft::to_read(self)
    }

    fn plan(
        self: Box<Self>,
        options: &Options,
        stored: Option<PackedLeaves>,
        is_in_batch: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, Box<dyn UntypedPendingSave>), DustErr> {
        let (planned, pending) = Draft::plan(*self, options, stored, is_in_batch, transport)?;
        Ok((planned, Box::new(pending)))
    }
}

#[async_trait]
impl<E: DustEntity> UntypedPendingSave for PendingSave<E> {
    async fn run_after_hooks(self: Box<Self>) -> Result<RecordBefore, DustErr> {
        let PendingSave { before, outcome } = *self;
        outcome.run_after_hooks().await?;
        Ok(before)
    }
}
