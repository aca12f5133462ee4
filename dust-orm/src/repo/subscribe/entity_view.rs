//! What all subscribers of one entity share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

use dust_protocol::{CommittedOp, Path, Pattern};
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::Shared;

use super::cached_record::CachedRecord;
use super::event::{Change, PendingEvent};
use super::model_index::ModelIndex;
use super::records::{Records, sort_by_path};
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{Fanout, Hub, HubEvent, Listener, MAX_QUEUE_BYTES, SubscriberId};
use crate::repo::record_pages::RecordPages;
use crate::transport::Transport;

/// How many ops may come while the records are being read. When more do, the records are read again.
const OPS_MEANWHILE: usize = 10_000;
/// How many bytes they may take together.
const BYTES_MEANWHILE: usize = MAX_QUEUE_BYTES;

/// Reading all records. Whoever waits for it moves it along; no task of its own is needed.
pub(super) type Reading = Shared<BoxFuture<'static, Result<(), DustErr>>>;

/// The records of one entity and those who subscribe to it: one for each entity and hub. An op is applied
/// and a record decoded once, however many subscribers there are.
///
/// The records are read while ops are heard of already, so that none is missed. Ops that come meanwhile are done to the
/// records afterwards, whether a page has seen their effect or not: ops that are done again, in order and to their end,
/// lead to the same records.
pub(super) struct EntityView<E: DustEntity> {
    pub(super) transport: Arc<dyn Transport>,
    prefix: Path,
    state: Mutex<State<E>>,
    /// It has a lock of its own, which is taken under that of the state: so changes are told of in their order.
    pub(super) audience: Fanout<PendingEvent<E>>,
    /// Whether the records have to be read: a subscriber then helps to.
    is_behind: AtomicBool,
    /// For those who look records up; made for the first of them.
    table: OnceLock<Arc<ModelIndex<E>>>,
    listener: OnceLock<Listener>,
}

struct State<E: DustEntity> {
    phase: Phase,
    records: Records<E>,
    /// The last op that the records have, of those that concern them.
    seq: u64,
}

enum Phase {
    /// The records are those of the last op.
    Current,
    /// The records are being read.
    Reading {
        reading: Reading,
        /// The commits since then.
        meanwhile: Meanwhile,
    },
    /// Reading them has failed. The next op, or the next subscriber, tries again.
    Unread,
}

/// What is committed while the records are being read.
#[derive(Default)]
struct Meanwhile {
    commits: Vec<Vec<Arc<CommittedOp>>>,
    ops: usize,
    bytes: usize,
    /// Whether the records have to be read once more. Nothing is kept until that begins: it will be in the pages.
    again: bool,
}

impl Meanwhile {
    fn push(&mut self, commit: &[Arc<CommittedOp>]) {
        if self.again {
            return;
        }
        self.ops += commit.len();
        self.bytes += commit.iter().map(|op| op.footprint()).sum::<usize>();
        if self.ops > OPS_MEANWHILE || self.bytes > BYTES_MEANWHILE {
            self.read_again();
        } else {
            self.commits.push(commit.to_vec());
        }
    }

    fn read_again(&mut self) {
        *self = Meanwhile { again: true, ..Meanwhile::default() };
    }
}

/// A subscriber, from the side of what is shared.
pub(super) struct NewSubscriber<E: DustEntity> {
    pub(super) seat: SubscriberId,
    /// The records when it joined.
    pub(super) current: Vec<Arc<CachedRecord<E>>>,
    /// The subscriber receives the current records first.
    pub(super) replays: bool,
    /// The last op that they have.
    pub(super) seq: u64,
}

impl<E: DustEntity> EntityView<E> {
    /// The watch of an entity on a transport, shared with all who hold it.
    pub(super) async fn on(transport: Arc<dyn Transport>) -> Result<Arc<EntityView<E>>, DustErr> {
        let prefix = E::prefix_path()?;
        let pattern = Pattern::subtree(&prefix)?;
        let hub = transport.op_hub().await?;
        Ok(hub.shared(|| {
            let state = State { phase: Phase::Unread, records: Records::new(prefix.clone(), Vec::new()), seq: 0 };
            let watch = Arc::new(EntityView {
                transport,
                prefix,
                state: Mutex::new(state),
                audience: Fanout::new(),
                is_behind: AtomicBool::new(true),
                table: OnceLock::new(),
                listener: OnceLock::new(),
            });
            watch.start(&hub, &pattern);
            watch
        }))
    }

