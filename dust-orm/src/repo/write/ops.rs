//! The ops of a write, made of records and conditions.

use std::cmp::Reverse;

use dust_protocol::flatten::flatten;
use dust_protocol::list::MAX_BATCH_OPS;
use dust_protocol::value::is_envelope;
use dust_protocol::{Op, Path, Precondition, RawJson};

use super::limits::{Kept, check_limits, check_object};
use super::options::Condition;
use crate::entity::{
    DustEntity, FieldSelection, FieldState, Fields, Revision, StorageMode, StoredRecord, encode_fields, encode_object,
    is_leaf,
};
use crate::error::DustErr;

/// The condition of a write, resolved to leaves.
#[derive(Clone, Debug)]
pub(in crate::repo) enum Guard {
    None,
    Absent,
    /// The guarded leaves, with their revisions at the read.
    Leaves(Vec<(Path, u64)>),
}

impl Guard {
    /// Resolves a condition. `stored` is the record now, if the caller has read it.
    pub(in crate::repo) fn resolve(
        condition: &Condition,
        record: &Path,
        mode: StorageMode,
        stored: Option<&StoredRecord>,
    ) -> Result<Guard, DustErr> {
        let revision = match condition {
            Condition::None => return Ok(Guard::None),
            Condition::IfAbsent => return Ok(Guard::Absent),
            Condition::IfMatch(revision) => revision,
        };
        match revision.leaves(record)? {
            // The revision was not read from a record, and a guard without leaves would guard nothing.
            Some(leaves) if leaves.is_empty() => {
                return Err(DustErr::invalid_params(format!(
                    "this revision of `{record}` names no leaf: pass one that `find_versioned` gave"
                )));
            }
            Some(leaves) => return Ok(Guard::Leaves(leaves)),
            None => {}
        }
        if mode == StorageMode::Flat {
            return Err(DustErr::invalid_params(format!(
                "`{record}` is stored in flat mode, where each field has a revision of its own and the number {} names \
                 none of them: read the record with `find_versioned` and pass its `revision`",
                revision.number()
            )));
        }
        let now = stored.map(Revision::of);
        match now {
            Some(now) if now.number() == revision.number() => {
                Guard::resolve(&Condition::IfMatch(now), record, mode, stored)
            }
            now => Err(DustErr::Conflict {
                path: record.to_string(),
                current: now.map(|now| now.number()),
                op_index: None,
            }),
        }
    }

    /// The guarded leaves at or below a path, the deepest first: an op on a leaf removes the leaves below it, ignoring
    /// the case of letters, and with them the revisions that the ops on those leaves compare.
    fn at(&self, path: &Path) -> Vec<&(Path, u64)> {
        let Guard::Leaves(leaves) = self else { return Vec::new() };
        let mut below: Vec<_> = leaves.iter().filter(|(leaf, _)| path.is_at_or_above(leaf.as_str())).collect();
        below.sort_by_key(|(leaf, _)| Reverse(leaf.depth()));
        below
    }
}

/// The treatment of leaves under the old names of fields (`#[serde(alias)]`) that a write without conditions sets. A
/// leaf under the new name has priority over them in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repo) enum OldNames {
    /// They stay: the transport cannot fence a batch that deletes leaves.
    Keep,
    /// The leaves that were read are deleted.
    DeleteRead,
    /// The record was not read: each name is deleted, even if it has no leaf.
    DeleteAll,
}

/// The ops that insert a record. In flat mode the fields that are not written stay as they are; they are in `stored`,
/// if it was read.
pub(in crate::repo) fn insert<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    guard: &Guard,
    stored: Option<&StoredRecord>,
    old_names: OldNames,
) -> Result<Vec<Op>, DustErr> {
    match guard {
        // A record that must be absent can be written as one object, so that its absence is one condition.
        Guard::Absent => replace::<E>(active, record, guard),
        _ if E::MODE == StorageMode::Map => replace::<E>(active, record, guard),
        _ => {
            let selection = Selection { fields: FieldSelection::All, unguarded: &[] };
            fields::<E>(active, record, selection, guard, stored, old_names)
        }
    }
}

