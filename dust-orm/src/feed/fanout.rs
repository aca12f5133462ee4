//! A queue that many subscribers share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::coalescing_queue::{Coalesce, CoalescingQueue, MAX_QUEUE_BYTES, Received};

/// Maximum number of shared items. The items that wait for a subscriber further behind move to a queue of its own.
const RECENT: usize = 64;

/// A publisher of the same items to many subscribers, each of which takes them at its own speed.
///
/// A published item is stored once, and each subscriber only has its position, so that publishing costs little more
/// than waking the subscribers that wait. A subscriber sees the same as with a [`CoalescingQueue`] of its own that
/// receives every item at once: it gets one when more items wait for it than that would hold, and keeps it until that
/// is empty.
pub(crate) struct Fanout<T: Coalesce + Clone>(Mutex<State<T>>);

/// The identity of a subscriber. The number of a subscriber is never used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubscriberId {
    index: usize,
    id: u64,
}

struct State<T: Coalesce> {
    /// The items that not all subscribers have taken, each with the weight of all items published before it.
    recent: VecDeque<(T, u64)>,
    /// The number of published items.
    end: u64,
    /// The weight of all published items.
    weight: u64,
    /// The subscribers by index; a free place has the number 0.
    places: Vec<Place<T>>,
    free: BTreeSet<usize>,
    /// The number of subscribers that have not taken all of `recent`.
    behind: usize,
    last_id: u64,
    closed: bool,
}

struct Place<T: Coalesce> {
    id: u64,
    capacity: usize,
    /// The number of the next item.
    next: u64,
    waker: Option<Waker>,
    /// The items before `next`.
    backlog: Option<Box<CoalescingQueue<T>>>,
}

impl<T: Coalesce + Clone> Fanout<T> {
    pub(crate) fn new() -> Fanout<T> {
        Fanout(Mutex::new(State {
            recent: VecDeque::new(),
            end: 0,
            weight: 0,
            places: Vec::new(),
            free: BTreeSet::new(),
            behind: 0,
            last_id: 0,
            closed: false,
        }))
    }

    /// Adds a subscriber whose queue holds `capacity` items (at least 1).
    pub(crate) fn join(&self, capacity: usize) -> SubscriberId {
        let mut state = self.lock();
        state.last_id += 1;
        let (id, next) = (state.last_id, state.end);
        let place = Place { id, capacity: capacity.max(1), next, waker: None, backlog: None };
        // The lowest free index, so that the free places collect at the end.
        let index = match state.free.pop_first() {
            Some(index) => {
                state.places[index] = place;
                index
            }
            None => {
                state.places.push(place);
                state.places.len() - 1
            }
        };
        SubscriberId { index, id }
    }

    /// Removes a subscriber. Returns the waker of a task that waits for it; the caller wakes it while it holds no lock.
    pub(crate) fn leave(&self, subscriber: SubscriberId) -> Option<Waker> {
        let mut state = self.lock();
        let end = state.end;
        let place = state.places.get_mut(subscriber.index).filter(|place| place.id == subscriber.id)?;
        let is_behind = place.next < end;
        let left = std::mem::replace(place, Place { id: 0, capacity: 0, next: end, waker: None, backlog: None });
        state.free.insert(subscriber.index);
        while state.places.last().is_some_and(|place| place.id == 0) {
            state.places.pop();
            let index = state.places.len();
            state.free.remove(&index);
        }
        let needless = if is_behind { state.caught_up() } else { None };
        drop(state);
        drop((needless, left.backlog));
        left.waker
    }

