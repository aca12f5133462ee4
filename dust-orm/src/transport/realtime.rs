//! The transport over the realtime client.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dust_protocol::channel::Written;
use dust_protocol::path::unescape;
use dust_protocol::value::is_subtree;
use dust_protocol::{
    CommittedOp, Entry, Fence, FileUpload, LeafPage, ListRequest, Mutation, Op, Page, Path, Precondition, RawJson,
    check_batch, value,
};
use futures_util::FutureExt;

use super::{Capabilities, HttpTransport, Receipt, Transport, first_two_below, has_leaf, nul};
use crate::error::DustErr;
use crate::feed::Hub;
use crate::pace::pace;
use crate::realtime::session::{CommandKind, StoreId};
use crate::realtime::{Mirror, SyncClient};

/// The scope that writes need.
const WRITE: &str = "entries:write";

/// Transport that reads from the mirror of a [`SyncClient`], and writes through its socket.
///
/// A read uses no network. It still takes part in tokio's cooperative scheduling: a task that only reads lets other
/// tasks run every millisecond or so. A write returns when the mirror has it, so that it can be read at once.
///
/// A WebSocket has no batch. A batch that sets several fields of one record without conditions is sent as one `merge`;
/// any other batch goes over HTTP, and also returns when the mirror has it. While there is no connection, reads return
/// the content of the mirror, and writes fail at once with [`Network`](DustErr::Network), unless they may
/// [wait](crate::DustRepo::wait_for_connection) for a connection. A write that the token is known not to allow fails
/// with [`Unauthorized`](DustErr::Unauthorized) before it is sent.
///
/// Subscribers receive an op when the mirror has it, and ops that were missed without a connection once the connection
/// is back. Only if the server answers with a snapshot, because it has compacted its log since then or was restored
/// from a backup, do they receive the instruction to resync instead. A batch, which the server does not push, is
/// fetched and then published as a whole.
#[derive(Clone, Debug)]
pub struct RealtimeTransport {
    client: SyncClient,
    store: StoreId,
    http: Arc<HttpTransport>,
    wait: Duration,
}

impl RealtimeTransport {
    /// A transport to one of the client's stores, `org/name`.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) if the client has no such store, and the errors of
    /// [`HttpTransport::new`].
    pub fn new(client: &SyncClient, store: &str) -> Result<RealtimeTransport, DustErr> {
        let store = client.find(store)?;
        let http = HttpTransport::new(client.config(store).clone())?.marked(client.mark());
        Ok(RealtimeTransport::over(client.clone(), store, Arc::new(http)))
    }

    pub(super) fn over(client: SyncClient, store: StoreId, http: Arc<HttpTransport>) -> RealtimeTransport {
        RealtimeTransport { client, store, http, wait: Duration::ZERO }
    }

    /// The same transport; its writes wait up to `wait` for a connection where there is none, instead of failing at
    /// once. The wait is no longer than a command may take (default: 30 s). A write that was not sent by then fails
    /// with [`Network`](DustErr::Network).
    pub(super) fn waiting(&self, wait: Duration) -> RealtimeTransport {
        RealtimeTransport { wait, ..self.clone() }
    }

    pub(super) fn http(&self) -> Arc<HttpTransport> {
        Arc::clone(&self.http)
    }

    /// The same transport for one call, whose requests over HTTP share one deadline.
    pub(super) fn begin(&self) -> RealtimeTransport {
        RealtimeTransport { http: Arc::new(self.http.begin()), ..self.clone() }
    }

    async fn write_through(&self, kind: CommandKind) -> Result<Receipt, DustErr> {
        let made_at = match &kind {
            CommandKind::Write { op, .. }
                if matches!(op.mutation, Mutation::Increment(_) | Mutation::Add(_) | Mutation::Remove(_)) =>
            {
                Some(op.path.clone())
            }
            CommandKind::PutFile(file) => Some(file.path.clone()),
            _ => None,
        };
        match self.client.command(self.store, kind, self.wait).await {
            Ok(Written { store_seq, value }) => match made_at {
                // A snapshot replaced the op: it has the value, or a later one.
                Some(path) if value.is_none() => {
                    let leaf = self.client.mirror(self.store).await?.get(&path);
                    Ok(Receipt { value: leaf.map(|leaf| leaf.value), ..Receipt::new(store_seq) })
                }
                _ => Ok(Receipt { value, ..Receipt::new(store_seq) }),
            },
            // In a future of its own, so that every other write needs no room for it.
            Err(error) => Err(Box::pin(self.read_up(error)).await),
        }
    }

