//! The transport of the guide's page "A transport of your own", as a crate that depends on `dust-orm` alone.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dust_orm::protocol::{Entry, Fence, ListRequest, Op, OpKind, Page, Path};
use dust_orm::store::{Origin, Store};
use dust_orm::transport::Receipt;
use dust_orm::{Capabilities, DustErr, Transport};

/// A transport over a store in this process that writes nothing after its quota is used up.
#[derive(Debug)]
pub struct QuotaTransport {
    store: Store,
    quota: u64,
    writes: AtomicU64,
}

impl QuotaTransport {
    /// A transport that accepts `quota` writes; a batch counts as one.
    pub fn new(store: Store, quota: u64) -> QuotaTransport {
        QuotaTransport { store, quota, writes: AtomicU64::new(0) }
    }

    /// Counts a write, and returns an origin with a new id.
    fn origin(&self) -> Result<Origin, DustErr> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        if number >= self.quota {
            return Err(DustErr::invalid_params(format!("the quota of {} writes is used up", self.quota)));
        }
        Ok(Origin::new("quota", format!("quota-{number}")))
    }
}

#[async_trait]
impl Transport for QuotaTransport {
    fn name(&self) -> &'static str {
        "quota"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.if_subtree_absent = true;
        capabilities.fences = true;
        capabilities.fenced_batches = true;
        capabilities
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        Ok(self.store.list(request)?)
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        Ok(self.store.get(path)?)
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        Ok(self.store.get_many(paths)?)
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        Ok(self.store.exists(path)?)
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        if let Some(op) = ops.iter().find(|op| !matches!(op.kind(), OpKind::Set | OpKind::Delete)) {
            return Err(self.capabilities().refuse(self.name(), op.kind().name()));
        }
        let committed = self.store.batch_write_async(ops, fence, self.origin()?).await?;
        Ok(Receipt::new(committed.last().map(|op| op.store_seq)))
    }
}
