//! The state that all subscribers of one entity, or of the same part of it, share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

use dust_protocol::{LeafChange, Order, Pattern};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::Shared;

use super::cached_record::CachedRecord;
use super::event::{Change, PendingEvent};
use super::meanwhile::Meanwhile;
use super::model_index::ModelIndex;
use super::part::SelectedPart;
use super::records::{Records, sort_by_path};
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{Fanout, Hub, HubEvent, Listener, SubscriberId};
use crate::repo::record_pages::RecordPages;
use crate::transport::Transport;

/// The future that reads all records. The subscribers that wait for it poll it; it needs no task of its own.
pub(super) type Reading = Shared<BoxFuture<'static, Result<(), DustErr>>>;

/// The records of a part of an entity and their subscribers: one view for each part and hub. A change is applied and a
/// record decoded once, for any number of subscribers.
///
/// It listens before it reads the records, so that it misses no commit. It applies the changes of commits during the
/// read afterwards, even if a page has shown them already: each gives a leaf its new state, and the last of them
/// counts.
///
/// ```text
///            begin                    finish: changes since `begin` are made
/// Unread  ----------->  Reading  -------------------------------------------->  Current
///    ^                 |   ^   |  finish after too many changes, a resync or      |
///    |   reading fails |   |   |  a commit without changes: read again            | a resync or
///    +-----------------+   |   +---> Reading                                      | a commit without changes
///                          +------------------------------------------------------+
/// ```
pub(super) struct EntityView<E: DustEntity> {
    pub(super) transport: Arc<dyn Transport>,
    part: SelectedPart,
    state: Mutex<State<E>>,
    /// The queues of the subscribers. Their lock is taken under the lock of `state`, so changes are published in their
    /// order.
    pub(super) fanout: Fanout<PendingEvent<E>>,
    /// True if the records must be read: a subscriber then helps to read them.
    is_behind: AtomicBool,
    /// The index for lookups by key; made at the first lookup.
    index: OnceLock<Arc<ModelIndex<E>>>,
    listener: OnceLock<Listener>,
}

struct State<E: DustEntity> {
    phase: Phase,
    records: Records<E>,
    /// The last op that concerns the records and that they have.
    seq: u64,
}

enum Phase {
    /// The records are as of the last op.
    Current,
    /// The records are being read.
    Reading {
        reading: Reading,
        /// The commits since the reading began.
        meanwhile: Meanwhile,
    },
    /// Reading the records has failed. The next op, or the next subscriber, tries again.
    Unread,
}

/// A new subscriber, from the side of the shared state.
pub(super) struct NewSubscriber<E: DustEntity> {
    pub(super) subscriber: SubscriberId,
    /// The records when the subscriber joined.
    pub(super) current: Vec<Arc<CachedRecord<E>>>,
    /// True if the subscriber receives the current records first.
    pub(super) replays: bool,
    /// The last op that the current records have.
    pub(super) seq: u64,
}

impl<E: DustEntity> EntityView<E> {
    /// Returns the view of a part of an entity on a transport; all holders share it.
    pub(super) async fn on(transport: Arc<dyn Transport>, part: SelectedPart) -> Result<Arc<EntityView<E>>, DustErr> {
        let prefix = E::prefix_path()?;
        let pattern = Pattern::subtree(&part.range.base)?;
        let hub = transport.op_hub().await?;
        Ok(hub.shared(part.name(), || {
            let records = Records::new(prefix, part.range.clone(), Vec::new());
            let state = State { phase: Phase::Unread, records, seq: 0 };
            let view = Arc::new(EntityView {
                transport,
                part,
                state: Mutex::new(state),
                fanout: Fanout::new(),
                is_behind: AtomicBool::new(true),
                index: OnceLock::new(),
                listener: OnceLock::new(),
            });
            view.start(&hub, &pattern);
            view
        }))
    }

    fn start(self: &Arc<EntityView<E>>, hub: &Arc<Hub>, pattern: &Pattern) {
        let view = Arc::downgrade(self);
        self.listener.get_or_init(|| {
            hub.listen(pattern, move |news| {
                if let Some(view) = view.upgrade() {
                    view.hear(news);
                }
            })
        });
    }

