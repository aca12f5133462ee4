//! The writer thread of a store in a file, which commits waiting requests together.
//!
//! A commit waits for the disk for about a millisecond. Requests that arrive during that time are committed together.
//! The thread starts with the first write and ends after [`IDLE`] without a write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Store;
use super::transaction::{Answer, Job};

/// The largest number of requests in one commit.
const TOGETHER: usize = 1024;
/// The time without requests after which the thread ends.
const IDLE: Duration = Duration::from_secs(10);

/// The requests that wait for the writer thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Waiter>,
    /// True while there is a writer thread.
    has_thread: bool,
    is_closed: bool,
}

/// A request, the store that it keeps open, and the receiver of its answer.
struct Waiter {
    job: Job,
    store: Store,
    reply: Reply,
}

/// Receives the answer; returns true if a caller waits for it.
pub(super) type Reply = Box<dyn FnOnce(Answer) -> bool + Send>;

impl Queue {
    /// Ends the thread. Called when the store is closed, so that no request waits.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Adds a request, and starts the thread if there is none.
    pub(super) fn push(self: &Arc<Queue>, store: Store, job: Job, reply: Reply) {
        let mut waiting = self.lock();
        waiting.requests.push(Waiter { job, store, reply });
        if waiting.has_thread {
            drop(waiting);
            self.changed.notify_one();
            return;
        }
        let queue = Arc::clone(self);
        let started = std::thread::Builder::new().name("dust-orm-store".to_owned()).spawn(move || queue.run());
        match started {
            Ok(_) => waiting.has_thread = true,
            // If no thread can be started, the caller does the work.
            Err(_) => {
                let requests = std::mem::take(&mut waiting.requests);
                drop(waiting);
                commit(requests);
            }
        }
    }

    fn run(&self) {
        while let Some(requests) = self.next() {
            // Requests whose answers a panic has dropped get an error; later requests are served.
            let _ = catch_unwind(AssertUnwindSafe(|| commit(requests)));
        }
    }

    /// The waiting requests, at least one; `None` if the thread has to end.
    fn next(&self) -> Option<Vec<Waiter>> {
        let mut waiting = self.lock();
        loop {
            if !waiting.requests.is_empty() {
                let some = waiting.requests.len().min(TOGETHER);
                return Some(waiting.requests.drain(..some).collect());
            }
            let waited = self.changed.wait_timeout(waiting, IDLE).unwrap_or_else(PoisonError::into_inner);
            let timed_out = waited.1.timed_out();
            waiting = waited.0;
            if waiting.requests.is_empty() && (timed_out || waiting.is_closed) {
                waiting.has_thread = false;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No call under the lock can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits requests together and answers them. All are of one store.
fn commit(requests: Vec<Waiter>) {
    let (mut jobs, mut stores, mut replies) = (Vec::new(), Vec::new(), Vec::new());
    for Waiter { job, store, reply } in requests {
        jobs.push(job);
        stores.push(store);
        replies.push(reply);
    }
    let Some(first) = stores.first() else { return };
    let feed = Arc::clone(&first.inner.feed);
    let answers = first.inner.commit(&jobs);
    // A caller may drop its store after the answer and open the file again.
    drop(stores);
    let heard = replies.into_iter().zip(answers).fold(true, |all, (reply, answer)| reply(answer) && all);
    if !heard {
        // Callers call the listeners after the answer. One caller has dropped its future, and this thread must not do
        // it: a listener may wait for a write.
        let _ = std::thread::Builder::new().spawn(move || feed.deliver());
    }
}
