//! The transport over HTTP, to a Dust server.

mod attempt;
mod body;
mod budget;
mod call;
mod clients;
mod pacer;
mod pages;
mod request;
mod tls;
mod trace;
mod window;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use dust_protocol::file::is_content_hash;
use dust_protocol::http::{self as wire};
use dust_protocol::list::MAX_PAGE_LEAVES;
use dust_protocol::{Entry, Fence, LeafPage, ListRequest, Op, Page, Path, Select, Selector};
use reqwest::Url;

use super::{Capabilities, Receipt, Transport, nul};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::error::http::{About, Call, Operation};
#[cfg(feature = "realtime")]
use crate::realtime::StoreRegistration;
use crate::runtime::{Runtime, SystemRuntime};
use budget::Budget;
use call::Begun;
use clients::Clients;
use pacer::Pacer;
use request::{Request, Root};

/// HTTP transport to one store of a Dust server. A clone is cheap, and any number of calls may run concurrently. Needs
/// a tokio runtime, and keeps a pool of connections for each runtime that uses it.
///
/// [`RetryPolicy`](crate::RetryPolicy) defines which requests are repeated. A call of a repo, with all its requests,
/// ends by the [`deadline`](crate::config::DustConfigBuilder::deadline) of the configuration, and so does each call of
/// a method of this transport. Dropping the future of a call ends the call at once; a write that is in progress then
/// may or may not be applied.
///
/// # Lists
///
/// Records are read by listing the leaves below a path. These are listed by range, because a server takes longer for a
/// list by pattern the larger its store is. The transport detects once that a server does not support ranges, and lists
/// by pattern from then on. A page whose answer is larger than
/// [`max_answer`](crate::config::DustConfigBuilder::max_answer) is requested again in smaller pages.
///
/// Requests go through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, except to a server that
/// `NO_PROXY` names and to a server on this machine. A proxy with a scheme other than `http` and `https` is an error of
/// [`new`](HttpTransport::new).
///
/// Each request, with its retries, is one `tracing` event of level debug and target `dust_orm::op` in the span of the
/// caller. The event has OpenTelemetry's `db.*` fields, `duration_ms`, `retries` and `outcome`.
///
/// # A server without `batch_write`
///
/// Older servers lack this route. The transport detects this once and remembers it. From then on it sends a batch op by
/// op if the batch is only a plain write of one record: its ops have no conditions, different paths and the same
/// parent. This is **not atomic**: the ops are sent in the order given, up to the first that fails. If some ops were
/// applied before the failure, the error is a [`Timeout`](DustErr::Timeout), because the write is applied in part. Any
/// other batch is [`NotImplemented`](DustErr::NotImplemented).
///
/// # Paths that no URL can hold
///
/// A path with a segment `.` or `..`, or one of more than about 7 kB, is written by the routes that take the path in
/// the body, and read by the routes of `get_many` and `list`. The leaves below a long path are listed by shorter bounds
/// around it. The error is [`InvalidParams`](DustErr::InvalidParams) if a thousand or more leaves are between those
/// bounds, and for a pattern that no URL can hold.
#[derive(Clone)]
pub struct HttpTransport {
    config: Arc<DustConfig>,
    store: Arc<str>,
    /// `<base>/api/stores/<org>/<name>/entries`
    entries: Arc<Url>,
    /// `<base>/api/files`
    files: Arc<Url>,
    clients: Arc<Clients>,
    world: Arc<dyn Runtime>,
    /// The prefix of the ids of its requests.
    ids: Arc<str>,
    budget: Arc<Budget>,
    pacer: Option<Arc<Pacer>>,
    server: Arc<Server>,
    /// The call whose requests this transport sends, if it was made for one.
    begun: Option<Arc<Begun>>,
    /// The registration that notifies clients of this transport's writes.
    #[cfg(feature = "realtime")]
    registration: Option<Arc<StoreRegistration>>,
}

