//! Subscriptions: hearing of every change to the records of an entity.

mod broadcast;
mod callback;
mod event;
mod live;
mod raw;
mod records;
mod stored;
mod table;
mod watch;

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::task::coop::poll_proceed;

pub use broadcast::Broadcast;
pub use callback::Callback;
pub use event::Event;
pub use live::Live;
pub use raw::{RawEvent, RawOp, RawSubscription, SubscribeRaw};

use stored::Stored;
use watch::{Joined, Reading, Watch};

use super::DustRepo;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{QUEUE, Seat, Taken};

impl DustRepo {
    /// Subscribes to the records of an entity: a stream of [`Event`]s.
    ///
    /// It tells of what is committed from now on, one's own writes included: each record once for every commit that has
    /// touched it, in the order in which the store has committed, with the record as of that commit. A batch is one commit,
    /// so that no half of it is seen; a `delete_all` tells of every record that it has deleted.
    ///
    /// On the realtime client an event comes when the mirror has the op, before the write that made it returns unless that
    /// one went over HTTP without a connection. What was missed while there was none comes when it is back; only where the
    /// server answers with a snapshot there is [`Resync`](Event::Resync) instead.
    ///
    /// A record that does not fit the entity is left out with a warning, as everywhere. If it was there before, it is
    /// [`Deleted`](Event::Deleted) for subscribers; if not, they hear nothing. When it fits again, it is
    /// [`Upserted`](Event::Upserted).
    ///
    /// A subscriber never holds up a writer or another subscriber. [`queue`](Subscribe::queue) events wait for it; when there
    /// are more, older events of a record are dropped in favour of its newest, and when that is not enough, there is
    /// [`Resync`](Event::Resync) in their place. The stream ends only when the transport is closed, and keeps it open until
    /// then. Dropping it unsubscribes.
    ///
    /// The first subscription to an entity reads all its records, and they are held in memory until the last one is dropped;
    /// all others share them. Over plain HTTP it is [`NotSupported`](DustErr::NotSupported).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), url: Set("u".into()), note: NotSet };
    /// let mut changes = repo.subscribe::<link::Entity>().await?;
    /// let link = repo.insert(draft).await?;
    /// repo.delete_by_id::<link::Entity>("dust").await?;
    ///
    /// assert_eq!(changes.next().await, Some(Event::Upserted(link)));
    /// assert_eq!(changes.next().await, Some(Event::Deleted("dust".into())));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a subscription begins when it is awaited"]
    pub fn subscribe<E: DustEntity>(&self) -> Subscribe<'_, E> {
        Subscribe { repo: self, capacity: QUEUE, current: false, entity: PhantomData }
    }
}

/// A subscription about to begin, made by [`DustRepo::subscribe`]: `.await` it.
#[must_use = "a subscription begins when it is awaited"]
pub struct Subscribe<'r, E: DustEntity> {
    repo: &'r DustRepo,
    capacity: usize,
    current: bool,
    entity: PhantomData<fn() -> E>,
}

impl<'r, E: DustEntity> Subscribe<'r, E> {
    /// First gives every record that is there, as [`Upserted`](Event::Upserted), in the order of their paths; then what
    /// changes, with no gap and no repeat between the two.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let mut links = std::collections::BTreeMap::new();
    /// let mut changes = repo.subscribe::<link::Entity>().with_current().await?;
    /// while let Some(event) = changes.next().await {
    ///     match event {
    ///         Event::Upserted(link) => drop(links.insert(link.slug.clone(), link)),
    ///         Event::Deleted(slug) => drop(links.remove(&slug)),
    ///         Event::Resync => {
    ///             let all = repo.all::<link::Entity>().await?;
    ///             links = all.into_iter().map(|link| (link.slug.clone(), link)).collect();
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_current(mut self) -> Self {
        self.current = true;
        self
    }

    /// How many events may wait for the subscriber: 1000 unless this is called, and at least one. The records of
    /// [`with_current`](Subscribe::with_current) do not count.
    pub fn queue(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Gives the ops themselves, not the records that they make; see [`RawSubscription`].
    pub fn raw(self) -> SubscribeRaw<'r, E> {
        SubscribeRaw::new(self.repo, self.capacity)
    }
}