    /// Adds a subscriber once the records are current. `replays` receives the last op that they have, and returns true
    /// if the subscriber receives the records first.
    pub(super) async fn join(
        self: &Arc<EntityView<E>>,
        capacity: usize,
        replays: impl Fn(u64) -> bool,
    ) -> Result<NewSubscriber<E>, DustErr> {
        let join = |state: &mut State<E>| {
            let replays = replays(state.seq);
            let current = if replays { state.records.all() } else { Vec::new() };
            NewSubscriber { current, replays, ..self.add(state, capacity) }
        };
        let mut joined = self.once_current(join).await?;
        sort_by_path(&mut joined.current);
        Ok(joined)
    }

    /// Returns the index of the records by key, once they are current.
    pub(super) async fn index(self: &Arc<EntityView<E>>) -> Result<Arc<ModelIndex<E>>, DustErr> {
        let make = |records: &Records<E>| Arc::new(ModelIndex::new(&records.all()));
        // Made under the lock, so that no commit is missed between the read and the index.
        self.once_current(|state| Arc::clone(self.index.get_or_init(|| make(&state.records)))).await
    }

    /// Calls `work` with the state once the records are current.
    async fn once_current<T>(self: &Arc<EntityView<E>>, work: impl FnOnce(&mut State<E>) -> T) -> Result<T, DustErr> {
        loop {
            let reading = {
                let mut state = self.lock();
                match &state.phase {
                    Phase::Current => return Ok(work(&mut state)),
                    Phase::Reading { reading, .. } => reading.clone(),
                    Phase::Unread => self.begin(&mut state),
                }
            };
            reading.await?;
        }
    }

    /// Waits until the records are current.
    pub(super) async fn ready(self: &Arc<EntityView<E>>) -> Result<(), DustErr> {
        let joined = self.join(1, |_| false).await?;
        self.leave(joined.subscriber);
        Ok(())
    }

    /// Adds a subscriber at once. If the records are being read, it receives Resync afterwards.
    pub(super) fn join_now(&self, capacity: usize) -> NewSubscriber<E> {
        self.add(&self.lock(), capacity)
    }

    fn add(&self, state: &State<E>, capacity: usize) -> NewSubscriber<E> {
        NewSubscriber { subscriber: self.fanout.join(capacity), current: Vec::new(), replays: false, seq: state.seq }
    }

    /// Removes a subscriber. A task that still waits for it receives the end.
    pub(super) fn leave(&self, subscriber: SubscriberId) {
        self.fanout.leave(subscriber).into_iter().for_each(Waker::wake);
    }

    /// Returns the reading that a subscriber helps with, if there is one.
    pub(super) fn reading(&self) -> Option<Reading> {
        if !self.is_behind.load(Ordering::SeqCst) {
            return None;
        }
        match &self.lock().phase {
            Phase::Reading { reading, .. } => Some(reading.clone()),
            Phase::Current | Phase::Unread => None,
        }
    }

