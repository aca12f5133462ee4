//! `merge`: a write of some fields of a record as one op.

use std::future::IntoFuture;

use dust_protocol::{Fence, Mutation, Op};
use futures_core::future::BoxFuture;
use sea_orm::EntityTrait;

use super::DustRepo;
use super::field::check_typed_op;
use super::record_pages::{fetch, model_or_warning};
use super::write::{IntoDustActiveModel, Sent, VersionedWrite, hooks, limits};
use crate::changeset::Action;
use crate::entity::{
    DustEntity, FieldSelection, Fields, Revision, Versioned, active_path, check_required, encode_set, is_leaf,
};
use crate::error::DustErr;

impl DustRepo {
    /// Writes the fields that are `Set` as one op, in both storage modes, even if the record does not exist. Other
    /// fields stay. Returns the record after the write, or `None` while required fields are missing.
    ///
    /// Unlike [`update`](DustRepo::update) it needs no existing record, and in map mode not all of its fields; it reads
    /// the record only to keep it within the limits of a record, and is one op and one event for any number of fields.
    /// It has no `if_match`. If no field is `Set`, nothing is written. The hooks of an update run.
    ///
    /// # Errors
    /// [`NotSupported`](DustErr::NotSupported) over HTTP; [`Invalid`](DustErr::Invalid) with the errors of the
    /// changeset; [`InvalidParams`](DustErr::InvalidParams) if a field is called `_scalar`, or if the fields are too
    /// large to be read back; the error of a hook; errors of the [transport](crate::Transport::write).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// let repo = DustRepo::embedded();
    /// let part = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), ..Default::default() };
    /// assert_eq!(repo.merge(part).await?, None);
    /// let rest = link::ActiveModel { slug: Set("dust".into()), url: Set("https://dustlayer.io".into()), ..Default::default() };
    /// assert_eq!(repo.merge(rest).await?.unwrap().title, "Dust");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn merge<I: IntoDustActiveModel>(&self, input: I) -> Merge<'_, I::Entity>
    where
        I::Entity: DustEntity,
    {
        let active = input.into_dust_active_model(Action::Update);
        Merge { repo: self, active, fence: None, send: Merge::send }
    }
}

/// A merge. [`DustRepo::merge`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Merge<'r, E: EntityTrait> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    fence: Option<Fence>,
    send: fn(Self) -> Sent<'r, Option<E::Model>>,
}

impl<E: EntityTrait> Merge<'_, E> {
    /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it fails with
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

// For any entity, as the other verbs: see `write/mod.rs`.
impl<'r, E: EntityTrait> IntoFuture for Merge<'r, E> {
    type Output = Result<Option<E::Model>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.send)(self)
    }
}

impl<'r, E: DustEntity> Merge<'r, E> {
    fn send(self) -> Sent<'r, Option<E::Model>> {
        Box::pin(async move { Ok(self.write().await?.map(|versioned| versioned.model)) })
    }

    /// Returns the record with its [`Revision`], both as one read right after the write finds them, or `None` while
    /// required fields are missing. It is the last option.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::link};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// let part = link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), ..Default::default() };
    /// if let Some(link) = repo.merge(part).versioned().await? {
    ///     println!("{} {}", link.revision.etag(), link.model.title);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn versioned(self) -> VersionedWrite<'r, Option<Versioned<E::Model>>> {
        VersionedWrite::new(self.write())
    }

    async fn write(self) -> Result<Option<Versioned<E::Model>>, DustErr> {
        let transport = &*self.repo.active_for::<E>();
        check_typed_op("merge", self.fence.as_ref(), transport)?;
        let active = hooks::before_save::<E>(self.active?, false).await?;
        check_required(&active, FieldSelection::Changed)?;
        let path = active_path::<E>(&active)?;
        let fields = encode_set(&active)?;
        let writes = fields.as_str() != "{}";
        if writes {
            if E::ActiveModel::FIELDS.iter().any(|field| is_leaf(field) && field.name == "_scalar") {
                return Err(DustErr::invalid_params(format!(
                    "the record `{path}` cannot be merged: if an object has the key `_scalar`, a server sends that \
                     member only to subscribers; give the field another name with `#[serde(rename)]`"
                )));
            }
            limits::check_object(&path, &fields, fetch(transport, &path).await?.as_ref())?;
            let op = Op::new(path.clone(), Mutation::Merge(fields));
            transport.write(vec![op], self.fence).await?;
        }
        let record = fetch(transport, &path).await?;
        let Some(record) = record else { return Ok(None) };
        let Some(model) = model_or_warning::<E>(&record) else { return Ok(None) };
        let revision = Revision::of(&record);
        let model = if writes { hooks::after_save::<E>(model, false).await? } else { model };
        Ok(Some(Versioned { model, revision }))
    }
}
