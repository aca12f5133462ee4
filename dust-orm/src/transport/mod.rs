//! Transports: the ways to a Dust store. A [`Transport`] has paths, leaves and ops, and no entities.

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
use dust_protocol::{CommittedOp, Entry, Fence, FileUpload, LeafPage, ListItem, ListRequest, Op, Page, Path, RawJson};

pub use crate::feed::hub::Hub;
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

/// A way to one Dust store: embedded, HTTP or realtime.
///
/// The trait is object-safe. An operation that a transport lacks is absent from its [`Capabilities`] and returns
/// [`DustErr::NotSupported`] before anything is sent.
///
/// Dropping a future cancels the wait, not the effect: a write that was already sent may still be applied.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// The name of the transport in errors, logs and `repo.transport()`.
    fn name(&self) -> &'static str;

    /// The same transport for the requests of one call, which share one deadline that begins now. `None` if calls have
    /// no deadline (default).
    fn for_call(&self) -> Option<Arc<dyn Transport>> {
        None
    }

    /// The same transport for a subscription, if a subscription must not keep the transport's resources alive. `None`
    /// if it may (default).
    fn for_subscription(&self) -> Option<Arc<dyn Transport>> {
        None
    }

    /// The number of requests that were sent [for the call](Transport::for_call), retries included; 0 for a transport
    /// that sends none (default).
    fn requests(&self) -> usize {
        0
    }

    /// The abilities of this transport.
    fn capabilities(&self) -> Capabilities;

    /// One page of leaves, keys or prefixes.
    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr>;

    /// One page of whole leaves, packed, in the order of the list: the page of [`list`](Transport::list) for a request
    /// that selects [whole leaves](dust_protocol::Select::Entries). [`DustRepo::find`](crate::DustRepo::find) reads
    /// ranges by this method. The default calls `list`.
    async fn list_leaves(&self, request: &ListRequest) -> Result<LeafPage, DustErr> {
        let request = request.clone().select(dust_protocol::Select::Entries);
        let Page { items, next_cursor, .. } = self.list(&request).await?;
        Ok(LeafPage::new(items.into_iter().filter_map(ListItem::into_entry).collect(), next_cursor))
    }

    /// One page of the leaves below a path, exact in case and in the order of the paths: the first page, or the one
    /// after the cursor `after`. Entities are read by this method. The default lists the pattern `<path>/**` by
    /// [`list`](Transport::list).
    async fn list_subtree(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        self.list_leaves(&ListRequest::below(path, after)?).await
    }

    /// The result of [`list_subtree`](Transport::list_subtree), if it needs no wait. `None` (default) makes the caller
    /// use `list_subtree`.
    fn try_list_subtree(&self, path: &Path, after: Option<&str>) -> Option<LeafPage> {
        let _ = (path, after);
        None
    }

    /// One leaf, or the object assembled from the leaves below an interior path. `None` when there is neither.
    ///
    /// Entities are never read this way: for an interior path a server ignores ASCII case.
    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr>;

    /// The leaves at exactly these paths, in the same order; at most
    /// [`MAX_GET_MANY_PATHS`](dust_protocol::list::MAX_GET_MANY_PATHS).
    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr>;

    /// True if there is a leaf below `path`, exact in case. The claim of an insert that is under way, which is one
    /// leaf, does not count.
    async fn exists(&self, path: &Path) -> Result<bool, DustErr>;

    /// Applies one op, or an atomic batch of several. Each op has its own `store_seq`, unless
    /// [`merges_fields`](Capabilities::merges_fields) is set. If there is a fence, its lease must be held. The receipt
    /// is that of the last op, and has the [revisions](Receipt::revisions) of all, if they are known.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) for several ops that are not
    /// [a batch](dust_protocol::check_batch): at most [`MAX_BATCH_OPS`](dust_protocol::list::MAX_BATCH_OPS) `set` and
    /// `delete` ops. If an op of a batch is refused, the error has its index.
    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr>;

    /// Stores the bytes of a file and writes a reference to them, which the receipt contains.
    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let _ = (file, fence);
        Err(self.capabilities().refuse(self.name(), "put_file"))
    }

    /// The bytes of a file by their [hash](dust_protocol::content_hash). The caller compares the bytes with the hash.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DustErr::NotFound) for a file without a reference in the store. A server returns
    /// [`Unauthorized`](DustErr::Unauthorized) instead.
    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        let _ = hash;
        Err(self.capabilities().refuse(self.name(), "fetch_file"))
    }

    /// The hub that publishes committed ops. It is returned when every op that was readable at the call is published: a
    /// subscriber that is added afterwards receives later ops only.
    async fn op_hub(&self) -> Result<Arc<Hub>, DustErr> {
        Err(self.capabilities().refuse(self.name(), "subscribe"))
    }

    /// True if an op was written through this transport (default: false).
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
    /// The new value, for ops whose result only the store knows: for `increment`, `add` and `remove` the new value of
    /// the leaf, for `lease` and `renew` the lease, for `put_file` the reference. `None` for other ops.
    pub value: Option<RawJson>,
    /// The revision of the leaves of each op, in the order of the ops. Empty if the transport does not know them: each
    /// op then has its own `store_seq`, without gaps, of which [`store_seq`](Receipt::store_seq) is the last.
    pub revisions: Vec<u64>,
}

