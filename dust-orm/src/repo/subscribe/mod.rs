//! Subscriptions to the changes of the records of an entity.

mod broadcast;
mod builder;
mod cached_record;
mod callback;
mod entity_view;
mod event;
mod live;
mod meanwhile;
mod model_index;
mod part;
mod raw;
mod records;
mod source;
mod watched_record;
mod watched_records;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::task::coop::poll_proceed;

pub use broadcast::Broadcast;
pub use builder::Subscribe;
pub use callback::Callback;
pub use event::Event;
pub use live::Live;
pub use raw::{RawEvent, RawOp, RawSubscription};

use cached_record::CachedRecord;
use entity_view::{EntityView, NewSubscriber};
use source::{Source, Start};

use super::DustRepo;
use crate::entity::DustEntity;
use crate::feed::Received;

impl DustRepo {
    /// Subscribes to the records of an entity: a stream of [`Event`]s.
    ///
    /// It delivers the commits from now on, including the application's own writes: each record once for every commit
    /// that has touched it, in the order in which the store has committed, with the record as of that commit. A batch
    /// is one commit, so that no subscriber sees half of it; a `delete_all` delivers every record that it has deleted.
    ///
    /// On the realtime client an event is delivered when the mirror has the op, before the write that made it returns
    /// unless that write went over HTTP without a connection. The changes missed without a connection are delivered
    /// when it is back; only if the server answers with a snapshot, [`Resync`](Event::Resync) replaces them.
    ///
    /// A record that does not fit the entity is left out with a warning, as in reads. If it was there before,
    /// subscribers get [`Deleted`](Event::Deleted); otherwise they get no event. When it fits again, they get
    /// [`Upserted`](Event::Upserted).
    ///
    /// A subscriber never delays a writer or another subscriber. Its queue holds [`queue`](Subscribe::queue) events;
    /// when more wait, older events of a record are dropped in favour of its newest, and when that is not enough,
    /// [`Resync`](Event::Resync) replaces all of them. The stream ends only when the transport is closed: it keeps an
    /// embedded store open, and ends with its realtime [client](crate::realtime::SyncClient#end). Dropping it
    /// unsubscribes.
    ///
    /// The first subscription to an entity, or to a part of it, reads all its records, which are held in memory until
    /// the last subscription is dropped; all others share them. One that is limited to a [`key`](Subscribe::key) reads
    /// no other record. Over plain HTTP it is [`NotSupported`](crate::DustErr::NotSupported).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let (slug, title, url) = (Set("dust".into()), Set("Dust".into()), Set("u".into()));
    /// # let draft = link::ActiveModel { slug, title, url, note: NotSet };
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
        Subscribe::new(self)
    }
}

/// The changes to the records of an entity, made by [`DustRepo::subscribe`] and [`Broadcast::receiver`]: a stream of
/// [`Event`]s. Dropping it unsubscribes at once.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription<E: DustEntity> {
    source: Source<E>,
    /// The current records that are not delivered yet. The last one fits its entity.
    current: std::vec::IntoIter<Arc<CachedRecord<E>>>,
    replays: bool,
    place: Place,
}

/// The place from which a reconnect loses nothing.
struct Place {
    after: Option<u64>,
    /// The place that is reached when the next event is requested, once the current records are delivered.
    next: Option<u64>,
}

impl<E: DustEntity> Subscription<E> {
    /// Creates the subscription of a subscriber of a view.
    fn of_view(view: Arc<EntityView<E>>, joined: NewSubscriber<E>) -> Subscription<E> {
        let NewSubscriber { subscriber, current, replays, seq } = joined;
        let source = Source::View { view, subscriber, reading: None };
        Subscription::new(source, Start { current, replays, seq })
    }

    /// Creates a subscription that delivers the current records first.
    fn new(source: Source<E>, start: Start<E>) -> Subscription<E> {
        let Start { current, replays, seq } = start;
        let mut current = current.into_iter();
        // The last record that is delivered ends the current state, so it must be known before the delivery.
        while current.as_slice().last().is_some_and(|stored| stored.model_or_warning().is_none()) {
            current.next_back();
        }
        // A reader of current records has discarded those of its previous place, which is no place of it any more.
        let place = Place { after: None, next: Some(seq) };
        let mut begun = Subscription { source, current, replays, place };
        begun.settle();
        begun
    }

    /// The next event. `None` only when the transport is closed.
    ///
    /// It equals `next` of a `StreamExt`, without that trait. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event<E::Model>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The place from which a reconnect loses nothing, once the last delivered event is processed: a `store_seq` that
    /// is never past the delivered events. A reader that reconnects, such as a browser that sends `Last-Event-ID`,
    /// passes it to [`Broadcast::receiver_after`].
    ///
    /// - Until the current state is delivered (see [`is_current`](Subscription::is_current)) it is 0: a reconnect
    ///   begins with the current state again.
    /// - A batch is reached with the last of its events.
    /// - [`Resync`](Event::Resync) is reached when the next event is requested, which is after everything was read
    ///   again.
    /// - While the queue drops older events in favour of newer ones, it does not change until the queue is empty.
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
    /// assert_eq!(links.store_seq(), 0);
    /// links.next().await;
    /// assert_eq!(links.store_seq(), 0, "`rust` is still to come");
    /// links.next().await;
    /// assert!(links.is_current() && links.store_seq() > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn store_seq(&self) -> u64 {
        self.place.after.unwrap_or(0)
    }

    /// True if the subscription began with the current state, as [`with_current`](Subscribe::with_current) does: a
    /// reader that reconnects then discards the records that it had. Otherwise the events continue from the reader's
    /// records.
    ///
    /// See [`Broadcast::receiver_after`] for an example.
    pub fn begins_with_current(&self) -> bool {
        self.replays
    }

    /// True if all records that existed when the subscription began are delivered. It is true from the beginning if the
    /// subscription does not begin [with them](Subscribe::with_current), or if there are none.
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

    /// Moves to the next place if the current state is delivered.
    fn settle(&mut self) {
        if self.is_current()
            && let Some(next) = self.place.next.take()
        {
            self.place.after = Some(next);
        }
    }
}

impl<E: DustEntity> Stream for Subscription<E> {
    type Item = Event<E::Model>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event<E::Model>>> {
        let this = self.get_mut();
        if this.current.len() > 0 {
            // There may be very many records, which are decoded here: other tasks run in between. A queue is short.
            let budget = ready!(poll_proceed(context));
            for stored in this.current.by_ref() {
                if let Some(model) = stored.model_or_warning() {
                    budget.made_progress();
                    this.settle();
                    return Poll::Ready(Some(Event::Upserted(E::Model::clone(model))));
                }
            }
        }
        // The caller requests the next event, so it has read everything again after a `Resync`.
        this.settle();
        loop {
            match ready!(this.source.poll(context)) {
                Some(Received::Item(waiting)) => {
                    this.place.after = waiting.seq.or(this.place.after);
                    if let Some(event) = waiting.event() {
                        return Poll::Ready(Some(event));
                    }
                }
                Some(Received::Resync) => {
                    this.place.next = Some(this.source.seq());
                    return Poll::Ready(Some(Event::Resync));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<E: DustEntity> Drop for Subscription<E> {
    fn drop(&mut self) {
        self.source.leave();
    }
}

impl<E: DustEntity> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("prefix", &E::PREFIX.join("/")).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
