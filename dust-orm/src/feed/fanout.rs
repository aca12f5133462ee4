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

    /// Publishes items to all subscribers; without an item none is woken. The caller wakes the returned wakers while it holds no lock.
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
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::feed::coalescing_queue::tests::{Count, Item, item};

    fn take(fanout: &Fanout<Item>, subscriber: SubscriberId) -> Poll<Option<Received<Item>>> {
        fanout.poll(subscriber, &Context::from_waker(Waker::noop()))
    }

    fn publish(fanout: &Fanout<Item>, item: Item) {
        drop(fanout.publish([item]));
    }

    /// A step of one subscriber, or one that affects all.
    #[derive(Clone, Debug)]
    enum Step {
        Join(usize),
        Leave(prop::sample::Index),
        Publish(Vec<u8>),
        Take(prop::sample::Index),
        TakeAll,
        Resync,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..5_usize).prop_map(Step::Join),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
            8 => prop::collection::vec(prop_oneof![20 => 0..6_u8, 1 => 200..204_u8], 1..40).prop_map(Step::Publish),
            12 => any::<prop::sample::Index>().prop_map(Step::Take),
            2 => Just(Step::TakeAll),
            1 => Just(Step::Resync),
        ]
    }

    proptest! {
        /// Each subscriber gets the items that it would get out of a queue of its own.
        #[test]
        fn is_as_if_everybody_had_a_backlog(steps in prop::collection::vec(step(), 0..60)) {
            let fanout = Fanout::new();
            let mut all: Vec<(SubscriberId, CoalescingQueue<Item>)> = Vec::new();
            let mut number = 0;
            for step in steps {
                match step {
                    // Some queues hold little, others hold all recent items and more.
                    Step::Join(capacity) => {
                        let capacity = capacity * capacity * 10;
                        all.push((fanout.join(capacity), CoalescingQueue::new(capacity)));
                    }
                    Step::Leave(index) if !all.is_empty() => {
                        let (subscriber, _) = all.swap_remove(index.index(all.len()));
                        fanout.leave(subscriber);
                        prop_assert_eq!(take(&fanout, subscriber), Poll::Ready(None));
                    }
                    Step::Publish(keys) => {
                        let items: Vec<Item> = (number..).zip(keys).map(|(number, key)| item(key, number)).collect();
                        number += items.len() as u32;
                        for (_, backlog) in &mut all {
                            items.iter().for_each(|item| backlog.push(item.clone()));
                        }
                        drop(fanout.publish(items));
                    }
                    Step::Take(index) if !all.is_empty() => {
                        let index = index.index(all.len());
                        let (subscriber, backlog) = &mut all[index];
                        let expected = backlog.take().map_or(Poll::Pending, |next| Poll::Ready(Some(next)));
                        prop_assert_eq!(take(&fanout, *subscriber), expected);
                    }
                    Step::TakeAll => {
                        for (subscriber, backlog) in &mut all {
                            while let Some(next) = backlog.take() {
                                prop_assert_eq!(take(&fanout, *subscriber), Poll::Ready(Some(next)));
                            }
                            prop_assert_eq!(take(&fanout, *subscriber), Poll::Pending);
                        }
                        prop_assert!(fanout.lock().recent.is_empty(), "nobody needs it");
                    }
                    Step::Resync => {
                        all.iter_mut().for_each(|(_, backlog)| backlog.resync());
                        drop(fanout.resync());
                    }
                    Step::Leave(_) | Step::Take(_) => {}
                }
                let state = fanout.lock();
                prop_assert!(state.recent.len() <= RECENT);
                let behind = state.places.iter().filter(|place| place.id != 0 && place.next < state.end).count();
                prop_assert_eq!((state.behind, state.recent.is_empty()), (behind, behind == 0));
                drop(state);
                prop_assert_eq!(fanout.len(), all.len());
            }
        }
    }

    #[test]
    fn who_waits_is_woken_once() {
        let fanout = Fanout::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let subscribers = [fanout.join(3), fanout.join(3)];
        assert!(fanout.publish([item(1, 0)]).is_empty(), "nobody waits");
        for subscriber in subscribers {
            assert_eq!(take(&fanout, subscriber), Poll::Ready(Some(Received::Item(item(1, 0)))));
            assert_eq!(fanout.poll(subscriber, &Context::from_waker(&waker)), Poll::Pending);
        }
        fanout.publish([item(1, 1), item(1, 2)]).into_iter().for_each(Waker::wake);
        assert_eq!(count.get(), 2);
        assert!(fanout.publish([item(1, 3)]).is_empty());
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let fanout = Fanout::new();
        let subscriber = fanout.join(3);
        publish(&fanout, item(2, 0));
        drop(fanout.close());
        publish(&fanout, item(2, 1));
        assert_eq!(take(&fanout, subscriber), Poll::Ready(Some(Received::Item(item(2, 0)))));
        assert_eq!(take(&fanout, subscriber), Poll::Ready(None));
        assert_eq!(take(&fanout, fanout.join(3)), Poll::Ready(None));
    }

    #[test]
    fn who_has_left_hears_the_end_and_another_takes_the_place() {
        let fanout = Fanout::new();
        let [one, two, three] = [1, 2, 3].map(|capacity| fanout.join(capacity));
        assert_eq!(take(&fanout, one), Poll::Pending);
        assert!(fanout.leave(one).is_some(), "it waits");
        assert!(fanout.leave(one).is_none());
        let next = fanout.join(1);
        assert_eq!(next.index, one.index);
        publish(&fanout, item(2, 0));
        assert_eq!(take(&fanout, one), Poll::Ready(None));
        assert_eq!(take(&fanout, next), Poll::Ready(Some(Received::Item(item(2, 0)))));
        fanout.leave(two);
        assert_eq!(fanout.lock().places.len(), 3);
        fanout.leave(three);
        assert_eq!(fanout.len(), 1);
        let state = fanout.lock();
        assert!(state.places.len() == 1 && state.free.is_empty() && state.recent.is_empty());
    }
}
