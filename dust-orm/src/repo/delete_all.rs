//! `delete_all`: one op that removes the records of an entity.

use std::future::IntoFuture;
use std::marker::PhantomData;

use dust_protocol::{Op, Path};
use futures_core::future::BoxFuture;

use super::DustRepo;
use super::write::DeleteResult;
use super::write::dispatch::send;
use super::write::options::Options;
use crate::entity::{DustEntity, KeyOf, KeyPrefix, prefix_path_of, writable_prefix};
use crate::error::DustErr;

impl DustRepo {
    /// Deletes every record of an entity, and all other leaves below its prefix, in one op. Hooks do not run, because
    /// no record is read.
    ///
    /// [`within`](DeleteAll::within) deletes only the records whose key begins with some parts.
    ///
    /// If this repo, or a clone of it, has used another entity whose prefix is inside this one (`app/settings` in
    /// `app`), the delete is refused, because it would remove that entity's records too. Two entities with the very
    /// same prefix are two views of the same records: a delete of one is a delete of the other.
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) if the records of another entity would be removed; errors of the
    /// [transport](crate::Transport::write).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::{bookmark, link}};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let deleted = repo.delete_all::<link::Entity>().await?;
    /// println!("deleted by op {}", deleted.store_seq);
    /// repo.delete_all::<bookmark::Entity>().within("ada").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn delete_all<E: DustEntity>(&self) -> DeleteAll<'_, E> {
        DeleteAll { repo: self, path: writable_prefix::<E>(), entity: PhantomData }
    }
}

/// A delete of all records. [`DustRepo::delete_all`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct DeleteAll<'r, E: DustEntity> {
    repo: &'r DustRepo,
    path: Result<Path, DustErr>,
    entity: PhantomData<fn() -> E>,
}

impl<E: DustEntity> DeleteAll<'_, E> {
    /// Deletes only the records whose key begins with these parts: `"ada"`, or `("ada", "rust")` for a key of three
    /// parts. A part that cannot be in a key is [`InvalidParams`](DustErr::InvalidParams).
    pub fn within<Marker>(mut self, parts: impl KeyPrefix<KeyOf<E>, Marker>) -> Self {
        self.path = prefix_path_of::<E, _>(parts);
        self
    }
}

impl<'r, E: DustEntity> IntoFuture for DeleteAll<'r, E> {
    type Output = Result<DeleteResult, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let transport = &*self.repo.active_for::<E>();
            let path = self.path?;
            if let Some(inner) = self.repo.prefixes.nested_in::<E>(&path) {
                return Err(DustErr::invalid_params(format!(
                    "`delete_all` of `{}` at `{path}` would also remove the records of `{}` at `{}`: delete the \
                     records by their keys, or give the two entities prefixes that do not nest",
                    std::any::type_name::<E>(),
                    inner.entity,
                    inner.prefix(),
                )));
            }
            let ops = vec![Op::delete(path)];
            let store_seq = send(ops.into(), Options::default(), transport).await?.store_seq.unwrap_or_default();
            Ok(DeleteResult { store_seq })
        })
    }
}