/// The ops that update a record; none when nothing is set. The fields at the `unguarded` positions are written without
/// the guard, in flat mode.
pub(in crate::repo) fn update<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    guard: &Guard,
    unguarded: &[usize],
    stored: Option<&StoredRecord>,
    old_names: OldNames,
) -> Result<Vec<Op>, DustErr> {
    if E::MODE == StorageMode::Flat {
        let selection = Selection { fields: FieldSelection::Changed, unguarded };
        return fields::<E>(active, record, selection, guard, stored, old_names);
    }
    let names = |wanted: FieldState| {
        let fields = E::ActiveModel::FIELDS.iter().enumerate();
        let wanted = fields.filter(move |(position, field)| is_leaf(field) && active.state(*position) == wanted);
        wanted.map(|(_, field)| field.name).collect::<Vec<_>>()
    };
    if names(FieldState::Set).is_empty() {
        return Ok(Vec::new());
    }
    let missing = names(FieldState::NotSet);
    if !missing.is_empty() {
        return Err(DustErr::invalid_params(format!(
            "an update in map mode writes the whole record `{record}`, and these fields are not set: {}; start from \
             the model that was read (`into_active_model`) or set them",
            missing.join(", ")
        )));
    }
    replace::<E>(active, record, guard)
}

/// The ops that write a record as one object, in place of any record at the path.
pub(in crate::repo) fn replace<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    guard: &Guard,
) -> Result<Vec<Op>, DustErr> {
    let object = encode_object(active)?;
    if object.as_str() == "{}" {
        return Err(nothing_to_write(record));
    }
    check_object(record, &object, None)?;
    let has = |name| E::ActiveModel::FIELDS.iter().any(|field| is_leaf(field) && field.name == name);
    if has("_json") || has("_scalar") || (has("_type") && is_envelope(&object)) {
        return Err(DustErr::invalid_params(format!(
            "the record `{record}` cannot be written as one object: a server takes an object with `_json` or \
             `_scalar`, with `_type` and `_typed`, or with the `_type` \"file\" or \"lease\" for something else; give \
             the field another name with `#[serde(rename)]`"
        )));
    }
    let mut ops = Vec::with_capacity(1);
    set(record.clone(), object, guard, &mut ops)?;
    Ok(ops)
}

/// The ops that delete a record. Under a guard they first delete every leaf that was read, on its own revision.
pub(in crate::repo) fn delete(record: &Path, guard: &Guard) -> Vec<Op> {
    let mut ops: Vec<Op> = guard
        .at(record)
        .into_iter()
        .map(|(leaf, revision)| Op::delete(leaf.clone()).on(Precondition::IfMatch(*revision)))
        .collect();
    ops.push(Op::delete(record.clone()));
    ops
}

/// The fields that a write in flat mode sets.
#[derive(Clone, Copy)]
struct Selection<'a> {
    fields: FieldSelection,
    /// The positions of those that the guard does not concern.
    unguarded: &'a [usize],
}

fn fields<E: DustEntity>(
    active: &E::ActiveModel,
    record: &Path,
    selection: Selection<'_>,
    guard: &Guard,
    stored: Option<&StoredRecord>,
    old_names: OldNames,
) -> Result<Vec<Op>, DustErr> {
    let values = encode_fields(active, selection.fields)?;
    let name = |position: usize| E::ActiveModel::FIELDS[position].name;
    let texts = values.iter().map(|(position, value)| (name(*position), value.as_str()));
    let kept = match (stored, guard) {
        (None, Guard::Leaves(read)) => Kept::read(active, record, read),
        _ => Kept::Stored(stored),
    };
    check_limits(record, texts, &kept)?;
    let mut ops = Vec::with_capacity(values.len());
    for (position, value) in values {
        let guard = if selection.unguarded.contains(&position) { &Guard::None } else { guard };
        set(record.child(name(position))?, value, guard, &mut ops)?;
        for alias in E::ActiveModel::FIELDS[position].aliases {
            delete_old(record.child(alias)?, guard, stored, old_names, &mut ops);
        }
    }
    if ops.is_empty() && selection.fields == FieldSelection::All {
        return Err(nothing_to_write(record));
    }
    Ok(ops)
}

