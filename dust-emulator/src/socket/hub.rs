//! The members of all topics, and the effects of a test on all sockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::frame::Outgoing;
use super::queue::Queue;
use crate::state::State;

/// An order to a connection.
pub(super) enum Order {
    Send(Outgoing),
    /// Crash a joined channel.
    Crash(u64),
}

/// The sockets of an emulator and their channels.
pub(crate) struct Hub {
    /// The members by topic. The topics of a store's name and of its id are separate.
    joined: Mutex<HashMap<Arc<str>, Vec<Member>>>,
    next_id: AtomicU64,
    sockets: AtomicUsize,
    /// Changes if all connections have to be dropped.
    dropped: watch::Sender<u64>,
    /// The number of events after which catch-ups wait.
    held: watch::Sender<Option<usize>>,
}

struct Member {
    id: u64,
    queue: Queue,
}

impl Default for Hub {
    fn default() -> Hub {
        Hub {
            joined: Mutex::default(),
            next_id: AtomicU64::new(0),
            sockets: AtomicUsize::new(0),
            dropped: watch::channel(0).0,
            held: watch::channel(None).0,
        }
    }
}

impl Hub {
    pub(crate) fn open_sockets(&self) -> usize {
        self.sockets.load(Ordering::SeqCst)
    }

    pub(crate) fn channels(&self) -> usize {
        self.lock().values().map(Vec::len).sum()
    }

    pub(crate) fn disconnect_all(&self) {
        self.dropped.send_modify(|times| *times += 1);
    }

    pub(crate) fn crash_channels(&self) {
        for member in self.lock().values().flatten() {
            // An ended connection needs no crash.
            member.queue.send(Order::Crash(member.id));
        }
    }

    pub(crate) fn hold_catch_ups(&self, events: Option<usize>) {
        self.held.send_replace(events);
    }

    pub(super) fn dropped(&self) -> watch::Receiver<u64> {
        self.dropped.subscribe()
    }

    pub(super) fn held(&self) -> watch::Receiver<Option<usize>> {
        self.held.subscribe()
    }

    /// Sends a frame to every channel of its topic.
    pub(super) fn push(&self, frame: &Outgoing) {
        for member in self.lock().get(&frame.topic).into_iter().flatten() {
            member.queue.send(Order::Send(frame.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Member>>> {
        // A member is inserted or removed in one step.
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The membership of a joined channel, until it is dropped.
pub(super) struct Membership {
    state: Arc<State>,
    topic: Arc<str>,
    pub(super) id: u64,
}

impl Membership {
    pub(super) fn of(state: &Arc<State>, topic: &Arc<str>, queue: Queue) -> Membership {
        let hub = &state.hub;
        let id = hub.next_id.fetch_add(1, Ordering::Relaxed);
        hub.lock().entry(Arc::clone(topic)).or_default().push(Member { id, queue });
        Membership { state: Arc::clone(state), topic: Arc::clone(topic), id }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut joined = self.state.hub.lock();
        if let Some(members) = joined.get_mut(&self.topic) {
            members.retain(|member| member.id != self.id);
            if members.is_empty() {
                joined.remove(&self.topic);
            }
        }
    }
}

/// An open socket, until it is dropped.
pub(super) struct Presence(Arc<State>);

impl Presence {
    pub(super) fn of(state: &Arc<State>) -> Presence {
        state.hub.sockets.fetch_add(1, Ordering::SeqCst);
        Presence(Arc::clone(state))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.hub.sockets.fetch_sub(1, Ordering::SeqCst);
    }
}
