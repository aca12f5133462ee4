//! The life of a write: hooks, checks and ops before it is sent, the Model and hooks after.
//!
//! A single verb drafts one record, reads it where need be, plans its ops, sends them and finishes it; a batch drafts
//! several, reads them together, sends all ops at once and finishes each. Everything that may fail without having
//! written anything happens before the ops are sent, reads included, so that a later failure is one of the write or of
//! a hook.

use dust_protocol::{BatchOp, PackedLeaves, Path};
use sea_orm::{ActiveModelTrait, EntityTrait, TryIntoModel};

use super::ops::{self, Guard, OldNames};
use super::options::{Condition, Options};
use super::{dispatch, hooks};
use crate::entity::{
    DustEntity, FieldSelection, FieldState, Fields, PackedRecord, Revision, StorageMode, active_path, check_required,
    check_size, fill, is_leaf,
};
use crate::error::DustErr;
use crate::repo::many::{Wanted, scalar_fields};
use crate::repo::presence::Presence;
use crate::repo::read::not_found;
use crate::repo::record_pages::fetch;
use crate::transport::Transport;

/// A record about to be written: its hooks have run and its fields are checked. The next step may need the record as it
/// is stored, which a caller with several drafts reads for all of them together.
pub(in crate::repo) struct Draft<E: DustEntity> {
    verb: Verb,
    active: E::ActiveModel,
    path: Path,
    /// Whether [`plan`](Draft::plan) needs the record as it is stored.
    reads: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Insert,
    Update,
    Put,
    Delete,
}

/// The ops of one record.
#[derive(Debug, Default)]
pub(in crate::repo) struct Planned {
    pub(in crate::repo) ops: Vec<BatchOp>,
    /// Makes sure that an update does not bring a deleted record back.
    pub(in crate::repo) presence: Option<Presence>,
}

impl From<Vec<BatchOp>> for Planned {
    fn from(ops: Vec<BatchOp>) -> Planned {
        Planned { ops, presence: None }
    }
}

/// A record, once its ops are known.
pub(in crate::repo) enum After<E: DustEntity> {
    /// It will be this, whole.
    Saved {
        model: E::Model,
        /// Whether the hooks of an insert run, or those of an update; none where nothing is written.
        insert: Option<bool>,
    },
    /// It will be gone.
    Deleted { active: E::ActiveModel },
}

impl<E: DustEntity> Draft<E> {
    pub(in crate::repo) async fn insert(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        dispatch::check(options, transport)?;
        let active = hooks::before_save::<E>(active, true).await?;
        check_required(&active, FieldSelection::All)?;
        let path = active_path::<E>(&active)?;
        // A transport without a network looks up the values under old names: a read costs no request there, and only
        // what exists is deleted.
        let looks_up = has_aliases::<E>() && !transport.capabilities().remote;
        let reads = (merges::<E>(options) && (looks_up || !is_complete(&active))) || needs_stored::<E>(options);
        Ok(Draft { verb: Verb::Insert, active, path, reads })
    }

    pub(in crate::repo) async fn update(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        dispatch::check(options, transport)?;
        let active = hooks::before_save::<E>(active, false).await?;
        check_required(&active, FieldSelection::Changed)?;
        let path = active_path::<E>(&active)?;
        let reads = match &options.condition {
            Condition::IfLeafAbsent => {
                return Err(DustErr::invalid_params(format!(
                    "an update of `{path}` cannot ask for its absence: use `insert`"
                )));
            }
            // An update creates nothing.
            Condition::None => true,
            // A leaf's revision proves that the record is there.
            Condition::IfMatch(revision) => !(is_complete(&active) && proves_existence::<E>(&active, &path, revision)?),
        };
        Ok(Draft { verb: Verb::Update, active, path, reads })
    }

    pub(in crate::repo) async fn put(
        model: E::Model,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        dispatch::check(options, transport)?;
        let mut active: E::ActiveModel = sea_orm::IntoActiveModel::into_active_model(model);
        set_known(&mut active);
        let active = hooks::before_save::<E>(active, true).await?;
        check_required(&active, FieldSelection::All)?;
        let path = active_path::<E>(&active)?;
        Ok(Draft { verb: Verb::Put, active, path, reads: needs_stored::<E>(options) })
    }

    pub(in crate::repo) async fn delete(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        if let Condition::IfLeafAbsent = options.condition {
            return Err(DustErr::invalid_params(format!(
                "a delete under `{}` cannot ask for absence: `if_absent` is for inserts",
                E::PREFIX.join("/")
            )));
        }
        dispatch::check(options, transport)?;
        let active = hooks::before_delete::<E>(active).await?;
        let path = active_path::<E>(&active)?;
        Ok(Draft { verb: Verb::Delete, active, path, reads: needs_stored::<E>(options) })
    }

    /// The deletion of the record with this key: the hooks see an ActiveModel that has the key only.
    pub(in crate::repo) async fn delete_by_key(
        segment: &str,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        let mut active = <<E as EntityTrait>::ActiveModel as ActiveModelTrait>::default();
        E::set_key(&mut active, segment).map_err(DustErr::invalid_params)?;
        Draft::delete(active, options, transport).await
    }

