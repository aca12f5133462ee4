//! The bounded queue between the publishers and one subscriber.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::coalescing_queue::{Coalesce, CoalescingQueue, Received};

/// A [`CoalescingQueue`] with one subscriber that waits for its items. Adding an item never waits. An empty one takes
/// little memory.
pub(crate) struct Queue<T: Coalesce>(Mutex<State<T>>);

struct State<T: Coalesce> {
    capacity: usize,
    /// The items that wait; `None` if there are none.
    backlog: Option<Box<CoalescingQueue<T>>>,
    closed: bool,
    waker: Option<Waker>,
}

impl<T: Coalesce> Queue<T> {
    /// Creates a queue of `capacity` items (at least 1).
    pub(crate) fn new(capacity: usize) -> Queue<T> {
        Queue(Mutex::new(State { capacity, backlog: None, closed: false, waker: None }))
    }

    /// Adds an item. The caller wakes the returned waker while it holds no lock.
    #[must_use]
    pub(crate) fn push(&self, item: T) -> Option<Waker> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.backlog().push(item);
        state.waker.take()
    }

    /// Replaces all items with [`Received::Resync`]. The caller wakes the returned waker while it holds no lock.
    #[must_use]
    pub(crate) fn resync(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.backlog().resync();
        state.waker.take()
    }

    /// Ends the queue after the items that wait. The caller wakes the returned waker while it holds no lock.
    #[must_use]
    pub(crate) fn close(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.closed = true;
        state.waker.take()
    }

    /// Takes the next item. `None` is the end.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Option<Received<T>>> {
        let mut state = self.lock();
        if let Some(taken) = state.backlog.as_mut().and_then(|backlog| backlog.take()) {
            return Poll::Ready(Some(taken));
        }
        state.backlog = None;
        state.wait(context).map(|()| None)
    }

    /// Waits until there is something to take: true for an item, false for Resync and for the end.
    pub(crate) fn poll_item(&self, context: &Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        match &state.backlog {
            Some(backlog) if backlog.is_resync() => Poll::Ready(false),
            Some(backlog) if backlog.items().next().is_some() => Poll::Ready(true),
            _ => state.wait(context).map(|()| false),
        }
    }

    /// Removes all items, and Resync.
    pub(crate) fn clear(&self) {
        self.lock().backlog = None;
    }

    /// The items that wait, in their order. Returns `None` if Resync stands before them.
    pub(crate) fn items(&self) -> Option<Vec<T>>
    where
        T: Clone,
    {
        match &self.lock().backlog {
            Some(backlog) if backlog.is_resync() => None,
            Some(backlog) => Some(backlog.items().cloned().collect()),
            None => Some(Vec::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The calls under the lock (hashing a key, replacing an item) do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Coalesce> State<T> {
    fn backlog(&mut self) -> &mut CoalescingQueue<T> {
        self.backlog.get_or_insert_with(|| Box::new(CoalescingQueue::new(self.capacity)))
    }

    /// Waits for the next item; ready at the end.
    fn wait(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.closed {
            return Poll::Ready(());
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::feed::coalescing_queue::tests::{Count, Item, item};

    fn take(queue: &Queue<Item>) -> Poll<Option<Received<Item>>> {
        queue.poll(&Context::from_waker(Waker::noop()))
    }

    fn push(queue: &Queue<Item>, item: Item) {
        drop(queue.push(item));
    }

    /// Takes all items: `Err` is a Resync.
    fn take_all(queue: &Queue<Item>) -> Vec<Result<Item, ()>> {
        let mut taken = Vec::new();
        while let Poll::Ready(Some(next)) = take(queue) {
            taken.push(match next {
                Received::Item(item) => Ok(item),
                Received::Resync => Err(()),
            });
        }
        taken
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let queue = Queue::new(3);
        push(&queue, item(2, 0));
        drop(queue.close());
        push(&queue, item(2, 1));
        assert_eq!(take_all(&queue), [Ok(item(2, 0))]);
        assert_eq!(take(&queue), Poll::Ready(None));
    }

    #[test]
    fn a_subscriber_is_woken_once_for_what_it_waits_for() {
        let queue = Queue::new(3);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(queue.push(item(1, 0)).is_none(), "nobody waits");
        assert_eq!(take_all(&queue).len(), 1);
        assert_eq!(queue.poll(&Context::from_waker(&waker)), Poll::Pending);
        queue.push(item(1, 1)).unwrap().wake();
        assert!(queue.push(item(1, 2)).is_none());
        assert_eq!(count.get(), 1);
    }
}
