//! The transport over the embedded store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::{Capabilities, Receipt, Transport, first_two_below, has_leaf, nul};
use crate::error::DustErr;
use crate::feed::Hub;
use crate::protocol::{
    BatchOp, CommittedOp, Entry, Fence, FileUpload, LeafPage, ListRequest, OpKind, Page, Path, Write,
};
use crate::store::{Origin, Store, StoreError, Subscription};

/// Calls the [`Store`] in this process. Reads and writes in memory are done at once, on the caller's thread; writes to a
/// file, which wait for the disk, are done on a thread of tokio's blocking pool where there is a tokio runtime.
///
/// Dropping a write to a file does not stop it: it is applied all the same.
///
/// Its clones are the same device, with one hub for all their subscriptions.
#[derive(Clone, Debug)]
pub struct EmbeddedTransport {
    store: Store,
    device_id: Arc<str>,
    ops: Arc<AtomicU64>,
    live: Arc<OnceLock<Live>>,
}

/// How many transports there have been in this process, so that each is a device of its own.
static DEVICES: AtomicU64 = AtomicU64::new(0);

/// The hub, from the first subscription on. Before it, commits cost nothing.
#[derive(Debug)]
struct Live {
    hub: Arc<Hub>,
    _listening: Subscription,
}

impl Live {
    fn start(store: &Store) -> Live {
        let hub = Hub::new(0);
        let listening = {
            let hub = Arc::clone(&hub);
            store.on_commits(move |ops| hub.publish(ops))
        };
        hub.advance(listening.since());
        Live { hub, _listening: listening }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl EmbeddedTransport {
    /// A transport over a store, which may be shared with others.
    pub fn new(store: Store) -> EmbeddedTransport {
        let device_id = format!("embedded-{}", DEVICES.fetch_add(1, Ordering::Relaxed));
        EmbeddedTransport { store, device_id: device_id.into(), ops: Arc::default(), live: Arc::default() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn origin(&self) -> Origin {
        let op = self.ops.fetch_add(1, Ordering::Relaxed);
        Origin::new(Arc::clone(&self.device_id), format!("embedded-{op}"))
    }

    /// Runs a write where it may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DustErr> {
        if !self.store.is_persistent() {
            return Ok(write(&self.store)?);
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Ok(write(&self.store)?) };
        let store = self.store.clone();
        match runtime.spawn_blocking(move || write(&store)).await {
            Ok(result) => Ok(result?),
            Err(stopped) => Err(DustErr::Timeout { operation: format!("a write to the embedded store ({stopped})") }),
        }
    }
}

#[async_trait]
impl Transport for EmbeddedTransport {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            if_vacant: true,
            fences: true,
            fenced_batches: true,
            merges_fields: false,
            typed_ops: true,
            every_value: true,
            subscribe: true,
            remote: false,
            batch_bytes: usize::MAX,
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        nul::check_list(request)?;
        Ok(self.store.list(request)?)
    }

    async fn below(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        nul::check_path(path)?;
        Ok(self.store.below(path, after)?)
    }

    fn at_hand(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        nul::check_path(path).ok()?;
        // Why it cannot be read, `below` says.
        self.store.below(path, after).ok()
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        nul::check_path(path)?;
        Ok(self.store.get(path)?)
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        nul::check_paths(paths)?;
        Ok(self.store.get_many(paths)?)
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        nul::check_path(path)?;
        Ok(self.store.exists(path)? && has_leaf(&self.store.list(&first_two_below(path))?))
    }

    async fn write(&self, write: Write) -> Result<Receipt, DustErr> {
        nul::check_write(&write)?;
        let origin = self.origin();
        let committed = self.blocking(move |store| store.write(write, &origin)).await?;
        Ok(committed.map_or(Receipt { store_seq: None, value: None }, receipt))
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        nul::check_batch(&ops, fence.as_ref())?;
        let origin = self.origin();
        let committed = self.blocking(move |store| store.batch_write(ops, fence, &origin)).await?;
        Ok(committed.last().map(|op| op.store_seq).unwrap_or_default())
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        nul::check_path(&file.path)?;
        let origin = self.origin();
        self.blocking(move |store| store.put_file(file, fence, &origin)).await.map(receipt)
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        let content = match self.store.file_reference(hash)? {
            Some(_) => self.store.file_content(hash)?,
            None => None,
        };
        content.ok_or_else(|| DustErr::NotFound { what: format!("the file `{hash}`") })
    }

    async fn hub(&self) -> Result<Arc<Hub>, DustErr> {
        let live = self.live.get_or_init(|| Live::start(&self.store));
        // Another thread may be about to publish what can be read already.
        live.hub.caught_up(|| self.store.current_seq()).await;
        Ok(Arc::clone(&live.hub))
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        op.device_id == self.device_id
    }
}

fn receipt(op: CommittedOp) -> Receipt {
    let tells = match op.op {
        OpKind::Set | OpKind::Delete | OpKind::Merge | OpKind::Release => false,
        OpKind::Increment | OpKind::Add | OpKind::Remove | OpKind::Lease | OpKind::Renew | OpKind::PutFile => true,
    };
    Receipt { store_seq: Some(op.store_seq), value: tells.then_some(op.value) }
}