/// The detected properties of a server.
#[derive(Debug)]
struct Server {
    lacks_batch_write: AtomicBool,
    lacks_ranges: AtomicBool,
    /// The maximum number of leaves in a page whose answer is not too large.
    page_size: AtomicUsize,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("config", &self.config).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Creates a transport to the store of a configuration, without sending anything.
    ///
    /// # Errors
    ///
    /// Fails if TLS cannot be set up, if the base URL cannot be used, or if the environment names a proxy with a scheme
    /// other than `http` and `https`.
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
        HttpTransport::in_world(config, Arc::new(SystemRuntime::new()))
    }

    fn in_world(config: DustConfig, world: Arc<dyn Runtime>) -> Result<HttpTransport, DustErr> {
        let store = config.store();
        let root = |path: &str| {
            let base = config.base_url();
            Url::parse(&format!("{base}{path}")).map_err(|error| {
                DustErr::invalid_params(format!("the base URL `{base}` cannot be used: {error}")).with_source(error)
            })
        };
        Ok(HttpTransport {
            clients: Arc::new(Clients::new(&config)?),
            entries: root(&format!("/api/stores/{store}/entries"))?.into(),
            files: root("/api/files")?.into(),
            store: store.into(),
            ids: call::request_ids(world.random()),
            world,
            budget: Arc::new(Budget::new(config.retry().budget)),
            pacer: config.pace_writes().then(Arc::default),
            server: Arc::new(Server {
                lacks_batch_write: AtomicBool::new(false),
                lacks_ranges: AtomicBool::new(false),
                page_size: AtomicUsize::new(MAX_PAGE_LEAVES),
            }),
            begun: None,
            #[cfg(feature = "realtime")]
            registration: None,
            config: Arc::new(config),
        })
    }

    /// The same transport with another prefix of its requests' ids.
    #[cfg(feature = "realtime")]
    pub(super) fn marked(self, mark: u64) -> HttpTransport {
        HttpTransport { ids: call::request_ids(mark), ..self }
    }

    /// The same transport, which also notifies clients of its writes.
    #[cfg(feature = "realtime")]
    pub(super) fn notifying(&self, registration: Arc<StoreRegistration>) -> HttpTransport {
        HttpTransport { registration: Some(registration), ..self.clone() }
    }

    /// Notifies clients that follow the store of a write, because a server does not.
    #[cfg_attr(not(feature = "realtime"), allow(unused_variables))]
    fn notify_write(&self, store_seq: u64) {
        #[cfg(feature = "realtime")]
        if let Some(registration) = &self.registration {
            registration.notify_write(store_seq);
        }
    }

    /// True if an op was sent with a request of this transport: a server uses the ids of requests as the ids of ops.
    #[cfg(feature = "realtime")]
    pub(super) fn has_sent(&self, op: &dust_protocol::CommittedOp) -> bool {
        op.client_op_id.starts_with(&*self.ids)
    }

    /// The URL of a request. Parses only the part that the request adds, not the host each time.
    fn url(&self, request: &Request) -> Url {
        let mut url = match request.root {
            Root::Entries => Url::clone(&self.entries),
            Root::Files => Url::clone(&self.files),
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
}

#[async_trait]
impl Transport for HttpTransport {
    fn name(&self) -> &'static str {
        "http"
    }

    fn for_call(&self) -> Option<Arc<dyn Transport>> {
        Some(Arc::new(self.begin()))
    }

    fn requests(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.requests.load(Ordering::Relaxed))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { remote: true, batch_bytes: wire::MAX_BODY, ..Capabilities::default() }
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        nul::check_list(request)?;
        self.page(self.about(Operation::List, About::Selection(&request.selector)), self.deadline(), request).await
    }

    async fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        nul::check_list(request)?;
        let request = request.clone().select(Select::Entries);
        self.page(self.about(Operation::List, About::Selection(&request.selector)), self.deadline(), &request).await
    }

    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        nul::check_path(path)?;
        let request = ListRequest::new(Selector::below(path)).after(after.map(str::to_owned));
        self.page(self.about(Operation::List, About::Below(path)), self.deadline(), &request).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        nul::check_path(path)?;
        self.leaf(path, self.deadline()).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        nul::check_paths(paths)?;
        self.leaves(paths, self.deadline()).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        nul::check_path(path)?;
        self.has_leaf_below(path, self.deadline()).await
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        if fence.is_some() {
            return Err(self.refuse("a fenced write"));
        }
        nul::check_write(&ops, None)?;
        let answer = match ops.as_slice() {
            [op] => self.single(op).await?,
            ops => self.batch(ops).await?,
        };
        self.notify_write(answer.store_seq);
        Ok(Receipt::new(Some(answer.store_seq)).with_revisions(answer.revisions))
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        let call = self.about(Operation::FetchFile, About::File(hash));
        // The hash may come from a record that anyone wrote, and must not lead to another place on the server.
        if !is_content_hash(hash) {
            return Err(call.invalid("a file's hash is `sha256:` and 64 hexadecimal digits"));
        }
        self.call(call, self.deadline(), Request::fetch_file(hash), |body| Ok(body.to_vec())).await
    }
}

#[cfg(test)]
mod tests;