    /// Publishes items to all subscribers; without an item, none is woken. The caller wakes the returned wakers while
    /// it holds no lock.
    #[must_use]
    pub(crate) fn publish(&self, items: impl IntoIterator<Item = T>) -> Vec<Waker> {
        let mut state = self.lock();
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return Vec::new();
        }
        items.for_each(|item| state.push(item));
        state.wakers()
    }

    /// Replaces the items that wait for each subscriber with [`Received::Resync`]. The caller wakes the returned wakers
    /// while it holds no lock.
    #[must_use]
    pub(crate) fn resync(&self) -> Vec<Waker> {
        let mut state = self.lock();
        let end = state.end;
        for place in state.places.iter_mut().filter(|place| place.id != 0) {
            let mut backlog = CoalescingQueue::new(place.capacity);
            backlog.resync();
            (place.next, place.backlog) = (end, Some(Box::new(backlog)));
        }
        state.forget();
        state.wakers()
    }

    /// Ends each queue after the items that wait. The caller wakes the returned wakers while it holds no lock.
    #[must_use]
    pub(crate) fn close(&self) -> Vec<Waker> {
        let mut state = self.lock();
        state.closed = true;
        state.wakers()
    }

    /// Removes the wakers of all subscribers that wait, so that the caller can wake them for other work.
    #[must_use]
    pub(crate) fn take_wakers(&self) -> Vec<Waker> {
        self.lock().wakers()
    }

    /// Takes the next item of a subscriber. `None` is the end.
    pub(crate) fn poll(&self, subscriber: SubscriberId, context: &Context<'_>) -> Poll<Option<Received<T>>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(place) = state.places.get_mut(subscriber.index).filter(|place| place.id == subscriber.id) else {
            return Poll::Ready(None);
        };
        let was_behind = place.next < state.end;
        if let Some(taken) = place.take(&state.recent, state.end, state.weight) {
            if was_behind && place.next == state.end {
                let needless = state.caught_up();
                drop(guard);
                drop(needless);
            }
            return Poll::Ready(Some(taken));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        match &mut place.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The number of subscribers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.places.len() - state.free.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The calls under the lock (weighing, hashing a key, replacing an item) do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Coalesce + Clone> State<T> {
    fn push(&mut self, item: T) {
        let there = self.places.len() - self.free.len();
        if self.closed || there == 0 {
            return;
        }
        let weight = item.weight() as u64;
        let kept = self.recent.front().map_or(0, |(_, before)| self.weight - before);
        if self.recent.len() >= RECENT || (kept > 0 && kept + weight > MAX_QUEUE_BYTES as u64) {
            self.settle();
        }
        self.recent.push_back((item, self.weight));
        self.weight += weight;
        self.end += 1;
        self.behind = there;
    }

    /// Moves the recent items that subscribers still lack into their own queues, so that nothing is recent any more.
    fn settle(&mut self) {
        for place in self.places.iter_mut().filter(|place| place.next < self.end) {
            place.settle(&self.recent, self.end);
        }
        self.forget();
    }

    /// Records that one more subscriber has taken all items. Returns the items that no subscriber needs, to be dropped
    /// without the lock.
    fn caught_up(&mut self) -> Option<VecDeque<(T, u64)>> {
        self.behind -= 1;
        if self.behind == 0 { Some(self.forget()) } else { None }
    }

    fn forget(&mut self) -> VecDeque<(T, u64)> {
        self.behind = 0;
        std::mem::take(&mut self.recent)
    }

    fn wakers(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::with_capacity(self.places.len());
        wakers.extend(self.places.iter_mut().filter_map(|place| place.waker.take()));
        wakers
    }
}

impl<T: Coalesce + Clone> Place<T> {
    /// Takes the next item.
    fn take(&mut self, recent: &VecDeque<(T, u64)>, end: u64, weight: u64) -> Option<Received<T>> {
        if self.next < end {
            if self.backlog.is_none()
                && end - self.next <= self.capacity as u64
                && let Some((item, before)) = recent.get(self.start(recent, end))
                && weight - before <= MAX_QUEUE_BYTES as u64
            {
                self.next += 1;
                return Some(Received::Item(item.clone()));
            }
            self.settle(recent, end);
        }
        let taken = self.backlog.as_mut()?.take();
        if taken.is_none() {
            self.backlog = None;
        }
        taken
    }

    /// Moves the items that wait into the backlog.
    fn settle(&mut self, recent: &VecDeque<(T, u64)>, end: u64) {
        let start = self.start(recent, end);
        let backlog = self.backlog.get_or_insert_with(|| Box::new(CoalescingQueue::new(self.capacity)));
        recent.range(start..).for_each(|(item, _)| backlog.push(item.clone()));
        self.next = end;
    }

    /// The index in `recent` of the first item that waits.
    fn start(&self, recent: &VecDeque<(T, u64)>, end: u64) -> usize {
        recent.len().saturating_sub(usize::try_from(end - self.next).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests;