impl<'r, E: DustEntity> IntoFuture for Subscribe<'r, E> {
    type Output = Result<Subscription<E>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let watch = Watch::on(self.repo.source()).await?;
            let joined = watch.join(self.capacity, self.current).await?;
            Ok(Subscription::new(watch, joined))
        })
    }
}

impl<E: DustEntity> fmt::Debug for Subscribe<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("queue", &self.capacity).field("with_current", &self.current).finish()
    }
}

/// The changes to the records of an entity, made by [`DustRepo::subscribe`] and [`Broadcast::receiver`]: a stream of
/// [`Event`]s. Dropping it unsubscribes at once.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription<E: DustEntity> {
    watch: Arc<Watch<E>>,
    seat: Seat,
    /// The records that were there, as far as they are still to be given.
    current: std::vec::IntoIter<Arc<Stored<E>>>,
    reading: Option<Reading>,
    /// How far it has told of everything.
    seq: u64,
}

impl<E: DustEntity> Subscription<E> {
    fn new(watch: Arc<Watch<E>>, joined: Joined<E>) -> Subscription<E> {
        let Joined { seat, current, seq } = joined;
        Subscription { watch, seat, current: current.into_iter(), reading: None, seq }
    }

    /// The next event. `None` when the transport is closed, and never otherwise.
    ///
    /// The same as `next` of a `StreamExt`, without one. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event<E::Model>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The op up to which everything that was done to the records has been told, once the event that was given last is
    /// dealt with: its `store_seq`. Before the first event, the op as of which the records are those of
    /// [`with_current`](Subscribe::with_current).
    ///
    /// For whoever comes back, a browser that sends `Last-Event-ID` for instance: if a new subscription begins where the
    /// old one was, nothing has been missed. A batch is reached with the last of its events, and after
    /// [`Resync`](Event::Resync) it is what is read then that reaches this far.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), url: Set("u".into()), note: NotSet };
    /// let links = repo.broadcast::<link::Entity>().await?;
    /// let mut browser = links.receiver();
    /// repo.insert(draft).await?;
    /// browser.next().await;
    /// let last_event_id = browser.store_seq();
    /// drop(browser);
    ///
    /// let browser = links.receiver_with_current().await?;
    /// assert_eq!(browser.store_seq(), last_event_id, "nothing has been missed");
    /// repo.delete_by_id::<link::Entity>("dust").await?;
    /// let browser = links.receiver_with_current().await?;
    /// assert_ne!(browser.store_seq(), last_event_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn store_seq(&self) -> u64 {
        self.seq
    }

    /// Helps to read the records, if they have to be. True when that is done, so that there may be something in the queue.
    fn help(&mut self, context: &mut Context<'_>) -> bool {
        if self.reading.is_none() {
            self.reading = self.watch.reading();
        }
        let Some(reading) = &mut self.reading else { return false };
        // How it went, the watch knows.
        let is_done = reading.poll_unpin(context).is_ready();
        if is_done {
            self.reading = None;
        }
        is_done
    }
}

impl<E: DustEntity> Stream for Subscription<E> {
    type Item = Event<E::Model>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event<E::Model>>> {
        let this = self.get_mut();
        if this.current.len() > 0 {
            // There may be very many, which are decoded here: other tasks run in between. A queue is short.
            let budget = ready!(poll_proceed(context));
            for stored in this.current.by_ref() {
                if let Some(model) = stored.model_or_warning() {
                    budget.made_progress();
                    return Poll::Ready(Some(Event::Upserted(E::Model::clone(model))));
                }
            }
        }
        loop {
            match this.watch.audience.poll(this.seat, context) {
                Poll::Ready(Some(Taken::Item(waiting))) => {
                    this.seq = waiting.seq;
                    if let Some(event) = waiting.event() {
                        return Poll::Ready(Some(event));
                    }
                }
                Poll::Ready(Some(Taken::Resync)) => {
                    this.seq = this.watch.seq();
                    return Poll::Ready(Some(Event::Resync));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if this.help(context) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<E: DustEntity> Drop for Subscription<E> {
    fn drop(&mut self) {
        self.watch.leave(self.seat);
    }
}

impl<E: DustEntity> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("watch", &self.watch).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
