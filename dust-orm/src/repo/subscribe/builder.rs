//! The builder of a subscription, a broadcast and a live copy.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::Subscription;
use super::entity_view::EntityView;
use super::part::Part;
use super::source::Source;
use crate::entity::{DustEntity, IntoKey, KeyOf, KeyPrefix};
use crate::error::DustErr;
use crate::feed::QUEUE;
use crate::repo::DustRepo;

/// A subscription about to begin: `.await` it. [`DustRepo::subscribe`], [`DustRepo::broadcast`] and [`DustRepo::live`]
/// make it; `T` is the result, a [`Subscription`], a
/// [`Broadcast`](super::Broadcast) or a [`Live`](super::Live).
///
/// It concerns every record of the entity, unless [`key`](Subscribe::key) limits it to one, or
/// [`within`](Subscribe::within) and [`starts_with`](Subscribe::starts_with) to a part of the keys. Then the whole of it
/// concerns that part only: [`with_current`](Subscribe::with_current), [`Resync`](crate::Event::Resync),
/// [`store_seq`](Subscription::store_seq), `raw`, `on_change`, and the records in memory.
///
/// ```
/// # use dust_orm::{DustRepo, Event, tests_cfg::{bookmark, link}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// # let repo = DustRepo::embedded();
/// let mut dust = repo.subscribe::<link::Entity>().key("dust").await?;
/// let mut of_ada = repo.subscribe::<bookmark::Entity>().within("ada").await?;
///
/// for owner in ["bob", "ada"] {
///     repo.put(bookmark::Model { owner: owner.into(), id: 7, url: "https://dustlayer.io".into() }).await?;
/// }
/// repo.delete_by_id::<bookmark::Entity>(("ada", 7)).await?;
/// let Some(Event::Upserted(bookmark)) = of_ada.next().await else { panic!("a bookmark of Ada") };
/// assert_eq!(bookmark.owner, "ada");
/// assert_eq!(of_ada.next().await, Some(Event::Deleted(("ada".into(), 7))));
/// # drop(dust);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`NotSupported`](DustErr::NotSupported) over plain HTTP. [`InvalidParams`](DustErr::InvalidParams) if no record can
/// be in the part: an empty key, for instance. Otherwise an error if the records cannot be read.
#[must_use = "a subscription begins when it is awaited"]
pub struct Subscribe<'r, E: DustEntity, T = Subscription<E>> {
    pub(super) repo: &'r DustRepo,
    pub(super) part: Part<E>,
    pub(super) capacity: usize,
    current: bool,
    result: PhantomData<fn() -> T>,
}

impl<'r, E: DustEntity, T> Subscribe<'r, E, T> {
    pub(super) fn new(repo: &'r DustRepo) -> Self {
        Subscribe { repo, part: Part::all(), capacity: QUEUE, current: false, result: PhantomData }
    }

    /// Limits it to the record with this key, which need not exist. The key is that of `find_by_id`: `key("dust")`,
    /// `key(7)`, `key(("ada", "dust"))`.
    ///
    /// A [`Subscription`] to one record reads no other record, and holds none in memory: it reads its own when it
    /// delivers a change. A write to one of 100,000 records, each with a subscription of its own, wakes one of them.
    ///
    /// It excludes [`within`](Subscribe::within) and [`starts_with`](Subscribe::starts_with).
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
    /// let mut changes = repo.subscribe::<link::Entity>().key("dust").await?;
    /// repo.insert(draft("rust")).await?;
    /// let link = repo.insert(draft("dust")).await?;
    /// assert_eq!(changes.next().await, Some(Event::Upserted(link)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(mut self, key: impl IntoKey<E>) -> Self {
        self.part.key(&key.into_key());
        self
    }

    /// Limits it to the records whose key begins with these parts: `"ada"`, or `("ada", "rust")` for a key of three
    /// parts.
    ///
    /// The subscriptions within the same parts share the records in memory, as those of a whole entity do.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::bookmark};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// let of_ada = repo.live::<bookmark::Entity>().within("ada").await?;
    /// for owner in ["bob", "ada"] {
    ///     repo.put(bookmark::Model { owner: owner.into(), id: 7, url: "https://dustlayer.io".into() }).await?;
    /// }
    /// assert_eq!(of_ada.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn within<Marker>(mut self, parts: impl KeyPrefix<KeyOf<E>, Marker>) -> Self {
        self.part.within(parts);
        self
    }

    /// Limits it to keys that begin with a text, exact in case. An empty text does not limit it. Of a composite key the
    /// first part begins with it, or the first that [`within`](Subscribe::within) has not given.
    ///
    /// The subscriptions to the same part share the records in memory, as those of a whole entity do.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let drafts = repo.broadcast::<link::Entity>().starts_with("draft-").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn starts_with(mut self, text: impl Into<String>) -> Self {
        self.part.starts_with(text.into());
        self
    }

    /// The view of the part, which all subscriptions to it share.
    pub(super) async fn view(&self) -> Result<Arc<EntityView<E>>, DustErr> {
        EntityView::on(self.repo.source_for::<E>(), self.part.selected()?).await
    }
}

impl<E: DustEntity> Subscribe<'_, E> {
    /// Delivers first every record that exists, as [`Upserted`](crate::Event::Upserted), in the order of their paths;
    /// then the changes, with no gap and no repeat between the two.
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

    /// Sets the maximum number of events that wait for the subscriber (default: 1000; at least 1). The records of
    /// [`with_current`](Subscribe::with_current) do not count.
    pub fn queue(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }
}

impl<'r, E: DustEntity> IntoFuture for Subscribe<'r, E> {
    type Output = Result<Subscription<E>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let part = self.part.selected()?;
            if let Some(record) = part.record() {
                let transport = self.repo.source_for::<E>();
                let (source, start) = Source::of_record(transport, record, self.capacity, self.current).await?;
                return Ok(Subscription::new(source, start));
            }
            let view = self.view().await?;
            let joined = view.join(self.capacity, |_| self.current).await?;
            Ok(Subscription::of_view(view, joined))
        })
    }
}

impl<E: DustEntity, T> fmt::Debug for Subscribe<'_, E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("part", &self.part.selected())
            .field("queue", &self.capacity)
            .field("with_current", &self.current)
            .finish()
    }
}
