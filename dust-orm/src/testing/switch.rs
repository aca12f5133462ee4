//! A connection that a test can cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dust_protocol::{BatchOp, CommittedOp, Entry, Fence, FileUpload, LeafPage, ListRequest, Page, Path, Write};

use crate::error::DustErr;
use crate::feed::Hub;
use crate::transport::{Capabilities, EmbeddedTransport, Receipt, Transport};

/// The embedded store, or while it is offline what a client without a connection has of it: it can read.
#[derive(Debug)]
pub(super) struct Switch {
    inner: EmbeddedTransport,
    is_offline: AtomicBool,
}

impl Switch {
    pub(super) fn new(inner: EmbeddedTransport) -> Switch {
        Switch { inner, is_offline: AtomicBool::new(false) }
    }

    pub(super) fn set_offline(&self, is_offline: bool) {
        self.is_offline.store(is_offline, Ordering::SeqCst);
    }

    fn connected(&self, what: &str) -> Result<&EmbeddedTransport, DustErr> {
        if self.is_offline.load(Ordering::SeqCst) {
            return Err(DustErr::network(format!("{what} was not sent: there is no connection")));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Transport for Switch {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        self.inner.list(request).await
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        self.inner.list_subtree(path, after).await
    }

    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        self.inner.try_list_subtree(path, after)
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
        let what = format!("{} of `{}`", write.op.kind().name(), write.path);
        self.connected(&what)?.write(write).await
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        self.connected("a batch")?.batch_write(ops, fence).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        self.connected(&format!("put_file of `{}`", file.path))?.put_file(file, fence).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        self.connected("fetch_file")?.fetch_file(hash).await
    }

    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        self.inner.op_hub().await
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        self.inner.is_own(op)
    }
}
