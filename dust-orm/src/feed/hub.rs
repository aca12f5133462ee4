//! The hub, which finds the listeners of each op.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use dust_protocol::{CommittedOp, LeafChange, Path, Pattern};

use super::affected_paths::{AffectedPaths, affected_paths};
use super::index::Index;

/// An event that a listener receives.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HubEvent<'n> {
    /// Ops were committed together. Their effect can be read.
    Commit {
        /// The ops that concern the listener, in their order.
        ops: &'n [Arc<CommittedOp>],
        /// All leaves that the commit changed, in order; `None` if they are not known, for instance because the
        /// listener joined while the ops were applied.
        changes: Option<&'n [LeafChange]>,
    },
    /// Anything may have changed: ops are missing between the previous event and the next.
    Resync,
    /// The last event.
    Closed,
}

type Call = dyn Fn(HubEvent<'_>) + Send + Sync;

/// Delivers the committed ops of one store to the subscriptions that they concern.
///
/// A transport that can be subscribed to owns one hub and [publishes](Hub::publish) in it what its store has committed:
/// the ops, and the leaves that they changed if a subscription wants them. Publishing never waits for a subscriber.
///
/// An op concerns a subscription if it may change one of its records: an op at or below the path of the record, and one
/// that replaces or removes a subtree above it. The case of ASCII letters does not count above, as a store ignores it
/// when it removes.
///
/// # Changes of leaves
///
/// An op is applied once, to the leaves of the store or of the mirror. The transport decides before that whether to
/// record the changes, so that they cost nothing without a subscription that wants them:
///
/// ```text
/// the transport                              a subscription
///   1 lock the leaves                          a listen
///   2 hub.wants_changes(path of each op)?      b transport.op_hub().await: passes the lock, then waits
///   3 apply the ops, recording if so             until everything that can be read is published
///   4 unlock: the ops can be read              c read the leaves
///   5 hub.publish(ops, changes)                d patch them with the changes published since a
/// ```
///
/// If `a` comes before 2, the commit has changes. If it comes after 2, then `b` waits for 4 and 5, and `c` reads what
/// the ops did. Before `b` ends the subscription may receive the commit without changes, and then reads its records
/// again. A transport that has no leaves may publish every commit without changes: then subscriptions read all records
/// again after each.
///
/// ```
/// use dust_orm::protocol::{CommittedOp, OpKind, Path, RawJson};
/// use dust_orm::transport::Hub;
///
/// let hub = Hub::new(0);
/// let path = Path::parse("links/dust/title")?;
/// assert!(!hub.wants_changes(&path), "without a subscription the changes are not recorded");
/// hub.publish(&[CommittedOp::new(1, OpKind::Set, path, RawJson::parse("\"Dust\"")?)], None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Hub {
    state: Mutex<State>,
    /// Values that listeners of one kind share, by their type and name.
    shared: Mutex<HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>>,
}

#[derive(Default)]
struct State {
    /// Ops up to this one were published, or are older than the hub.
    seq: u64,
    /// Number of resyncs. A `seq` before a resync may name another op than after it.
    resyncs: u64,
    closed: bool,
    index: Index,
    by_pattern: HashMap<Pattern, u64>,
    groups: HashMap<u64, Group>,
    next_id: u64,
    /// Tasks that wait until an op is published.
    waiting: Vec<(u64, Waker)>,
}

/// The listeners of one pattern. However many there are, an op is compared with the pattern once.
struct Group {
    pattern: Pattern,
    /// The number of listeners that read the changes of leaves, not only the ops.
    wanting: usize,
    /// Shared with a publication under way, and copied only if they change meanwhile.
    listeners: Arc<BTreeMap<u64, Arc<Call>>>,
}

/// A publication for the listeners of one pattern.
type Delivery = (Arc<BTreeMap<u64, Arc<Call>>>, Vec<Arc<CommittedOp>>);

impl Hub {
    /// A hub for the ops after `seq`.
    pub fn new(seq: u64) -> Arc<Hub> {
        Arc::new(Hub { state: Mutex::new(State { seq, ..State::default() }), shared: Mutex::default() })
    }

    /// The `store_seq` of the last published op or, if no op was published, of the last op before the hub began.
    pub(crate) fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// Delivers ops in the order of `store_seq`, after readers of the store can see them. Calls must not overlap.
    ///
    /// Ops that are one batch by their `client_op_id` (`id:0`, `id:1`, …) are one commit.
    ///
    /// `changes` are the leaves that all these ops changed, in order. They may be `None` if
    /// [`wants_changes`](Hub::wants_changes) was false for the path of each op before the ops were applied.
    pub fn publish(&self, ops: &[CommittedOp], changes: Option<&[LeafChange]>) {
        for commit in ops.chunk_by(|before, op| op.follows_in_batch(before)) {
            let (Some(first), Some(last)) = (commit.first(), commit.last()) else { continue };
            let changes = changes.map(|changes| between(changes, first.store_seq, last.store_seq));
            for (listeners, ops) in self.deliveries(commit).0 {
                for call in listeners.values() {
                    call(HubEvent::Commit { ops: &ops, changes });
                }
            }
            self.advance(last.store_seq);
        }
    }

