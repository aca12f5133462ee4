//! The states of a write: hooks, checks and ops before it is sent, the Model and hooks after it.
//!
//! ```text
//! input -- before-hook, checks --> Draft -- read, make ops --> Planned, PendingSave -- send, after-hook --> Model
//! ```
//!
//! A single verb has one draft. A batch has several, reads their records together and sends all ops at once. All steps
//! that may fail without a write, reads included, come before the ops are sent: a later error is one of the write or of
//! an after-hook.

use dust_protocol::{Op, PackedLeaves, Path, Precondition};
use sea_orm::{ActiveModelTrait, EntityTrait, TryIntoModel};

use super::dispatch::{self, Committed, Planned};
use super::hooks;
use super::ops::{self, Guard, OldNames};
use super::options::{Condition, Options};
use super::presence::Presence;
use super::record_before::{LeavesBefore, RecordBefore};
use crate::entity::{
    DustEntity, FieldSelection, FieldState, Fields, KeyOf, Revision, StorageMode, StoredRecord, Versioned, active_path,
    check_required, check_size, fill, is_leaf, set_whole_key,
};
use crate::error::DustErr;
use crate::repo::many::{Wanted, scalar_fields};
use crate::repo::read::not_found;
use crate::repo::record_pages::{fetch_in_memory, fetch_leaves};
use crate::transport::Transport;

/// A record to write, whose before-hook has run and whose fields are checked.
pub(in crate::repo) struct Draft<E: DustEntity> {
    verb: Verb,
    active: E::ActiveModel,
    path: Path,
    /// True if [`plan`](Draft::plan) needs the stored record.
    needs_stored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Insert,
    Update,
    Put,
    Delete,
}

/// The rest of a write: its after-hook, and what it returns.
pub(in crate::repo) struct PendingSave<E: DustEntity> {
    /// The record before the write.
    pub(in crate::repo) before: RecordBefore,
    pub(in crate::repo) outcome: Outcome<E>,
}

/// The outcome of a write, if it is applied.
pub(in crate::repo) enum Outcome<E: DustEntity> {
    Saved {
        /// The whole record after the write.
        model: E::Model,
        /// The argument of the after-hook: true for an insert, false for an update. `None` if nothing is written: no
        /// hook runs.
        insert: Option<bool>,
    },
    Deleted {
        active: E::ActiveModel,
    },
}

/// A record that was written, before its after-hook has run.
pub(in crate::repo) struct Written<E: DustEntity> {
    pub(in crate::repo) pending: PendingSave<E>,
    pub(in crate::repo) committed: Committed,
}

