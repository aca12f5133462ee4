//! Reads of records: of one, and of all of an entity in pages.

use std::sync::Arc;

use dust_protocol::list::EmptyPages;
use dust_protocol::{LeafPage, ListRequest, PackedLeaves, Path, Pattern, Select};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::task::coop::unconstrained;

use crate::entity::{
    DustEntity, PackedRecord, RecordRef, StoredRecord, check_size, cursor_after, decode, last_record, record_of,
    records,
};
use crate::error::{DustErr, InvalidRecord};
use crate::transport::Transport;

/// Reads the leaves of a record. Returns `None` if it has none, or only the claim of an unfinished insert.
pub(super) async fn fetch<'p>(transport: &dyn Transport, path: &'p Path) -> Result<Option<PackedRecord<'p>>, DustErr> {
    let record = fetch_or_claim(transport, path).await?;
    Ok(record.filter(|record| !RecordRef::from(record).is_claim()))
}

/// Reads the leaves of a record, a claim included.
pub(super) async fn fetch_or_claim<'p>(
    transport: &dyn Transport,
    path: &'p Path,
) -> Result<Option<PackedRecord<'p>>, DustErr> {
    let record = fetch_to_limit(transport, path).await?;
    if let Some(record) = &record {
        check_size(path.as_str(), &record.leaves)?;
    }
    Ok(record)
}

/// The same of a record of any size. Of one that is too large it has the first leaves, themselves too large.
pub(super) async fn fetch_to_limit<'p>(
    transport: &dyn Transport,
    path: &'p Path,
) -> Result<Option<PackedRecord<'p>>, DustErr> {
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
    Ok(if leaves.is_empty() { None } else { Some(PackedRecord { path, leaves }) })
}

/// The same from a transport with its leaves in memory; `None` from any other.
pub(super) fn fetch_in_memory<'p>(
    transport: &dyn Transport,
    path: &'p Path,
) -> Result<Option<PackedRecord<'p>>, DustErr> {
    check_nameable(path)?;
    // A used-up budget of the task is no reason to return nothing.
    let read = |after: Option<&str>| unconstrained(async { transport.try_list_subtree(path, after) }).now_or_never()?;
    let Some(LeafPage { mut leaves, mut next_cursor, .. }) = read(None) else { return Ok(None) };
    while let Some(cursor) = next_cursor.filter(|_| check_size(path.as_str(), &leaves).is_ok()) {
        let Some(page) = read(Some(&cursor)) else { break };
        leaves.append(&page.leaves, 0..page.leaves.len());
        next_cursor = page.next_cursor.filter(|next| *next > cursor);
    }
    Ok(if leaves.is_empty() { None } else { Some(PackedRecord { path, leaves }) })
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
    decode::<E>(record).map_err(|invalid| warn(record, &invalid)).ok()
}

/// Warns that a record is too large to be read.
fn warn_too_large(record: &str, why: &DustErr) {
    tracing::warn!(target: "dust_orm", path = record, %why, "a stored record is too large to be read and is left out");
}

/// Warns that a record does not fit its entity.
pub(super) fn warn<'a>(record: impl Into<RecordRef<'a>>, invalid: &InvalidRecord) {
    let record = record.into();
    tracing::warn!(
        target: "dust_orm",
        slug = &*record.key(),
        path = %record.path,
        missing = invalid.missing.join(", "),
        unrecognised = invalid.unrecognised.join(", "),
        undecodable = ?invalid.undecodable,
        "a stored record does not fit its entity and is left out",
    );
}

/// The pages of an entity's leaves, divided between records. Over a network the next page is requested before the
/// records of this one are decoded, so that at most two pages are in memory.
pub(super) struct RecordPages {
    transport: Arc<dyn Transport>,
    prefix: Path,
    /// The prefix with a `/` at its end.
    within: String,
    next: Option<NextPage>,
    /// The leaves of the record that the last page has not completed.
    open: PackedLeaves,
    empty: EmptyPages,
}

struct NextPage {
    after: Option<String>,
    /// The page, if it was requested ahead of time.
    answer: Option<BoxFuture<'static, Result<LeafPage, DustErr>>>,
}

impl RecordPages {
    pub(super) fn of<E: DustEntity>(transport: Arc<dyn Transport>) -> Result<RecordPages, DustErr> {
        let prefix = E::prefix_path()?;
        check_nameable(&prefix)?;
        let (within, next) = (prefix.descendant_prefix(), Some(NextPage { after: None, answer: None }));
        let (open, empty) = (PackedLeaves::default(), EmptyPages::default());
        Ok(RecordPages { transport, prefix, within, next, open, empty })
    }

