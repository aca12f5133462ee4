//! Conditions on absence, for a server that compares single leaves only.
//!
//! A Dust server can set one leaf on condition that it is absent, but not an object, and not in a batch. So the write
//! claims a leaf first, and the revision of the claim guards the batch that follows: it applies only if no other writer
//! has written there.

use dust_protocol::Path;
use dust_protocol::flatten::flatten;
use sea_orm::EntityTrait;

use super::claims::set_if_absent;
use super::ops::{self, Guard};
use super::options::{Condition, Options};
use super::record_before::{LeavesBefore, RecordBefore};
use super::save::{Outcome, PendingSave, Written, complete_new};
use super::{dispatch, hooks};
use crate::entity::{
    DustEntity, FieldSelection, Fields, RecordRef, Revision, active_path, check_required, encode_object, is_leaf,
};
use crate::error::{DustErr, ErrKind};
use crate::repo::record_pages::fetch_or_claim;
use crate::transport::Transport;

/// Maximum number of attempts of an insert that other writers interrupt.
const ATTEMPTS: usize = 5;

/// Inserts a record if there is none, on a transport that cannot compare a whole record.
///
/// ```text
/// read the record             something is there: Exists        a claim alone is there: take it over
/// set one leaf if it is absent, to a claim                      another was faster: read again
/// set the record in a batch that is guarded by the claim        a conflict: read again
/// ```
///
/// The claim is invisible: readers and subscribers treat such a leaf as absent. If a writer stops after the claim, the
/// next one takes it over; any other leaf stays, even if it does not fit the entity.
pub(in crate::repo) async fn insert_if_absent<E: DustEntity>(
    active: <E as EntityTrait>::ActiveModel,
    options: Options,
    transport: &dyn Transport,
) -> Result<Written<E>, DustErr> {
    let options = Options { condition: Condition::None, ..options };
    dispatch::check(&options, transport)?;
    let active = hooks::before_save::<E>(active, true).await?;
    check_required(&active, FieldSelection::All)?;
    let record = active_path::<E>(&active)?;
    // A record that cannot be written leaves no claim behind.
    ops::replace::<E>(&active, &record, &Guard::None)?;
    let claim = claim_of::<E>(&active, &record)?;
    let model = complete_new::<E>(active.clone())?;
    for _ in 0..ATTEMPTS {
        let guard = match fetch_or_claim(transport, &record).await? {
            Some(leaves) if !RecordRef::new(&record, &leaves).is_claim() => {
                let current = Some(Revision::of(RecordRef::new(&record, &leaves)).number());
                return Err(DustErr::Exists { path: record.to_string(), current });
            }
            Some(claimed) => claimed.iter().map(|leaf| (Path::from_trusted(leaf.path), leaf.revision)).collect(),
            None => match set_if_absent(&claim, options.fence.as_ref(), transport).await? {
                Some(revision) => vec![(claim.clone(), revision)],
                None => continue,
            },
        };
        let ops = ops::replace::<E>(&active, &record, &Guard::Leaves(guard))?;
        match dispatch::send(ops.into(), options.clone(), transport).await {
            Ok(committed) => {
                let before = RecordBefore { path: record, leaves: LeavesBefore::Unknown };
                let outcome = Outcome::Saved { model, insert: Some(true) };
                return Ok(Written { pending: PendingSave { before, outcome }, committed });
            }
            Err(error) if error.kind() == ErrKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(DustErr::Conflict { path: record.to_string(), current: None, op_index: None })
}

/// The leaf to claim: one of a required field if there is one. Every insert of the record writes that leaf, so a
/// concurrent insert without a condition is detected.
fn claim_of<E: DustEntity>(active: &E::ActiveModel, record: &Path) -> Result<Path, DustErr> {
    let leaves = flatten(record, &encode_object(active)?)?;
    let is_required = |leaf: &Path| {
        let mut fields = E::ActiveModel::FIELDS.iter().filter(|field| field.required && is_leaf(field));
        fields.any(|field| record.child(field.name).is_ok_and(|field| field.is_at_or_above(leaf.as_str())))
    };
    let claim = leaves.iter().find(|(leaf, _)| is_required(leaf)).or_else(|| leaves.first());
    claim.map(|(leaf, _)| leaf.clone()).ok_or_else(|| ops::nothing_to_write(record))
}
