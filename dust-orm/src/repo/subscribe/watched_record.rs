//! A subscription to one record, which takes little memory while nothing happens.

use std::sync::Arc;
use std::task::{Context, Poll};

use dust_protocol::{LeafChange, Path};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;

use super::cached_record::CachedRecord;
use super::event::PendingEvent;
use super::records::Records;
use super::watched_records::{RecordPlace, WatchedRecords};
use crate::entity::{DustEntity, StoredRecord};
use crate::error::DustErr;
use crate::feed::Received;
use crate::repo::find::KeyRange;
use crate::repo::record_pages::fetch_or_claim;
use crate::transport::Transport;

/// A subscription to one record. It holds no record while no change waits.
///
/// A change that waits has the leaves that its commit has changed, before and after. To deliver it, the subscription
/// reads the record as it is now, and undoes all changes that wait: this is the record before the first of them. Each
/// change is then applied to it.
///
/// ```text
/// the queue    title: A -> B    note: none -> x    title: B -> C
/// read         title: C, note: x, url: u
/// undone       title: A,          url: u           the record that the subscriber knows
/// delivered    title: B, url: u   title: B, note: x, url: u   title: C, note: x, url: u
/// ```
///
/// The read is complete only after the hub has published every op that it may show: then their changes wait too, and
/// are undone. A leaf without a change in the queue is as it was.
pub(super) struct WatchedRecord<E: DustEntity> {
    pub(super) place: RecordPlace<E>,
    /// The work on the changes that wait.
    active: Option<Box<Active<E>>>,
}

enum Active<E: DustEntity> {
    /// The record is being read.
    Reading(BoxFuture<'static, Result<Option<StoredRecord>, DustErr>>),
    /// The record before the next change that waits.
    Known(Records<E>),
}

impl<E: DustEntity> WatchedRecord<E> {
    /// Begins a subscription to the record at a path. Its queue holds `capacity` commits (at least 1).
    pub(super) async fn begin(
        transport: Arc<dyn Transport>,
        path: &Path,
        capacity: usize,
    ) -> Result<WatchedRecord<E>, DustErr> {
        let records = WatchedRecords::on(transport).await?;
        Ok(WatchedRecord { place: records.join(path, capacity), active: None })
    }

    /// Reads the record as of the moment from which changes wait, and an op up to which it has all.
    pub(super) async fn current(&mut self) -> Result<(Vec<Arc<CachedRecord<E>>>, u64), DustErr> {
        loop {
            let seq = self.seq();
            let record = read(Arc::clone(self.place.transport()), self.place.path()?).await?;
            if let Some(known) = self.undone(record)? {
                let current = known.all();
                self.active = Some(Box::new(Active::Known(known)));
                return Ok((current, seq));
            }
            // Anything may have changed: begin again.
            self.place.queue.clear();
        }
    }

    /// The last op that was published.
    pub(super) fn seq(&self) -> u64 {
        self.place.seq()
    }

    /// Takes the next change. `None` is the end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Received<PendingEvent<E>>>> {
        loop {
            match self.active.as_deref_mut() {
                None => match self.place.queue.poll_item(context) {
                    Poll::Ready(true) => self.begin_to_read(),
                    // Resync, or the end.
                    Poll::Ready(false) => {
                        let taken = self.place.queue.poll(context);
                        return taken.map(|taken| taken.map(|_| Received::Resync));
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Some(Active::Reading(reading)) => {
                    let Poll::Ready(read) = reading.poll_unpin(context) else { return Poll::Pending };
                    match read.and_then(|record| self.undone(record)) {
                        Ok(known) => self.active = known.map(|known| Box::new(Active::Known(known))),
                        Err(error) => self.fail(&error),
                    }
                }
                Some(Active::Known(known)) => match self.place.queue.poll(context) {
                    Poll::Ready(Some(Received::Item(commit))) => {
                        // An unfinished insert changes nothing that subscribers see.
                        if let Some(change) = known.apply(&commit.changes).pop() {
                            let pending = PendingEvent::new(Arc::new(change), commit.seq);
                            return Poll::Ready(Some(Received::Item(pending)));
                        }
                    }
                    none_left => {
                        self.active = None;
                        return none_left.map(|taken| taken.map(|_| Received::Resync));
                    }
                },
            }
        }
    }

    fn begin_to_read(&mut self) {
        let transport = Arc::clone(self.place.transport());
        match self.place.path() {
            Ok(path) => self.active = Some(Box::new(Active::Reading(read(transport, path).boxed()))),
            Err(error) => self.fail(&error),
        }
    }

    /// The record before all changes that wait; `None` if Resync stands before them.
    fn undone(&self, now: Option<StoredRecord>) -> Result<Option<Records<E>>, DustErr> {
        let Some(waiting) = self.place.queue.items() else { return Ok(None) };
        let range = KeyRange::all_below(self.place.path()?);
        let mut records = Records::new(E::prefix_path()?, range, now.into_iter().collect());
        let changes = waiting.iter().flat_map(|commit| commit.changes.iter()).rev();
        let undone = changes.map(|change| LeafChange {
            before: change.after.clone(),
            after: change.before.clone(),
            ..change.clone()
        });
        records.apply(&undone.collect::<Vec<_>>());
        Ok(Some(records))
    }

    /// Replaces the changes that wait with Resync: the record cannot be read.
    fn fail(&mut self, error: &DustErr) {
        tracing::error!(
            target: "dust_orm",
            prefix = E::PREFIX.join("/"),
            key = self.place.key(),
            %error,
            "the record of a subscription cannot be read; the subscriber receives Resync"
        );
        self.active = None;
        // The task that waits is the caller.
        drop(self.place.queue.resync());
    }
}

/// Reads a record, after which the hub has published every op that this read may show.
async fn read(transport: Arc<dyn Transport>, path: Path) -> Result<Option<StoredRecord>, DustErr> {
    let leaves = fetch_or_claim(&*transport, &path).await?;
    transport.op_hub().await?;
    Ok(leaves.map(|leaves| StoredRecord { path, leaves }))
}
