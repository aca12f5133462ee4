//! A transport whose lists take several polls, come in small pages, and fail when they are told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use dust_protocol::{BatchOp, CommittedOp, Entry, Fence, ListRequest, Page};

use super::*;
use crate::feed::Hub;
use crate::transport::{Capabilities, Receipt};

#[derive(Debug)]
pub(super) struct Gated {
    pub(super) inner: EmbeddedTransport,
    pub(super) fails: AtomicBool,
    pub(super) lists: AtomicUsize,
}

impl Gated {
    pub(super) fn new(store: &Store) -> Arc<Gated> {
        let inner = EmbeddedTransport::new(store.clone());
        Arc::new(Gated { inner, fails: AtomicBool::new(false), lists: AtomicUsize::new(0) })
    }
}

/// Is ready at the second poll.
async fn a_moment() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Transport for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        a_moment().await;
        self.lists.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(DustErr::network("the gate is closed"));
        }
        self.inner.list(&ListRequest { limit: 3, ..request.clone() }).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        self.inner.get(path).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        self.inner.get_many(paths).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        self.inner.exists(path).await
    }

    async fn write(&self, write: Write) -> Result<Receipt, DustErr> {
        self.inner.write(write).await
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        self.inner.batch_write(ops, fence).await
    }

    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        self.inner.op_hub().await
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        self.inner.is_own(op)
    }
}