    /// True if a subscription needs to know the leaves that an op at this path changes. Call it before the op is
    /// applied, and so that no later subscription reads the leaves before that.
    pub fn wants_changes(&self, path: &Path) -> bool {
        let state = self.lock();
        if state.groups.is_empty() {
            return false;
        }
        let affected = AffectedPaths { path: Cow::Borrowed(path), below: true };
        let mut candidates = Vec::new();
        state.index.candidates(&affected, &mut candidates);
        let mut groups = candidates.iter().filter_map(|id| state.groups.get(id));
        groups.any(|group| group.wanting > 0 && affected.meets(&group.pattern))
    }

    /// Declares the ops up to `seq` published: they came before the hub, or were part of a [`resync`](Hub::resync).
    pub(crate) fn advance(&self, seq: u64) {
        let mut state = self.lock();
        state.seq = state.seq.max(seq);
        let reached = state.seq;
        let ready: Vec<Waker> =
            state.waiting.extract_if(.., |(seq, _)| *seq <= reached).map(|(_, waker)| waker).collect();
        drop(state);
        ready.into_iter().for_each(Waker::wake);
    }

    /// Makes all subscriptions read their records again: anything may have changed, and readers see the store as of
    /// `seq`, which is lower than before if the store was restored from a backup. A hub without subscriptions continues
    /// after `seq`.
    pub fn resync(&self, seq: u64) {
        {
            let mut state = self.lock();
            state.seq = seq;
            state.resyncs += 1;
        }
        self.tell_all(HubEvent::Resync);
        self.release_all();
    }

    /// Ends every subscription after its last event.
    pub fn close(&self) {
        self.lock().closed = true;
        self.tell_all(HubEvent::Closed);
        self.release_all();
    }

    /// Waits until every op that can be read now is published. `readable` returns the `store_seq` of the last of them.
    pub async fn caught_up(&self, readable: impl Fn() -> u64) {
        // The number, and the count of resyncs when it was read.
        let mut wanted: Option<(u64, u64)> = None;
        poll_fn(|context| {
            loop {
                let resyncs = self.lock().resyncs;
                let seq = match wanted {
                    Some((seq, found_after)) if found_after == resyncs => seq,
                    // The caller's function may take a lock of its own.
                    _ => readable(),
                };
                wanted = Some((seq, resyncs));
                let mut state = self.lock();
                if state.closed {
                    return Poll::Ready(());
                }
                if state.resyncs != resyncs {
                    continue;
                }
                if state.seq >= seq {
                    return Poll::Ready(());
                }
                let is_known = |(other, waker): &(u64, Waker)| *other == seq && waker.will_wake(context.waker());
                if !state.waiting.iter().any(is_known) {
                    state.waiting.push((seq, context.waker().clone()));
                }
                return Poll::Pending;
            }
        })
        .await;
    }