    /// Reads the leaves of the records that the next page completes. Returns `None` after the last page and after an
    /// error.
    pub(super) async fn next_leaves(&mut self) -> Result<Option<PackedLeaves>, DustErr> {
        let Some(NextPage { after, answer }) = self.next.take() else { return Ok(None) };
        let page = match answer {
            // A slow reader may have let the deadline of the early request pass.
            Some(answer) => match answer.await {
                Err(DustErr::Network { .. }) => self.transport.list_subtree(&self.prefix, after.as_deref()).await,
                answer => answer,
            },
            None => self.transport.list_subtree(&self.prefix, after.as_deref()).await,
        };
        let mut page = match page {
            Err(error @ DustErr::TooLarge { .. }) => return self.skip_large(after, &error).await.map(Some),
            page => page?,
        };
        self.empty.check(page.leaves.is_empty(), page.next_cursor.as_deref())?;
        let mut leaves = std::mem::take(&mut self.open);
        if leaves.is_empty() {
            leaves = page.leaves;
        } else {
            leaves.append(&page.leaves, 0..page.leaves.len());
        }
        if let Some(after) = &mut page.next_cursor {
            self.open = leaves.split_off(last_record(&self.within, &leaves));
            let excess = records(&self.within, &self.open).next().and_then(|record| {
                let why = check_size(record.path, &self.open).err()?;
                warn_too_large(record.path, &why);
                Some(cursor_after(record.path))
            });
            if let Some(cursor) = excess {
                *after = cursor;
                self.open = PackedLeaves::default();
            }
        }
        self.continue_after(page.next_cursor);
        Ok(Some(leaves))
    }

    /// Sets the cursor of the next page.
    fn continue_after(&mut self, after: Option<String>) {
        self.next = after.map(|after| {
            let answer = self.transport.capabilities().remote.then(|| self.request(after.clone()));
            NextPage { after: Some(after), answer }
        });
    }

    /// Skips the next record, because one of its leaves is larger than the limit of an answer. Returns the leaves of
    /// the record before it.
    async fn skip_large(&mut self, after: Option<String>, why: &DustErr) -> Result<PackedLeaves, DustErr> {
        let keys = ListRequest::pattern(Pattern::subtree(&self.prefix)?).select(Select::Keys).limit(1).after(after);
        let page = self.transport.list(&keys).await?;
        let before = std::mem::take(&mut self.open);
        let Some(large) = page.items.first().map(|item| item.path().as_str()) else { return Ok(before) };
        let Some(record) = record_of(&self.within, large) else {
            self.open = before;
            self.continue_after(Some(large.to_owned()));
            return Ok(PackedLeaves::default());
        };
        warn_too_large(record, why);
        self.continue_after(Some(cursor_after(record)));
        let is_part = records(&self.within, &before).next().is_some_and(|open| open.path == record);
        Ok(if is_part { PackedLeaves::default() } else { before })
    }

    /// Groups leaves of a page by record.
    pub(super) fn records<'a>(&'a self, leaves: &'a PackedLeaves) -> impl Iterator<Item = RecordRef<'a>> {
        records(&self.within, leaves)
    }

    /// The models of the leaves of a page. Records that do not fit the entity are left out, with a warning.
    pub(super) fn models<'a, E: DustEntity>(&'a self, leaves: &'a PackedLeaves) -> impl Iterator<Item = E::Model> {
        self.records(leaves).filter_map(|record| model_or_warning::<E>(record))
    }

    /// Reads the records that the next page completes. Returns `None` after the last page and after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredRecord>>, DustErr> {
        let leaves = self.next_leaves().await?;
        Ok(leaves.map(|leaves| self.records(&leaves).map(RecordRef::to_stored).collect()))
    }

    /// Requests a page without waiting for it. The future is polled once, so that the request is sent.
    fn request(&self, after: String) -> BoxFuture<'static, Result<LeafPage, DustErr>> {
        let (transport, prefix) = (Arc::clone(&self.transport), self.prefix.clone());
        let mut answer = async move { transport.list_subtree(&prefix, Some(&after)).await }.boxed();
        match (&mut answer).now_or_never() {
            Some(ready) => std::future::ready(ready).boxed(),
            None => answer,
        }
    }
}