    /// The error for an operation that neither the socket nor HTTP supports.
    fn refuse(&self, operation: &str, hint: &str) -> DustErr {
        DustErr::NotSupported { operation: operation.to_owned(), transport: self.name(), hint: hint.to_owned() }
    }

    /// Refreshes the mirror after a write that lost against another one, so that the next read of the caller returns
    /// the winner's and the caller does not lose again in the same way.
    async fn read_up(&self, mut error: DustErr) -> DustErr {
        let (DustErr::Conflict { path, current, .. } | DustErr::Exists { path, current }) = &mut error else {
            return error;
        };
        // If the refresh fails, the error is the same.
        let _ = self.client.command(self.store, CommandKind::Refresh, Duration::ZERO).await;
        // A refusal over the socket does not contain the revision.
        if let (None, Ok(path), Ok(mirror)) = (&current, Path::parse(path), self.client.mirror(self.store).await) {
            *current = mirror.get(&path).map(|entry| entry.revision);
        }
        error
    }

    async fn write_one(&self, mut op: Op, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        self.client.check_scope(self.store, WRITE, || format!("{} of `{}`", op.kind().name(), op.path))?;
        if op.precondition.is_some() {
            Box::pin(self.resolve(std::slice::from_mut(&mut op))).await.map_err(|error| match error {
                DustErr::Conflict { path, current, .. } => DustErr::Conflict { path, current, op_index: None },
                other => other,
            })?;
        }
        self.write_through(CommandKind::Write { op, fence }).await
    }