    /// Calls a function for the ops that concern a pattern, from now on, until the [`Listener`] is dropped.
    ///
    /// It is called on the thread that publishes, which may be that of a writer, under no lock, and should be quick,
    /// such as sending the event to a queue. It should not panic, as other listeners then miss the op.
    pub(crate) fn listen(
        self: &Arc<Hub>,
        pattern: &Pattern,
        call: impl Fn(HubEvent<'_>) + Send + Sync + 'static,
    ) -> Listener {
        self.add(pattern, true, Arc::new(call))
    }

    /// As [`listen`](Hub::listen), for a listener that ignores the changes of leaves.
    pub(super) fn listen_to_ops(
        self: &Arc<Hub>,
        pattern: &Pattern,
        call: impl Fn(HubEvent<'_>) + Send + Sync + 'static,
    ) -> Listener {
        self.add(pattern, false, Arc::new(call))
    }

    fn add(self: &Arc<Hub>, pattern: &Pattern, wants_changes: bool, call: Arc<Call>) -> Listener {
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        let group = match state.by_pattern.get(pattern) {
            Some(group) => *group,
            None => {
                state.index.insert(pattern, id);
                state.by_pattern.insert(pattern.clone(), id);
                id
            }
        };
        let entry = state.groups.entry(group);
        let entry = entry.or_insert_with(|| Group { pattern: pattern.clone(), wanting: 0, listeners: Arc::default() });
        entry.wanting += usize::from(wants_changes);
        Arc::make_mut(&mut entry.listeners).insert(id, Arc::clone(&call));
        let closed = state.closed;
        drop(state);
        if closed {
            call(HubEvent::Closed);
        }
        Listener { hub: Arc::clone(self), group, id, wants_changes }
    }

    /// Returns the value of a type and a name that listeners share while one of them holds it; makes it if there is
    /// none.
    pub(crate) fn shared<T: Any + Send + Sync>(&self, name: String, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        // A panic under the lock leaves the map unchanged.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let id = (TypeId::of::<T>(), name);
        let found = shared.get(&id).and_then(Weak::upgrade);
        if let Some(found) = found.and_then(|any| any.downcast::<T>().ok()) {
            return found;
        }
        let made = make();
        let weak = Arc::downgrade(&made);
        // The entries that nothing holds any more are removed each time their number doubles.
        if shared.len().is_power_of_two() {
            shared.retain(|_, weak| weak.strong_count() > 0);
        }
        shared.insert(id, weak);
        made
    }

    /// Returns the listeners of a commit, and the number of index nodes and patterns that the search looked at.
    fn deliveries(&self, commit: &[CommittedOp]) -> (Vec<Delivery>, usize) {
        let state = self.lock();
        if state.groups.is_empty() {
            return (Vec::new(), 0);
        }
        let mut work = 0;
        let mut found: BTreeMap<u64, Vec<Arc<CommittedOp>>> = BTreeMap::new();
        let mut candidates = Vec::new();
        for op in commit {
            let mut shared = None;
            for affected in affected_paths(op) {
                work += state.index.candidates(&affected, &mut candidates);
                for id in candidates.drain(..) {
                    work += 1;
                    let Some(group) = state.groups.get(&id) else { continue };
                    let op = shared.get_or_insert_with(|| Arc::new(op.clone()));
                    let ops = found.get(&id);
                    let known = ops.and_then(|ops| ops.last()).is_some_and(|last| Arc::ptr_eq(last, op));
                    if !known && affected.meets(&group.pattern) {
                        found.entry(id).or_default().push(Arc::clone(op));
                    }
                }
            }
        }
        let deliveries =
            found.into_iter().filter_map(|(id, ops)| Some((Arc::clone(&state.groups.get(&id)?.listeners), ops)));
        (deliveries.collect(), work)
    }

    /// Wakes all tasks that wait for an op.
    fn release_all(&self) {
        let ready = std::mem::take(&mut self.lock().waiting);
        ready.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn tell_all(&self, news: HubEvent<'_>) {
        let all: Vec<_> = self.lock().groups.values().map(|group| Arc::clone(&group.listeners)).collect();
        for call in all.iter().flat_map(|listeners| listeners.values()) {
            call(news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code is called under the lock, so a panic elsewhere does not leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn work(&self, op: &CommittedOp) -> usize {
        self.deliveries(std::slice::from_ref(op)).1
    }

    /// The number of listeners.
    #[cfg(test)]
    pub(crate) fn listeners(&self) -> usize {
        let state = self.lock();
        assert_eq!(state.index.is_empty(), state.groups.is_empty());
        assert_eq!(state.by_pattern.len(), state.groups.len());
        state.groups.values().map(|group| group.listeners.len()).sum()
    }
}

/// The changes of the ops `first` to `last`, out of `changes`, which are in order.
fn between(changes: &[LeafChange], first: u64, last: u64) -> &[LeafChange] {
    let (_, changes) = changes.split_at(changes.partition_point(|change| change.store_seq < first));
    changes.split_at(changes.partition_point(|change| change.store_seq <= last)).0
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let patterns = state.groups.len();
        f.debug_struct("Hub").field("seq", &state.seq).field("patterns", &patterns).finish_non_exhaustive()
    }
}

/// The registration of a function of `Hub::listen`. Dropping it ends the calls.
///
/// A call that runs on another thread at that time still completes.
#[must_use = "dropping the listener ends it"]
pub struct Listener {
    hub: Arc<Hub>,
    group: u64,
    id: u64,
    wants_changes: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let State { groups, by_pattern, index, .. } = &mut *state;
        let Some(group) = groups.get_mut(&self.group) else { return };
        let call = Arc::make_mut(&mut group.listeners).remove(&self.id);
        group.wanting -= usize::from(self.wants_changes);
        if group.listeners.is_empty() {
            by_pattern.remove(&group.pattern);
            index.remove(&group.pattern, self.group);
            groups.remove(&self.group);
        }
        drop(state);
        // The function may hold a listener whose drop takes the lock.
        drop(call);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
