//! Handing ops to a transport.

use super::options::{Condition, Options};
use super::plan::check_size;
use crate::error::DustErr;
use crate::protocol::{BatchOp, Fence, Op, Precondition, Write};
use crate::transport::Transport;

/// Refuses what the transport cannot do before anything is read or sent.
pub(super) fn check(options: &Options, transport: &dyn Transport) -> Result<(), DustErr> {
    let capabilities = transport.capabilities();
    if options.fence.is_some() && !capabilities.fences {
        return Err(capabilities.refuse(transport.name(), "a fenced write"));
    }
    if matches!(options.condition, Condition::IfAbsent) && !capabilities.batch_if_absent {
        return Err(capabilities.refuse(transport.name(), "`if_absent` for a whole record"));
    }
    Ok(())
}

/// Sends ops as one request: a single one as itself, several as one atomic batch. Answers the `store_seq` of the last,
/// or `None` when there was nothing to send.
pub(super) async fn send(
    mut ops: Vec<BatchOp>,
    fence: Option<Fence>,
    transport: &dyn Transport,
) -> Result<Option<u64>, DustErr> {
    if ops.is_empty() {
        return Ok(None);
    }
    check_size(&ops)?;
    // A single op cannot carry the absence of a whole record.
    let single = match &*ops {
        [op] if op.precondition != Some(Precondition::IfAbsent) => ops.pop(),
        _ => None,
    };
    let Some(op) = single else { return transport.batch_write(ops, fence).await.map(Some) };
    let write = Write { path: op.path, op: op.value.map_or(Op::Delete, Op::Set), precondition: op.precondition, fence };
    Ok(transport.write(write).await?.store_seq)
}