impl<E: DustEntity> Written<E> {
    /// Runs the after-hook and returns the new Model with its revision.
    pub(in crate::repo) async fn into_versioned(self) -> Result<Versioned<E::Model>, DustErr> {
        let revision = self.pending.before.revision_after(&self.committed)?;
        Ok(Versioned { model: self.pending.outcome.into_saved().await?, revision })
    }
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
        // Without a network a read costs no request. It shows which values under old names exist, so that only these
        // are deleted, and the leaves that belong to no field, which are part of a revision.
        let reads_all = (has_aliases::<E>() || options.versioned) && !transport.capabilities().remote;
        let needs_stored =
            (merges::<E>(options) && (reads_all || !is_complete(&active))) || has_bare_revision::<E>(options);
        Ok(Draft { verb: Verb::Insert, active, path, needs_stored })
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
        let needs_stored = match &options.condition {
            Condition::IfAbsent => {
                return Err(DustErr::invalid_params(format!(
                    "an update of `{path}` cannot have `if_absent`: use `insert`"
                )));
            }
            // The record has to exist.
            Condition::None => true,
            // The revision of a leaf proves that the record exists.
            Condition::IfMatch(revision) => {
                let unguarded = options.excepted::<E>()?;
                !(is_complete(&active) && proves_existence::<E>(&active, &path, revision, &unguarded)?)
            }
        };
        Ok(Draft { verb: Verb::Update, active, path, needs_stored })
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
        Ok(Draft { verb: Verb::Put, active, path, needs_stored: has_bare_revision::<E>(options) })
    }

    pub(in crate::repo) async fn delete(
        active: E::ActiveModel,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        if let Condition::IfAbsent = options.condition {
            return Err(DustErr::invalid_params(format!(
                "a delete under `{}` cannot have `if_absent`, which is for inserts",
                E::PREFIX.join("/")
            )));
        }
        dispatch::check(options, transport)?;
        let active = hooks::before_delete::<E>(active).await?;
        let path = active_path::<E>(&active)?;
        Ok(Draft { verb: Verb::Delete, active, path, needs_stored: has_bare_revision::<E>(options) })
    }

    /// Drafts the deletion of the record with this key. Its hooks receive an ActiveModel that has the key only.
    pub(in crate::repo) async fn delete_by_key(
        key: KeyOf<E>,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<Draft<E>, DustErr> {
        let mut active = <<E as EntityTrait>::ActiveModel as ActiveModelTrait>::default();
        set_whole_key::<E>(&mut active, &key)?;
        // A key need not be `Sync`, so it must not be borrowed during the delete.
        drop(key);
        Draft::delete(active, options, transport).await
    }

    /// The stored record that [`plan`](Draft::plan) needs.
    pub(in crate::repo) fn to_read(&self) -> Option<Wanted> {
        self.needs_stored.then(|| Wanted {
            path: self.path.clone(),
            key_parts: E::KEY_PARTS,
            fields: scalar_fields::<E>(),
        })
    }

    /// Reads the stored record if it is needed, and plans the ops.
    pub(in crate::repo) async fn prepare(
        self,
        options: &Options,
        transport: &dyn Transport,
    ) -> Result<(Planned, PendingSave<E>), DustErr> {
        let stored = match self.needs_stored {
            true => fetch_leaves(transport, &self.path).await?,
            false => None,
        };
        self.plan(options, stored, false, transport)
    }

    /// Makes the ops. `stored` are the leaves of the record [to read](Draft::to_read). `is_in_batch` is true if ops of
    /// other records are sent with them.
    pub(in crate::repo) fn plan(
        mut self,
        options: &Options,
        stored: Option<PackedLeaves>,
        is_in_batch: bool,
        transport: &dyn Transport,
    ) -> Result<(Planned, PendingSave<E>), DustErr> {
        if self.verb == Verb::Update && self.needs_stored && stored.is_none() {
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
        let read = stored.map(|leaves| StoredRecord { path: path.clone(), leaves });
        let stored = read.as_ref();
        let guard = Guard::resolve(&options.condition, path, E::MODE, stored)?;
        let old_names = match &options.fence {
            Some(_) if !transport.capabilities().fenced_batches => OldNames::Keep,
            _ if self.needs_stored => OldNames::DeleteRead,
            _ => OldNames::DeleteAll,
        };
        let (mut presence, mut in_memory) = (None, None);
        let (ops, outcome) = match self.verb {
            Verb::Insert => {
                // Leaves in memory are read for the size of the record.
                if !self.needs_stored && merges::<E>(options) {
                    in_memory = fetch_in_memory(transport, path)?;
                }
                let merged = stored.or(in_memory.as_ref());
                let ops = ops::insert::<E>(&self.active, path, &guard, merged, old_names)?;
                set_known(&mut self.active);
                // The fields that are not written keep their stored values.
                let model = complete::<E>(self.active, stored.filter(|_| merges::<E>(options)))?;
                (ops, Outcome::Saved { model, insert: Some(true) })
            }
            Verb::Update => {
                let unguarded = options.excepted::<E>()?;
                let mut ops = ops::update::<E>(&self.active, path, &guard, &unguarded, stored, old_names)?;
                if let (true, Some(stored)) = (lacks_guard(options, &ops), stored) {
                    // A transport that merges fields into one op would have to send a guarded batch in another way, and
                    // reads back what it has written at no cost.
                    let guards = is_in_batch || !transport.capabilities().merges_fields;
                    presence = Presence::require(&mut ops, stored, guards);
                }
                let insert = (!ops.is_empty()).then_some(false);
                if E::MODE == StorageMode::Map && insert.is_some() {
                    // The whole record is written, unchanged fields included.
                    set_known(&mut self.active);
                }
                (ops, Outcome::Saved { model: complete::<E>(self.active, stored)?, insert })
            }
            Verb::Put => {
                let ops = ops::replace::<E>(&self.active, path, &guard)?;
                (ops, Outcome::Saved { model: complete::<E>(self.active, None)?, insert: Some(true) })
            }
            Verb::Delete => (ops::delete(path, &guard), Outcome::Deleted { active: self.active }),
        };
        if let Guard::Leaves(leaves) = &guard {
            ops::check_guarded(path, &ops, leaves.len())?;
        }
        let leaves = match (read.or(in_memory), &options.condition) {
            (Some(record), _) => LeavesBefore::Read(record.leaves),
            (None, Condition::IfMatch(revision)) => LeavesBefore::Guarded(revision.clone()),
            (None, _) => LeavesBefore::Unknown,
        };
        let before = RecordBefore { path: self.path, leaves };
        Ok((Planned { ops, presence }, PendingSave { before, outcome }))
    }
}

impl<E: DustEntity> Outcome<E> {
    /// Runs the after-hook and returns the new Model, or `None` if the record was deleted.
    pub(in crate::repo) async fn run_after_hooks(self) -> Result<Option<E::Model>, DustErr> {
        match self {
            Outcome::Saved { model, insert: Some(insert) } => hooks::after_save::<E>(model, insert).await.map(Some),
            Outcome::Saved { model, insert: None } => Ok(Some(model)),
            Outcome::Deleted { active } => hooks::after_delete::<E>(active).await.map(|_| None),
        }
    }

    /// Runs the after-hook of a save and returns the new Model.
    pub(in crate::repo) async fn into_saved(self) -> Result<E::Model, DustErr> {
        let deleted = || DustErr::invalid_params("the record was deleted, not saved");
        self.run_after_hooks().await?.ok_or_else(deleted)
    }
}

/// True if stored fields that an insert does not write stay.
fn merges<E: DustEntity>(options: &Options) -> bool {
    E::MODE == StorageMode::Flat && !matches!(options.condition, Condition::IfAbsent)
}

/// True if the condition is a bare number in map mode: its leaves are those of the stored record.
fn has_bare_revision<E: DustEntity>(options: &Options) -> bool {
    match &options.condition {
        Condition::IfMatch(revision) => E::MODE == StorageMode::Map && revision.is_bare(),
        _ => false,
    }
}

/// True if a write with this revision as its condition applies to an existing record only: the revision has at least
/// one leaf that the write replaces. (The condition of a field that was absent is its absence, which a deleted record
/// meets too.)
fn proves_existence<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    revision: &Revision,
    unguarded: &[usize],
) -> Result<bool, DustErr> {
    for (position, field) in E::ActiveModel::FIELDS.iter().enumerate() {
        if !is_leaf(field) || active.state(position) != FieldState::Set || unguarded.contains(&position) {
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

/// True if no guard of an update proves that the record exists: there is no condition, or every field that was read
/// before is excepted from it.
fn lacks_guard(options: &Options, ops: &[Op]) -> bool {
    let is_guarded = |op: &Op| matches!(op.precondition, Some(Precondition::IfMatch(_)));
    match options.condition {
        Condition::None => true,
        _ => !options.except.is_empty() && !ops.iter().any(is_guarded),
    }
}

/// True if a field of the entity has an alias.
fn has_aliases<E: DustEntity>() -> bool {
    E::ActiveModel::FIELDS.iter().any(|field| is_leaf(field) && !field.aliases.is_empty())
}

/// True if every stored field has a value.
fn is_complete<A: Fields>(active: &A) -> bool {
    A::FIELDS
        .iter()
        .enumerate()
        .all(|(position, field)| !is_leaf(field) || active.state(position) != FieldState::NotSet)
}

/// Marks every field that has a value as `Set`.
fn set_known<A: Fields>(active: &mut A) {
    for position in 0..A::FIELDS.len() {
        active.set_state(position, FieldState::Set);
    }
}

/// Completes the Model of a new record: fields without a value are absent.
pub(in crate::repo) fn complete_new<E: DustEntity>(mut active: E::ActiveModel) -> Result<E::Model, DustErr> {
    set_known(&mut active);
    complete::<E>(active, None)
}

/// Completes a Model: fields without a value are read from the stored record.
fn complete<E: DustEntity>(mut active: E::ActiveModel, stored: Option<&StoredRecord>) -> Result<E::Model, DustErr> {
    let invalid = fill(&mut active, stored.map(Into::into));
    invalid.into_result()?;
    Ok(active.try_into_model()?)
}
