//! One subscription for many receivers.

use std::fmt;
use std::sync::Arc;

use super::entity_view::EntityView;
use super::{DustRepo, Subscription};
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::QUEUE;

/// One subscription to an entity, for any number of receivers that come and go: the connections of browsers, for instance.
/// Made by [`DustRepo::broadcast`]. Cheap to clone; clones are the same subscription.
///
/// Each receiver has a queue of its own, so that a slow one is told to [`Resync`](crate::Event::Resync) and the others
/// notice nothing. The records are held in memory while there is a `Broadcast` or a receiver.
pub struct Broadcast<E: DustEntity> {
    pub(super) watch: Arc<EntityView<E>>,
    capacity: usize,
}

impl DustRepo {
    /// Subscribes to an entity for many receivers, which then need not wait: see [`Broadcast`].
    ///
    /// ```
    /// # use dust_orm::{DustRepo, Event, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), url: Set("u".into()), note: NotSet };
    /// let links = repo.broadcast::<link::Entity>().await?;
    /// let mut browsers: Vec<_> = (0..100).map(|_| links.receiver()).collect();
    /// let link = repo.insert(draft).await?;
    /// for browser in &mut browsers {
    ///     assert_eq!(browser.next().await, Some(Event::Upserted(link.clone())));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn broadcast<E: DustEntity>(&self) -> Result<Broadcast<E>, DustErr> {
        let watch = EntityView::on(self.source()).await?;
        watch.ready().await?;
        Ok(Broadcast { watch, capacity: QUEUE })
    }
}

impl<E: DustEntity> Broadcast<E> {
    /// How many events may wait for each receiver made after this: 1000 unless this is called, and at least one.
    #[must_use]
    pub fn queue(mut self, events: usize) -> Broadcast<E> {
        self.capacity = events;
        self
    }

    /// A receiver of what is committed from now on. Dropping it ends it.
    pub fn receiver(&self) -> Subscription<E> {
        Subscription::new(Arc::clone(&self.watch), self.watch.join_now(self.capacity), None)
    }

    /// A receiver of every record that is there, and then of what changes, as
    /// [`with_current`](super::Subscribe::with_current) has it.
    ///
    /// # Errors
    ///
    /// The records cannot be read.
    pub async fn receiver_with_current(&self) -> Result<Subscription<E>, DustErr> {
        self.receiver_after(None).await
    }

    /// A receiver for a reader that comes back: `seq` is the [`resume_after`](Subscription::resume_after) of the
    /// receiver before, such as the `Last-Event-ID` of a browser.
    ///
    /// If the records have not changed since, it yields the changes from now on. Otherwise, and for `None` and 0, it
    /// [begins with](Subscription::begins_with_current) every record that is there: the reader lets go of all that it
    /// had. Until the last of them is given its place stays `seq`, so that a reader that is cut off in the middle
    /// begins with all records again.
    ///
    /// Any receiver of the same store may have told the `seq`: one of another process, or of this one before it was
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
    /// assert_eq!(browser.store_seq(), last_event_id, "a browser that is cut off here lacks `rust`");
    /// browser.next().await;
    /// assert!(browser.is_current() && browser.store_seq() > last_event_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The records cannot be read.
    pub async fn receiver_after(&self, seq: impl Into<Option<u64>>) -> Result<Subscription<E>, DustErr> {
        let seq = seq.into().filter(|seq| *seq > 0);
        let joined = self.watch.join(self.capacity, |current| Some(current) != seq).await?;
        Ok(Subscription::new(Arc::clone(&self.watch), joined, seq))
    }
}

impl<E: DustEntity> Clone for Broadcast<E> {
    fn clone(&self) -> Broadcast<E> {
        Broadcast { watch: Arc::clone(&self.watch), capacity: self.capacity }
    }
}

impl<E: DustEntity> fmt::Debug for Broadcast<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("watch", &self.watch).field("queue", &self.capacity).finish()
    }
}