    fn start(self: &Arc<EntityView<E>>, hub: &Arc<Hub>, pattern: &Pattern) {
        let watch = Arc::downgrade(self);
        self.listener.get_or_init(|| {
            hub.listen(pattern, move |news| {
                if let Some(watch) = watch.upgrade() {
                    watch.hear(news);
                }
            })
        });
    }

    /// Adds a subscriber once the records are current. `replays` says of the last op that they have whether the
    /// subscriber is given the records first.
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

    /// The records by their keys, once they are current.
    pub(super) async fn table(self: &Arc<EntityView<E>>) -> Result<Arc<ModelIndex<E>>, DustErr> {
        let make = |records: &Records<E>| Arc::new(ModelIndex::new(&records.all()));
        // Under the lock: no commit is missed between the two.
        self.once_current(|state| Arc::clone(self.table.get_or_init(|| make(&state.records)))).await
    }

    /// Does something to the state once the records are current.
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
        self.leave(joined.seat);
        Ok(())
    }

    /// Adds a subscriber at once. If the records are being read, it is told Resync when they are.
    pub(super) fn join_now(&self, capacity: usize) -> NewSubscriber<E> {
        self.add(&self.lock(), capacity)
    }

    fn add(&self, state: &State<E>, capacity: usize) -> NewSubscriber<E> {
        NewSubscriber { seat: self.audience.join(capacity), current: Vec::new(), replays: false, seq: state.seq }
    }

    /// Removes a subscriber. One that waits all the same hears that this is the end.
    pub(super) fn leave(&self, seat: SubscriberId) {
        self.audience.leave(seat).into_iter().for_each(Waker::wake);
    }

    /// The reading that a subscriber is to help with, if there is one.
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
            HubEvent::Commit(ops) => self.commit(&mut state, ops),
            HubEvent::Resync => self.resync(&mut state),
            HubEvent::Closed => self.audience.close(),
        };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn commit(self: &Arc<EntityView<E>>, state: &mut State<E>, commit: &[Arc<CommittedOp>]) -> Vec<Waker> {
        match &mut state.phase {
            Phase::Current => {
                let changes = state.records.apply(commit);
                let before = state.seq;
                state.seq = last_seq(commit).unwrap_or(before);
                let changes: Vec<Arc<Change<E>>> = changes.into_iter().map(Arc::new).collect();
                if let Some(table) = self.table.get() {
                    table.take(&changes);
                }
                // Who has only some of a commit's changes has not been told of the commit.
                let last = changes.len().saturating_sub(1);
                let seq = |index| if index < last { before } else { state.seq };
                self.audience.publish(
                    changes.into_iter().enumerate().map(|(index, change)| PendingEvent::new(change, seq(index))),
                )
            }
            Phase::Reading { meanwhile, .. } => {
                meanwhile.push(commit);
                Vec::new()
            }
            Phase::Unread => {
                drop(self.begin(state));
                self.audience.take_wakers()
            }
        }
    }

    /// Anything may have changed. Subscribers are told when the records have been read again, so that whatever they read
    /// then is not older, and no op is lost between that and the events after it.
    fn resync(self: &Arc<EntityView<E>>, state: &mut State<E>) -> Vec<Waker> {
        if let Phase::Reading { meanwhile, .. } = &mut state.phase {
            meanwhile.read_again();
            return Vec::new();
        }
        drop(self.begin(state));
        self.audience.take_wakers()
    }

    /// Begins to read the records.
    fn begin(self: &Arc<EntityView<E>>, state: &mut State<E>) -> Reading {
        let (watch, transport) = (Arc::downgrade(self), Arc::clone(&self.transport));
        let reading = read(watch, transport).boxed().shared();
        self.is_behind.store(true, Ordering::SeqCst);
        state.phase = Phase::Reading { reading: reading.clone(), meanwhile: Meanwhile::default() };
        reading
    }

    /// Takes the records that were read, which have every op up to `seq`. False when they have to be read again.
    fn finish(&self, records: Records<E>, seq: u64) -> bool {
        let mut state = self.lock();
        let Phase::Reading { meanwhile, .. } = &mut state.phase else { return true };
        let meanwhile = std::mem::take(meanwhile);
        if meanwhile.again {
            return false;
        }
        state.phase = Phase::Current;
        let before = std::mem::replace(&mut state.records, records);
        state.seq = seq;
        for commit in meanwhile.commits {
            state.seq = state.seq.max(last_seq(&commit).unwrap_or(0));
            state.records.apply(&commit);
        }
        if let Some(table) = self.table.get() {
            table.replace(&state.records.all());
        }
        self.is_behind.store(false, Ordering::SeqCst);
        let wakers = self.audience.resync();
        drop(state);
        // What may take long to be dropped is so under no lock.
        drop(before);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// The records as they were last current.
    pub(super) fn records(&self) -> Vec<Arc<CachedRecord<E>>> {
        self.lock().records.all()
    }

    /// The last op that the records have, of those that concern them.
    pub(super) fn seq(&self) -> u64 {
        self.lock().seq
    }

    fn fail(&self, error: &DustErr) {
        tracing::error!(target: "dust_orm", prefix = %self.prefix, %error, "the records that subscribers are told of cannot be read");
        self.lock().phase = Phase::Unread;
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // No one else's code is called under the lock: records are decoded by those who read them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many subscribers there are.
    #[cfg(test)]
    pub(super) fn subscribers(&self) -> usize {
        self.audience.len()
    }
}

async fn read<E: DustEntity>(watch: Weak<EntityView<E>>, transport: Arc<dyn Transport>) -> Result<(), DustErr> {
    loop {
        let read = read_all::<E>(&transport).await;
        let Some(watch) = watch.upgrade() else { return Ok(()) };
        match read {
            Ok((records, seq)) => {
                if watch.finish(records, seq) {
                    return Ok(());
                }
            }
            Err(error) => {
                watch.fail(&error);
                return Err(error);
            }
        }
    }
}

/// The place in the store's order of the last op of a commit.
fn last_seq(commit: &[Arc<CommittedOp>]) -> Option<u64> {
    commit.last().map(|op| op.store_seq)
}

/// The records, once everything that these pages may show has been heard of, and an op up to which they have all.
async fn read_all<E: DustEntity>(transport: &Arc<dyn Transport>) -> Result<(Records<E>, u64), DustErr> {
    let seq = transport.op_hub().await?.seq();
    let mut pages = RecordPages::of::<E>(Arc::clone(transport))?;
    let mut records = Records::new(E::prefix_path()?, Vec::new());
    while let Some(page) = pages.next().await? {
        records.extend(page);
    }
    transport.op_hub().await?;
    Ok((records, seq))
}

impl<E: DustEntity> fmt::Debug for EntityView<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityView").field("prefix", &self.prefix.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use dust_protocol::{OpKind, RawJson};

    use super::*;

    #[test]
    fn what_is_kept_while_records_are_read_is_bounded_in_bytes() {
        let value = RawJson::parse(&format!("{:?}", "x".repeat(1 << 20))).unwrap();
        let op = |store_seq| {
            Arc::new(CommittedOp {
                store_seq,
                op: OpKind::Set,
                path: Path::parse("links/a").unwrap(),
                value: value.clone(),
                device_id: "d".into(),
                client_op_id: "c".into(),
            })
        };
        let mut meanwhile = Meanwhile::default();
        let mut most = 0;
        for seq in 1..=500 {
            meanwhile.push(&[op(seq)]);
            most = most.max(meanwhile.commits.iter().flatten().map(|op| op.footprint()).sum());
        }
        assert!((BYTES_MEANWHILE / 2..=BYTES_MEANWHILE).contains(&most), "{most}");
        assert!(meanwhile.again && meanwhile.commits.is_empty());
    }
}
