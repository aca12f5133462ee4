//! Reads of records: of one, and of all of an entity in pages.

use std::sync::Arc;

use dust_protocol::list::EmptyPages;
use dust_protocol::{LeafPage, ListRequest, Order, PackedLeaves, Path, Pattern, Select, Selector};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::task::coop::unconstrained;

use crate::entity::{
    DustEntity, RecordRef, StoredRecord, check_size, cursor_after, cursor_before, decode, first_record, last_record,
    record_of, records,
};
use crate::error::{DustErr, InvalidRecord};
use crate::transport::Transport;

/// Reads a record. Returns `None` if it has no leaves, or only the claim of an unfinished insert.
pub(super) async fn fetch(transport: &dyn Transport, path: &Path) -> Result<Option<StoredRecord>, DustErr> {
    Ok(fetch_leaves(transport, path).await?.map(|leaves| StoredRecord { path: path.clone(), leaves }))
}

/// Reads the leaves of a record. Returns `None` as [`fetch`] does.
pub(super) async fn fetch_leaves(transport: &dyn Transport, path: &Path) -> Result<Option<PackedLeaves>, DustErr> {
    let leaves = fetch_or_claim(transport, path).await?;
    Ok(leaves.filter(|leaves| !RecordRef::new(path, leaves).is_claim()))
}

/// Reads the leaves of a record, a claim included.
pub(super) async fn fetch_or_claim(transport: &dyn Transport, path: &Path) -> Result<Option<PackedLeaves>, DustErr> {
    let leaves = fetch_to_limit(transport, path).await?;
    if let Some(leaves) = &leaves {
        check_size(path.as_str(), leaves)?;
    }
    Ok(leaves)
}

/// The same of a record of any size. Of one that is too large it has the first leaves, themselves too large.
pub(super) async fn fetch_to_limit(transport: &dyn Transport, path: &Path) -> Result<Option<PackedLeaves>, DustErr> {
    check_nameable(path)?;
    let LeafPage { mut leaves, mut next_cursor, .. } = match transport.try_list_subtree(path, None) {
        Some(page) => page,
        None => transport.list_subtree(path, None).await?,
    };
    let mut empty = EmptyPages::default();
    empty.check(leaves.is_empty(), next_cursor.as_deref())?;
    while let Some(cursor) = next_cursor.filter(|_| check_size(path.as_str(), &leaves).is_ok()) {
        let page = transport.list_subtree(path, Some(&cursor)).await?;
        empty.check(page.leaves.is_empty(), page.next_cursor.as_deref())?;
        leaves.append(&page.leaves, 0..page.leaves.len());
        next_cursor = page.next_cursor;
    }
    Ok(Some(leaves).filter(|leaves| !leaves.is_empty()))
}

/// The same from a transport with its leaves in memory; `None` from any other.
pub(super) fn fetch_in_memory(transport: &dyn Transport, path: &Path) -> Result<Option<StoredRecord>, DustErr> {
    check_nameable(path)?;
    // A used-up budget of the task is no reason to return nothing.
    let read = |after: Option<&str>| unconstrained(async { transport.try_list_subtree(path, after) }).now_or_never()?;
    let Some(LeafPage { mut leaves, mut next_cursor, .. }) = read(None) else { return Ok(None) };
    while let Some(cursor) = next_cursor.filter(|_| check_size(path.as_str(), &leaves).is_ok()) {
        let Some(page) = read(Some(&cursor)) else { break };
        leaves.append(&page.leaves, 0..page.leaves.len());
        next_cursor = page.next_cursor.filter(|next| *next > cursor);
    }
    Ok((!leaves.is_empty()).then(|| StoredRecord { path: path.clone(), leaves }))
}

/// Refuses a path that some transport cannot list.
fn check_nameable(path: &Path) -> Result<(), DustErr> {
    if path.as_str().as_bytes().contains(&b'\\') {
        Pattern::subtree(path)?;
    }
    Ok(())
}

