//! The feed: who hears of committed ops.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dust_protocol::CommittedOp;

/// How a listener wants to be called.
pub(super) enum Call {
    /// For each op.
    Op(Box<dyn Fn(&CommittedOp) + Send + Sync>),
    /// For all ops of a commit at once.
    Commit(Box<HearCommit>),
}

type HearCommit = dyn Fn(&[CommittedOp]) + Send + Sync;

/// What was committed together.
type Commit = Arc<[CommittedOp]>;

struct Listener {
    call: Call,
    /// Ops up to this one were committed before it began to listen.
    since: u64,
    active: AtomicBool,
}

impl Listener {
    fn hear(&self, commit: &[CommittedOp]) {
        let is_active = || self.active.load(Ordering::Acquire);
        match &self.call {
            Call::Op(call) => commit.iter().take_while(|_| is_active()).for_each(call),
            Call::Commit(call) if is_active() => call(commit),
            Call::Commit(_) => {}
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

/// Ops wait here between their commit and their delivery, so that listeners are called in order, one commit at a time, and
/// under no lock: a listener may read and even write.
#[derive(Default)]
pub(super) struct Feed(Mutex<State>);

impl Feed {
    pub(super) fn starting_at(last_seq: u64) -> Feed {
        Feed(Mutex::new(State { last_seq, ..State::default() }))
    }

    pub(super) fn listen(self: &Arc<Feed>, call: Call) -> Subscription {
        let mut state = self.lock();
        let listener = Arc::new(Listener { call, since: state.last_seq, active: AtomicBool::new(true) });
        state.listeners.push(Arc::clone(&listener));
        Subscription { feed: Arc::clone(self), listener }
    }

    /// Queues committed ops. Called while the writer's lock is held, which keeps them in order.
    pub(super) fn queue(&self, ops: &[CommittedOp]) {
        let mut state = self.lock();
        if let Some(last) = ops.last() {
            state.last_seq = last.store_seq;
        }
        if !state.listeners.is_empty() {
            state.queue.push_back(ops.into());
        }
    }

    /// Delivers what is queued, unless another call is at it, which will then deliver this, too.
    ///
    /// A listener that panics takes nothing from the others: the panic goes on when everything is delivered.
    pub(super) fn deliver(&self) {
        let mut panic = None;
        while let Some((commit, listeners)) = self.next_commit() {
            let _done = Delivered(self);
            // All ops of a commit are newer than a listener, or none is.
            let seq = commit.first().map_or(0, |op| op.store_seq);
            for listener in listeners.iter().filter(|listener| seq > listener.since) {
                // Whatever the listener has broken is its own: nothing here is changed by a call.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| listener.hear(&commit))) {
                    panic.get_or_insert(payload);
                }
            }
        }
        // A write may be made while a panic unwinds, to give a lease back; a second panic would abort the process.
        if let Some(payload) = panic
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }

    /// The next commit to deliver and whom to; `None` when there is none, or another call is at it.
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
        // Nothing is called under the lock, so a panic elsewhere cannot have left the state half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next commit be delivered.
struct Delivered<'f>(&'f Feed);

impl Drop for Delivered<'_> {
    fn drop(&mut self) {
        self.0.lock().delivering = false;
    }
}

/// Keeps a listener of a [`Store`](super::Store) listening; dropping it ends that.
///
/// A call that is under way on another thread when it is dropped still ends in its own time.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    feed: Arc<Feed>,
    listener: Arc<Listener>,
}

impl Subscription {
    /// The last `store_seq` before the listener began: it hears of every op after this one. Whatever is read from the
    /// store from now on holds at least the ops up to it.
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
