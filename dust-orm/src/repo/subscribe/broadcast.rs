//! One subscription for many receivers.

use std::fmt;
use std::sync::Arc;

use super::watch::Watch;
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
    pub(super) watch: Arc<Watch<E>>,
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
        let watch = Watch::on(self.source()).await?;
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
        Subscription::new(Arc::clone(&self.watch), self.watch.join_now(self.capacity))
    }

    /// A receiver of every record that is there, and then of what changes, as
    /// [`with_current`](super::Subscribe::with_current) has it.
    pub async fn receiver_with_current(&self) -> Result<Subscription<E>, DustErr> {
        let joined = self.watch.join(self.capacity, true).await?;
        Ok(Subscription::new(Arc::clone(&self.watch), joined))
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
