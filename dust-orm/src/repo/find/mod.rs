//! `find`: lists of records in the order of their keys.

mod key_list;
mod key_range;
mod stored_keys;

use std::marker::PhantomData;
use std::sync::Arc;

use dust_protocol::list::MAX_PAGE_LEAVES;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::DustRepo;
use super::record_pages::{RecordPages, model_or_warning};
use crate::entity::{
    DustEntity, Fields, IntoKey, KeyOf, KeyPrefix, KeyRest, RecordRef, Revision, Versioned, is_leaf, lookup_prefix,
};
use crate::error::DustErr;
use crate::transport::Transport;
pub(super) use key_list::KeyList;
use key_list::Limit;
pub(super) use key_range::KeyRange;

impl DustRepo {
    /// Lists records of an entity in the order of their keys, in the words of SeaORM's cursors.
    ///
    /// A list is limited to a part of the keys by [`starts_with`](Find::starts_with), [`after`](Find::after) and
    /// [`before`](Find::before), and to a number of records by [`first`](Find::first) and [`last`](Find::last);
    /// [`desc`](Find::desc) reverses it. A store is asked for that part only, so a page costs the same in a store of
    /// any size.
    ///
    /// The order is that of the bytes of the records' paths, each followed by `/`: `a-1`, `a.b`, `a`, `a0`, `b`.
    /// Numbers are ordered as texts: 1, 10, 2. Keys such as UUIDv7, or numbers padded with zeros, are in the order of
    /// time or value.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let page: Vec<link::Model> = repo.find::<link::Entity>().first(20).all().await?;
    /// let next = match page.last() {
    ///     Some(last) => repo.find::<link::Entity>().after(&*last.slug).first(20).all().await?,
    ///     None => Vec::new(),
    /// };
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a list is read by `all`, `stream`, `one`, `versioned`, `keys`, `count` or `exists`"]
    pub fn find<E: DustEntity>(&self) -> Find<'_, E> {
        self.prefixes.note::<E>();
        Find { repo: self, list: KeyList::all::<E>(), types: PhantomData }
    }
}

/// A list of records in the order of their keys. [`DustRepo::find`] makes it.
#[must_use = "a list is read by `all`, `stream`, `one`, `versioned`, `keys`, `count` or `exists`"]
#[derive(Clone, Debug)]
pub struct Find<'r, E, K = WholeKey> {
    repo: &'r DustRepo,
    list: KeyList,
    types: PhantomData<fn() -> (E, K)>,
}

/// The keys of a [`Find`] that has no [`within`](Find::within): whole keys.
#[derive(Clone, Copy, Debug)]
pub enum WholeKey {}

/// The keys of a [`Find`] after [`within`](Find::within): the other parts, whose types are the items of the tuple `R`.
#[derive(Clone, Copy, Debug)]
pub struct RestOfKey<R>(PhantomData<fn() -> R>);

impl<'r, E: DustEntity> Find<'r, E> {
    /// Limits the list to the records whose key begins with these parts: `"ada"`, or `("ada", "rust")` for a key of
    /// three parts. [`after`](Find::after) and [`before`](Find::before) then take the other parts only.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::bookmark};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let of_ada = repo.find::<bookmark::Entity>().within("ada").after(20).first(10).all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn within<P: KeyPrefix<KeyOf<E>, Marker>, Marker>(mut self, parts: P) -> Find<'r, E, RestOfKey<P::Rest>> {
        self.list.within(lookup_prefix::<E, _>(parts));
        Find { repo: self.repo, list: self.list, types: PhantomData }
    }

    /// Begins the list behind a key, which need not exist. An empty key is before all others.
    ///
    /// With [`desc`](Find::desc) the list goes on with lower keys.
    pub fn after(mut self, key: impl IntoKey<E>) -> Self {
        self.list.after(E::key_segments(&key.into_key()).as_ref());
        self
    }

    /// Ends the list before a key, which need not exist.
    ///
    /// With [`desc`](Find::desc) all keys of the list are higher.
    pub fn before(mut self, key: impl IntoKey<E>) -> Self {
        self.list.before(E::key_segments(&key.into_key()).as_ref());
        self
    }
}

impl<E: DustEntity, R> Find<'_, E, RestOfKey<R>> {
    /// Begins the list behind a key, of which these are the parts that [`within`](Find::within) has not given. It need
    /// not exist.
    pub fn after(mut self, rest: impl KeyRest<R>) -> Self {
        self.list.after(rest.rest_segments());
        self
    }

    /// Ends the list before a key, of which these are the parts that [`within`](Find::within) has not given. It need
    /// not exist.
    pub fn before(mut self, rest: impl KeyRest<R>) -> Self {
        self.list.before(rest.rest_segments());
        self
    }
}

