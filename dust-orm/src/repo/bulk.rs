//! Writes of many records, atomic in parts only.

use std::future::IntoFuture;
use std::time::Instant;

use dust_protocol::Fence;
use futures_core::future::BoxFuture;
use sea_orm::EntityTrait;

use super::DustRepo;
use super::chunks::ChunkSize;
use super::many::fetch_many;
use super::write::dispatch::{Planned, send};
use super::write::ops::check_size;
use super::write::options::Options;
use super::write::save::Draft;
use super::write::{IntoDustActiveModel, Sent};
use crate::changeset::Action;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::transport::Transport;

impl DustRepo {
    /// Inserts many records of one entity in as few requests as possible, and returns their Models in order.
    ///
    /// All are validated before anything is sent. They are sent in chunks of at most 1000 ops (one per field in flat
    /// mode, one per record in map mode) and of the size that the transport accepts; chunks are smaller while the
    /// server is slow. **Atomic per chunk, not as a whole.** An empty list succeeds.
    ///
    /// As with a single insert, records whose optional fields are `NotSet` are read first, all of them together, in
    /// pages of up to 1000 leaves. Set these fields, to `None` if they have no value, to save the reads.
    ///
    /// # Errors
    /// As [`insert`](DustRepo::insert). If a chunk fails after others were written, the error is
    /// [`PartiallyWritten`](DustErr::PartiallyWritten), with the number of written records and of requests.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo, links: Vec<link::ActiveModel>) -> Result<(), dust_orm::DustErr> {
    /// let links: Vec<link::Model> = repo.insert_many(links).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn insert_many<I: IntoDustActiveModel>(&self, inputs: impl IntoIterator<Item = I>) -> InsertMany<'_, I::Entity>
    where
        I::Entity: DustEntity,
    {
        InsertMany {
            repo: self,
            actives: inputs.into_iter().map(|input| input.into_dust_active_model(Action::Insert)).collect(),
            fence: None,
            send: InsertMany::send,
        }
    }
}

/// An insert of many records. [`DustRepo::insert_many`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct InsertMany<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    actives: Vec<Result<<E as EntityTrait>::ActiveModel, DustErr>>,
    fence: Option<Fence>,
    send: fn(Self) -> Sent<'r, Vec<E::Model>>,
}

impl<E: EntityTrait> InsertMany<'_, E> {
    /// Applies each chunk only while the lease at `fence.key` is held with `fence.token`; otherwise it fails with
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

// For any entity, as the other verbs: see `write/mod.rs`.
impl<'r, E: EntityTrait> IntoFuture for InsertMany<'r, E> {
    type Output = Result<Vec<E::Model>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.send)(self)
    }
}

impl<'r, E: DustEntity> InsertMany<'r, E> {
    fn send(self) -> Sent<'r, Vec<E::Model>> {
        Box::pin(async move {
            let transport = &*self.repo.active_for::<E>();
            let options = Options { fence: self.fence, ..Options::default() };
            let options = &options;
            let mut drafts = Vec::with_capacity(self.actives.len());
            for active in self.actives {
                drafts.push(Draft::<E>::insert(active?, options, transport).await?);
            }
            let wanted: Vec<_> = drafts.iter().map(Draft::to_read).collect();
            let stored = fetch_many(transport, &wanted).await?;
            let mut unsent = Vec::with_capacity(drafts.len());
            for (draft, stored) in drafts.into_iter().zip(stored) {
                let (Planned { ops, .. }, pending) = draft.plan(options, stored, true, transport)?;
                check_size(&ops)?;
                unsent.push((ops, pending));
            }
            let mut models = Vec::with_capacity(unsent.len());
            let mut size = ChunkSize::new(transport.capabilities().batch_bytes);
            let mut written = 0;
            while !unsent.is_empty() {
                let rest = unsent.split_off(size.take(&unsent));
                let (ops, pending): (Vec<_>, Vec<_>) = std::mem::replace(&mut unsent, rest).into_iter().unzip();
                let started = Instant::now();
                let sent = send(ops.concat().into(), options.clone(), transport).await;
                sent.map_err(|cause| after_writes(written, cause, transport))?;
                size.adapt(started.elapsed());
                written += pending.len();
                for save in pending {
                    models.push(
                        save.outcome.into_saved().await.map_err(|cause| after_writes(written, cause, transport))?,
                    );
                }
            }
            Ok(models)
        })
    }
}

/// The error for `cause` after `written` records were written.
fn after_writes(written: usize, cause: DustErr, transport: &dyn Transport) -> DustErr {
    match written {
        0 => cause,
        done => DustErr::PartiallyWritten { done, requests: transport.requests(), source: Box::new(cause) },
    }
}
