//! `merge`: some fields of a record as one op.

use std::future::IntoFuture;

use dust_protocol::{Fence, Op, Write};
use futures_core::future::BoxFuture;
use sea_orm::EntityTrait;

use super::record_pages::{fetch, model_or_warning};
use super::write::{IntoDustActiveModel, hooks, limits};
use super::{DustRepo, field};
use crate::changeset::Action;
use crate::entity::{DustEntity, FieldSelection, Fields, active_path, check_required, encode_set, is_leaf};
use crate::error::DustErr;

impl DustRepo {
    /// Writes the fields that are `Set` as one op, and leaves the others alone, in both storage modes and whether or not there
    /// is a record.
    ///
    /// Where [`update`](DustRepo::update) insists on a record, and in map mode on all of its fields, this needs neither, reads
    /// nothing first, and is one op and one event however many fields it writes. It takes no `if_match`. Answers the record
    /// as it then is; `None` while required fields are missing. With nothing `Set` nothing is written. Hooks run as for an
    /// update. Not over HTTP: there it is [`NotSupported`](DustErr::NotSupported).
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
    pub fn merge<I: IntoDustActiveModel>(&self, input: I) -> Merge<'_, I::Entity> {
        Merge { repo: self, active: input.into_active(Action::Update), fence: None }
    }
}

/// A merge, made by [`DustRepo::merge`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Merge<'r, E: DustEntity> {
    repo: &'r DustRepo,
    active: Result<<E as EntityTrait>::ActiveModel, DustErr>,
    fence: Option<Fence>,
}

impl<E: DustEntity> Merge<'_, E> {
    /// Applies the write only while the lease at `fence.key` is held with `fence.token`; otherwise it is
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl<'r, E: DustEntity> IntoFuture for Merge<'r, E> {
    type Output = Result<Option<E::Model>, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let transport = &*self.repo.active();
            field::check("merge", self.fence.as_ref(), transport)?;
            let active = hooks::before_save::<E>(self.active?, false).await?;
            check_required(&active, FieldSelection::Changed)?;
            let path = active_path::<E>(&active)?;
            let fields = encode_set(&active)?;
            let writes = fields.as_str() != "{}";
            if writes {
                limits::check_object(&path, &fields, fetch(transport, &path).await?.as_ref())?;
                if E::ActiveModel::FIELDS.iter().any(|field| is_leaf(field) && field.name == "_scalar") {
                    return Err(DustErr::invalid_params(format!(
                        "the record `{path}` cannot be merged: of an object with the key `_scalar` a server sends \
                         subscribers that member only; give the field another name with `#[serde(rename)]`"
                    )));
                }
                let write = Write { fence: self.fence, ..Write::new(path.clone(), Op::Merge(fields)) };
                transport.write(write).await?;
            }
            let record = fetch(transport, &path).await?;
            match record.and_then(|record| model_or_warning::<E>(&record)) {
                Some(model) if writes => hooks::after_save::<E>(model, false).await.map(Some),
                model => Ok(model),
            }
        })
    }
}