    /// The record to read before the draft is planned.
    pub(in crate::repo) fn to_read(&self) -> Option<Wanted> {
        self.reads.then(|| Wanted { path: self.path.clone(), fields: scalar_fields::<E>() })
    }

    /// Reads what is needed, and plans the ops.
    pub(in crate::repo) async fn prepare(
        self,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Planned, After<E>), DustErr> {
        let stored = if self.reads { fetch(transport, &self.path).await?.map(|record| record.leaves) } else { None };
        self.plan(options, stored, false, transport)
    }

    /// The ops, given the record as it is stored where that was needed; they are written together with others or not.
    pub(in crate::repo) fn plan(
        mut self,
        options: &Options,
        stored: Option<PackedLeaves>,
        among_others: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, After<E>), DustErr> {
        if self.verb == Verb::Update && self.reads && stored.is_none() {
            return Err(match options.condition {
                Condition::IfMatch(_) => {
                    DustErr::Conflict { path: self.path.to_string(), current: None, op_index: None }
                }
                _ => not_found(self.path.as_str()),
            });
        }
        let path = &self.path;
        if let Some(leaves) = &stored {
            check_size(path.as_str(), leaves)?;
        }
        let stored = stored.map(|leaves| PackedRecord { path, leaves });
        let stored = stored.as_ref();
        let guard = Guard::resolve(&options.condition, path, E::MODE, stored)?;
        let old_names = match &options.fence {
            Some(_) if !transport.capabilities().fenced_batches => OldNames::Keep,
            _ if self.reads => OldNames::DeleteRead,
            _ => OldNames::DeleteAll,
        };
        let mut presence = None;
        let (ops, after) = match self.verb {
            Verb::Insert => {
                let ops = ops::insert::<E>(&self.active, path, &guard, stored, old_names)?;
                set_known(&mut self.active);
                // What the insert leaves alone, it merges with.
                let model = complete::<E>(self.active, stored.filter(|_| merges::<E>(options)))?;
                (ops, After::Saved { model, insert: Some(true) })
            }
            Verb::Update => {
                let mut ops = ops::update::<E>(&self.active, path, &guard, stored, old_names)?;
                if let (Condition::None, Some(stored)) = (&options.condition, stored) {
                    // A transport that merges fields would have to send a guarded batch another way, and reads what it
                    // has written at no cost.
                    let guards = among_others || !transport.capabilities().merges_fields;
                    presence = Presence::require(&mut ops, stored, guards);
                }
                let insert = (!ops.is_empty()).then_some(false);
                if E::MODE == StorageMode::Map && insert.is_some() {
                    // The whole record is written, what is unchanged included.
                    set_known(&mut self.active);
                }
                (ops, After::Saved { model: complete::<E>(self.active, stored)?, insert })
            }
            Verb::Put => {
                let ops = ops::replace::<E>(&self.active, path, &guard)?;
                (ops, After::Saved { model: complete::<E>(self.active, None)?, insert: Some(true) })
            }
            Verb::Delete => (ops::delete(path, &guard), After::Deleted { active: self.active }),
        };
        if let Guard::Leaves(leaves) = &guard {
            ops::check_guarded(path, &ops, leaves.len())?;
        }
        Ok((Planned { ops, presence }, after))
    }
}

impl<E: DustEntity> After<E> {
    /// Runs the hook after the write, and gives the record as it now is; `None` where it is gone.
    pub(in crate::repo) async fn finish(self) -> Result<Option<E::Model>, DustErr> {
        match self {
            After::Saved { model, insert: Some(insert) } => hooks::after_save::<E>(model, insert).await.map(Some),
            After::Saved { model, insert: None } => Ok(Some(model)),
            After::Deleted { active } => hooks::after_delete::<E>(active).await.map(|_| None),
        }
    }

    /// The same for a record that was saved.
    pub(in crate::repo) async fn saved(self) -> Result<E::Model, DustErr> {
        match self {
            After::Saved { model, insert: Some(insert) } => hooks::after_save::<E>(model, insert).await,
            After::Saved { model, insert: None } => Ok(model),
            After::Deleted { .. } => Err(DustErr::invalid_params("the record was deleted, not saved")),
        }
    }
}

/// Whether an insert merges with what is there.
fn merges<E: DustEntity>(options: &Options) -> bool {
    E::MODE == StorageMode::Flat && !matches!(options.condition, Condition::IfLeafAbsent)
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
            StorageMode::Flat => {
                let paths = field.names().map(|name| record.child(name)).collect::<Result<Vec<_>, _>>()?;
                paths.iter().any(|path| revision.has_read(path, record))
            }
        };
        if was_read {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tests if a field of the entity has an alias.
fn has_aliases<E: DustEntity>() -> bool {
    E::ActiveModel::FIELDS.iter().any(|field| is_leaf(field) && !field.aliases.is_empty())
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
pub(in crate::repo) fn complete_new<E: DustEntity>(mut active: E::ActiveModel) -> Result<E::Model, DustErr> {
    set_known(&mut active);
    complete::<E>(active, None)
}

/// The whole Model: what is set, and for the rest what is stored.
fn complete<E: DustEntity>(mut active: E::ActiveModel, stored: Option<&PackedRecord<'_>>) -> Result<E::Model, DustErr> {
    let invalid = fill(&mut active, stored.map(Into::into));
    invalid.into_result()?;
    Ok(active.try_into_model()?)
}
