//! A transport that adds the fence of a lease to every write.

use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{Fence, FileUpload, Op};

use super::DustRepo;
use crate::error::DustErr;
use crate::transport::{Receipt, Transport};

/// Delegates to the transport of a repo and adds the fence to every write.
#[derive(Debug)]
pub(super) struct Fenced {
    repo: DustRepo,
    fence: Fence,
}

impl Fenced {
    pub(super) fn new(repo: DustRepo, fence: Fence) -> Fenced {
        Fenced { repo, fence }
    }

    /// The fence for a write. Refuses one that has another fence.
    fn add(&self, fence: Option<Fence>) -> Result<Option<Fence>, DustErr> {
        match fence {
            Some(other) if other != self.fence => Err(DustErr::invalid_params(format!(
                "a write has one fence, and this one would need two: of the lease `{}` and of `{}`",
                self.fence.key, other.key
            ))),
            _ => Ok(Some(self.fence.clone())),
        }
    }
}

#[async_trait]
impl Transport for Fenced {
    crate::delegate_transport!(self => self.repo.active(), except [write, put_file]);

    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        Some(self.repo.source())
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        // A lease op has no fence: it is guarded by its token.
        let fence = if ops.iter().any(|op| op.kind().is_of_lease()) { fence } else { self.add(fence)? };
        self.repo.active().write(ops, fence).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let fence = self.add(fence)?;
        self.repo.active().put_file(file, fence).await
    }
}
