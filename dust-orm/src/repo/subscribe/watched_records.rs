//! The queues of the subscriptions to single records.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use dust_protocol::{LeafChange, Path, Pattern};

use super::records::key_of;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{Coalesce, Hub, HubEvent, Listener, Queue};
use crate::transport::Transport;

/// The subscriptions to single records of one entity, by the key of their record: one for each entity and hub. A commit
/// finds those that it concerns by lookups in a hash map, so that the others cost it nothing.
pub(super) struct WatchedRecords<E: DustEntity> {
    transport: Arc<dyn Transport>,
    hub: Arc<Hub>,
    prefix: Path,
    state: Mutex<State>,
    listener: OnceLock<Listener>,
    entity: PhantomData<fn() -> E>,
}

#[derive(Default)]
struct State {
    /// The queues of the subscriptions to a record, by its key in the rendered form, `ada/dust`.
    queues: HashMap<Arc<str>, Vec<Arc<Queue<RecordCommit>>>>,
    closed: bool,
}

/// The changes of one record by one commit, or by several in a row.
#[derive(Clone)]
pub(super) struct RecordCommit {
    /// The last op of the commit.
    pub(super) seq: u64,
    pub(super) changes: Arc<[LeafChange]>,
}

impl Coalesce for RecordCommit {
    type Key = ();

    fn key(&self) {}

    /// Changes each leaf from its state before the older commit to its state after this one.
    fn replace(&mut self, older: &RecordCommit) -> bool {
        let mut by_path: BTreeMap<&Path, LeafChange> = BTreeMap::new();
        for change in older.changes.iter().chain(&*self.changes) {
            let merged = by_path.entry(&change.path).or_insert_with(|| change.clone());
            merged.store_seq = change.store_seq;
            merged.after.clone_from(&change.after);
        }
        self.changes = by_path.into_values().collect();
        true
    }

    fn weight(&self) -> usize {
        self.changes.iter().map(LeafChange::footprint).sum()
    }
}

impl<E: DustEntity> WatchedRecords<E> {
    /// Returns the subscriptions of an entity on a transport, once the hub records the changes of every later commit.
    pub(super) async fn on(transport: Arc<dyn Transport>) -> Result<Arc<WatchedRecords<E>>, DustErr> {
        let prefix = E::prefix_path()?;
        let pattern = Pattern::subtree(&prefix)?;
        let hub = transport.op_hub().await?;
        let records = hub.shared(String::new(), || {
            let records = Arc::new(WatchedRecords {
                transport: Arc::clone(&transport),
                hub: Arc::clone(&hub),
                prefix,
                state: Mutex::default(),
                listener: OnceLock::new(),
                entity: PhantomData,
            });
            records.start(&pattern);
            records
        });
        // A commit that began before the listener was added is published without changes.
        transport.op_hub().await?;
        Ok(records)
    }

    fn start(self: &Arc<WatchedRecords<E>>, pattern: &Pattern) {
        let records = Arc::downgrade(self);
        self.listener.get_or_init(|| {
            self.hub.listen(pattern, move |event| {
                if let Some(records) = records.upgrade() {
                    records.receive(event).into_iter().for_each(Waker::wake);
                }
            })
        });
    }

    /// Adds a subscription to the record at a path below the prefix.
    pub(super) fn join(self: Arc<WatchedRecords<E>>, path: &Path, capacity: usize) -> RecordPlace<E> {
        let key = path.as_str().get(self.prefix.as_str().len() + 1..).unwrap_or_default();
        let queue = Arc::new(Queue::new(capacity));
        let mut state = self.lock();
        if state.closed {
            drop(queue.close());
        }
        let key = match state.queues.get_key_value(key) {
            Some((key, _)) => Arc::clone(key),
            None => Arc::from(key),
        };
        // Most records have one subscription.
        let queues = state.queues.entry(Arc::clone(&key)).or_insert_with(|| Vec::with_capacity(1));
        queues.push(Arc::clone(&queue));
        drop(state);
        RecordPlace { records: self, key, queue }
    }

    fn receive(&self, event: HubEvent<'_>) -> Vec<Waker> {
        match event {
            HubEvent::Commit { ops, changes: Some(changes) } => {
                let seq = ops.last().map_or(0, |op| op.store_seq);
                self.publish(seq, changes)
            }
            HubEvent::Commit { changes: None, .. } | HubEvent::Resync => each(&self.lock(), Queue::resync),
            HubEvent::Closed => {
                let mut state = self.lock();
                state.closed = true;
                each(&state, Queue::close)
            }
        }
    }

    /// Adds the changes of a commit to the queues of their records. `seq` is the last op of the commit.
    fn publish(&self, seq: u64, changes: &[LeafChange]) -> Vec<Waker> {
        let state = self.lock();
        let mut changed: BTreeMap<&str, Vec<LeafChange>> = BTreeMap::new();
        for change in changes {
            if let Some(key) = key_of::<E>(&self.prefix, &change.path)
                && state.queues.contains_key(key)
            {
                changed.entry(key).or_default().push(change.clone());
            }
        }
        let mut wakers = Vec::new();
        for (key, changes) in changed {
            let commit = RecordCommit { seq, changes: changes.into() };
            let queues = state.queues.get(key).into_iter().flatten();
            wakers.extend(queues.filter_map(|queue| queue.push(commit.clone())));
        }
        wakers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code is called under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn each(state: &State, work: fn(&Queue<RecordCommit>) -> Option<Waker>) -> Vec<Waker> {
    state.queues.values().flatten().filter_map(|queue| work(queue)).collect()
}

/// The place of one subscription among those of an entity.
pub(super) struct RecordPlace<E: DustEntity> {
    records: Arc<WatchedRecords<E>>,
    key: Arc<str>,
    pub(super) queue: Arc<Queue<RecordCommit>>,
}

impl<E: DustEntity> RecordPlace<E> {
    /// The key of the record in its rendered form.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The path of the record.
    pub(super) fn path(&self) -> Result<Path, DustErr> {
        Ok(Path::parse(&format!("{}/{}", self.records.prefix, self.key))?)
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.records.transport
    }

    /// The last op that was published.
    pub(super) fn seq(&self) -> u64 {
        self.records.hub.seq()
    }

    /// Removes the subscription. A task that still waits for it receives the end.
    pub(super) fn leave(&self) {
        let mut state = self.records.lock();
        if let Some(queues) = state.queues.get_mut(&self.key) {
            queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
            if queues.is_empty() {
                state.queues.remove(&self.key);
            }
        }
        drop(state);
        self.queue.close().into_iter().for_each(Waker::wake);
    }
}

impl<E: DustEntity> Clone for RecordPlace<E> {
    fn clone(&self) -> RecordPlace<E> {
        RecordPlace { records: Arc::clone(&self.records), key: Arc::clone(&self.key), queue: Arc::clone(&self.queue) }
    }
}
