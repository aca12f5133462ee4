//! The transport over the embedded store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dust_protocol::{CommittedOp, Entry, Fence, FileUpload, LeafPage, ListRequest, Op, OpKind, Page, Path};
use dust_store::{Origin, Store, Subscription};
use futures_util::FutureExt;

use super::{Capabilities, Receipt, Transport, first_two_below, has_leaf, nul};
use crate::error::DustErr;
use crate::feed::Hub;
use crate::pace::pace;

/// Transport that calls the [`Store`] in this process. Reads, and writes in memory, run at once on the caller's thread.
/// Writes to a file, which wait for the disk, run on the single writer thread of the store, and share its commits.
///
/// Dropping a write to a file does not stop it: it is still applied.
///
/// Calls take part in tokio's cooperative scheduling although they run at once: a task that does nothing else lets
/// other tasks run every millisecond or so.
///
/// Clones of a transport are the same device, and share one hub for all their subscriptions.
#[derive(Clone, Debug)]
pub struct EmbeddedTransport {
    store: Store,
    device_id: Arc<str>,
    ops: Arc<AtomicU64>,
    live: Arc<OnceLock<Live>>,
}

/// The number of transports created in this process so far, which makes each a device of its own.
static DEVICES: AtomicU64 = AtomicU64::new(0);

/// The number of leaves whose reading costs as much as one write in memory.
const WRITE_COST: usize = 96;

/// The hub, which exists from the first subscription on. Before that, commits cost nothing.
#[derive(Debug)]
struct Live {
    hub: Arc<Hub>,
    _listening: Subscription,
}

impl Live {
    fn start(store: &Store) -> Live {
        let hub = Hub::new(0);
        let listening = {
            let (wanting, hub) = (Arc::clone(&hub), Arc::clone(&hub));
            store.on_changes(move |path| wanting.wants_changes(path), move |ops, changes| hub.publish(ops, changes))
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
    /// A transport over a store, which may be shared with other users.
    pub fn new(store: Store) -> EmbeddedTransport {
        let device_id = format!("embedded-{}", DEVICES.fetch_add(1, Ordering::Relaxed));
        EmbeddedTransport { store, device_id: device_id.into(), ops: Arc::default(), live: Arc::default() }
    }

    fn origin(&self) -> Origin {
        let op = self.ops.fetch_add(1, Ordering::Relaxed);
        Origin::new(Arc::clone(&self.device_id), format!("embedded-{op}"))
    }
}

#[async_trait]
impl Transport for EmbeddedTransport {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            if_subtree_absent: true,
            fences: true,
            fenced_batches: true,
            typed_ops: true,
            subscribe: true,
            ..Capabilities::default()
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        nul::check_list(request)?;
        let page = self.store.list(request)?;
        pace(page.items.len()).await;
        Ok(page)
    }

    async fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        nul::check_list(request)?;
        let page = self.store.list_leaves(request)?;
        pace(page.leaves.len()).await;
        Ok(page)
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        nul::check_path(path)?;
        let page = self.store.below(path, after)?;
        pace(page.leaves.len()).await;
        Ok(page)
    }

    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        nul::check_path(path).ok()?;
        // If the budget is used up, `list_subtree` is called, which can let other tasks run. It also returns the reason
        // if nothing can be read.
        pace(0).now_or_never()?;
        self.store.below(path, after).ok()
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        nul::check_path(path)?;
        pace(0).await;
        Ok(self.store.get(path)?)
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        nul::check_paths(paths)?;
        pace(paths.len()).await;
        Ok(self.store.get_many(paths)?)
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        nul::check_path(path)?;
        pace(0).await;
        Ok(self.store.exists(path)? && has_leaf(&self.store.list(&first_two_below(path))?))
    }

    async fn write(&self, mut ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        nul::check_write(&ops, fence.as_ref())?;
        pace(WRITE_COST + ops.len()).await;
        let origin = self.origin();
        let mut revisions = Vec::new();
        let committed = match ops.pop() {
            Some(op) if ops.is_empty() => self.store.write_async(op, fence, origin).await?,
            last => {
                ops.extend(last);
                let mut committed = self.store.batch_write_async(ops, fence, origin).await?;
                revisions = committed.iter().map(|op| op.store_seq).collect();
                committed.pop()
            }
        };
        Ok(committed.map_or(Receipt::new(None), receipt).with_revisions(revisions))
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        nul::check_path(&file.path)?;
        pace(WRITE_COST).await;
        let origin = self.origin();
        Ok(receipt(self.store.put_file_async(file, fence, origin).await?))
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        pace(0).await;
        let content = match self.store.file_reference(hash)? {
            Some(_) => self.store.file_content(hash)?,
            None => None,
        };
        content.ok_or_else(|| DustErr::NotFound { what: format!("the file `{hash}`") })
    }

    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        let live = self.live.get_or_init(|| Live::start(&self.store));
        // A commit in progress may record no changes for a listener that joined after the commit began.
        self.store.wait_for_commit().await;
        // Another thread may be about to publish ops that can be read already.
        live.hub.caught_up(|| self.store.current_seq()).await;
        Ok(Arc::clone(&live.hub))
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        op.device_id == self.device_id
    }
}

fn receipt(op: CommittedOp) -> Receipt {
    let tells = !matches!(op.op, OpKind::Set | OpKind::Delete | OpKind::Merge | OpKind::Release);
    Receipt { value: tells.then_some(op.value), ..Receipt::new(Some(op.store_seq)) }
}

#[cfg(test)]
mod tests {
    use dust_protocol::{Pattern, RawJson};

    use super::*;

