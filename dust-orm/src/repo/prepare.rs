//! The life of a write: hooks, checks and ops before it is sent, the Model and hooks after.
//!
//! A single verb prepares one record, sends its ops and finishes it; a batch prepares several, sends all ops at once and
//! finishes each. Everything that may fail without having written anything happens while a record is prepared, reads
//! included, so that a failure after the ops were sent is one of the write itself or of a hook.

use sea_orm::{ActiveModelTrait, EntityTrait, TryIntoModel};

use super::options::{Condition, Options};
use super::plan::{self, Guard};
use super::read::not_found;
use super::records::fetch;
use super::{hooks, send};
use crate::entity::{
    DustEntity, FieldState, Fields, PackedRecord, Revision, StorageMode, Take, active_path, check_required, fill,
    is_leaf,
};
use crate::error::DustErr;
use crate::protocol::{BatchOp, Path};
use crate::transport::Transport;

/// A record being saved, once its ops are known.
pub(super) struct Saving<E: DustEntity> {
    /// The record as it will be, whole.
    model: E::Model,
    /// Which hooks run: as for an insert, as for an update, or none because nothing is written.
    insert: Option<bool>,
}

/// A record being deleted, once its ops are known.
pub(super) struct Deleting<E: DustEntity> {
    active: E::ActiveModel,
}

impl<E: DustEntity> Saving<E> {
    pub(super) async fn insert(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Vec<BatchOp>, Saving<E>), DustErr> {
        send::check(options, transport)?;
        let mut active = hooks::before_save::<E>(active, true).await?;
        check_required(&active, Take::Known)?;
        let path = active_path::<E>(&active)?;
        // What the insert leaves alone, it merges with.
        let merges = E::MODE == StorageMode::Flat && !matches!(options.condition, Condition::IfAbsent);
        let stored = if (merges && !is_complete(&active)) || needs_stored::<E>(options) {
            fetch(transport, &path).await?
        } else {
            None
        };
        let guard = Guard::resolve(&options.condition, &path, E::MODE, stored.as_ref())?;
        let ops = plan::insert::<E>(&active, &path, &guard)?;
        set_known(&mut active);
        let model = complete::<E>(active, stored.as_ref().filter(|_| merges))?;
        Ok((ops, Saving { model, insert: Some(true) }))
    }

    pub(super) async fn update(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Vec<BatchOp>, Saving<E>), DustErr> {
        send::check(options, transport)?;
        let mut active = hooks::before_save::<E>(active, false).await?;
        check_required(&active, Take::Set)?;
        let path = active_path::<E>(&active)?;
        let stored = match &options.condition {
            Condition::IfAbsent => {
                return Err(DustErr::InvalidParams(format!(
                    "an update of `{path}` cannot ask for its absence: use `insert`"
                )));
            }
            // An update creates nothing.
            Condition::None => Some(fetch(transport, &path).await?.ok_or_else(|| not_found(path.as_str()))?),
            // A leaf's revision proves that the record is there.
            Condition::IfMatch(revision)
                if is_complete(&active) && proves_existence::<E>(&active, &path, revision)? =>
            {
                None
            }
            Condition::IfMatch(_) => Some(fetch(transport, &path).await?.ok_or_else(|| DustErr::Conflict {
                path: path.to_string(),
                current: None,
                op_index: None,
            })?),
        };
        let guard = Guard::resolve(&options.condition, &path, E::MODE, stored.as_ref())?;
        let ops = plan::update::<E>(&active, &path, &guard)?;
        let insert = (!ops.is_empty()).then_some(false);
        if E::MODE == StorageMode::Map && insert.is_some() {
            // The whole record is written, what is unchanged included.
            set_known(&mut active);
        }
        let model = complete::<E>(active, stored.as_ref())?;
        Ok((ops, Saving { model, insert }))
    }

