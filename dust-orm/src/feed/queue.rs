//! The bounded queue between those who publish and one subscriber.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Something that waits for a subscriber.
pub(crate) trait Queued {
    /// What it is about: only things about the same can replace each other.
    type Key: Clone + Eq + Hash;

    fn key(&self) -> Self::Key;

    /// Takes the place of an older one about the same: true when the older one need not be delivered any more. What it
    /// must not forget of the older one it keeps.
    fn replace(&mut self, older: &Self) -> bool;

    /// About how much memory it takes, in bytes, although others may hold it, too.
    fn weight(&self) -> usize;
}

/// How much may wait for one subscriber, in bytes, unless it is a single thing.
pub(crate) const MAX_QUEUE_BYTES: usize = 64 << 20;

/// What a subscriber takes out of its queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    Item(T),
    /// What was here did not fit.
    Resync,
}

/// Holds a limited number of things, of limited size, until a subscriber takes them.
///
/// When it is full, older things are dropped that newer ones replace. When it is full of things that all matter, it is
/// emptied, and says so in their place. Putting something in never waits and takes constant time, spread over many.
pub(crate) struct Queue<T: Queued> {
    capacity: usize,
    state: Mutex<State<T>>,
}

struct State<T: Queued> {
    /// What waits. `None` is the place of something that was replaced.
    slots: VecDeque<Option<T>>,
    /// How many slots are taken.
    waiting: usize,
    /// How much memory what waits takes.
    bytes: usize,
    /// How many slots there have been before the first one: with it, a slot keeps its number while others are taken.
    before: u64,
    /// The newest slot about each thing, from the moment the queue was full until it is empty again.
    newest: Option<HashMap<T::Key, u64>>,
    /// Whether something that did not fit was before the first slot.
    resync: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl<T: Queued> Queue<T> {
    /// A queue for at least one.
    pub(crate) fn new(capacity: usize) -> Queue<T> {
        let state = State {
            slots: VecDeque::new(),
            waiting: 0,
            bytes: 0,
            before: 0,
            newest: None,
            resync: false,
            closed: false,
            waker: None,
        };
        Queue { capacity: capacity.max(1), state: Mutex::new(state) }
    }

    /// Puts something in. The subscriber is to be woken when no lock is held.
    #[must_use]
    pub(crate) fn push(&self, item: T) -> Option<Waker> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let bytes = state.bytes + item.weight();
        if state.newest.is_none() && state.waiting < self.capacity && bytes <= MAX_QUEUE_BYTES {
            state.slots.push_back(Some(item));
            state.waiting += 1;
            state.bytes = bytes;
        } else {
            state.coalesce(item);
            if state.waiting > self.capacity || (state.bytes > MAX_QUEUE_BYTES && state.waiting > 1) {
                state.clear();
                state.resync = true;
            } else if state.slots.len() > self.capacity.saturating_mul(2) {
                state.rebuild();
            }
        }
        state.waker.take()
    }

    /// Empties the queue and says so. The subscriber is to be woken when no lock is held.
    #[must_use]
    pub(crate) fn resync(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.clear();
        state.resync = true;
        state.waker.take()
    }

    /// Nothing comes any more after what waits. The subscriber is to be woken when no lock is held.
    #[must_use]
    pub(crate) fn close(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.closed = true;
        state.waker.take()
    }

