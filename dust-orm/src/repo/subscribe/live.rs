//! Every record of an entity, ready in memory.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::coop::unconstrained;

use super::DustRepo;
use super::entity_view::EntityView;
use super::model_index::ModelIndex;
use super::records::sort_by_path;
use crate::entity::{DustEntity, KeyOf};
use crate::error::DustErr;
use crate::pace::pace;

/// Every record of an entity, decoded, in memory and kept up to date: made by [`DustRepo::live`].
///
/// A handle: cheap to clone, and clones are the same. Reading takes no `.await`, no network and no decoding: a
/// [`get`](Live::get) is a look into a hash map, some tens of nanoseconds however many records there are.
///
/// # What it shows
///
/// What is committed, each commit whole or not at all, and one's own write as soon as it has returned. While the realtime
/// client has no connection, and after it was shut down, that is what was known last. After a snapshot everything has to
/// be read again: whoever asks next does that, which takes as long as [`all`](DustRepo::all), and others are shown what
/// was known last meanwhile.
///
/// A record that does not fit the entity is not in it, with one warning.
///
/// # What it costs
///
/// The records are held once more beside the store or the mirror, as leaves and as models: some 800 bytes for a record of
/// four short fields. They are held once for all [`Live`] handles, subscriptions and broadcasts of the entity, and let go
/// with the last of them. A record that was written is decoded by who reads it next.
pub struct Live<E: DustEntity> {
    watch: Arc<EntityView<E>>,
    table: Arc<ModelIndex<E>>,
}

impl DustRepo {
    /// Reads every record of an entity and keeps them ready in memory: see [`Live`].
    ///
    /// Returns when they are read and decoded; later calls share them. Works on the embedded store and in realtime; over
    /// plain HTTP it is [`NotSupported`](DustErr::NotSupported).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # let repo = DustRepo::embedded();
    /// # let draft = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), url: Set("u".into()), note: NotSet };
    /// let links = repo.live::<link::Entity>().await?;
    /// assert!(links.get("dust").is_none());
    ///
    /// repo.insert(draft).await?;
    /// assert_eq!(links.get("dust").unwrap().title, "Dust");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn live<E: DustEntity>(&self) -> Result<Live<E>, DustErr> {
        let watch = EntityView::on(self.source()).await?;
        let table = watch.table().await?;
        let live = Live { watch, table };
        // Decodes what nobody has read yet.
        for stored in live.table.all() {
            pace(stored.record.leaves.len()).await;
            let _ = stored.model_or_warning();
        }
        Ok(live)
    }
}

impl<E: DustEntity> Live<E> {
    /// The record with this key, shared with all who read it; `None` when there is none, or it does not fit the entity.
    ///
    /// The key is as `find_by_id` takes it, by reference: `get("dust")`, `get(&7)`, `get(&uuid)`.
    pub fn get<Q>(&self, key: &Q) -> Option<Arc<E::Model>>
    where
        KeyOf<E>: Borrow<Q>,
        Q: ToString + ?Sized,
    {
        self.read_up();
        self.table.model(&key.to_string())
    }

    /// Whether there is a record with this key that fits the entity.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        KeyOf<E>: Borrow<Q>,
        Q: ToString + ?Sized,
    {
        self.get(key).is_some()
    }

    /// Every record, in the order of their paths, as [`all`](DustRepo::all) has them: at one moment, between two commits.
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
        let mut all = self.watch.records();
        sort_by_path(&mut all);
        all.iter().filter_map(|stored| stored.model_or_warning().cloned()).collect()
    }

    /// How many records there are. They are counted each time.
    pub fn len(&self) -> usize {
        self.read_up();
        self.table.all().iter().filter(|stored| stored.model_or_warning().is_some()).count()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last op that the records have, of those that concern them: its `store_seq`.
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
        self.watch.seq()
    }

    /// Reads the records again, if they have to be. They are in this process, so that there is nothing to wait for unless
    /// somebody else is at it.
    fn read_up(&self) {
        if let Some(reading) = self.watch.reading() {
            // How it went, the watch knows. It is not left half-way for other tasks: the caller reads next.
            drop(unconstrained(reading).now_or_never());
        }
    }
}

impl<E: DustEntity> Clone for Live<E> {
    fn clone(&self) -> Live<E> {
        Live { watch: Arc::clone(&self.watch), table: Arc::clone(&self.table) }
    }
}

impl<E: DustEntity> fmt::Debug for Live<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("watch", &self.watch).finish_non_exhaustive()
    }
}
