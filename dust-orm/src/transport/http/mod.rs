//! The transport over HTTP, to a Dust server.

mod attempt;
mod body;
mod budget;
mod call;
mod pacer;
mod request;
mod tls;
mod trace;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};

use super::{Capabilities, Receipt, Transport};
use crate::config::DustConfig;
use crate::entity::Measure;
use crate::error::DustErr;
use crate::protocol::file::is_content_hash;
use crate::protocol::http::{self as wire, About, Call, Condition, Operation};
use crate::protocol::list::MAX_PAGE;
use crate::protocol::{
    BatchOp, Entry, Fence, Glob, LeafKind, LeafPage, ListItem, ListRequest, Op, Order, Page, Path, Precondition,
    RawJson, Select, Selector, Write, flatten,
};
#[cfg(feature = "realtime")]
use crate::sync::Slot;
use crate::world::{RealWorld, World};
use budget::Budget;
use call::Deadline;
use pacer::Pacer;
use request::{Request, Root};

/// Shorter than the 60 s after which a server closes an idle connection: a request that meets the closing is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Speaks HTTP to one store of a Dust server, with one connection pool. Cheap to clone; any number of calls may be under
/// way at once. Needs a tokio runtime.
///
/// What is tried again, and what is not, is told by [`RetryPolicy`](crate::RetryPolicy). A call ends by the
/// [`deadline`](crate::config::DustConfigBuilder::deadline) of the configuration; dropping its future ends it at once, and
/// a write that was under way may or may not be applied.
///
/// The proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name are used, but not for a server on this machine.
///
/// Every request, with its retries, is one `tracing` event of level debug and target `dust_orm::op`, in the span of the
/// caller; it has OpenTelemetry's `db.*` fields, `duration_ms`, `retries` and `outcome`.
///
/// # A server without `batch_write`
///
/// Older servers lack this route. It is found out once and remembered. A batch that is no more than a plain write of one
/// record, which is to say that its ops have no conditions, different paths and the same parent, is then sent op by op:
/// **not atomic**, in the order given, ending with the first that fails. When some had been applied by then, the error is a
/// [`Timeout`](DustErr::Timeout), as the write is applied in part. Any other batch is
/// [`NotImplemented`](DustErr::NotImplemented).
///
/// # Paths that no URL can hold
///
/// A path with a segment `.` or `..`, or one of more than some 7 kB, is written by the routes that take the path in the
/// body, and read by those of `get_many` and `list`.
#[derive(Clone)]
pub struct HttpTransport {
    config: DustConfig,
    store: Arc<str>,
    /// `<base>/api/stores/<org>/<name>/entries`
    entries: Url,
    /// `<base>/api/files`
    files: Url,
    client: Client,
    world: Arc<dyn World>,
    /// What the ids of its requests begin with.
    ids: Arc<str>,
    budget: Arc<Budget>,
    pacer: Option<Arc<Pacer>>,
    lacks_batch_write: Arc<AtomicBool>,
    /// Where those who follow the store hear of what is written.
    #[cfg(feature = "realtime")]
    told: Option<Arc<Slot>>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("config", &self.config).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport to the store of a configuration. Nothing is sent yet. Fails where TLS cannot be set up.
    ///
    /// ```
    /// use dust_orm::DustConfig;
    /// use dust_orm::transport::{HttpTransport, Transport};
    ///
    /// let config = DustConfig::builder().store("acme/reading").token("t").base_url("http://127.0.0.1:7755").build()?;
    /// assert_eq!(HttpTransport::new(config)?.name(), "http");
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn new(config: DustConfig) -> Result<HttpTransport, DustErr> {
        HttpTransport::in_world(config, Arc::new(RealWorld::new()))
    }

    fn in_world(config: DustConfig, world: Arc<dyn World>) -> Result<HttpTransport, DustErr> {
        let store = config.store();
        let root = |path: &str| {
            let base = config.base_url();
            Url::parse(&format!("{base}{path}"))
                .map_err(|error| DustErr::InvalidParams(format!("the base URL `{base}` cannot be used: {error}")))
        };
        Ok(HttpTransport {
            client: client(&config)?,
            entries: root(&format!("/api/stores/{store}/entries"))?,
            files: root("/api/files")?,
            store: store.into(),
            ids: call::request_ids(world.random()),
            world,
            budget: Arc::new(Budget::new(config.retry().budget)),
            pacer: config.pace_writes().then(Arc::default),
            lacks_batch_write: Arc::default(),
            #[cfg(feature = "realtime")]
            told: None,
            config,
        })
    }

