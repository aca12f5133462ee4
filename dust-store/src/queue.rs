//! The writer thread of a store in a file: what waits for the disk shares one commit.
//!
//! A commit waits for the disk for about a millisecond, so requests that come meanwhile are collected and committed
//! together. The thread starts with the first write and ends when nothing was written for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Store;
use super::error::{StoreError, StoreErrorKind};
use super::feed::Feed;
use super::transaction::{Answer, Job};

/// Requests in one commit, at the most.
const TOGETHER: usize = 1024;
/// How long the thread waits for more before it ends.
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
    /// Whether there is a writer thread.
    has_thread: bool,
    is_closed: bool,
}

/// A request, the store that it keeps open, and where its answer goes.
struct Waiter {
    job: Job,
    store: Store,
    reply: Reply,
}

/// Takes the answer; tells whether somebody waits for it.
type Reply = Box<dyn FnOnce(Answer) -> bool + Send>;

impl Queue {
    /// Lets the thread end. Called when the store is closed, so that nothing waits any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn push(self: &Arc<Queue>, waiter: Waiter) {
        let mut waiting = self.lock();
        waiting.requests.push(waiter);
        if waiting.has_thread {
            drop(waiting);
            self.changed.notify_one();
            return;
        }
        let queue = Arc::clone(self);
        let started = std::thread::Builder::new().name("dust-orm-store".to_owned()).spawn(move || queue.run());
        match started {
            Ok(_) => waiting.has_thread = true,
            // The caller does the work where there is no thread to be had.
            Err(_) => {
                let requests = std::mem::take(&mut waiting.requests);
                drop(waiting);
                commit(requests);
            }
        }
    }

    fn run(&self) {
        while let Some(requests) = self.next() {
            // Those whose answers a panic has dropped are told that the thread has ended, and later ones are served.
            let _ = catch_unwind(AssertUnwindSafe(|| commit(requests)));
        }
    }

    /// What waits, at least one request; `None` when the thread is to end.
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
        // Nothing that can panic is called under the lock.
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
    // A caller that has its answer may drop its store and open the file again.
    drop(stores);
    let heard = replies.into_iter().zip(answers).fold(true, |all, (reply, answer)| reply(answer) && all);
    if !heard {
        // A caller has the listeners called, see `Delivery`; one of them has gone. This thread must not: a listener may
        // wait for a write.
        let _ = std::thread::Builder::new().spawn(move || feed.deliver());
    }
}

impl Store {
    /// Commits a request and waits for that.
    pub(super) fn submit(&self, job: Job) -> Answer {
        let delivery = Delivery(Arc::clone(&self.inner.feed));
        if !self.inner.storage.is_persistent() {
            return delivery.after(self.inner.commit_one(job));
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |answer| sender.send(answer).is_ok());
        self.inner.queue.push(Waiter { job, store: self.clone(), reply });
        delivery.after(receiver.recv().unwrap_or_else(|_| Err(gone())))
    }

    /// As [`submit`](Store::submit), without holding up the thread. A future that is dropped does not stop the write.
    pub(super) async fn submit_async(&self, job: Job) -> Answer {
        let delivery = Delivery(Arc::clone(&self.inner.feed));
        if !self.inner.storage.is_persistent() {
            return delivery.after(self.inner.commit_one(job));
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |answer| sender.send(answer).is_ok());
        self.inner.queue.push(Waiter { job, store: self.clone(), reply });
        delivery.after(receiver.await.unwrap_or_else(|_| Err(gone())))
    }
}

fn gone() -> StoreError {
    StoreErrorKind::Storage("the writer thread has ended; the write may have been applied".into()).into()
}

/// Has listeners called on the thread of the writer, when it has its answer or gives up waiting for it.
struct Delivery(Arc<Feed>);

impl Delivery {
    fn after(self, answer: Answer) -> Answer {
        drop(self);
        answer
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.0.deliver();
    }
}