    /// The number of turns that another task gets, in a runtime of one thread, while `work` runs.
    async fn turns(work: impl Future<Output = ()>) -> usize {
        let turns = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        work.await;
        other.abort();
        turns.load(Ordering::Relaxed) as usize
    }

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn set(at: &str) -> Op {
        Op::set(path(at), RawJson::parse("1").unwrap())
    }

    #[tokio::test]
    async fn a_task_that_calls_the_store_lets_others_run() {
        let transport = EmbeddedTransport::new(Store::in_memory().unwrap());
        transport.write(vec![set("a")], None).await.unwrap();
        let at = path("a");
        macro_rules! assert_yields {
            ($least:expr, $call:expr) => {
                let turns = turns(async {
                    for _ in 0..1_000 {
                        let _ = $call.await.unwrap();
                    }
                });
                let turns = turns.await;
                assert!(turns >= $least, "{turns} turns during 1,000 times {}", stringify!($call));
            };
        }
        assert_yields!(7, transport.get(&at));
        assert_yields!(7, transport.get_many(std::slice::from_ref(&at)));
        assert_yields!(7, transport.exists(&at));
        assert_yields!(7, transport.list_subtree(&at, None));
        let request = ListRequest::pattern(Pattern::parse("**").unwrap());
        assert_yields!(7, transport.list(&request));
        assert_yields!(30, transport.write(vec![set("a")], None));
        assert_yields!(30, transport.write(vec![Op::delete(path("a"))], None));
    }

    #[tokio::test]
    async fn a_task_that_reads_many_pages_lets_others_run() {
        let store = Store::in_memory().unwrap();
        let transport = EmbeddedTransport::new(store);
        for part in 0..10 {
            let op = |number| Op::set(path(&format!("r/{part}/{number}")), RawJson::parse("1").unwrap());
            transport.write((0..1_000).map(op).collect(), None).await.unwrap();
        }
        let turns = turns(async {
            let mut after = None;
            for _ in 0..30 {
                let page = transport.list_subtree(&path("r"), after.as_deref()).await.unwrap();
                assert!(!page.leaves.is_empty());
                after = page.next_cursor;
            }
        });
        // Another task runs after every fourth page.
        let turns = turns.await;
        assert!(turns >= 7, "{turns} turns during 30 pages");
    }

    #[tokio::test]
    async fn what_is_at_hand_is_not_when_others_are_to_run() {
        let transport = EmbeddedTransport::new(Store::in_memory().unwrap());
        let at = path("a");
        let turns = turns(async {
            for _ in 0..1_000 {
                if transport.try_list_subtree(&at, None).is_none() {
                    transport.list_subtree(&at, None).await.unwrap();
                }
            }
        });
        assert!(turns.await >= 7);
    }

    #[tokio::test]
    async fn hub_waits_for_commit_that_began_before_the_listener() {
        use std::sync::mpsc::channel;

        use crate::feed::HubEvent;

        let folder = tempfile::tempdir().unwrap();
        let transport = EmbeddedTransport::new(Store::open(folder.path().join("store.redb")).unwrap());
        let hub = transport.op_hub().await.unwrap();
        // At the signal the hub does not record changes of this commit, whose ops are not applied yet.
        let ((begun, has_begun), (go, may_go)) = (channel(), channel());
        let may_go = std::sync::Mutex::new(may_go);
        let in_commit = move |_: &Path| {
            begun.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            false
        };
        let listening = transport.store.on_changes(in_commit, |_, _| {});
        let (writer, origin) = (transport.store.clone(), transport.origin());
        let writing = std::thread::spawn(move || writer.write(set("a/x"), None, &origin).unwrap());
        has_begun.recv().unwrap();

        let (sender, heard) = channel();
        let _listener = hub.listen(&Pattern::parse("a/**").unwrap(), move |event| {
            let HubEvent::Commit { changes, .. } = event else { panic!("{event:?}") };
            sender.send(changes.map(<[_]>::len)).unwrap();
        });
        let mut caught_up = transport.op_hub();
        assert!((&mut caught_up).now_or_never().is_none(), "the commit is in progress");
        go.send(()).unwrap();
        caught_up.await.unwrap();
        assert!(transport.get(&path("a/x")).await.unwrap().is_some());
        assert_eq!(heard.try_recv(), Ok(None));
        writing.join().unwrap();

        drop(listening);
        transport.write(vec![set("a/x")], None).await.unwrap();
        // The old leaf at the path is replaced, not removed.
        assert_eq!(heard.try_recv(), Ok(Some(1)));
    }

    #[cfg(feature = "macros")]
    #[tokio::test]
    async fn a_task_that_reads_records_lets_others_run() {
        use crate::DustRepo;
        use crate::tests_cfg::link;

        let store = Store::in_memory().unwrap();
        let op = |number| {
            let record = r#"{"title":"Dust","url":"https://dustlayer.io"}"#;
            Op::set(path(&format!("links/{number}")), RawJson::parse(record).unwrap())
        };
        for part in 0..5 {
            let ops = (part * 1_000..(part + 1) * 1_000).map(op).collect();
            store.batch_write(ops, None, &Origin::new("d", "1")).unwrap();
        }
        let repo = DustRepo::with_transport(Arc::new(EmbeddedTransport::new(store)));
        let found = turns(async {
            for _ in 0..1_000 {
                assert!(repo.find_by_id::<link::Entity>("7").await.unwrap().is_some());
            }
        });
        let found = found.await;
        assert!(found >= 7, "{found} turns during 1,000 records");
        let listed = turns(async { assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 5_000) }).await;
        assert!(listed >= 2, "{listed} turns during a list of 10 pages");
    }
}
