//! Sending ops to a transport.

use dust_protocol::{Fence, Op, Path, Precondition};

use super::claims::{claim_absent, release_claims};
use super::ops::check_size;
use super::options::{Condition, Options};
use super::presence::Presence;
use crate::error::DustErr;
use crate::transport::{Receipt, Transport};

/// Rejects options that the transport does not support, before anything is read or sent.
pub(in crate::repo) fn check(options: &Options, transport: &dyn Transport) -> Result<(), DustErr> {
    let capabilities = transport.capabilities();
    if options.fence.is_some() && !capabilities.fences {
        return Err(capabilities.refuse(transport.name(), "a fenced write"));
    }
    if matches!(options.condition, Condition::IfAbsent) && !capabilities.if_subtree_absent {
        return Err(DustErr::NotSupported {
            operation: "`if_absent` in a batch or with `put`".to_owned(),
            transport: transport.name(),
            hint: "only the embedded store can; `insert(..).if_absent()`, by itself, works on every transport"
                .to_owned(),
        });
    }
    Ok(())
}

/// The ops of one record, before they are sent.
#[derive(Debug, Default)]
pub(in crate::repo) struct Planned {
    pub(in crate::repo) ops: Vec<Op>,
    /// For an update: the requirement that the record still exists.
    pub(super) presence: Option<Presence>,
}

impl From<Vec<Op>> for Planned {
    fn from(ops: Vec<Op>) -> Planned {
        Planned { ops, presence: None }
    }
}

/// Ops that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::repo) struct Committed {
    /// The `store_seq` of the last op; `None` if there was nothing to write.
    pub(in crate::repo) store_seq: Option<u64>,
    /// The ops, if the batch [keeps](WriteBatch::new) them.
    ops: Vec<Op>,
    /// The revision of each op.
    revisions: Vec<u64>,
}

impl Committed {
    /// The ops in their order, each with its revision.
    pub(in crate::repo) fn ops(&self) -> impl Iterator<Item = (&Op, u64)> {
        self.ops.iter().zip(self.revisions.iter().copied())
    }

    fn of(receipt: Receipt, ops: Vec<Op>) -> Committed {
        let store_seq = receipt.store_seq;
        Committed { store_seq, revisions: receipt.op_revisions(ops.len()), ops }
    }
}

/// Ops to send to a transport.
#[derive(Debug, Default)]
pub(in crate::repo) struct WriteBatch {
    pub(in crate::repo) ops: Vec<Op>,
    /// True if the ops are returned with their revisions.
    keeps_ops: bool,
    /// The paths that were absent when they were read and must still be absent. A leaf there is a conflict, and not
    /// `Exists` as for an insert that requires absence.
    absent_when_read: Vec<Path>,
    /// The records that must exist.
    present: Vec<Presence>,
}

impl WriteBatch {
    /// An empty batch. `keeps_ops` is true if its ops are returned with their revisions.
    pub(in crate::repo) fn new(keeps_ops: bool) -> WriteBatch {
        WriteBatch { keeps_ops, ..WriteBatch::default() }
    }

    /// Adds the ops of one record, which were made under a condition.
    pub(in crate::repo) fn add(&mut self, Planned { ops, presence }: Planned, condition: &Condition) {
        if let Condition::IfMatch(_) = condition {
            let absent = ops.iter().filter(|op| op.precondition == Some(Precondition::IfSubtreeAbsent));
            self.absent_when_read.extend(absent.map(|op| op.path.clone()));
        }
        self.present.extend(presence);
        if self.ops.is_empty() {
            self.ops = ops;
        } else {
            self.ops.extend(ops);
        }
    }

    pub(in crate::repo) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Sends everything as one request: a single op as itself, several as one atomic batch.
    pub(in crate::repo) async fn send(
        mut self,
        fence: Option<Fence>,
        transport: &dyn Transport,
    ) -> Result<Committed, DustErr> {
        check_size(&self.ops)?;
        let claims = if self.absent_when_read.is_empty() || transport.capabilities().if_subtree_absent {
            Vec::new()
        } else {
            claim_absent(&mut self.ops, fence.as_ref(), transport).await?
        };
        let sent = self.send_while_present(fence, transport).await;
        if sent.is_err() {
            release_claims(claims, transport).await;
        }
        let sent = sent.map_err(|error| match error {
            DustErr::Exists { path, current } if self.absent_when_read.iter().any(|absent| absent.as_str() == path) => {
                DustErr::Conflict { path, current, op_index: None }
            }
            other => other,
        })?;
        if let Some(store_seq) = sent.store_seq {
            for presence in &self.present {
                presence.check(store_seq, self.ops.len(), transport).await?;
            }
        }
        Ok(sent)
    }

    /// Sends the ops, and sends them again if a record has changed whose revision proved that it exists.
    async fn send_while_present(
        &mut self,
        fence: Option<Fence>,
        transport: &dyn Transport,
    ) -> Result<Committed, DustErr> {
        if self.present.is_empty() {
            let ops = std::mem::take(&mut self.ops);
            let kept = if self.keeps_ops { ops.clone() } else { Vec::new() };
            return Ok(Committed::of(send_once(ops, fence, transport).await?, kept));
        }
        loop {
            let mut error = match send_once(self.ops.clone(), fence.clone(), transport).await {
                Err(error @ (DustErr::Conflict { .. } | DustErr::NotImplemented { .. })) => error,
                Err(error) => return Err(error),
                Ok(receipt) => {
                    let kept = if self.keeps_ops { self.ops.clone() } else { Vec::new() };
                    return Ok(Committed::of(receipt, kept));
                }
            };
            let mut goes_on = false;
            for presence in &mut self.present {
                match presence.refused(error.clone(), &mut self.ops, transport).await {
                    Ok(()) => goes_on = true,
                    Err(other) => error = other,
                }
                if !matches!(error, DustErr::Conflict { .. } | DustErr::NotImplemented { .. }) {
                    return Err(error);
                }
            }
            if !goes_on {
                return Err(error);
            }
        }
    }
}

async fn send_once(ops: Vec<Op>, fence: Option<Fence>, transport: &dyn Transport) -> Result<Receipt, DustErr> {
    check_size(&ops)?;
    if ops.is_empty() { Ok(Receipt::new(None)) } else { transport.write(ops, fence).await }
}

/// Sends the ops of one record.
pub(in crate::repo) async fn send(
    planned: Planned,
    options: Options,
    transport: &dyn Transport,
) -> Result<Committed, DustErr> {
    let mut outgoing = WriteBatch::new(options.versioned);
    outgoing.add(planned, &options.condition);
    outgoing.send(options.fence, transport).await
}