    /// Replaces the revisions in guards with those of the server.
    ///
    /// A snapshot does not contain revisions: its leaves have the revision of the snapshot, which is the highest that
    /// they can have. A leaf whose revision on the server is not above the one that was read has not changed since.
    async fn resolve(&self, ops: &mut [Op]) -> Result<(), DustErr> {
        let inexact_through = self.client.mirror(self.store).await?.inexact_through();
        let inexact = |(index, op): (usize, &Op)| match op.precondition {
            Some(Precondition::IfMatch(revision)) if revision <= inexact_through => Some((index, revision)),
            _ => None,
        };
        let inexact: Vec<(usize, u64)> = ops.iter().enumerate().filter_map(inexact).collect();
        if inexact.is_empty() {
            return Ok(());
        }
        let paths: Vec<Path> = inexact.iter().map(|(index, _)| ops[*index].path.clone()).collect();
        let found = self.http.get_many(&paths).await?;
        for ((index, revision), leaf) in inexact.into_iter().zip(found) {
            match leaf {
                Some(leaf) if leaf.revision <= revision => {
                    ops[index].precondition = Some(Precondition::IfMatch(leaf.revision));
                }
                leaf => {
                    let current = leaf.map(|leaf| leaf.revision);
                    let path = ops[index].path.to_string();
                    return Err(self.read_up(DustErr::Conflict { path, current, op_index: Some(index) }).await);
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Transport for RealtimeTransport {
    fn name(&self) -> &'static str {
        "realtime"
    }

    fn for_call(&self) -> Option<Arc<dyn Transport>> {
        Some(Arc::new(self.begin()))
    }

    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        Some(Arc::new(RealtimeTransport { client: self.client.without_life(), ..self.clone() }))
    }

    fn requests(&self) -> usize {
        self.http.requests()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            if_subtree_absent: false,
            fences: true,
            fenced_batches: false,
            merges_fields: true,
            typed_ops: true,
            subscribe: true,
            remote: false,
            ..self.http.capabilities()
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        nul::check_list(request)?;
        let page = self.client.mirror(self.store).await?.list(request)?;
        pace(page.items.len()).await;
        Ok(page)
    }

    async fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        nul::check_list(request)?;
        let page = self.client.mirror(self.store).await?.list_leaves(request)?;
        pace(page.leaves.len()).await;
        Ok(page)
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        nul::check_path(path)?;
        let page = self.client.mirror(self.store).await?.below(path, after);
        pace(page.leaves.len()).await;
        Ok(page)
    }

    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        nul::check_path(path).ok()?;
        // If the budget is used up, `list_subtree` is called, which lets other tasks run.
        pace(0).now_or_never()?;
        Some(self.client.last_known(self.store)?.below(path, after))
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        nul::check_path(path)?;
        pace(0).await;
        Ok(self.client.mirror(self.store).await?.get(path))
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        nul::check_paths(paths)?;
        pace(paths.len()).await;
        self.client.mirror(self.store).await?.get_many(paths)
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        nul::check_path(path)?;
        pace(0).await;
        let mirror = self.client.mirror(self.store).await?;
        Ok(mirror.exists(path) && has_leaf(&mirror.list(&first_two_below(path))?))
    }

    async fn write(&self, mut ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        nul::check_write(&ops, fence.as_ref())?;
        if ops.len() == 1
            && let Some(op) = ops.pop()
        {
            return self.write_one(op, fence).await;
        }
        check_batch(&ops).map_err(|error| DustErr::invalid_params(error.to_string()))?;
        self.client.check_scope(self.store, WRITE, || "a batch".to_owned())?;
        let merge = as_merge(&ops, &*self.client.mirror(self.store).await?);
        if let Some(op) = merge {
            let receipt = self.write_through(CommandKind::Write { op, fence }).await?;
            // One op has set all fields.
            let revisions = receipt.store_seq.map_or(Vec::new(), |store_seq| vec![store_seq; ops.len()]);
            return Ok(receipt.with_revisions(revisions));
        }
        if fence.is_some() {
            let operation = "a fence for more than the fields of one record";
            return Err(self.refuse(operation, "write the records one by one, each under the fence"));
        }
        self.resolve(&mut ops).await?;
        let receipt = match self.http.write(ops, None).await {
            Ok(receipt) => receipt,
            Err(error) => return Err(self.read_up(error).await),
        };
        // Without a connection the mirror cannot have the batch, and readers can see that the mirror is behind.
        if let Some(store_seq) = receipt.store_seq.filter(|_| !self.client.is_offline(self.store)) {
            match self.client.command(self.store, CommandKind::CatchUp(store_seq), Duration::ZERO).await {
                // The batch is written although the client has ended.
                Ok(_) | Err(DustErr::Network { .. }) => {}
                // The client was stopped while its mirror was behind: readers use another transport, or can see that
                // the mirror is behind.
                Err(DustErr::Timeout { .. }) if self.client.is_offline(self.store) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(receipt)
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        if fence.is_some() {
            return Err(self.refuse("a fenced put_file", "upload without the fence"));
        }
        nul::check_path(&file.path)?;
        self.client.check_scope(self.store, "files:write", || format!("put_file of `{}`", file.path))?;
        self.write_through(CommandKind::PutFile(file)).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        self.http.fetch_file(hash).await
    }

    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        self.client.hub(self.store).await
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        *op.device_id == *self.client.device_id() || self.http.has_sent(op)
    }
}

/// A batch as one `merge`, if that has the same effect: it sets children of one path, each once, without conditions. At
/// least one child is a leaf; if all are objects they are records, and each is an op of its own.
///
/// A `set` also removes the leaves below a child, a `merge` only if the child becomes an object. So the effect is not
/// the same if there are leaves below a child that becomes a leaf.
fn as_merge(ops: &[Op], mirror: &Mirror) -> Option<Op> {
    let parent = ops.first()?.path.parent()?;
    if ops.iter().all(|op| op.value().is_none_or(is_subtree)) {
        return None;
    }
    // A new record has nothing below any child.
    let is_new = mirror.is_vacant_below(&parent);
    let mut object =
        String::with_capacity(ops.iter().map(|op| op.value().map_or(0, |value| value.as_str().len()) + 24).sum());
    object.push('{');
    let mut seen = std::collections::BTreeSet::new();
    for op in ops {
        let value = op.value()?;
        let key = op.path.key_below(&parent).filter(|key| op.precondition.is_none() && seen.insert(*key))?;
        // From an object with this key a catch-up would return only that member.
        if key == "_scalar" {
            return None;
        }
        if !(is_new || is_subtree(value) || mirror.is_vacant_below(&op.path)) {
            return None;
        }
        if object.len() > 1 {
            object.push(',');
        }
        value::push_string(&unescape(key), &mut object);
        object.push(':');
        object.push_str(value.as_str());
    }
    object.push('}');
    Some(Op::new(parent, Mutation::Merge(RawJson::from_trusted(object))))
}

#[cfg(test)]
mod tests;
