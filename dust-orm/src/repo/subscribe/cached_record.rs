//! A record in memory for subscribers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::entity::{DustEntity, RecordRef, StoredRecord, decode};
use crate::error::InvalidRecord;
use crate::repo::record_pages::warn;

/// The leaves of a record as of one op, and the Model that they make. The first subscriber that needs the Model decodes
/// it, in its own task, and all share it.
pub(super) struct CachedRecord<E: DustEntity> {
    pub(super) record: StoredRecord,
    /// The size of its text, in bytes.
    pub(super) bytes: usize,
    model: OnceLock<Result<Arc<E::Model>, InvalidRecord>>,
    warned: AtomicBool,
}

impl<E: DustEntity> CachedRecord<E> {
    pub(super) fn new(record: StoredRecord) -> CachedRecord<E> {
        CachedRecord { bytes: record.leaves.size(), record, model: OnceLock::new(), warned: AtomicBool::new(false) }
    }

    /// True if the record fits its entity.
    pub(super) fn is_valid(&self) -> bool {
        self.decoded().is_ok()
    }

    /// The model; `None` for a record that does not fit its entity, with one warning for any number of subscribers.
    pub(super) fn model_or_warning(&self) -> Option<&Arc<E::Model>> {
        match self.decoded() {
            Ok(model) => Some(model),
            Err(invalid) => {
                if !self.is_claim() && !self.warned.swap(true, Ordering::Relaxed) {
                    warn::<E>(&self.record, invalid);
                }
                None
            }
        }
    }

    fn decoded(&self) -> &Result<Arc<E::Model>, InvalidRecord> {
        self.model.get_or_init(|| {
            if self.is_claim() {
                return Err(InvalidRecord { path: self.record.path.to_string(), ..InvalidRecord::default() });
            }
            decode::<E>(&self.record).map(Arc::new)
        })
    }

    /// True if it is only the claim of an insert that is under way, and not a record yet.
    fn is_claim(&self) -> bool {
        RecordRef::from(&self.record).is_claim()
    }
}
