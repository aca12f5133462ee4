//! Reading records through a transport: every read of an entity goes through here.

use crate::entity::{DustEntity, Regrouper, StoredRecord, decode};
use crate::error::{DustErr, InvalidRecord};
use crate::protocol::{Glob, ListRequest, Path};
use crate::transport::Transport;

/// The leaves below one record's path; `None` when there are none.
pub(super) async fn fetch(transport: &dyn Transport, path: &Path) -> Result<Option<StoredRecord>, DustErr> {
    let mut request = ListRequest::pattern(below(path)?);
    let mut leaves = Vec::new();
    loop {
        let page = transport.list(&request).await?;
        leaves.extend(page.items.into_iter().filter_map(|item| item.into_entry()));
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

fn warn(record: &StoredRecord, invalid: &InvalidRecord) {
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

/// The pages of an entity's leaves, one after the other, regrouped into records.
pub(super) struct RecordPages {
    request: Option<ListRequest>,
    regrouper: Regrouper,
}

impl RecordPages {
    pub(super) fn of<E: DustEntity>() -> Result<RecordPages, DustErr> {
        let prefix = E::prefix_path()?;
        Ok(RecordPages { request: Some(ListRequest::pattern(below(&prefix)?)), regrouper: Regrouper::new(&prefix) })
    }

    /// The records that the next page completes; `None` when there are no more pages.
    pub(super) async fn next(&mut self, transport: &dyn Transport) -> Result<Option<Vec<StoredRecord>>, DustErr> {
        let Some(request) = &mut self.request else { return Ok(None) };
        let page = transport.list(request).await?;
        let leaves = page.items.into_iter().filter_map(|item| item.into_entry());
        let mut records: Vec<StoredRecord> = leaves.filter_map(|leaf| self.regrouper.push(leaf)).collect();
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => {
                self.request = None;
                records.extend(self.regrouper.finish());
            }
        }
        Ok(Some(records))
    }
}
