//! Handing ops to a transport.

use super::claim::{claim_absent, take_back};
use super::options::{Condition, Options};
use super::plan::check_size;
use crate::error::DustErr;
use crate::protocol::{BatchOp, Fence, Op, Path, Precondition, Write};
use crate::transport::Transport;

/// Refuses what the transport cannot do before anything is read or sent.
pub(super) fn check(options: &Options, transport: &dyn Transport) -> Result<(), DustErr> {
    let capabilities = transport.capabilities();
    if options.fence.is_some() && !capabilities.fences {
        return Err(capabilities.refuse(transport.name(), "a fenced write"));
    }
    if matches!(options.condition, Condition::IfAbsent) && !capabilities.if_vacant {
        return Err(DustErr::NotSupported {
            operation: "`if_absent` in a batch or with `put`".to_owned(),
            transport: transport.name(),
            hint: "only the embedded store can; `insert(..).if_absent()`, by itself, works on every transport"
                .to_owned(),
        });
    }
    Ok(())
}

/// Ops on their way to a transport.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) ops: Vec<BatchOp>,
    /// What was absent when it was read, and has to be so still: finding it there is a conflict, and not a record that
    /// exists where none was asked for.
    absent_when_read: Vec<Path>,
}

impl Outgoing {
    /// Adds the ops of one record, which were planned under a condition.
    pub(super) fn add(&mut self, ops: Vec<BatchOp>, condition: &Condition) {
        if let Condition::IfMatch(_) = condition {
            let absent = ops.iter().filter(|op| op.precondition == Some(Precondition::IfVacant));
            self.absent_when_read.extend(absent.map(|op| op.path.clone()));
        }
        if self.ops.is_empty() {
            self.ops = ops;
        } else {
            self.ops.extend(ops);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Sends everything as one request: a single op as itself, several as one atomic batch. Answers the `store_seq` of the
    /// last, or `None` when there was nothing to send.
    pub(super) async fn send(
        mut self,
        fence: Option<Fence>,
        transport: &dyn Transport,
    ) -> Result<Option<u64>, DustErr> {
        check_size(&self.ops)?;
        let claims = if self.absent_when_read.is_empty() || transport.capabilities().if_vacant {
            Vec::new()
        } else {
            claim_absent(&mut self, fence.as_ref(), transport).await?
        };
        let sent = match (check_size(&self.ops), self.ops.len()) {
            (Err(too_many), _) => Err(too_many),
            (Ok(()), 0) => return Ok(None),
            (Ok(()), 1) => self.send_one(fence, transport).await,
            (Ok(()), _) => transport.batch_write(std::mem::take(&mut self.ops), fence).await.map(Some),
        };
        if sent.is_err() {
            take_back(claims, transport).await;
        }
        sent.map_err(|error| match error {
            DustErr::Exists { path, current } if self.absent_when_read.iter().any(|absent| absent.as_str() == path) => {
                DustErr::Conflict { path, current, op_index: None }
            }
            other => other,
        })
    }

    async fn send_one(&mut self, fence: Option<Fence>, transport: &dyn Transport) -> Result<Option<u64>, DustErr> {
        let Some(op) = self.ops.pop() else { return Ok(None) };
        let write =
            Write { path: op.path, op: op.value.map_or(Op::Delete, Op::Set), precondition: op.precondition, fence };
        Ok(transport.write(write).await?.store_seq)
    }
}

/// Sends the ops of one record.
pub(super) async fn send(
    ops: Vec<BatchOp>,
    options: Options,
    transport: &dyn Transport,
) -> Result<Option<u64>, DustErr> {
    let mut outgoing = Outgoing::default();
    outgoing.add(ops, &options.condition);
    outgoing.send(options.fence, transport).await
}