    /// The subscriber, if it waits: for something else that it has to do.
    #[must_use]
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.lock().waker.take()
    }

    /// Takes what comes next. `None` is the end.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Option<Taken<T>>> {
        let mut state = self.lock();
        if std::mem::take(&mut state.resync) {
            return Poll::Ready(Some(Taken::Resync));
        }
        while let Some(slot) = state.slots.pop_front() {
            state.before += 1;
            if let Some(item) = slot {
                state.waiting -= 1;
                state.bytes -= item.weight();
                return Poll::Ready(Some(Taken::Item(item)));
            }
        }
        state.newest = None;
        if state.closed {
            return Poll::Ready(None);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // What is called under the lock (hashing a key, replacing an item) does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Queued> State<T> {
    /// Adds an item in the place of an older one that it replaces. Afterwards there may be one too many.
    fn coalesce(&mut self, item: T) {
        if self.newest.is_none() {
            self.rebuild();
        }
        self.append(item);
    }

    /// Puts everything in again, so that what is replaced is dropped and no slot is empty.
    fn rebuild(&mut self) {
        self.newest = Some(HashMap::new());
        self.before += self.slots.len() as u64;
        (self.waiting, self.bytes) = (0, 0);
        for item in std::mem::take(&mut self.slots).into_iter().flatten() {
            self.append(item);
        }
        // What was replaced just now has left its slot empty; the places of the others are known only after this.
        if self.waiting < self.slots.len() {
            let items: VecDeque<Option<T>> =
                std::mem::take(&mut self.slots).into_iter().filter(Option::is_some).collect();
            let numbered = (self.before..).zip(items.iter().flatten());
            self.newest = Some(numbered.map(|(slot, item)| (item.key(), slot)).collect());
            self.slots = items;
        }
    }

    fn append(&mut self, mut item: T) {
        let slot = self.before + self.slots.len() as u64;
        let newest = self.newest.get_or_insert_default();
        let older = newest.insert(item.key(), slot).and_then(|older| older.checked_sub(self.before));
        if let Some(place) = older.and_then(|older| self.slots.get_mut(usize::try_from(older).ok()?))
            && let Some(older) = place
            && item.replace(older)
        {
            self.bytes -= older.weight();
            *place = None;
            self.waiting -= 1;
        }
        self.bytes += item.weight();
        self.slots.push_back(Some(item));
        self.waiting += 1;
    }

    fn clear(&mut self) {
        self.before += self.slots.len() as u64;
        self.slots.clear();
        (self.waiting, self.bytes) = (0, 0);
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    /// Something about a key; `from` is the oldest number it stands for. Of odd keys nothing is ever replaced.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Item {
        key: u8,
        from: u32,
        number: u32,
    }

    impl Queued for Item {
        type Key = u8;

        fn key(&self) -> u8 {
            self.key
        }

        fn replace(&mut self, older: &Item) -> bool {
            let replaces = self.key.is_multiple_of(2);
            if replaces {
                self.from = older.from;
            }
            replaces
        }

        fn weight(&self) -> usize {
            if self.key >= 200 { 20 << 20 } else { 1 }
        }
    }

    fn item(key: u8, number: u32) -> Item {
        Item { key, from: number, number }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn take(queue: &Queue<Item>) -> Poll<Option<Taken<Item>>> {
        queue.poll(&Context::from_waker(Waker::noop()))
    }

    fn push(queue: &Queue<Item>, item: Item) {
        drop(queue.push(item));
    }

    /// Takes everything: `Err` is a Resync.
    fn take_all(queue: &Queue<Item>) -> Vec<Result<Item, ()>> {
        let mut taken = Vec::new();
        while let Poll::Ready(Some(next)) = take(queue) {
            taken.push(match next {
                Taken::Item(item) => Ok(item),
                Taken::Resync => Err(()),
            });
        }
        taken
    }

    #[test]
    fn what_fits_is_kept_as_it_came() {
        let queue = Queue::new(3);
        for number in 0..3 {
            push(&queue, item(2, number));
        }
        assert_eq!(take_all(&queue), [Ok(item(2, 0)), Ok(item(2, 1)), Ok(item(2, 2))]);
        assert_eq!(take_all(&queue), []);
    }

    #[test]
    fn a_full_queue_drops_what_was_replaced() {
        let queue = Queue::new(3);
        for (number, key) in (0..).zip([2, 4, 2, 2, 6, 4]) {
            push(&queue, item(key, number));
        }
        let all = [Item { key: 2, from: 0, number: 3 }, item(6, 4), Item { key: 4, from: 1, number: 5 }];
        assert_eq!(take_all(&queue), all.map(Ok));
    }

    #[test]
    fn a_queue_full_of_what_matters_is_emptied_and_says_so_once() {
        let queue = Queue::new(3);
        for number in 0..8 {
            push(&queue, item(2 * u8::try_from(number).unwrap(), number));
        }
        // 0 to 3 and 4 to 7 did not fit; that is said once.
        assert_eq!(take_all(&queue), [Err(())]);
        push(&queue, item(2, 8));
        assert_eq!(take_all(&queue), [Ok(item(2, 8))]);
        for number in 0..5 {
            push(&queue, item(1, number));
        }
        assert_eq!(take_all(&queue), [Err(()), Ok(item(1, 4))]);
    }

    #[test]
    fn what_waits_takes_limited_memory() {
        let queue = Queue::new(1000);
        // Three of these fit; a fourth does where it replaces one of them.
        for (number, key) in (0..).zip([200, 202, 204, 202]) {
            push(&queue, item(key, number));
        }
        let all = [item(200, 0), item(204, 2), Item { key: 202, from: 1, number: 3 }];
        assert_eq!(take_all(&queue), all.map(Ok));
        for (number, key) in (0..).zip([200, 202, 204, 206]) {
            push(&queue, item(key, number));
        }
        assert_eq!(take_all(&queue), [Err(())]);
        assert_eq!(queue.lock().bytes, 0);
    }

    #[test]
    fn resync_stands_before_what_comes_after_it() {
        let queue = Queue::new(3);
        push(&queue, item(2, 0));
        drop(queue.resync());
        push(&queue, item(2, 1));
        assert_eq!(take_all(&queue), [Err(()), Ok(item(2, 1))]);
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
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn many_replacements_take_no_space() {
        let queue = Queue::new(10);
        for number in 0..10_000 {
            push(&queue, item(u8::try_from(number % 5).unwrap() * 2, number));
        }
        let state = queue.lock();
        assert!(state.slots.len() <= 20 && state.newest.as_ref().unwrap().len() <= 5);
        drop(state);
        let numbers: Vec<u32> = take_all(&queue).into_iter().map(|item| item.unwrap().number).collect();
        assert_eq!(numbers, [9995, 9996, 9997, 9998, 9999]);
    }

    proptest! {
        /// Whatever is pushed and taken: the order is kept, the bound is kept, and of every key the newest arrives, unless
        /// a Resync says that it may not.
        #[test]
        fn nothing_is_lost_silently(
            capacity in 1..6_usize,
            steps in prop::collection::vec(prop_oneof![3 => (0..6_u8).prop_map(Some), 1 => Just(None)], 0..60),
        ) {
            let queue = Queue::new(capacity);
            let mut taken = Vec::new();
            let mut pushed = Vec::new();
            for (number, step) in (0..).zip(steps) {
                match step {
                    Some(key) => {
                        push(&queue, item(key, number));
                        pushed.push(item(key, number));
                    }
                    None => {
                        if let Poll::Ready(Some(next)) = take(&queue) {
                            taken.push(next);
                        }
                    }
                }
                prop_assert!(queue.lock().waiting <= capacity);
                prop_assert_eq!(queue.lock().waiting, queue.lock().slots.iter().flatten().count());
                prop_assert_eq!(queue.lock().bytes, queue.lock().slots.iter().flatten().map(Item::weight).sum::<usize>());
            }
            taken.extend(take_all(&queue).into_iter().map(|next| next.map_or(Taken::Resync, Taken::Item)));

            let numbers: Vec<u32> = taken
                .iter()
                .filter_map(|next| match next { Taken::Item(item) => Some(item.number), Taken::Resync => None })
                .collect();
            prop_assert!(numbers.is_sorted_by(|left, right| left < right));
            // What follows the last Resync is complete: each push is there, or one that replaced it.
            let after_resync = taken.iter().rposition(|next| *next == Taken::Resync).map_or(0, |at| at + 1);
            let whole: Vec<&Item> = taken[after_resync..]
                .iter()
                .filter_map(|next| match next { Taken::Item(item) => Some(item), Taken::Resync => None })
                .collect();
            let from = if after_resync == 0 { Some(0) } else { whole.first().map(|item| item.from) };
            for push in pushed.iter().filter(|push| from.is_some_and(|from| push.number >= from)) {
                prop_assert!(
                    whole.iter().any(|item| item.key == push.key && (item.from..=item.number).contains(&push.number)),
                    "{:?} is missing in {:?}", push, taken
                );
            }
        }
    }
}
