//! Every record of an entity, ready in memory.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::task::coop::unconstrained;

use super::entity_view::EntityView;
use super::model_index::ModelIndex;
use super::records::sort_by_path;
use super::{DustRepo, Subscribe};
use crate::entity::{DustEntity, IntoKey, render_key};
use crate::error::DustErr;
use crate::pace::pace;

/// Every record of an entity, decoded, in memory and kept up to date: made by [`DustRepo::live`].
///
/// A handle: cheap to clone, and all clones share the records. Reading takes no `.await`, no network and no decoding: a
/// [`get`](Live::get) is one lookup in a hash map, some tens of nanoseconds for any number of records.
///
/// # Contents
///
/// It shows the committed state: each commit whole or not at all, and a write of the application as soon as it has
/// returned. While the realtime client has no connection, and after it was shut down, it shows the last known state.
/// After a snapshot all records must be read again: the next reader does that, which takes as long as
/// [`all`](DustRepo::all), and other readers meanwhile get the last known state.
///
/// It omits a record that does not fit the entity, with one warning.
///
/// # Cost
///
/// The records are held a second time beside the store or the mirror, as leaves and as models: some 800 bytes for a
/// record of four short fields. All [`Live`] handles, subscriptions and broadcasts of the entity share them; they are
/// freed with the last of these. The next reader of a written record decodes it.
pub struct Live<E: DustEntity> {
    view: Arc<EntityView<E>>,
    index: Arc<ModelIndex<E>>,
}

impl DustRepo {
    /// Reads every record of an entity and keeps them ready in memory: see [`Live`].
    ///
    /// Returns when the records are read and decoded; later calls share them. It works on the embedded store and in
    /// realtime; over plain HTTP it is [`NotSupported`](DustErr::NotSupported).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let (slug, title, url) = (Set("dust".into()), Set("Dust".into()), Set("u".into()));
    /// # let draft = link::ActiveModel { slug, title, url, note: NotSet };
    /// let links = repo.live::<link::Entity>().await?;
    /// assert!(links.get("dust").is_none());
    ///
    /// repo.insert(draft).await?;
    /// assert_eq!(links.get("dust").unwrap().title, "Dust");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a subscription begins when it is awaited"]
    pub fn live<E: DustEntity>(&self) -> Subscribe<'_, E, Live<E>> {
        Subscribe::new(self)
    }
}

impl<'r, E: DustEntity> IntoFuture for Subscribe<'r, E, Live<E>> {
    type Output = Result<Live<E>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let view = self.view().await?;
            let index = view.index().await?;
            let live = Live { view, index };
            // Decodes the records that no reader has decoded yet.
            for stored in live.index.all() {
                pace(stored.record.leaves.len()).await;
                let _ = stored.model_or_warning();
            }
            Ok(live)
        })
    }
}

impl<E: DustEntity> Live<E> {
    /// The record with this key, shared with all readers; `None` if there is none, or if it does not fit the entity.
    ///
    /// The key is that of `find_by_id`: `get("dust")`, `get(7)`, `get(("ada", "dust"))`.
    pub fn get(&self, key: impl IntoKey<E>) -> Option<Arc<E::Model>> {
        self.read_up();
        self.index.model(&render_key(E::key_segments(&key.into_key()).as_ref()))
    }

    /// True if there is a record with this key that fits the entity.
    pub fn contains_key(&self, key: impl IntoKey<E>) -> bool {
        self.get(key).is_some()
    }

    /// Every record, in the order of their paths, as [`all`](DustRepo::all) returns them: at one moment, between two
    /// commits.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let links = repo.live::<link::Entity>().await?;
    /// let titles: Vec<String> = links.all().iter().map(|link| link.title.clone()).collect();
    /// # Ok(())
    /// # }
    /// ```
    pub fn all(&self) -> Vec<Arc<E::Model>> {
        self.read_up();
        let mut all = self.view.records();
        sort_by_path(&mut all);
        all.iter().filter_map(|stored| stored.model_or_warning().cloned()).collect()
    }

    /// The number of records. They are counted at each call.
    pub fn len(&self) -> usize {
        self.read_up();
        self.index.all().iter().filter(|stored| stored.model_or_warning().is_some()).count()
    }

    /// True if there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `store_seq` of the last op that concerns the records and that they have.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// let links = repo.live::<link::Entity>().await?;
    /// let before = links.store_seq();
    /// repo.delete_by_id::<link::Entity>("dust").await?;
    /// assert!(links.store_seq() > before);
    /// # Ok(())
    /// # }
    /// ```
    pub fn store_seq(&self) -> u64 {
        self.read_up();
        self.view.seq()
    }

    /// Reads the records again, if necessary. They are in this process, so that it waits for nothing unless another
    /// task is reading them.
    fn read_up(&self) {
        if let Some(reading) = self.view.reading() {
            // The view has the result. The reading does not yield to other tasks: the caller reads next.
            drop(unconstrained(reading).now_or_never());
        }
    }
}

impl<E: DustEntity> Clone for Live<E> {
    fn clone(&self) -> Live<E> {
        Live { view: Arc::clone(&self.view), index: Arc::clone(&self.index) }
    }
}

impl<E: DustEntity> fmt::Debug for Live<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("view", &self.view).finish_non_exhaustive()
    }
}
