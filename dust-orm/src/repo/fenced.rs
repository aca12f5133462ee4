//! A transport that adds the fence of a lease to every write.

use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{BatchOp, CommittedOp, Entry, Fence, FileUpload, LeafPage, ListRequest, OpKind, Page, Path, Write};

use super::DustRepo;
use crate::error::DustErr;
use crate::feed::Hub;
use crate::transport::{Capabilities, Receipt, Transport};

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
    fn name(&self) -> &'static str {
        self.repo.active().name()
    }

    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        Some(self.repo.source())
    }

    fn capabilities(&self) -> Capabilities {
        self.repo.active().capabilities()
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        self.repo.active().list(request).await
    }

    async fn below(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        self.repo.active().below(path, after).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        self.repo.active().get(path).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        self.repo.active().get_many(paths).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        self.repo.active().exists(path).await
    }

    async fn write(&self, mut write: Write) -> Result<Receipt, DustErr> {
        // A lease op has no fence: it is guarded by its token.
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

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        self.repo.active().fetch_file(hash).await
    }

    async fn hub(&self) -> Result<Arc<Hub>, DustErr> {
        self.repo.active().hub().await
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        self.repo.active().is_own(op)
    }
}