    /// The same, with another beginning of its requests' ids.
    #[cfg(feature = "realtime")]
    pub(super) fn marked(self, mark: u64) -> HttpTransport {
        HttpTransport { ids: call::request_ids(mark), ..self }
    }

    /// The same, except that clients hear of what is written.
    #[cfg(feature = "realtime")]
    pub(super) fn telling(&self, slot: Arc<Slot>) -> HttpTransport {
        HttpTransport { told: Some(slot), ..self.clone() }
    }

    /// Tells those who follow the store of a write: a server would not.
    #[cfg_attr(not(feature = "realtime"), allow(unused_variables))]
    fn tell(&self, store_seq: u64) {
        #[cfg(feature = "realtime")]
        if let Some(slot) = &self.told {
            slot.wrote(store_seq);
        }
    }

    /// Whether an op came with one of its requests: a server takes their ids for those of the ops.
    #[cfg(feature = "realtime")]
    pub(super) fn has_sent(&self, op: &crate::protocol::CommittedOp) -> bool {
        op.client_op_id.starts_with(&*self.ids)
    }

    /// The configuration.
    pub fn config(&self) -> &DustConfig {
        &self.config
    }

    /// The URL of a request. Only what is its own is parsed, not the host each time.
    fn url(&self, request: &Request) -> Url {
        let mut url = match request.root {
            Root::Entries => self.entries.clone(),
            Root::Files => self.files.clone(),
        };
        match request.target.strip_prefix('?') {
            Some(query) => url.set_query(Some(query)),
            None if request.target.is_empty() => {}
            None => {
                let path = [url.path(), &request.target].concat();
                url.set_path(&path);
            }
        }
        url
    }

    fn about<'a>(&'a self, operation: Operation, about: About<'a>) -> Call<'a> {
        Call { store: &self.store, operation, about }
    }

    fn refuse(&self, operation: &str) -> DustErr {
        self.capabilities().refuse(self.name(), operation)
    }

    async fn page(
        &self,
        operation: Operation,
        about: About<'_>,
        deadline: Deadline,
        request: &ListRequest,
    ) -> Result<Page, DustErr> {
        let call = self.about(operation, about);
        self.call(call, deadline, Request::list(request), |body| wire::page(body, request)).await
    }

    /// [`get`](Transport::get) of a path that no URL can hold: as one of many, or by a list of what is below it.
    async fn get_otherwise(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        let deadline = self.deadline();
        if let Some(leaf) = self.leaves(std::slice::from_ref(path), deadline).await?.pop().flatten() {
            return Ok(Some(leaf));
        }
        let about = About::Path(path);
        let mut request = all_below(path)?;
        let (mut leaves, mut revision, mut measure) = (Vec::new(), 0, Measure::default());
        loop {
            let page = self.page(Operation::Get, about, deadline, &request).await?;
            for entry in page.items.into_iter().filter_map(ListItem::into_entry) {
                measure.take(path, &entry)?;
                revision = revision.max(entry.revision);
                leaves.push((entry.path, entry.value));
            }
            match page.next_cursor {
                Some(cursor) => request.after = Some(cursor),
                None if leaves.is_empty() => return Ok(None),
                None => break,
            }
        }
        let value = flatten::assemble(path.depth(), leaves);
        Ok(Some(Entry { path: path.clone(), value, kind: LeafKind::Map, revision }))
    }

    /// The leaves at so many paths as one request may name.
    async fn leaves(&self, paths: &[Path], deadline: Deadline) -> Result<Vec<Option<Entry>>, DustErr> {
        let call = self.about(Operation::GetMany, About::Paths(paths.len()));
        self.call(call, deadline, Request::get_many(paths), |body| wire::leaves(body, paths)).await
    }

    async fn set(
        &self,
        path: &Path,
        value: &RawJson,
        condition: Option<Condition>,
        deadline: Deadline,
    ) -> Result<u64, DustErr> {
        let call = self.about(Operation::Set, About::Path(path));
        self.call(call, deadline, Request::set(path, value, condition), wire::store_seq).await
    }

