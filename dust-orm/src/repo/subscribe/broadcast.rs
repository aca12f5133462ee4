//! One subscription for many receivers.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::entity_view::EntityView;
use super::{DustRepo, Subscribe, Subscription};
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::QUEUE;

/// One subscription to an entity, for any number of receivers that come and go: the connections of browsers, for
/// instance. Made by [`DustRepo::broadcast`]. Cheap to clone; all clones share the subscription.
///
/// Each receiver has a queue of its own, so that only a slow receiver gets [`Resync`](crate::Event::Resync). The
/// records are held in memory while a `Broadcast` or a receiver exists.
pub struct Broadcast<E: DustEntity> {
    pub(super) view: Arc<EntityView<E>>,
    capacity: usize,
}

impl DustRepo {
    /// Subscribes to an entity for many receivers, which then begin without waiting: see [`Broadcast`].
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let (slug, title, url) = (Set("dust".into()), Set("Dust".into()), Set("u".into()));
    /// # let draft = link::ActiveModel { slug, title, url, note: NotSet };
    /// let links = repo.broadcast::<link::Entity>().await?;
    /// let mut browsers: Vec<_> = (0..100).map(|_| links.receiver()).collect();
    /// let link = repo.insert(draft).await?;
    /// for browser in &mut browsers {
    ///     assert_eq!(browser.next().await, Some(Event::Upserted(link.clone())));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a subscription begins when it is awaited"]
    pub fn broadcast<E: DustEntity>(&self) -> Subscribe<'_, E, Broadcast<E>> {
        Subscribe::new(self)
    }
}

impl<'r, E: DustEntity> IntoFuture for Subscribe<'r, E, Broadcast<E>> {
    type Output = Result<Broadcast<E>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let view = self.view().await?;
            view.ready().await?;
            Ok(Broadcast { view, capacity: QUEUE })
        })
    }
}

impl<E: DustEntity> Broadcast<E> {
    /// Sets the maximum number of events that wait for each receiver made after this (default: 1000; at least 1).
    #[must_use]
    pub fn queue(mut self, events: usize) -> Broadcast<E> {
        self.capacity = events;
        self
    }

    /// Creates a receiver of the commits from now on. Dropping it ends it.
    pub fn receiver(&self) -> Subscription<E> {
        Subscription::of_view(Arc::clone(&self.view), self.view.join_now(self.capacity))
    }

    /// Creates a receiver of every record that exists, and then of the changes, as
    /// [`with_current`](super::Subscribe::with_current) does.
    ///
    /// # Errors
    ///
    /// An error if the records cannot be read.
    pub async fn receiver_with_current(&self) -> Result<Subscription<E>, DustErr> {
        self.receiver_after(None).await
    }

    /// Creates a receiver for a reader that reconnects: `seq` is the [`store_seq`](Subscription::store_seq) of
    /// the previous receiver, such as the `Last-Event-ID` of a browser.
    ///
    /// If the records have not changed since, it yields the changes from now on. Otherwise, and for `None` and 0, it
    /// [begins with](Subscription::begins_with_current) every record that exists: the reader discards all records that
    /// it had. It has no place until the last of these records is delivered, so that a reader that is disconnected
    /// before that begins with all records again, also at another process, which may be behind this one.
    ///
    /// The `seq` may come from any receiver of the same store: one of another process, or of this one before it was
    /// restarted. The number stands for one state only as long as the store is not restored from a backup.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = |slug: &str| link::ActiveModel {
    /// #     slug: Set(slug.into()),
    /// #     title: Set("T".into()),
    /// #     url: Set("u".into()),
    /// #     note: NotSet,
    /// # };
    /// repo.insert(draft("dust")).await?;
    /// let links = repo.broadcast::<link::Entity>().await?;
    /// let last_event_id = links.receiver().store_seq();
    /// assert!(!links.receiver_after(last_event_id).await?.begins_with_current());
    ///
    /// repo.insert(draft("rust")).await?; // while the browser is away
    /// let mut browser = links.receiver_after(last_event_id).await?;
    /// assert!(browser.begins_with_current());
    /// browser.next().await;
    /// assert_eq!(browser.store_seq(), 0, "a browser that is cut off here lacks `rust`");
    /// browser.next().await;
    /// assert!(browser.is_current() && browser.store_seq() > last_event_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error if the records cannot be read.
    pub async fn receiver_after(&self, seq: impl Into<Option<u64>>) -> Result<Subscription<E>, DustErr> {
        let seq = seq.into().filter(|seq| *seq > 0);
        let joined = self.view.join(self.capacity, |current| Some(current) != seq).await?;
        Ok(Subscription::of_view(Arc::clone(&self.view), joined))
    }
}

impl<E: DustEntity> Clone for Broadcast<E> {
    fn clone(&self) -> Broadcast<E> {
        Broadcast { view: Arc::clone(&self.view), capacity: self.capacity }
    }
}

impl<E: DustEntity> fmt::Debug for Broadcast<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("view", &self.view).field("queue", &self.capacity).finish()
    }
}