/// The model of a stored record, or `None` with one warning if it does not fit the entity.
pub(super) fn model_or_warning<'a, E: DustEntity>(record: impl Into<RecordRef<'a>>) -> Option<E::Model> {
    let record = record.into();
    if record.is_claim() {
        return None;
    }
    decode::<E>(record).map_err(|invalid| warn::<E>(record, &invalid)).ok()
}

/// Warns that a record is too large to be read.
fn warn_too_large(record: &str, why: &DustErr) {
    tracing::warn!(target: "dust_orm", path = record, %why, "a stored record is too large to be read and is left out");
}

/// Warns that a record does not fit its entity.
pub(super) fn warn<'a, E: DustEntity>(record: impl Into<RecordRef<'a>>, invalid: &InvalidRecord) {
    let record = record.into();
    tracing::warn!(
        target: "dust_orm",
        key = record.key(E::KEY_PARTS),
        path = %record.path,
        missing = invalid.missing.join(", "),
        unrecognised = invalid.unrecognised.join(", "),
        undecodable = ?invalid.undecodable,
        "a stored record does not fit its entity and is left out",
    );
}

/// The pages of a list of an entity's leaves, divided between records. Unless a number of leaves is set, the next page
/// is requested over a network before the records of this one are decoded, so that at most two pages are in memory.
pub(super) struct RecordPages {
    transport: Arc<dyn Transport>,
    /// The prefix of the entity with a `/` at its end.
    within: String,
    key_parts: usize,
    /// The list, without a cursor.
    request: ListRequest,
    /// True if the next page is requested ahead of time.
    ahead: bool,
    next: Option<NextPage>,
    /// The leaves of the record that the last page has not completed, in the order of their paths.
    open: PackedLeaves,
    empty: EmptyPages,
}

struct NextPage {
    after: Option<String>,
    /// The page, if it was requested ahead of time.
    answer: Option<BoxFuture<'static, Result<LeafPage, DustErr>>>,
}

impl RecordPages {
    /// The pages of the records of an entity whose leaves a range selects.
    pub(super) fn within<E: DustEntity>(
        transport: Arc<dyn Transport>,
        range: Selector,
        order: Order,
    ) -> Result<RecordPages, DustErr> {
        let prefix = E::prefix_path()?;
        check_nameable(&prefix)?;
        let ahead = transport.capabilities().remote;
        Ok(RecordPages {
            transport,
            within: prefix.descendant_prefix(),
            key_parts: E::KEY_PARTS,
            request: ListRequest::new(range).order(order),
            ahead,
            next: Some(NextPage { after: None, answer: None }),
            open: PackedLeaves::default(),
            empty: EmptyPages::default(),
        })
    }

    /// Sets the number of leaves of the next page, 1 to 1000. No page is requested ahead of time.
    pub(super) fn limit(&mut self, leaves: usize) {
        self.request.limit = leaves;
        self.ahead = false;
    }