    async fn delete(&self, path: &Path, if_match: Option<u64>, deadline: Deadline) -> Result<u64, DustErr> {
        let call = self.about(Operation::Delete, About::Path(path));
        self.call(call, deadline, Request::delete(path, if_match), wire::store_seq).await
    }

    async fn batch(&self, ops: &[BatchOp]) -> Result<u64, DustErr> {
        let call = self.about(Operation::BatchWrite, About::Ops(ops.len()));
        if ops.is_empty() || ops.len() > MAX_PAGE {
            return Err(call.invalid(&format!("a batch holds 1 to {MAX_PAGE} ops")));
        }
        if ops.iter().any(|op| !matches!(op.precondition, None | Some(Precondition::IfMatch(_)))) {
            return Err(self.refuse("a condition on absence in a batch"));
        }
        let deadline = self.deadline();
        if !self.lacks_batch_write.load(Ordering::Relaxed) {
            match self.call(call, deadline, Request::batch_write(ops), wire::store_seq).await {
                Err(DustErr::NotImplemented { .. }) => {
                    tracing::warn!(
                        store = &*self.store,
                        "this Dust server lacks batch_write: plain writes of a record are sent field by field, which is \
                         not atomic, and other batches fail"
                    );
                    self.lacks_batch_write.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        if is_plain_record(ops) {
            self.one_by_one(&call, ops, deadline).await
        } else {
            Err(DustErr::NotImplemented { operation: call.operation.name().to_owned() })
        }
    }

    /// The ops of a batch as so many requests.
    async fn one_by_one(&self, call: &Call<'_>, ops: &[BatchOp], deadline: Deadline) -> Result<u64, DustErr> {
        let mut last = 0;
        for (done, op) in ops.iter().enumerate() {
            let written = match &op.value {
                // To set an empty object is to delete.
                Some(value) if !is_empty_object(value) => self.set(&op.path, value, None, deadline).await,
                _ => self.delete(&op.path, None, deadline).await,
            };
            last = match written {
                Ok(store_seq) => store_seq,
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    let applied = format!("{done} of {} ops were applied one by one, then: {error}", ops.len());
                    return Err(call.unknown_outcome(&applied));
                }
            };
        }
        Ok(last)
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn name(&self) -> &'static str {
        "http"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            if_vacant: false,
            fences: false,
            fenced_batches: false,
            merges_fields: false,
            typed_ops: false,
            every_value: true,
            subscribe: false,
            remote: true,
            batch_bytes: wire::MAX_BODY,
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        self.page(Operation::List, About::Selection(&request.selector), self.deadline(), request).await
    }

    async fn below(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        let pattern = Glob::render_subtree(path)?;
        let (call, request) = (self.about(Operation::List, About::Pattern(&pattern)), Request::below(&pattern, after));
        self.call(call, self.deadline(), request, |body| wire::leaf_page(body, path, after)).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        let Some(request) = Request::get(path) else { return self.get_otherwise(path).await };
        let call = self.about(Operation::Get, About::Path(path));
        match self.call(call, self.deadline(), request, |body| wire::entry(body, path)).await {
            Ok(entry) => Ok(Some(entry)),
            // A store that does not exist looks the same.
            Err(DustErr::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        let deadline = self.deadline();
        let mut entries = Vec::with_capacity(paths.len());
        for chunk in paths.chunks(MAX_PAGE) {
            entries.append(&mut self.leaves(chunk, deadline).await?);
        }
        Ok(entries)
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        let request = ListRequest { limit: 1, select: Select::Keys, ..all_below(path)? };
        Ok(!self.page(Operation::Exists, About::Path(path), self.deadline(), &request).await?.items.is_empty())
    }

    async fn write(&self, write: Write) -> Result<Receipt, DustErr> {
        let Write { path, op, precondition, fence } = write;
        if fence.is_some() {
            return Err(self.refuse("a fenced write"));
        }
        let condition = match precondition {
            None => None,
            Some(Precondition::IfMatch(revision)) => Some(Condition::IfMatch(revision)),
            Some(Precondition::IfAbsent) => Some(Condition::IfAbsent),
            Some(Precondition::IfVacant) => return Err(self.refuse("a condition on the absence of a whole subtree")),
        };
        let store_seq = match (op, condition) {
            (Op::Set(value), Some(Condition::IfAbsent)) if is_empty_object(&value) => {
                return Err(DustErr::InvalidParams(format!(
                    "set of `{path}`: an empty object leaves nothing behind, so there is nothing to write if absent"
                )));
            }
            // As a body of its own, a server takes it for none.
            (Op::Set(value), _) if is_empty_object(&value) => {
                self.batch(&[BatchOp::set(path, value).on(precondition)]).await?
            }
            (Op::Set(value), condition) => self.set(&path, &value, condition, self.deadline()).await?,
            (Op::Delete, None) => self.delete(&path, None, self.deadline()).await?,
            (Op::Delete, Some(Condition::IfMatch(revision))) => {
                self.delete(&path, Some(revision), self.deadline()).await?
            }
            (Op::Delete, Some(Condition::IfAbsent)) => {
                return Err(DustErr::InvalidParams(format!("delete of `{path}`: it cannot ask for absence")));
            }
            (op, _) => return Err(self.refuse(op.kind().name())),
        };
        self.tell(store_seq);
        Ok(Receipt { store_seq: Some(store_seq), value: None })
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        if fence.is_some() {
            return Err(self.refuse("a fenced batch"));
        }
        let store_seq = self.batch(&ops).await?;
        self.tell(store_seq);
        Ok(store_seq)
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        let call = self.about(Operation::FetchFile, About::File(hash));
        // It may come from a record that anyone wrote, and must not lead elsewhere on the server.
        if !is_content_hash(hash) {
            return Err(call.invalid("a file's hash is `sha256:` and 64 hexadecimal digits"));
        }
        self.call(call, self.deadline(), Request::fetch_file(hash), |body| Ok(body.to_vec())).await
    }
}

/// One client for a configuration: keep-alive, compression, no redirects.
fn client(config: &DustConfig) -> Result<Client, DustErr> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let unusable =
        |error: &dyn fmt::Display| DustErr::InvalidParams(format!("the HTTP client cannot be built: {error}"));
    // The configuration has checked the token; the error would not show it.
    let mut authorization =
        HeaderValue::try_from(format!("Bearer {}", config.token().reveal())).map_err(|error| unusable(&error))?;
    authorization.set_sensitive(true);
    headers.insert(AUTHORIZATION, authorization);

    let mut builder = Client::builder()
        .user_agent(concat!("dust-orm/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        // What may be sent again is decided here, by what it would do.
        // Without the zero a copy of each request would be kept for it all the same.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .connect_timeout(config.connect_timeout())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(config.pool_size());
    if config.http1_only() {
        builder = builder.http1_only();
    }
    if config.is_local() {
        // What runs on this machine is never beyond a proxy.
        builder = builder.no_proxy();
    }
    let https = config.base_url().starts_with("https:");
    tls::choose(builder, https, config.http1_only())?.build().map_err(|error| unusable(&error))
}

/// The list of everything below a path.
fn all_below(path: &Path) -> Result<ListRequest, DustErr> {
    let selector = match Glob::below(path) {
        Some(pattern) => Selector::Pattern(pattern),
        // No pattern can name it. No segment comes before NUL, and `0` follows `/`.
        None => Selector::Range { from: path.child("\0")?, to: Path::parse(&format!("{path}0"))? },
    };
    let (order, select) = (Order::Ascending, Select::Entries);
    Ok(ListRequest { selector, limit: MAX_PAGE, order, select, after: None })
}

/// Whether a batch is no more than the fields of one record, without conditions.
fn is_plain_record(ops: &[BatchOp]) -> bool {
    let parent = ops.first().map(|op| op.path.parent());
    let mut paths: Vec<&Path> = ops.iter().map(|op| &op.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.len() == ops.len() && ops.iter().all(|op| op.precondition.is_none() && Some(op.path.parent()) == parent)
}

fn is_empty_object(value: &RawJson) -> bool {
    value.as_str().strip_prefix('{').is_some_and(|rest| rest.trim_start() == "}")
}

#[cfg(test)]
mod tests;
