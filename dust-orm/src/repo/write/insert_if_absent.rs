//! Conditions on absence, for a server that compares single leaves only.
//!
//! A Dust server can set one leaf on condition that it is absent, but not an object, and not in a batch. So the write
//! claims a leaf first, and the revision of the claim guards the batch that follows: it applies only if no other writer
//! has written there.

use dust_protocol::flatten::flatten;
use dust_protocol::{Fence, Op, Path, Precondition, RawJson, value};
use sea_orm::EntityTrait;

use super::dispatch::{self, WriteBatch};
use super::hooks;
use super::ops::{self, Guard};
use super::options::{Condition, Options};
use super::save::complete_new;
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
) -> Result<E::Model, DustErr> {
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
            Some(stored) if !RecordRef::from(&stored).is_claim() => {
                let current = Some(Revision::of(&stored).number());
                return Err(DustErr::Exists { path: record.to_string(), current });
            }
            Some(claimed) => claimed.leaves.iter().map(|leaf| (Path::from_trusted(leaf.path), leaf.revision)).collect(),
            None => match set_if_absent(&claim, options.fence.as_ref(), transport).await? {
                Some(revision) => vec![(claim.clone(), revision)],
                None => continue,
            },
        };
        let ops = ops::replace::<E>(&active, &record, &Guard::Leaves(guard))?;
        match dispatch::send(ops.into(), options.clone(), transport).await {
            Ok(_) => return hooks::after_save::<E>(model, true).await,
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

/// Claims a leaf if it is absent, and returns its revision; `None` if something is there.
async fn set_if_absent(path: &Path, fence: Option<&Fence>, transport: &dyn Transport) -> Result<Option<u64>, DustErr> {
    let claim = Op::set(path.clone(), RawJson::from_trusted(value::CLAIM)).on(Precondition::IfLeafAbsent);
    match transport.write(vec![claim], fence.cloned()).await {
        Ok(receipt) => Ok(receipt.store_seq),
        Err(DustErr::Exists { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Turns the condition "absent, as it was when it was read" into a revision: writes a claim, which reads like an absent
/// leaf, on condition that nothing is there, and guards the op by it. Returns the claims, for [`release_claims`].
pub(in crate::repo) async fn claim_absent(
    outgoing: &mut WriteBatch,
    fence: Option<&Fence>,
    transport: &dyn Transport,
) -> Result<Vec<(Path, u64)>, DustErr> {
    let mut claims = Vec::new();
    let mut claimed = Vec::with_capacity(outgoing.ops.len());
    for mut op in std::mem::take(&mut outgoing.ops) {
        if op.precondition == Some(Precondition::IfSubtreeAbsent) {
            // "No leaf at this path" is also true for an object, which the claim would remove.
            let claim = match transport.exists(&op.path).await {
                Ok(true) => Ok(None),
                Ok(false) => set_if_absent(&op.path, fence, transport).await,
                Err(error) => Err(error),
            };
            let revision = match claim {
                Ok(Some(revision)) => revision,
                Ok(None) => {
                    release_claims(claims, transport).await;
                    let current = transport.get(&op.path).await?.map(|entry| entry.revision);
                    return Err(DustErr::Conflict { path: op.path.to_string(), current, op_index: None });
                }
                Err(error) => {
                    release_claims(claims, transport).await;
                    return Err(error);
                }
            };
            claims.push((op.path.clone(), revision));
            let guard = Precondition::IfMatch(revision);
            if op.value().is_some_and(value::is_subtree) {
                claimed.push(Op::delete(op.path.clone()).on(guard));
                op.precondition = None;
            } else {
                op.precondition = Some(guard);
            }
        }
        claimed.push(op);
    }
    outgoing.ops = claimed;
    Ok(claims)
}

/// Removes written leaves, such as claims after a batch that failed, unless the batch or another writer has written
/// there since. If this fails, the claim stays, invisible to readers.
pub(in crate::repo) async fn release_claims(claims: Vec<(Path, u64)>, transport: &dyn Transport) {
    for (path, revision) in claims {
        let delete = Op::delete(path).on(Precondition::IfMatch(revision));
        if let Err(error) = transport.write(vec![delete], None).await {
            tracing::debug!(target: "dust_orm", %error, "what was written could not be taken back");
        }
    }
}
