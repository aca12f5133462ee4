//! Transports: the ways to a Dust store. [`Transport`] speaks Dust's language, not that of entities.

mod capabilities;
mod delegate;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "realtime")]
mod failover;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "embedded", feature = "http"))]
mod nul;
#[cfg(feature = "realtime")]
mod realtime;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dust_protocol::{
    BatchOp, CommittedOp, Entry, Fence, FileUpload, LeafPage, ListItem, ListRequest, Page, Path, RawJson, Write,
};

pub use capabilities::Capabilities;
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedTransport;
#[cfg(feature = "realtime")]
pub(crate) use failover::Failover;
#[cfg(feature = "http")]
pub use http::HttpTransport;
#[cfg(feature = "realtime")]
pub use realtime::RealtimeTransport;

use crate::error::DustErr;
use crate::feed::Hub;

/// A way to one Dust store: embedded, HTTP or realtime.
///
/// Object-safe, so that a repo can hold any. What a transport cannot do is absent from its [`Capabilities`] and answered
/// with [`DustErr::NotSupported`] before anything is sent.
///
/// Dropping a future cancels the wait, not the effect: a write that was already handed over may still be applied.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// The name in errors, logs and `repo.transport()`.
    fn name(&self) -> &'static str;

    /// The same transport for the requests of one call, which end together by one deadline that begins now. `None`
    /// where calls have none.
    fn for_call(&self) -> Option<Arc<dyn Transport>> {
        None
    }

    /// The same transport for a subscription, which lasts and must not keep alive what is to end with its last user.
    /// `None` where it may.
    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        None
    }

    /// The number of requests that were sent [for the call](Transport::for_call), retries included; 0 where none are
    /// sent.
    fn requests(&self) -> usize {
        0
    }

    /// What this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// One page of leaves, keys or prefixes.
    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr>;

    /// Some leaves below a path, exact in case and in order: from the first on, or after the cursor of the page before. What
    /// entities are read by. The same as the pages of [`list`](Transport::list) with the pattern `<path>/**`, which answers it
    /// unless a transport has a quicker way.
    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        let Page { items, next_cursor } = self.list(&ListRequest::below(path, after)?).await?;
        Ok(LeafPage { leaves: items.into_iter().filter_map(ListItem::into_entry).collect(), next_cursor })
    }

    /// What [`list_subtree`](Transport::list_subtree) would answer, where it takes no waiting to say so; that is asked where this is `None`.
    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        let _ = (path, after);
        None
    }

    /// One leaf, or the object assembled from the leaves below an interior path. `None` when there is neither.
    ///
    /// Entities are never read this way: for an interior path a server ignores ASCII case.
    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr>;

    /// The leaves at exactly these paths, in the same order; at most [`MAX_GET_MANY_PATHS`](dust_protocol::list::MAX_GET_MANY_PATHS).
    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr>;

    /// Whether there is a leaf below `path`. Exact in case. The leaf with which an insert that is under way has claimed
    /// a record for itself counts for none.
    async fn exists(&self, path: &Path) -> Result<bool, DustErr>;

    /// One write.
    async fn write(&self, write: Write) -> Result<Receipt, DustErr>;

    /// Several `set` and `delete` ops, all applied or none, each with its own `store_seq` unless
    /// [`merges_fields`](Capabilities::merges_fields) says otherwise; at most
    /// [`MAX_BATCH_OPS`](dust_protocol::list::MAX_BATCH_OPS). Answers the `store_seq` of the last.
    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr>;

    /// Keeps a file's bytes and writes a reference to them, which is in the receipt.
    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let _ = (file, fence);
        Err(self.capabilities().refuse(self.name(), "put_file"))
    }

    /// The bytes of a file by their [hash](dust_protocol::content_hash), as they come: the caller checks them. A file
    /// that nothing in the store refers to is [`NotFound`](DustErr::NotFound), or, from a server, which does not tell
    /// the two apart, [`Unauthorized`](DustErr::Unauthorized).
    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        let _ = hash;
        Err(self.capabilities().refuse(self.name(), "fetch_file"))
    }

    /// The hub through which this transport tells of committed ops, once it has told of every op that could be read when
    /// this was called: whoever subscribes after this hears of later ops only.
    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        Err(self.capabilities().refuse(self.name(), "subscribe"))
    }

    /// Whether an op was written through this transport.
    fn is_own(&self, op: &CommittedOp) -> bool {
        let _ = op;
        false
    }
}

/// The transport that a subscription holds.
pub(crate) fn for_subscription(transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    transport.for_subscription().unwrap_or(transport)
}

/// The answer of a store to a write.
///
/// ```
/// use dust_orm::transport::Receipt;
///
/// let set = Receipt::new(Some(7));
/// assert_eq!((set.store_seq, &set.value), (Some(7), &None));
/// let increment = Receipt::new(Some(8)).with_value(serde_json::json!(3).into());
/// assert_eq!(increment.value.unwrap().as_str(), "3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The op's place in the store's order; the revision of the leaves it wrote. `None` when nothing was committed,
    /// which happens only when a lease is released with a token that no longer matches.
    pub store_seq: Option<u64>,
    /// The value that the op has made, where only the store knows: for `increment`, `add` and `remove` the new value of
    /// the leaf, for `lease` and `renew` the lease, for `put_file` the reference. `None` for other ops.
    pub value: Option<RawJson>,
}

impl Receipt {
    /// The receipt of the op that was committed as `store_seq`; `None` when nothing was committed.
    pub fn new(store_seq: Option<u64>) -> Receipt {
        Receipt { store_seq, value: None }
    }

    /// Sets the value that the op has made.
    pub fn with_value(self, value: RawJson) -> Receipt {
        Receipt { value: Some(value), ..self }
    }
}

/// The first leaves below a path, as many as tell a claim from a record.
#[cfg(any(feature = "embedded", feature = "realtime"))]
fn first_two_below(path: &Path) -> ListRequest {
    let (order, select) = (dust_protocol::Order::Ascending, dust_protocol::Select::Entries);
    ListRequest { selector: dust_protocol::Selector::below(path), limit: 2, order, select, after: None }
}

/// Whether there is a leaf among the [first two](first_two_below) that is no claim.
#[cfg(any(feature = "embedded", feature = "realtime"))]
fn has_leaf(page: &Page) -> bool {
    match page.items.as_slice() {
        [ListItem::Entry(leaf)] => !dust_protocol::value::is_claim(leaf.value.as_str()),
        leaves => !leaves.is_empty(),
    }
}
