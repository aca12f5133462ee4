//! The records of an entity by their keys.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::cached_record::CachedRecord;
use super::event::Change;
use crate::entity::{DustEntity, RecordRef};

/// An index of the records, in a lock of its own, so that readers wait only while a commit is written to it.
pub(super) struct ModelIndex<E: DustEntity>(RwLock<ByKey<E>>);

/// The records by their key in its rendered form, as in a path.
type ByKey<E> = HashMap<Arc<str>, Slot<E>>;

struct Slot<E: DustEntity> {
    stored: Arc<CachedRecord<E>>,
    /// The model of the record after its first lookup: stored here, so that later lookups need not access the record.
    model: OnceLock<Arc<E::Model>>,
}

impl<E: DustEntity> Slot<E> {
    fn new(stored: &Arc<CachedRecord<E>>) -> Slot<E> {
        Slot { stored: Arc::clone(stored), model: OnceLock::new() }
    }
}

impl<E: DustEntity> ModelIndex<E> {
    pub(super) fn new(records: &[Arc<CachedRecord<E>>]) -> ModelIndex<E> {
        ModelIndex(RwLock::new(by_key(records)))
    }

    /// Applies the changes of one commit, so that no reader sees half of it.
    pub(super) fn take(&self, changes: &[Arc<Change<E>>]) {
        let mut by_key = self.write();
        for change in changes {
            match &change.after {
                Some(after) => drop(by_key.insert(Arc::clone(&change.key), Slot::new(after))),
                None => drop(by_key.remove(&change.key)),
            }
        }
    }

    /// Replaces all records.
    pub(super) fn replace(&self, records: &[Arc<CachedRecord<E>>]) {
        let records = by_key(records);
        let before = std::mem::replace(&mut *self.write(), records);
        // Large values are dropped without the lock.
        drop(before);
    }

    /// The record with this key. The first reader decodes it, and no other does.
    pub(super) fn model(&self, key: &str) -> Option<Arc<E::Model>> {
        let stored = {
            let by_key = self.read();
            let slot = by_key.get(key)?;
            if let Some(model) = slot.model.get() {
                return Some(Arc::clone(model));
            }
            Arc::clone(&slot.stored)
        };
        let model = stored.model_or_warning()?;
        if let Some(slot) = self.read().get(key).filter(|slot| Arc::ptr_eq(&slot.stored, &stored)) {
            slot.model.get_or_init(|| Arc::clone(model));
        }
        Some(Arc::clone(model))
    }

    /// Every record, in no order.
    pub(super) fn all(&self) -> Vec<Arc<CachedRecord<E>>> {
        self.read().values().map(|slot| Arc::clone(&slot.stored)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, ByKey<E>> {
        // No foreign code is called under the lock.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByKey<E>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_key<E: DustEntity>(records: &[Arc<CachedRecord<E>>]) -> ByKey<E> {
    let keyed =
        |stored: &Arc<CachedRecord<E>>| (RecordRef::from(&stored.record).key(E::KEY_PARTS).into(), Slot::new(stored));
    records.iter().map(keyed).collect()
}