    /// The leaves of the record that the last page has not completed.
    pub(super) fn open(&self) -> Option<RecordRef<'_>> {
        self.group(&self.open).next()
    }

    /// Reads the leaves of the records that the next page completes, in the order of their paths. Returns `None` after
    /// the last page and after an error.
    pub(super) async fn next_leaves(&mut self) -> Result<Option<PackedLeaves>, DustErr> {
        let Some(NextPage { after, answer }) = self.next.take() else { return Ok(None) };
        let page = match answer {
            // A slow reader may have let the deadline of the early request pass.
            Some(answer) => match answer.await {
                Err(DustErr::Network { .. }) => self.transport.list_leaves(&self.request_after(&after)).await,
                answer => answer,
            },
            None => self.transport.list_leaves(&self.request_after(&after)).await,
        };
        let mut page = match page {
            Err(error @ DustErr::TooLarge { .. }) => return self.skip_large(after, &error).await.map(Some),
            page => page?,
        };
        self.empty.check(page.leaves.is_empty(), page.next_cursor.as_deref())?;
        let mut leaves = self.join_open(page.leaves);
        if let Some(after) = &mut page.next_cursor {
            self.open = self.split_open(&mut leaves);
            let excess = self.open().and_then(|record| {
                let why = check_size(record.path, &self.open).err()?;
                warn_too_large(record.path, &why);
                Some(self.cursor_past(record.path))
            });
            if let Some(cursor) = excess {
                *after = cursor;
                self.open = PackedLeaves::default();
            }
        }
        self.continue_after(page.next_cursor);
        Ok(Some(leaves))
    }

    /// The leaves of a page, in the order of their paths, with those of the open record.
    fn join_open(&mut self, page: PackedLeaves) -> PackedLeaves {
        let open = std::mem::take(&mut self.open);
        let (mut first, then) = match self.request.order {
            Order::Ascending => (open, page),
            Order::Descending => (page.into_reversed(), open),
        };
        match (first.is_empty(), then.is_empty()) {
            (true, _) => then,
            (_, true) => first,
            _ => {
                first.append(&then, 0..then.len());
                first
            }
        }
    }

    /// Removes and returns the leaves of the record that the next page may continue.
    fn split_open(&self, leaves: &mut PackedLeaves) -> PackedLeaves {
        match self.request.order {
            Order::Ascending => leaves.split_off(last_record(&self.within, self.key_parts, leaves)),
            Order::Descending => {
                let rest = leaves.split_off(first_record(&self.within, self.key_parts, leaves));
                std::mem::replace(leaves, rest)
            }
        }
    }

    /// The cursor of a list that continues after all leaves of a record.
    fn cursor_past(&self, record: &str) -> String {
        match self.request.order {
            Order::Ascending => cursor_after(record),
            Order::Descending => cursor_before(record),
        }
    }

    fn request_after(&self, after: &Option<String>) -> ListRequest {
        self.request.clone().after(after.clone())
    }

    /// Sets the cursor of the next page.
    fn continue_after(&mut self, after: Option<String>) {
        self.next = after.map(|after| {
            let after = Some(after);
            let answer = self.ahead.then(|| self.request_ahead(&after));
            NextPage { after, answer }
        });
    }

    /// Skips the next record, because one of its leaves is larger than the limit of an answer. Returns the leaves of
    /// the record before it.
    async fn skip_large(&mut self, after: Option<String>, why: &DustErr) -> Result<PackedLeaves, DustErr> {
        let keys = self.request_after(&after).select(Select::Keys).limit(1);
        let page = self.transport.list(&keys).await?;
        let before = std::mem::take(&mut self.open);
        let Some(large) = page.items.first().map(|item| item.path().as_str()) else { return Ok(before) };
        let Some(record) = record_of(&self.within, self.key_parts, large) else {
            self.open = before;
            self.continue_after(Some(large.to_owned()));
            return Ok(PackedLeaves::default());
        };
        warn_too_large(record, why);
        self.continue_after(Some(self.cursor_past(record)));
        let is_part = self.group(&before).next().is_some_and(|open| open.path == record);
        Ok(if is_part { PackedLeaves::default() } else { before })
    }

    /// Groups leaves by record, in the order of their paths.
    fn group<'a>(&'a self, leaves: &'a PackedLeaves) -> impl Iterator<Item = RecordRef<'a>> {
        records(&self.within, self.key_parts, leaves)
    }

    /// The records of a page, in the order of the list.
    pub(super) fn records<'a>(&'a self, leaves: &'a PackedLeaves) -> Vec<RecordRef<'a>> {
        let mut records: Vec<RecordRef<'a>> = self.group(leaves).collect();
        if self.request.order == Order::Descending {
            records.reverse();
        }
        records
    }

    /// Reads the records that the next page completes. Returns `None` after the last page and after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredRecord>>, DustErr> {
        let leaves = self.next_leaves().await?;
        Ok(leaves.map(|leaves| self.group(&leaves).map(RecordRef::to_stored).collect()))
    }

    /// Requests a page without waiting for it. The future is polled once, so that the request is sent.
    fn request_ahead(&self, after: &Option<String>) -> BoxFuture<'static, Result<LeafPage, DustErr>> {
        let (transport, request) = (Arc::clone(&self.transport), self.request_after(after));
        let mut answer = async move { transport.list_leaves(&request).await }.boxed();
        match (&mut answer).now_or_never() {
            Some(ready) => std::future::ready(ready).boxed(),
            None => answer,
        }
    }
}