/// Adds the ops that delete the leaves under the old names of a field that is written. Under a guard they delete the
/// leaves that were read, on condition that these have not changed.
fn delete_old(path: Path, guard: &Guard, stored: Option<&StoredRecord>, old_names: OldNames, ops: &mut Vec<Op>) {
    if let Guard::Leaves(_) = guard {
        let read = guard.at(&path).into_iter();
        ops.extend(read.map(|(leaf, revision)| Op::delete(leaf.clone()).on(Precondition::IfMatch(*revision))));
        return;
    }
    let deletes = match old_names {
        OldNames::Keep => false,
        OldNames::DeleteAll => true,
        OldNames::DeleteRead => {
            stored.is_some_and(|stored| stored.leaves.iter().any(|leaf| path.is_at_or_above(leaf.path)))
        }
    };
    if deletes {
        ops.push(Op::delete(path));
    }
}

/// Adds the ops that set one value, on condition that no leaf at or below the path has changed.
///
/// A store compares single leaves. A leaf that stays one leaf is one guarded op. An object has no revision, so each
/// leaf that was read is guarded by an op of its own, which already gives it its new value, and the value as a whole
/// follows: it removes the leaves that are no longer part of it, and all its leaves share one revision.
fn set(path: Path, value: RawJson, guard: &Guard, ops: &mut Vec<Op>) -> Result<(), DustErr> {
    if let Guard::None = guard {
        ops.push(Op::set(path, value));
        return Ok(());
    }
    let known = guard.at(&path);
    let leaves = flatten(&path, &value)?;
    let op = Op::set(path, value);
    match (known.as_slice(), leaves.as_slice()) {
        ([], _) => ops.push(op.on(Precondition::IfSubtreeAbsent)),
        ([(leaf, revision)], [(only, _)]) if *leaf == op.path && *only == op.path => {
            ops.push(op.on(Precondition::IfMatch(*revision)));
        }
        _ => {
            ops.extend(known.into_iter().map(|(leaf, revision)| {
                let op = match leaves.iter().find(|(new, _)| new == leaf) {
                    Some((_, value)) => Op::set(leaf.clone(), value.clone()),
                    None => Op::delete(leaf.clone()),
                };
                op.on(Precondition::IfMatch(*revision))
            }));
            ops.push(op);
        }
    }
    Ok(())
}

pub(in crate::repo) fn nothing_to_write(record: &Path) -> DustErr {
    DustErr::NothingToWrite {
        what: format!("the record `{record}`"),
        hint: "set at least one field besides the key".to_owned(),
    }
}

/// Rejects a guarded write of one record that takes more ops than a batch may hold.
pub(in crate::repo) fn check_guarded(record: &Path, ops: &[Op], leaves: usize) -> Result<(), DustErr> {
    if ops.len() <= MAX_BATCH_OPS {
        return Ok(());
    }
    Err(DustErr::invalid_params(format!(
        "`if_match` on the whole of `{record}` compares each of the {leaves} leaves that were read with an op of its \
         own, and a batch holds {MAX_BATCH_OPS}; in flat mode `update` the fields that change with `if_match`, which \
         compares no others, and keep a large value as a list or a text, which is one leaf"
    )))
}

/// Rejects more ops than one batch may hold.
pub(in crate::repo) fn check_size(ops: &[Op]) -> Result<(), DustErr> {
    if ops.len() > MAX_BATCH_OPS {
        return Err(DustErr::invalid_params(format!(
            "{} ops are too many for one atomic batch, which holds {MAX_BATCH_OPS}: split it, or use \
             `insert_many`, which is atomic per chunk",
            ops.len()
        )));
    }
    Ok(())
}
