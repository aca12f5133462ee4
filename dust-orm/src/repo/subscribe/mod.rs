//! Subscriptions: hearing of every change to the records of an entity.

mod broadcast;
mod cached_record;
mod callback;
mod entity_view;
mod event;
mod live;
mod model_index;
mod raw;
mod records;

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

use cached_record::CachedRecord;
use entity_view::{EntityView, NewSubscriber, Reading};

use super::DustRepo;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{QUEUE, Received, SubscriberId};

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
    /// [`Resync`](Event::Resync) in their place. The stream ends only when the transport is closed: it
    /// keeps an embedded store open, and ends with its realtime [client](crate::realtime::SyncClient#end). Dropping it
    /// unsubscribes.
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
            let watch = EntityView::on(self.repo.source()).await?;
            let joined = watch.join(self.capacity, |_| self.current).await?;
            Ok(Subscription::new(watch, joined, None))
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
    watch: Arc<EntityView<E>>,
    seat: SubscriberId,
    /// The records that were there, as far as they are still to be given. The last one fits its entity.
    current: std::vec::IntoIter<Arc<CachedRecord<E>>>,
    replays: bool,
    reading: Option<Reading>,
    place: Place,
}

/// The place from which a reconnect loses nothing.
struct Place {
    after: Option<u64>,
    /// The place that is reached when the next event is asked for, once the current records are given.
    next: Option<u64>,
}

impl<E: DustEntity> Subscription<E> {
    /// A subscription that gives the current records of `joined` first, for a reader that has everything up to `after`.
    fn new(watch: Arc<EntityView<E>>, joined: NewSubscriber<E>, after: Option<u64>) -> Subscription<E> {
        let NewSubscriber { seat, current, replays, seq } = joined;
        let mut current = current.into_iter();
        // The last record that is handed out ends the current state, so it is known before it is handed out.
        while current.as_slice().last().is_some_and(|stored| stored.model_or_warning().is_none()) {
            current.next_back();
        }
        let place = Place { after, next: Some(seq) };
        let mut begun = Subscription { watch, seat, current, replays, reading: None, place };
        begun.settle();
        begun
    }

    /// The next event. `None` when the transport is closed, and never otherwise.
    ///
    /// The same as `next` of a `StreamExt`, without one. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event<E::Model>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The place from which a reconnect loses nothing, once the event that was given last is dealt with: a `store_seq`
    /// that is never past what was handed out. A reader that reconnects, such as a browser that sends `Last-Event-ID`,
    /// hands it to [`Broadcast::receiver_after`].
    ///
    /// - Until the current state is handed out (see [`is_current`](Subscription::is_current)) it is the place that was
    ///   [resumed from](Broadcast::receiver_after), or `None`: a reconnect begins with the current state again.
    /// - A batch is reached with the last of its events.
    /// - [`Resync`](Event::Resync) is reached when the next event is asked for, which is after everything was read
    ///   again.
    /// - While the queue drops older events in favour of newer ones, it stays where it was until the queue is empty.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = |slug: &str| link::ActiveModel {
    /// #     slug: Set(slug.into()),
    /// #     title: Set("T".into()),
    /// #     url: Set("u".into()),
    /// #     note: NotSet,
    /// # };
    /// repo.insert_many([draft("dust"), draft("rust")]).await?;
    /// let mut links = repo.subscribe::<link::Entity>().with_current().await?;
    /// assert_eq!(links.resume_after(), None);
    /// links.next().await;
    /// assert_eq!(links.resume_after(), None, "`rust` is still to come");
    /// links.next().await;
    /// assert!(links.is_current() && links.resume_after().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume_after(&self) -> Option<u64> {
        self.place.after
    }

    /// [`resume_after`](Subscription::resume_after) as a number: 0 where that is `None`.
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
    /// let browser = links.receiver_after(last_event_id).await?;
    /// assert!(!browser.begins_with_current(), "nothing was missed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn store_seq(&self) -> u64 {
        self.place.after.unwrap_or(0)
    }

    /// Tests whether it began with the current state, as [`with_current`](Subscribe::with_current) has it: a reader
    /// that comes back then lets go of what it had. Without it, what is given goes on from what the reader had.
    ///
    /// See [`Broadcast::receiver_after`] for an example.
    pub fn begins_with_current(&self) -> bool {
        self.replays
    }

    /// Tests whether the current state was handed out: the records that were there when the subscription began. True
    /// from the beginning where it does not begin [with them](Subscribe::with_current), or where there are none.
    ///
    /// It becomes true with the last record, before the first change.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let mut links = repo.subscribe::<link::Entity>().with_current().await?;
    /// let mut slugs = Vec::new();
    /// while !links.is_current()
    ///     && let Some(Event::Upserted(link)) = links.next().await
    /// {
    ///     slugs.push(link.slug);
    /// }
    /// println!("{} links; what follows are changes", slugs.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_current(&self) -> bool {
        self.current.len() == 0
    }

    /// Moves to the next place if the current state was handed out.
    fn settle(&mut self) {
        if self.is_current()
            && let Some(next) = self.place.next.take()
        {
            self.place.after = Some(next);
        }
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
                    this.settle();
                    return Poll::Ready(Some(Event::Upserted(E::Model::clone(model))));
                }
            }
        }
        // The caller asks for the next event, so it has read everything again after a `Resync`.
        this.settle();
        loop {
            match this.watch.audience.poll(this.seat, context) {
                Poll::Ready(Some(Received::Item(waiting))) => {
                    this.place.after = waiting.seq.or(this.place.after);
                    if let Some(event) = waiting.event() {
                        return Poll::Ready(Some(event));
                    }
                }
                Poll::Ready(Some(Received::Resync)) => {
                    this.place.next = Some(this.watch.seq());
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
