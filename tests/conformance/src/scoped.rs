//! A transport that keeps to one subtree of a store, so that tests can share a store, a real one included.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dust_orm::internals::{HubEvent, Listener, listen, seq};
use dust_orm::transport::{Hub, Receipt};
use dust_orm::{DustErr, Transport};
use dust_protocol::{
    CommittedOp, Entry, Fence, FileUpload, LeafChange, LeafPage, LeafRef, ListItem, ListRequest, Op, PackedLeaves,
    Page, Path, Pattern, Selector,
};

/// Puts a segment before every path on the way in and takes it away on the way out.
#[derive(Debug)]
pub(crate) struct Scoped {
    inner: Arc<dyn Transport>,
    scope: String,
    /// A hub with the ops of the scope, with paths relative to it.
    hub: OnceLock<(Arc<Hub>, Listener)>,
}

impl Scoped {
    pub(crate) fn new(inner: Arc<dyn Transport>, scope: String) -> Scoped {
        Scoped { inner, scope, hub: OnceLock::new() }
    }

    fn enter(&self, path: &Path) -> Path {
        Path::parse(&format!("{}/{path}", self.scope)).unwrap()
    }

    fn leave(&self, path: &Path) -> Path {
        leave(&self.scope, path)
    }

    fn leave_entry(&self, mut entry: Entry) -> Entry {
        entry.path = self.leave(&entry.path);
        entry
    }

    fn relay(&self, inner: &Arc<Hub>) -> (Arc<Hub>, Listener) {
        let hub = Hub::new(seq(inner));
        let (to, below) = (Arc::clone(&hub), format!("{}/", self.scope));
        let everything = Pattern::parse(&format!("{below}**")).unwrap();
        let listener = listen(inner, &everything, move |news| match news {
            HubEvent::Commit { ops, changes } => {
                // The scope itself is removed only when its test is over.
                let inside = |path: &Path| Path::parse(path.as_str().strip_prefix(&below)?).ok();
                let ops = ops.iter().filter_map(|op| {
                    let mut inner = CommittedOp::clone(op);
                    inner.path = inside(&op.path)?;
                    Some(inner)
                });
                let changes = changes.map(|changes| {
                    let inside = changes
                        .iter()
                        .filter_map(|change| Some(LeafChange { path: inside(&change.path)?, ..change.clone() }));
                    inside.collect::<Vec<_>>()
                });
                to.publish(&ops.collect::<Vec<_>>(), changes.as_deref());
            }
            HubEvent::Resync => to.resync(seq(&to)),
            _ => to.close(),
        });
        (hub, listener)
    }

    fn enter_fence(&self, fence: Option<Fence>) -> Option<Fence> {
        fence.map(|fence| Fence { key: self.enter(&fence.key), ..fence })
    }

    /// Errors name paths; tests compare them.
    fn leave_error(&self, mut error: DustErr) -> DustErr {
        if let DustErr::Conflict { path: text, .. }
        | DustErr::Exists { path: text, .. }
        | DustErr::Fenced { key: text, .. }
        | DustErr::LeaseHeld { key: text, .. }
        | DustErr::LeaseLost { key: text, .. }
        | DustErr::NotALease { key: text, .. }
        | DustErr::InvalidParams { message: text, .. } = &mut error
        {
            *text = text.replace(&format!("{}/", self.scope), "");
        }
        error
    }
}

fn leave(scope: &str, path: &Path) -> Path {
    Path::parse(path.as_str().strip_prefix(scope).and_then(|rest| rest.strip_prefix('/')).unwrap()).unwrap()
}

#[async_trait]
impl Transport for Scoped {
    dust_orm::delegate_transport!(self => self.inner, only [name, capabilities, fetch_file, is_own]);

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        let selector = match &request.selector {
            Selector::Pattern(inner) => Selector::Pattern(Pattern::parse(&format!("{}/{inner}", self.scope)).unwrap()),
            Selector::Range { from, to } => Selector::Range { from: self.enter(from), to: self.enter(to) },
        };
        let after =
            request.after.as_ref().filter(|after| !after.is_empty()).map(|after| format!("{}/{after}", self.scope));
        let request =
            ListRequest::new(selector).limit(request.limit).order(request.order).select(request.select).after(after);
        let page = self.inner.list(&request).await.map_err(|error| self.leave_error(error))?;
        let items = page.items.into_iter().map(|item| match item {
            ListItem::Entry(entry) => ListItem::Entry(self.leave_entry(entry)),
            ListItem::Path(path) => ListItem::Path(self.leave(&path)),
        });
        let next_cursor = page.next_cursor.map(|cursor| leave(&self.scope, &Path::parse(&cursor).unwrap()).to_string());
        Ok(Page::new(items.collect(), next_cursor))
    }

    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        let after = after.map(|after| format!("{}/{after}", self.scope));
        let page = self.inner.try_list_subtree(&self.enter(path), after.as_deref())?;
        let inside = format!("{}/", self.scope);
        let leave = |path: &str| path.strip_prefix(&inside).unwrap().to_owned();
        let mut leaves = PackedLeaves::default();
        for leaf in page.leaves.iter() {
            leaves.push(LeafRef { path: &leave(leaf.path), ..leaf });
        }
        Some(LeafPage::new(leaves, page.next_cursor.as_deref().map(leave)))
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        let entry = self.inner.get(&self.enter(path)).await.map_err(|error| self.leave_error(error))?;
        Ok(entry.map(|entry| self.leave_entry(entry)))
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        let paths: Vec<Path> = paths.iter().map(|path| self.enter(path)).collect();
        let entries = self.inner.get_many(&paths).await.map_err(|error| self.leave_error(error))?;
        Ok(entries.into_iter().map(|entry| entry.map(|entry| self.leave_entry(entry))).collect())
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        self.inner.exists(&self.enter(path)).await.map_err(|error| self.leave_error(error))
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let ops = ops.into_iter().map(|op| Op { path: self.enter(&op.path), ..op }).collect();
        self.inner.write(ops, self.enter_fence(fence)).await.map_err(|error| self.leave_error(error))
    }

    async fn put_file(&self, mut file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        file.path = self.enter(&file.path);
        let fence = self.enter_fence(fence);
        self.inner.put_file(file, fence).await.map_err(|error| self.leave_error(error))
    }

    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        let inner = self.inner.op_hub().await?;
        let (hub, _relay) = self.hub.get_or_init(|| self.relay(&inner));
        Ok(Arc::clone(hub))
    }
}