impl Receipt {
    /// The receipt of the op that was committed as `store_seq`; `None` when nothing was committed.
    pub fn new(store_seq: Option<u64>) -> Receipt {
        Receipt { store_seq, value: None, revisions: Vec::new() }
    }

    /// Sets the value that the op has made.
    pub fn with_value(self, value: RawJson) -> Receipt {
        Receipt { value: Some(value), ..self }
    }

    /// Sets the revision of each op, in the order of the ops.
    ///
    /// ```
    /// use dust_orm::transport::Receipt;
    ///
    /// assert_eq!(Receipt::new(Some(8)).with_revisions(vec![7, 8]).revisions, [7, 8]);
    /// ```
    pub fn with_revisions(self, revisions: Vec<u64>) -> Receipt {
        Receipt { revisions, ..self }
    }

    /// The revision of each of the `ops` ops that were written.
    pub(crate) fn op_revisions(self, ops: usize) -> Vec<u64> {
        if self.revisions.len() == ops {
            return self.revisions;
        }
        let last = self.store_seq.unwrap_or_default();
        let mut revisions: Vec<u64> = (0..ops).zip(0..).map(|(_, before)| last.saturating_sub(before)).collect();
        revisions.reverse();
        revisions
    }
}

/// A list of the first two leaves below a path, which suffice to distinguish a claim, which is one leaf, from a record.
#[cfg(any(feature = "embedded", feature = "realtime"))]
fn first_two_below(path: &Path) -> ListRequest {
    let (order, select) = (dust_protocol::Order::Ascending, dust_protocol::Select::Entries);
    ListRequest::new(dust_protocol::Selector::below(path)).limit(2).order(order).select(select)
}

/// True if one of the [first two](first_two_below) leaves is not a claim.
#[cfg(any(feature = "embedded", feature = "realtime"))]
fn has_leaf(page: &Page) -> bool {
    match page.items.as_slice() {
        [ListItem::Entry(leaf)] => !dust_protocol::value::is_claim(leaf.value.as_str()),
        leaves => !leaves.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::Receipt;

    #[test]
    fn receipt_without_revisions_counts_back_from_its_last_op() {
        assert_eq!(Receipt::new(Some(9)).op_revisions(3), [7, 8, 9]);
        assert_eq!(Receipt::new(Some(9)).with_revisions(vec![9; 3]).op_revisions(3), [9, 9, 9]);
        // An answer that lists another number of ops.
        assert_eq!(Receipt::new(Some(9)).with_revisions(vec![1]).op_revisions(2), [8, 9]);
        assert!(Receipt::new(None).op_revisions(0).is_empty());
        assert_eq!(Receipt::new(Some(1)).op_revisions(3), [0, 0, 1]);
    }
}