    fn hear(self: &Arc<EntityView<E>>, news: HubEvent<'_>) {
        let mut state = self.lock();
        let wakers = match news {
            HubEvent::Commit { ops, changes: Some(changes) } => {
                let seq = ops.last().map_or(state.seq, |op| op.store_seq);
                self.commit(&mut state, seq, changes)
            }
            HubEvent::Commit { changes: None, .. } | HubEvent::Resync => self.resync(&mut state),
            HubEvent::Closed => self.fanout.close(),
        };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Applies the changes of a commit, of which `seq` is the last op that concerns the records.
    fn commit(self: &Arc<EntityView<E>>, state: &mut State<E>, seq: u64, changes: &[LeafChange]) -> Vec<Waker> {
        match &mut state.phase {
            Phase::Current => {
                let changes = state.records.apply(changes);
                if changes.is_empty() && !self.part.is_subtree() {
                    // The ops concern other records of the subtree.
                    return Vec::new();
                }
                let before = std::mem::replace(&mut state.seq, seq);
                let changes: Vec<Arc<Change<E>>> = changes.into_iter().map(Arc::new).collect();
                if let Some(index) = self.index.get() {
                    index.take(&changes);
                }
                // A subscriber has a commit only after its last change.
                let last = changes.len().saturating_sub(1);
                let seq = |index| if index < last { before } else { state.seq };
                self.fanout.publish(
                    changes.into_iter().enumerate().map(|(index, change)| PendingEvent::new(change, seq(index))),
                )
            }
            Phase::Reading { meanwhile, .. } => {
                let base = &self.part.range.base;
                let inside = changes.iter().filter(|change| base.is_ancestor_of(&change.path));
                meanwhile.push(seq, inside.cloned());
                Vec::new()
            }
            Phase::Unread => {
                drop(self.begin(state));
                self.fanout.take_wakers()
            }
        }
    }

    /// Starts a new read after any leaf may have changed. Subscribers receive Resync after the records have been read
    /// again, so that a read of theirs is not older, and no op is lost between that read and the events after it.
    fn resync(self: &Arc<EntityView<E>>, state: &mut State<E>) -> Vec<Waker> {
        if let Phase::Reading { meanwhile, .. } = &mut state.phase {
            meanwhile.read_again();
            return Vec::new();
        }
        drop(self.begin(state));
        self.fanout.take_wakers()
    }

    /// Begins to read the records.
    fn begin(self: &Arc<EntityView<E>>, state: &mut State<E>) -> Reading {
        let (view, transport) = (Arc::downgrade(self), Arc::clone(&self.transport));
        let reading = read(view, transport, self.part.clone()).boxed().shared();
        self.is_behind.store(true, Ordering::SeqCst);
        state.phase = Phase::Reading { reading: reading.clone(), meanwhile: Meanwhile::default() };
        reading
    }

    /// Accepts the records that were read, which have every op up to `seq`. Returns false if they must be read again.
    fn finish(&self, records: Records<E>, seq: u64) -> bool {
        let mut state = self.lock();
        let Phase::Reading { meanwhile, .. } = &mut state.phase else { return true };
        let meanwhile = std::mem::take(meanwhile);
        if meanwhile.again {
            return false;
        }
        state.phase = Phase::Current;
        let before = std::mem::replace(&mut state.records, records);
        state.seq = seq.max(meanwhile.seq);
        state.records.apply(&meanwhile.changes);
        if let Some(index) = self.index.get() {
            index.replace(&state.records.all());
        }
        self.is_behind.store(false, Ordering::SeqCst);
        let wakers = self.fanout.resync();
        drop(state);
        // Large values are dropped without the lock.
        drop(before);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// The records when they were last current.
    pub(super) fn records(&self) -> Vec<Arc<CachedRecord<E>>> {
        self.lock().records.all()
    }

    /// The last op that concerns the records and that they have.
    pub(super) fn seq(&self) -> u64 {
        self.lock().seq
    }

    fn fail(&self, error: &DustErr) {
        tracing::error!(
            target: "dust_orm",
            prefix = %self.part.range.base,
            %error,
            "the records that subscribers are told of cannot be read"
        );
        self.lock().phase = Phase::Unread;
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // No foreign code is called under the lock: readers decode the records.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of subscribers.
    #[cfg(test)]
    pub(super) fn subscribers(&self) -> usize {
        self.fanout.len()
    }
}

async fn read<E: DustEntity>(
    view: Weak<EntityView<E>>,
    transport: Arc<dyn Transport>,
    part: SelectedPart,
) -> Result<(), DustErr> {
    loop {
        let read = read_all::<E>(&transport, &part).await;
        let Some(view) = view.upgrade() else { return Ok(()) };
        match read {
            Ok((records, seq)) => {
                if view.finish(records, seq) {
                    return Ok(());
                }
            }
            Err(error) => {
                view.fail(&error);
                return Err(error);
            }
        }
    }
}

/// Returns the records, after the hub has published everything that these pages may show, and an op up to which they
/// have all.
async fn read_all<E: DustEntity>(
    transport: &Arc<dyn Transport>,
    part: &SelectedPart,
) -> Result<(Records<E>, u64), DustErr> {
    let seq = transport.op_hub().await?.seq();
    let selector = part.selector.clone();
    let mut pages = RecordPages::within::<E>(Arc::clone(transport), selector, Order::Ascending)?;
    let mut records = Records::new(E::prefix_path()?, part.range.clone(), Vec::new());
    while let Some(page) = pages.next().await? {
        records.extend(page);
    }
    transport.op_hub().await?;
    Ok((records, seq))
}

impl<E: DustEntity> fmt::Debug for EntityView<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityView").field("part", &self.part.name()).finish_non_exhaustive()
    }
}
