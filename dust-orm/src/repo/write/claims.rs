//! Claims: leaves that an insert writes first, because a server compares single leaves only.

use dust_protocol::{Fence, Op, Path, Precondition, RawJson, value};

use crate::error::DustErr;
use crate::transport::Transport;

/// Claims a leaf if it is absent, and returns its revision; `None` if something is there.
pub(super) async fn set_if_absent(
    path: &Path,
    fence: Option<&Fence>,
    transport: &dyn Transport,
) -> Result<Option<u64>, DustErr> {
    let claim = Op::set(path.clone(), RawJson::from_trusted(value::CLAIM)).on(Precondition::IfLeafAbsent);
    match transport.write(vec![claim], fence.cloned()).await {
        Ok(receipt) => Ok(receipt.store_seq),
        Err(DustErr::Exists { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Turns the condition "absent, as it was when it was read" into a revision: writes a claim, which reads like an absent
/// leaf, on condition that nothing is there, and guards the op by it. Returns the claims, for [`release_claims`].
pub(super) async fn claim_absent(
    ops: &mut Vec<Op>,
    fence: Option<&Fence>,
    transport: &dyn Transport,
) -> Result<Vec<(Path, u64)>, DustErr> {
    let mut claims = Vec::new();
    let mut claimed = Vec::with_capacity(ops.len());
    for mut op in std::mem::take(ops) {
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
    *ops = claimed;
    Ok(claims)
}

/// Removes written leaves, such as claims after a batch that failed, unless the batch or another writer has written
/// there since. If this fails, the claim stays, invisible to readers.
pub(super) async fn release_claims(claims: Vec<(Path, u64)>, transport: &dyn Transport) {
    for (path, revision) in claims {
        let delete = Op::delete(path).on(Precondition::IfMatch(revision));
        if let Err(error) = transport.write(vec![delete], None).await {
            tracing::debug!(target: "dust_orm", %error, "what was written could not be taken back");
        }
    }
}