impl<E: DustEntity, K> Find<'_, E, K> {
    /// Limits the list to keys that begin with a text, exact in case. An empty text does not limit it. Of a composite
    /// key the first part begins with it, or the first that [`within`](Find::within) has not given.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let rust = repo.find::<link::Entity>().starts_with("rust").all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn starts_with(mut self, text: impl Into<String>) -> Self {
        self.list.starts_with(text.into());
        self
    }

    /// Limits the list to its first `count` records that fit the entity. Replaces [`last`](Find::last).
    pub fn first(mut self, count: u64) -> Self {
        self.list.limit = Some(Limit::First(count));
        self
    }

    /// Limits the list to its last `count` records that fit the entity, in the same order. Replaces [`first`](Find::first).
    pub fn last(mut self, count: u64) -> Self {
        self.list.limit = Some(Limit::Last(count));
        self
    }

    /// Reverses the order of the list: the highest key comes first.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let newest_first = repo.find::<link::Entity>().desc().first(20).all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn desc(mut self) -> Self {
        self.list.desc = true;
        self
    }

    /// Reads the records. A record that does not fit the entity is left out with a warning, as in
    /// [`DustRepo::all`], and does not count for [`first`](Find::first) and [`last`](Find::last).
    ///
    /// A page of `n` records with `f` leaves each takes `n * f / 1000` requests to a server, rounded up, and one more
    /// if the last record is cut.
    ///
    /// # Errors
    /// Errors of the [transport](crate::Transport::list_leaves).
    pub async fn all(self) -> Result<Vec<E::Model>, DustErr> {
        read::<E, _>(&self.list, self.repo.active_for::<E>(), UnknownLeaves::Ignored, model::<E>).await
    }

    /// Reads the first record of the list; `None` if it is empty.
    ///
    /// # Errors
    /// As [`all`](Find::all).
    pub async fn one(self) -> Result<Option<E::Model>, DustErr> {
        let limited = match self.list.limit {
            Some(Limit::Last(_) | Limit::First(0)) => self,
            _ => self.first(1),
        };
        Ok(limited.all().await?.into_iter().next())
    }

    /// Reads the records with their revisions, for a later `if_match`. Otherwise as [`all`](Find::all).
    ///
    /// # Errors
    /// As [`all`](Find::all).
    pub async fn versioned(self) -> Result<Vec<Versioned<E::Model>>, DustErr> {
        read::<E, _>(&self.list, self.repo.active_for::<E>(), UnknownLeaves::Needed, versioned::<E>).await
    }

    /// Reads the keys of the records, without their values. A record without one of the required fields is left out;
    /// one with a value that its field cannot hold is not detected.
    ///
    /// # Errors
    /// As [`all`](Find::all).
    pub async fn keys(self) -> Result<Vec<KeyOf<E>>, DustErr> {
        let mut keys = Vec::new();
        stored_keys::each::<E>(&self.list, self.repo.active_for::<E>(), |key| keys.push(key)).await?;
        if self.list.is_last() {
            keys.reverse();
        }
        Ok(keys)
    }

    /// Counts the records, without reading their values: the number of [`keys`](Find::keys).
    ///
    /// # Errors
    /// As [`all`](Find::all).
    pub async fn count(self) -> Result<u64, DustErr> {
        let mut count = 0;
        stored_keys::each::<E>(&self.list, self.repo.active_for::<E>(), |_| count += 1).await?;
        Ok(count)
    }

    /// True if the list has a record: one that [`count`](Find::count) counts.
    ///
    /// # Errors
    /// As [`all`](Find::all).
    pub async fn exists(self) -> Result<bool, DustErr> {
        let limited = match self.list.limit {
            Some(limit) if limit.count() == 0 => return Ok(false),
            _ => self.first(1),
        };
        Ok(limited.count().await? > 0)
    }

    /// Streams the records. Pages are fetched when they are needed; those of [`last`](Find::last) all at once.
    ///
    /// An error is an item and ends the stream. Records that are written meanwhile may be in it or not.
    pub fn stream(self) -> impl Stream<Item = Result<E::Model, DustErr>> + Send + 'static {
        // Each page has its own deadline, because the reader determines the time that a stream takes.
        let (transport, list) = (self.repo.transport(), self.list);
        stream::once(async move {
            if list.is_last() {
                let models = read::<E, _>(&list, transport, UnknownLeaves::Ignored, model::<E>).await?;
                return Ok::<_, DustErr>(stream::iter(models).map(Ok).left_stream());
            }
            let reader = Reader::<E>::new(&list, transport)?;
            let pages = stream::try_unfold(reader, |mut reader| async move {
                let page = reader.next(UnknownLeaves::Ignored, model::<E>).await?;
                Ok::<_, DustErr>(page.map(|models| (stream::iter(models).map(Ok), reader)))
            });
            Ok(pages.try_flatten().right_stream())
        })
        .try_flatten()
    }
}

