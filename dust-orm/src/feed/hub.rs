//! The hub: who hears of which op.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use dust_protocol::{CommittedOp, Pattern};

use super::affected_paths::affected_paths;
use super::index::Index;
use super::ops::Ops;

/// What a listener is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HubEvent<'n> {
    /// These ops were committed together, in this order; ops of the same batch that do not concern the listener are left
    /// out. They can be read.
    Commit(&'n [Arc<CommittedOp>]),
    /// Anything may have changed: ops are missing between what came before and what comes after.
    Resync,
    /// Nothing comes any more.
    Closed,
}

type Call = dyn Fn(HubEvent<'_>) + Send + Sync;

/// Hands the committed ops of one store to those whom they concern.
///
/// A transport owns one and publishes in it; see the [module](super). An op concerns a pattern when it may change what the
/// pattern matches: an op at a matching path, and one that replaces or removes a subtree above it, in whatever case, as a
/// store ignores ASCII case when it removes.
pub struct Hub {
    state: Mutex<State>,
    /// What listeners of one kind share, by its type.
    shared: Mutex<HashMap<TypeId, Weak<dyn Any + Send + Sync>>>,
}

#[derive(Default)]
struct State {
    /// Ops up to this one were published, or are older than the hub.
    seq: u64,
    /// How often ops were left out. Before and after, the same number may mean different ops.
    resyncs: u64,
    closed: bool,
    index: Index,
    by_pattern: HashMap<Pattern, u64>,
    groups: HashMap<u64, Group>,
    next_id: u64,
    /// Who waits for which op to be published.
    waiting: Vec<(u64, Waker)>,
}

/// The listeners of one pattern. However many there are, an op is compared with the pattern once.
struct Group {
    pattern: Pattern,
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

    /// The `store_seq` of the last op that was published, or, where that is none, of the last before the hub began.
    pub fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// Tells of ops, in the order of `store_seq`, once whatever reads the store can see them. Calls must not overlap.
    ///
    /// Ops that are one batch by their `client_op_id` (`id:0`, `id:1`, …) are told of together.
    pub fn publish(&self, ops: &[CommittedOp]) {
        for commit in ops.chunk_by(|before, op| op.follows_in_batch(before)) {
            let Some(last) = commit.last() else { continue };
            for (listeners, ops) in self.deliveries(commit).0 {
                for call in listeners.values() {
                    call(HubEvent::Commit(&ops));
                }
            }
            self.advance(last.store_seq);
        }
    }

    /// Says that nothing is told any more of ops up to `seq`: they came before the hub, or were part of a
    /// [`resync`](Hub::resync).
    pub fn advance(&self, seq: u64) {
        let mut state = self.lock();
        state.seq = state.seq.max(seq);
        let reached = state.seq;
        let ready: Vec<Waker> =
            state.waiting.extract_if(.., |(seq, _)| *seq <= reached).map(|(_, waker)| waker).collect();
        drop(state);
        ready.into_iter().for_each(Waker::wake);
    }

    /// Tells everybody that anything may have changed, now that the store is to be read as of `seq`.
    ///
    /// A store whose sequence went back, because it was restored from a backup, is told of in the same way.
    pub fn resync(&self, seq: u64) {
        {
            let mut state = self.lock();
            state.seq = seq;
            state.resyncs += 1;
        }
        self.tell_all(HubEvent::Resync);
        self.release_all();
    }

    /// Ends every subscription once it has been read to its end.
    pub fn close(&self) {
        self.lock().closed = true;
        self.tell_all(HubEvent::Closed);
        self.release_all();
    }

    /// Waits until every op has been told of that can be read now. `readable` says what that is: the `store_seq` of the last.
    pub async fn caught_up(&self, readable: impl Fn() -> u64) {
        // The number, and the resync that it was found after.
        let mut wanted: Option<(u64, u64)> = None;
        poll_fn(|context| {
            loop {
                let resyncs = self.lock().resyncs;
                let seq = match wanted {
                    Some((seq, found_after)) if found_after == resyncs => seq,
                    // It takes a lock of its own, perhaps.
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

    /// The ops that concern a pattern, from now on, with room for `capacity` of them to wait (at least one; the usual number
    /// is [`QUEUE`](super::QUEUE)).
    ///
    /// Wait for [`Transport::op_hub`](crate::Transport::op_hub) just before, and no op is among them that could be read already.
    pub fn subscribe(self: &Arc<Hub>, pattern: &Pattern, capacity: usize) -> Ops {
        Ops::new(self, pattern, capacity)
    }

    /// Calls a function for the ops that concern a pattern, from now on, until the [`Listener`] is dropped.
    ///
    /// It is called on the thread that publishes, perhaps that of a writer, under no lock, and should be quick: hand over
    /// what it gets. It should not panic, as others then miss the op.
    pub fn listen(self: &Arc<Hub>, pattern: &Pattern, call: impl Fn(HubEvent<'_>) + Send + Sync + 'static) -> Listener {
        let call: Arc<Call> = Arc::new(call);
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
        let entry = entry.or_insert_with(|| Group { pattern: pattern.clone(), listeners: Arc::default() });
        Arc::make_mut(&mut entry.listeners).insert(id, Arc::clone(&call));
        let closed = state.closed;
        drop(state);
        if closed {
            call(HubEvent::Closed);
        }
        Listener { hub: Arc::clone(self), group, id }
    }

    /// What listeners of one kind share while one of them holds it; made when there is none.
    pub(crate) fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        // A panic under the lock has changed nothing.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shared.get(&TypeId::of::<T>()).and_then(Weak::upgrade);
        if let Some(found) = found.and_then(|any| any.downcast::<T>().ok()) {
            return found;
        }
        let made = make();
        let weak = Arc::downgrade(&made);
        shared.insert(TypeId::of::<T>(), weak);
        made
    }

    /// Whom a commit concerns, and how many nodes of the index and patterns were looked at to find out.
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
            for region in affected_paths(op) {
                work += state.index.candidates(&region, &mut candidates);
                for id in candidates.drain(..) {
                    work += 1;
                    let Some(group) = state.groups.get(&id) else { continue };
                    let op = shared.get_or_insert_with(|| Arc::new(op.clone()));
                    let ops = found.get(&id);
                    let known = ops.and_then(|ops| ops.last()).is_some_and(|last| Arc::ptr_eq(last, op));
                    if !known && region.meets(&group.pattern) {
                        found.entry(id).or_default().push(Arc::clone(op));
                    }
                }
            }
        }
        let deliveries =
            found.into_iter().filter_map(|(id, ops)| Some((Arc::clone(&state.groups.get(&id)?.listeners), ops)));
        (deliveries.collect(), work)
    }

    /// Lets everybody who waits look again.
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
        // No one else's code is called under the lock, so a panic elsewhere has not left the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn work(&self, op: &CommittedOp) -> usize {
        self.deliveries(std::slice::from_ref(op)).1
    }

    /// How many listeners there are.
    #[cfg(test)]
    pub(crate) fn listeners(&self) -> usize {
        let state = self.lock();
        assert_eq!(state.index.is_empty(), state.groups.is_empty());
        assert_eq!(state.by_pattern.len(), state.groups.len());
        state.groups.values().map(|group| group.listeners.len()).sum()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let patterns = state.groups.len();
        f.debug_struct("Hub").field("seq", &state.seq).field("patterns", &patterns).finish_non_exhaustive()
    }
}

/// Keeps a function of [`Hub::listen`] listening; dropping it ends that.
///
/// A call that is under way on another thread when it is dropped still ends in its own time.
#[must_use = "dropping the listener ends it"]
pub struct Listener {
    hub: Arc<Hub>,
    group: u64,
    id: u64,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let State { groups, by_pattern, index, .. } = &mut *state;
        let Some(group) = groups.get_mut(&self.group) else { return };
        let call = Arc::make_mut(&mut group.listeners).remove(&self.id);
        if group.listeners.is_empty() {
            by_pattern.remove(&group.pattern);
            index.remove(&group.pattern, self.group);
            groups.remove(&self.group);
        }
        drop(state);
        // What the function holds may be a listener itself.
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