    pub(super) async fn put(
        model: E::Model,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Vec<BatchOp>, Saving<E>), DustErr> {
        send::check(options, transport)?;
        let mut active: E::ActiveModel = sea_orm::IntoActiveModel::into_active_model(model);
        set_known(&mut active);
        let active = hooks::before_save::<E>(active, true).await?;
        check_required(&active, Take::Known)?;
        let path = active_path::<E>(&active)?;
        let stored = match &options.condition {
            Condition::IfMatch(_) if needs_stored::<E>(options) => fetch(transport, &path).await?,
            _ => None,
        };
        let guard = Guard::resolve(&options.condition, &path, E::MODE, stored.as_ref())?;
        let ops = plan::replace::<E>(&active, &path, &guard)?;
        let model = complete::<E>(active, None)?;
        Ok((ops, Saving { model, insert: Some(true) }))
    }

    /// Runs the hook after the write and gives the record as it now is.
    pub(super) async fn finish(self) -> Result<E::Model, DustErr> {
        match self.insert {
            Some(insert) => hooks::after_save::<E>(self.model, insert).await,
            None => Ok(self.model),
        }
    }
}

impl<E: DustEntity> Deleting<E> {
    pub(super) async fn prepare(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Vec<BatchOp>, Deleting<E>), DustErr> {
        if let Condition::IfAbsent = options.condition {
            return Err(DustErr::InvalidParams(format!(
                "a delete under `{}` cannot ask for absence: `if_absent` is for inserts",
                E::PREFIX.join("/")
            )));
        }
        send::check(options, transport)?;
        let active = hooks::before_delete::<E>(active).await?;
        let path = active_path::<E>(&active)?;
        let stored = if needs_stored::<E>(options) { fetch(transport, &path).await? } else { None };
        let guard = Guard::resolve(&options.condition, &path, E::MODE, stored.as_ref())?;
        Ok((plan::delete(&path, &guard), Deleting { active }))
    }

    /// The deletion of the record with this key: the hooks see an ActiveModel that has the key only.
    pub(super) async fn by_key(
        segment: &str,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Vec<BatchOp>, Deleting<E>), DustErr> {
        let mut active = <<E as EntityTrait>::ActiveModel as ActiveModelTrait>::default();
        E::set_key(&mut active, segment).map_err(DustErr::InvalidParams)?;
        Deleting::prepare(active, options, transport).await
    }

    pub(super) async fn finish(self) -> Result<(), DustErr> {
        hooks::after_delete::<E>(self.active).await.map(drop)
    }
}

/// Whether a condition can only be resolved by looking at the record: a bare number, in map mode.
fn needs_stored<E: DustEntity>(options: &Options) -> bool {
    match &options.condition {
        Condition::IfMatch(revision) => E::MODE == StorageMode::Map && revision.is_bare(),
        _ => false,
    }
}

/// Whether a write that is guarded by this revision can only apply to a record that is there: at least one leaf that it
/// replaces was read. (A field that was absent is guarded by its absence, and a deleted record has that too.)
fn proves_existence<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    revision: &Revision,
) -> Result<bool, DustErr> {
    for (position, field) in E::ActiveModel::FIELDS.iter().enumerate() {
        if !is_leaf(field) || active.state(position) != FieldState::Set {
            continue;
        }
        let was_read = match E::MODE {
            StorageMode::Map => revision.has_read(record, record),
            StorageMode::Flat => revision.has_read(&record.child(field.name)?, record),
        };
        if was_read {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether every stored field has a value.
fn is_complete<A: Fields>(active: &A) -> bool {
    A::FIELDS
        .iter()
        .enumerate()
        .all(|(position, field)| !is_leaf(field) || active.state(position) != FieldState::NotSet)
}

/// Marks everything that has a value as to be written.
fn set_known<A: Fields>(active: &mut A) {
    for position in 0..A::FIELDS.len() {
        active.set_state(position, FieldState::Set);
    }
}

/// The whole Model of a record that was not there before: what has no value is absent.
pub(super) fn complete_new<E: DustEntity>(mut active: E::ActiveModel) -> Result<E::Model, DustErr> {
    set_known(&mut active);
    complete::<E>(active, None)
}

/// The whole Model: what is set, and for the rest what is stored.
fn complete<E: DustEntity>(mut active: E::ActiveModel, stored: Option<&PackedRecord<'_>>) -> Result<E::Model, DustErr> {
    let invalid = fill(&mut active, stored.map(Into::into));
    invalid.into_result()?;
    Ok(active.try_into_model()?)
}