/// The meaning of leaves that belong to no field of the entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnknownLeaves {
    /// A record can be read without them.
    Ignored,
    /// A record is read with all of them.
    Needed,
}

/// Makes an item of a record; `None` leaves it out.
type Take<T> = fn(RecordRef<'_>) -> Option<T>;

fn model<E: DustEntity>(record: RecordRef<'_>) -> Option<E::Model> {
    model_or_warning::<E>(record)
}

fn versioned<E: DustEntity>(record: RecordRef<'_>) -> Option<Versioned<E::Model>> {
    Some(Versioned { model: model::<E>(record)?, revision: Revision::of(record) })
}

/// Reads the records of a list and returns the results of `take`, in the order of the list.
async fn read<E: DustEntity, T>(
    list: &KeyList,
    transport: Arc<dyn Transport>,
    unknown: UnknownLeaves,
    take: Take<T>,
) -> Result<Vec<T>, DustErr> {
    let mut found = Vec::new();
    let mut reader = Reader::<E>::new(list, transport)?;
    while let Some(mut page) = reader.next(unknown, take).await? {
        found.append(&mut page);
    }
    if list.is_last() {
        found.reverse();
    }
    Ok(found)
}

/// Reads the pages of a list until it has the wanted number of records.
struct Reader<E> {
    /// The keys and the pages of their records; `None` if the list is empty.
    selected: Option<(KeyRange, RecordPages)>,
    /// The number of records that are still wanted; `None` if there is no limit.
    left: Option<u64>,
    density: Density,
    entity: PhantomData<fn() -> E>,
}

/// The number of leaves of a record, on average of those read so far.
#[derive(Clone, Copy, Debug)]
struct Density {
    leaves: u64,
    records: u64,
}

impl Density {
    /// The number of fields of an entity that are stored, as for a record without objects.
    fn of<E: DustEntity>() -> Density {
        let fields = E::ActiveModel::FIELDS.iter().filter(|field| is_leaf(field)).count();
        Density { leaves: fields as u64, records: 1 }
    }

    fn add(&mut self, leaves: usize, records: usize) {
        self.leaves += leaves as u64;
        self.records += records as u64;
    }

    /// The number of leaves to request for a number of records. One more shows that the last record is complete.
    fn page(self, records: u64) -> usize {
        let leaves = records.saturating_mul(self.leaves).div_ceil(self.records.max(1)).saturating_add(1);
        usize::try_from(leaves).unwrap_or(usize::MAX).min(MAX_PAGE_LEAVES)
    }
}

impl<E: DustEntity> Reader<E> {
    fn new(list: &KeyList, transport: Arc<dyn Transport>) -> Result<Reader<E>, DustErr> {
        let selected = match list.selected()? {
            Some((range, selector)) => Some((range, RecordPages::within::<E>(transport, selector, list.order())?)),
            None => None,
        };
        Ok(Reader { selected, left: list.count_limit(), density: Density::of::<E>(), entity: PhantomData })
    }

    /// Reads the next page, and returns what `take` makes of its records, in the order in which the store is read.
    /// `None` after the last page, and when the wanted number of records is read.
    async fn next<T>(&mut self, unknown: UnknownLeaves, take: Take<T>) -> Result<Option<Vec<T>>, DustErr> {
        let Some((range, pages)) = self.selected.as_mut().filter(|_| self.left != Some(0)) else { return Ok(None) };
        if let Some(left) = self.left {
            pages.limit(self.density.page(left));
        }
        let Some(leaves) = pages.next_leaves().await? else { return Ok(None) };
        let records = pages.records(&leaves);
        self.density.add(leaves.len(), records.len());
        let open = pages.open().filter(|record| unknown == UnknownLeaves::Ignored && is_complete::<E>(*record));
        let selected = records.into_iter().filter(|record| range.contains(record.path));
        let wanted = usize::try_from(self.left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut found: Vec<T> = selected.filter_map(take).take(wanted).collect();
        if found.len() + 1 == wanted
            && let Some(last) = open.filter(|record| range.contains(record.path)).and_then(take)
        {
            found.push(last);
        }
        if let Some(left) = &mut self.left {
            *left -= found.len() as u64;
        }
        Ok(Some(found))
    }
}

/// True if a record has a leaf for each field of the entity: others that may follow belong to no field.
fn is_complete<E: DustEntity>(record: RecordRef<'_>) -> bool {
    let mut fields = E::ActiveModel::FIELDS.iter().filter(|field| is_leaf(field));
    fields.all(|field| record.leaves().any(|leaf| record.name(leaf) == field.name))
}

#[cfg(test)]
#[cfg(all(feature = "embedded", feature = "macros"))]
mod tests;
