//! The feed, which delivers committed ops to listeners.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dust_protocol::{CommittedOp, LeafChange, Op, Path};

type WantsChanges = dyn Fn(&Path) -> bool + Send + Sync;
type OnCommit = dyn Fn(&[CommittedOp], Option<&[LeafChange]>) + Send + Sync;

/// The ops of one commit, and what they changed if it was recorded.
struct Commit {
    ops: Box<[CommittedOp]>,
    changes: Option<Vec<LeafChange>>,
}

struct Listener {
    /// True for a path whose changes the listener needs.
    wants: Box<WantsChanges>,
    /// Called for all ops of a commit at once, with what they changed if that was recorded.
    call: Box<OnCommit>,
    /// The last `store_seq` before it began to listen.
    since: u64,
    active: AtomicBool,
}

impl Listener {
    fn receive(&self, commit: &Commit) {
        if self.active.load(Ordering::Acquire) {
            (self.call)(&commit.ops, commit.changes.as_deref());
        }
    }
}

#[derive(Default)]
struct State {
    listeners: Vec<Arc<Listener>>,
    queue: VecDeque<Commit>,
    last_seq: u64,
    delivering: bool,
}

/// A queue of ops between their commit and their delivery. Listeners are called in order, one commit at a time, and
/// under no lock, so that a listener may read and write.
#[derive(Default)]
pub(super) struct Feed(Mutex<State>);

impl Feed {
    pub(super) fn starting_at(last_seq: u64) -> Feed {
        Feed(Mutex::new(State { last_seq, ..State::default() }))
    }

    pub(super) fn listen(self: &Arc<Feed>, wants: Box<WantsChanges>, call: Box<OnCommit>) -> Subscription {
        let mut state = self.lock();
        let listener = Arc::new(Listener { wants, call, since: state.last_seq, active: AtomicBool::new(true) });
        state.listeners.push(Arc::clone(&listener));
        Subscription { feed: Arc::clone(self), listener }
    }

    /// True if a listener wants the changes of these ops. The caller holds the writer's lock and applies them next.
    pub(super) fn wants(&self, ops: &[Op]) -> bool {
        let state = self.lock();
        state.listeners.iter().any(|listener| ops.iter().any(|op| (listener.wants)(&op.path)))
    }

    /// Queues committed ops. The caller holds the writer's lock, which keeps them in order.
    pub(super) fn queue(&self, ops: &[CommittedOp], changes: Option<Vec<LeafChange>>) {
        let mut state = self.lock();
        if let Some(last) = ops.last() {
            state.last_seq = last.store_seq;
        }
        if !state.listeners.is_empty() {
            state.queue.push_back(Commit { ops: ops.into(), changes });
        }
    }

    /// Delivers the queued ops, unless another call is delivering, which then delivers these too.
    ///
    /// If a listener panics, the others still receive everything. The panic continues after the delivery.
    pub(super) fn deliver(&self) {
        let mut panic = None;
        while let Some((commit, listeners)) = self.next_commit() {
            let _done = Delivered(self);
            // A listener is older than all ops of a commit or younger than all.
            let seq = commit.ops.first().map_or(0, |op| op.store_seq);
            for listener in listeners.iter().filter(|listener| seq > listener.since) {
                // A panic leaves only the listener's own state inconsistent: a call changes nothing here.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| listener.receive(&commit))) {
                    panic.get_or_insert(payload);
                }
            }
        }
        // A write during unwinding, such as the release of a lease, must not panic: a second panic aborts the process.
        if let Some(payload) = panic
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }

    /// The next commit to deliver and its listeners; `None` if there is none or another call is delivering.
    fn next_commit(&self) -> Option<(Commit, Vec<Arc<Listener>>)> {
        let mut state = self.lock();
        if state.delivering {
            return None;
        }
        let commit = state.queue.pop_front()?;
        state.delivering = true;
        Some((commit, state.listeners.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No callback runs under the lock, so that a panic elsewhere cannot leave the state inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Allows the next delivery when it is dropped.
struct Delivered<'f>(&'f Feed);

impl Drop for Delivered<'_> {
    fn drop(&mut self) {
        self.0.lock().delivering = false;
    }
}

/// The registration of a listener of a [`Store`](super::Store). Dropping it ends the registration.
///
/// A call that runs on another thread at that time still completes.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    feed: Arc<Feed>,
    listener: Arc<Listener>,
}

impl Subscription {
    /// The last `store_seq` before the listener began: it receives every later op. Every later read of the store has at
    /// least the ops up to it.
    pub fn since(&self) -> u64 {
        self.listener.since
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listener.active.store(false, Ordering::Release);
        self.feed.lock().listeners.retain(|other| !Arc::ptr_eq(other, &self.listener));
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("since", &self.listener.since).finish_non_exhaustive()
    }
}
