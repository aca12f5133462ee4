//! The verbs that read.

use dust_protocol::{PackedLeaves, Path};
use futures_core::Stream;

use super::DustRepo;
use super::many::{Wanted, fetch_many, scalar_fields};
use super::record_pages::{fetch_leaves, model_or_warning};
use crate::entity::{DustEntity, IntoKey, KeyOf, RecordRef, Revision, Versioned, decode, lookup_path, render_key};
use crate::error::DustErr;

impl DustRepo {
    /// Reads every record of an entity, in the order of their paths.
    ///
    /// Records that do not fit the entity (a required field is missing, a value cannot be read) are left out, each with
    /// a warning. Use [`stream`](DustRepo::stream) if they may be too many for memory.
    ///
    /// # Errors
    /// Errors of the [transport](crate::Transport::list).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let links: Vec<link::Model> = repo.all::<link::Entity>().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn all<E: DustEntity>(&self) -> Result<Vec<E::Model>, DustErr> {
        self.find::<E>().all().await
    }

    /// Streams every record of an entity, in the order of their paths. Pages are fetched when they are needed.
    ///
    /// Records that do not fit the entity are left out as in [`all`](DustRepo::all). An error is an item and ends the
    /// stream. Records that are written meanwhile may be in it or not.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut links = std::pin::pin!(repo.stream::<link::Entity>());
    /// while let Some(link) = links.try_next().await? {
    ///     println!("{}", link.title);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<E: DustEntity>(&self) -> impl Stream<Item = Result<E::Model, DustErr>> + Send + 'static {
        self.find::<E>().stream()
    }

    /// Finds the record with this key. A record that does not fit the entity is `None` with a warning;
    /// [`get`](DustRepo::get) returns it as an error.
    ///
    /// # Errors
    /// [`TooLarge`](DustErr::TooLarge) if the record is too large to be read; errors of the
    /// [transport](crate::Transport::list).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let link: Option<link::Model> = repo.find_by_id::<link::Entity>("dust").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find_by_id<E: DustEntity>(&self, key: impl IntoKey<E>) -> Result<Option<E::Model>, DustErr> {
        let Some(path) = path_of::<E>(&key.into_key())? else { return Ok(None) };
        let leaves = fetch_leaves(&*self.active_for::<E>(), &path).await?;
        Ok(leaves.and_then(|leaves| model_or_warning::<E>(RecordRef::new(&path, &leaves))))
    }

    /// Reads the record with this key.
    ///
    /// # Errors
    /// [`NotFound`](DustErr::NotFound) if it does not exist; [`Decode`](DustErr::Decode) with the names of missing and
    /// unreadable fields if it does not fit the entity; otherwise as [`find_by_id`](DustRepo::find_by_id).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, ErrKind, tests_cfg::link};
    /// # async fn example(repo: DustRepo) {
    /// let error = repo.get::<link::Entity>("nobody").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrKind::NotFound);
    /// # }
    /// ```
    pub async fn get<E: DustEntity>(&self, key: impl IntoKey<E>) -> Result<E::Model, DustErr> {
        let path = named_path::<E>(&key.into_key())?;
        match fetch_leaves(&*self.active_for::<E>(), &path).await? {
            Some(leaves) => Ok(decode::<E>(RecordRef::new(&path, &leaves))?),
            None => Err(not_found(path.as_str())),
        }
    }

    /// Finds the record with this key and its [`Revision`], for a later `if_match`. Otherwise as
    /// [`find_by_id`](DustRepo::find_by_id).
    ///
    /// # Errors
    /// As [`find_by_id`](DustRepo::find_by_id).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// if let Some(seen) = repo.find_versioned::<link::Entity>("dust").await? {
    ///     let mut edit = seen.model.into_active_model();
    ///     edit.note = Set(Some("read me".into()));
    ///     repo.update(edit).if_match(&seen.revision).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find_versioned<E: DustEntity>(
        &self,
        key: impl IntoKey<E>,
    ) -> Result<Option<Versioned<E::Model>>, DustErr> {
        let Some(path) = path_of::<E>(&key.into_key())? else { return Ok(None) };
        let leaves = fetch_leaves(&*self.active_for::<E>(), &path).await?;
        Ok(leaves.and_then(|leaves| {
            let record = RecordRef::new(&path, &leaves);
            let model = model_or_warning::<E>(record)?;
            Some(Versioned { model, revision: Revision::of(record) })
        }))
    }

    /// Reads the record with this key and its [`Revision`], for a later `if_match`.
    ///
    /// # Errors
    /// As [`get`](DustRepo::get).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let seen = repo.get_versioned::<link::Entity>("dust").await?;
    /// repo.delete_by_id::<link::Entity>("dust").if_match(&seen.revision).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_versioned<E: DustEntity>(&self, key: impl IntoKey<E>) -> Result<Versioned<E::Model>, DustErr> {
        let path = named_path::<E>(&key.into_key())?;
        let leaves = fetch_leaves(&*self.active_for::<E>(), &path).await?;
        let leaves = leaves.ok_or_else(|| not_found(path.as_str()))?;
        let record = RecordRef::new(&path, &leaves);
        Ok(Versioned { model: decode::<E>(record)?, revision: Revision::of(record) })
    }

    /// Finds the records with these keys, in the same order, each as [`find_by_id`](DustRepo::find_by_id) does.
    ///
    /// Over HTTP a request lists up to 1000 leaves, from the first key on, and the next begins at the first key that is
    /// not read yet. So records with adjacent keys, as in a small table, need one request.
    ///
    /// # Errors
    /// As [`find_by_id`](DustRepo::find_by_id).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let found: Vec<Option<link::Model>> = repo.find_many::<link::Entity>(["dust", "rust"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find_many<E: DustEntity>(
        &self,
        keys: impl IntoIterator<Item: IntoKey<E>>,
    ) -> Result<Vec<Option<E::Model>>, DustErr> {
        let paths = keys.into_iter().map(|key| path_of::<E>(&key.into_key()));
        let paths: Vec<Option<Path>> = paths.collect::<Result<_, _>>()?;
        let fields = scalar_fields::<E>();
        let wanted =
            |path: &Option<Path>| Some(Wanted { path: path.clone()?, key_parts: E::KEY_PARTS, fields: fields.clone() });
        let wanted: Vec<Option<Wanted>> = paths.iter().map(wanted).collect();
        let records = fetch_many(&*self.active_for::<E>(), &wanted).await?;
        let model = |(path, leaves): (&Option<Path>, Option<PackedLeaves>)| {
            model_or_warning::<E>(RecordRef::new(path.as_ref()?, &leaves?))
        };
        Ok(paths.iter().zip(records).map(model).collect())
    }

    /// True if a leaf is stored at or below the path of this key, even if the record does not fit the entity. No value
    /// is read.
    ///
    /// # Errors
    /// Errors of the [transport](crate::Transport::exists).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let taken: bool = repo.exists::<link::Entity>("dust").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn exists<E: DustEntity>(&self, key: impl IntoKey<E>) -> Result<bool, DustErr> {
        match path_of::<E>(&key.into_key())? {
            Some(path) => self.active_for::<E>().exists(&path).await,
            None => Ok(false),
        }
    }
}

/// The path of the record with a key; `None` if the key is invalid, so that no record has it.
fn path_of<E: DustEntity>(key: &KeyOf<E>) -> Result<Option<Path>, DustErr> {
    lookup_path::<E>(key)
}

/// The path of the record with a key. An invalid key is not found.
fn named_path<E: DustEntity>(key: &KeyOf<E>) -> Result<Path, DustErr> {
    match path_of::<E>(key)? {
        Some(path) => Ok(path),
        None => Err(not_found(&format!("{}/{}", E::prefix_path()?, render_key(E::key_segments(key).as_ref())))),
    }
}

/// The error for a record that does not exist.
pub(super) fn not_found(path: &str) -> DustErr {
    DustErr::NotFound { what: format!("the record `{path}`") }
}
