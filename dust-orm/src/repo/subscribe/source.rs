//! The queue of one subscription.

use std::sync::Arc;
use std::task::{Context, Poll};

use dust_protocol::Path;
use futures_util::FutureExt;

use super::cached_record::CachedRecord;
use super::entity_view::{EntityView, Reading};
use super::event::PendingEvent;
use super::watched_record::WatchedRecord;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{Received, SubscriberId};
use crate::transport::Transport;

/// The changes that wait for one subscription.
pub(super) enum Source<E: DustEntity> {
    /// A place in the queue of all subscribers of a part of the entity.
    View { view: Arc<EntityView<E>>, subscriber: SubscriberId, reading: Option<Reading> },
    /// A queue of its own, for one record.
    Record(WatchedRecord<E>),
}

/// The beginning of a subscription.
pub(super) struct Start<E: DustEntity> {
    /// The records when the subscription began, if it delivers them first.
    pub(super) current: Vec<Arc<CachedRecord<E>>>,
    /// True if it delivers the current records first.
    pub(super) replays: bool,
    /// An op up to which the current records have all.
    pub(super) seq: u64,
}

impl<E: DustEntity> Source<E> {
    /// Begins a subscription to the record at a path.
    pub(super) async fn of_record(
        transport: Arc<dyn Transport>,
        path: &Path,
        capacity: usize,
        replays: bool,
    ) -> Result<(Source<E>, Start<E>), DustErr> {
        let mut record = WatchedRecord::begin(transport, path, capacity).await?;
        let mut start = Start { current: Vec::new(), replays, seq: record.seq() };
        if replays {
            (start.current, start.seq) = record.current().await?;
        }
        Ok((Source::Record(record), start))
    }

    /// Takes the next change. `None` is the end.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Received<PendingEvent<E>>>> {
        match self {
            Source::Record(record) => record.poll(context),
            Source::View { view, subscriber, reading } => loop {
                match view.fanout.poll(*subscriber, context) {
                    Poll::Pending if help(view, reading, context) => {}
                    taken => return taken,
                }
            },
        }
    }

    /// The last op that a read by the subscriber has.
    pub(super) fn seq(&self) -> u64 {
        match self {
            Source::View { view, .. } => view.seq(),
            Source::Record(record) => record.seq(),
        }
    }

    /// A function that ends the subscription. A task that waits for it receives the end.
    pub(super) fn ender(&self) -> Box<dyn FnOnce() + Send + Sync> {
        match self {
            Source::View { view, subscriber, .. } => {
                let (view, subscriber) = (Arc::clone(view), *subscriber);
                Box::new(move || view.leave(subscriber))
            }
            Source::Record(record) => {
                let place = record.place.clone();
                Box::new(move || place.leave())
            }
        }
    }

    /// Ends the subscription.
    pub(super) fn leave(&self) {
        match self {
            Source::View { view, subscriber, .. } => view.leave(*subscriber),
            Source::Record(record) => record.place.leave(),
        }
    }
}

/// Helps to read the records, if necessary. Returns true when the reading is done, so that the queue may have an event.
fn help<E: DustEntity>(view: &EntityView<E>, reading: &mut Option<Reading>, context: &mut Context<'_>) -> bool {
    if reading.is_none() {
        *reading = view.reading();
    }
    let Some(under_way) = reading else { return false };
    // The view has the result.
    let is_done = under_way.poll_unpin(context).is_ready();
    if is_done {
        *reading = None;
    }
    is_done
}
