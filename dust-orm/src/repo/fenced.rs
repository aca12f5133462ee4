//! A transport whose every write carries the fence of a lease.

use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{BatchOp, Fence, FileUpload, OpKind, Write};

use super::DustRepo;
use crate::error::DustErr;
use crate::transport::{Receipt, Transport};

/// Delegates to the transport of a repo, and adds the fence to every write.
#[derive(Debug)]
pub(super) struct Fenced {
    repo: DustRepo,
    fence: Fence,
}

impl Fenced {
    pub(super) fn new(repo: DustRepo, fence: Fence) -> Fenced {
        Fenced { repo, fence }
    }

    /// The fence for a write that may have one already.
    fn add(&self, fence: Option<Fence>) -> Result<Option<Fence>, DustErr> {
        match fence {
            Some(other) if other != self.fence => Err(DustErr::invalid_params(format!(
                "a write carries one fence, and this one would need two: of the lease `{}` and of `{}`",
                self.fence.key, other.key
            ))),
            _ => Ok(Some(self.fence.clone())),
        }
    }
}

#[async_trait]
impl Transport for Fenced {
    crate::delegate_transport!(self => self.repo.active(), except [write, batch_write, put_file]);

    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        Some(self.repo.source())
    }

    async fn write(&self, mut write: Write) -> Result<Receipt, DustErr> {
        // A lease op takes no fence: its token is its guard.
        if !matches!(write.op.kind(), OpKind::Lease | OpKind::Renew | OpKind::Release) {
            write.fence = self.add(write.fence)?;
        }
        self.repo.active().write(write).await
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        let fence = self.add(fence)?;
        self.repo.active().batch_write(ops, fence).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let fence = self.add(fence)?;
        self.repo.active().put_file(file, fence).await
    }
}
