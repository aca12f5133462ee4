//! Reading records through a transport: every read of an entity goes through here.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::FutureExt;

use crate::entity::{DustEntity, Measure, Regrouper, StoredRecord, decode};
use crate::error::{DustErr, InvalidRecord};
use crate::protocol::{Glob, ListRequest, Page, Path};
use crate::transport::Transport;

/// The leaves below one record's path; `None` when there are none.
pub(super) async fn fetch(transport: &dyn Transport, path: &Path) -> Result<Option<StoredRecord>, DustErr> {
    let mut request = ListRequest::pattern(below(path)?);
    let mut leaves = Vec::new();
    let mut measure = Measure::default();
    loop {
        let page = transport.list(&request).await?;
        for leaf in page.items.into_iter().filter_map(|item| item.into_entry()) {
            measure.take(path, &leaf)?;
            leaves.push(leaf);
        }
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => break,
        }
    }
    Ok(if leaves.is_empty() { None } else { Some(StoredRecord { path: path.clone(), leaves }) })
}

/// Everything below a path, as a pattern.
pub(super) fn below(path: &Path) -> Result<Glob, DustErr> {
    Glob::below(path).ok_or_else(|| {
        DustErr::InvalidParams(format!("`{path}` has a segment `\\*` or `\\**`, which no pattern can name"))
    })
}

/// The model of a stored record, or `None` with one warning when it does not fit the entity.
pub(super) fn model_or_warning<E: DustEntity>(record: &StoredRecord) -> Option<E::Model> {
    decode::<E>(record).map_err(|invalid| warn(record, &invalid)).ok()
}

pub(super) fn warn(record: &StoredRecord, invalid: &InvalidRecord) {
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

/// The pages of an entity's leaves, one after the other, regrouped into records. Over a network the next page is asked for
/// before the records of this one are decoded, so that at most two pages are held.
pub(super) struct RecordPages {
    transport: Arc<dyn Transport>,
    next: Option<NextPage>,
    regrouper: Regrouper,
}

struct NextPage {
    request: ListRequest,
    /// The answer, where the page was asked for ahead of time.
    answer: Option<BoxFuture<'static, Result<Page, DustErr>>>,
}

impl RecordPages {
    pub(super) fn of<E: DustEntity>(transport: Arc<dyn Transport>) -> Result<RecordPages, DustErr> {
        let prefix = E::prefix_path()?;
        let next = NextPage { request: ListRequest::pattern(below(&prefix)?), answer: None };
        Ok(RecordPages { transport, next: Some(next), regrouper: Regrouper::new(&prefix) })
    }

    /// The records that the next page completes; `None` when there are no more pages, and after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredRecord>>, DustErr> {
        let Some(NextPage { mut request, answer }) = self.next.take() else { return Ok(None) };
        let page = match answer {
            // It may have been left waiting past its deadline by a reader that took its time.
            Some(answer) => match answer.await {
                Err(DustErr::Network(_)) => self.transport.list(&request).await?,
                answer => answer?,
            },
            None => self.transport.list(&request).await?,
        };
        request.after = page.next_cursor;
        if request.after.is_some() {
            let answer = self.transport.capabilities().remote.then(|| self.ask(request.clone()));
            self.next = Some(NextPage { request, answer });
        }
        let leaves = page.items.into_iter().filter_map(|item| item.into_entry());
        let mut records = Vec::new();
        for leaf in leaves {
            records.extend(self.regrouper.push(leaf)?);
        }
        if self.next.is_none() {
            records.extend(self.regrouper.finish());
        }
        Ok(Some(records))
    }

    /// Asks for a page without waiting for it: a future does nothing until it is polled, so it is polled once.
    fn ask(&self, request: ListRequest) -> BoxFuture<'static, Result<Page, DustErr>> {
        let transport = Arc::clone(&self.transport);
        let mut answer = async move { transport.list(&request).await }.boxed();
        match (&mut answer).now_or_never() {
            Some(ready) => std::future::ready(ready).boxed(),
            None => answer,
        }
    }
}
