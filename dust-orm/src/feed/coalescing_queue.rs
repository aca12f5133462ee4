//! The bounded queue of the items that wait for one subscriber.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// An item that waits for a subscriber.
pub(crate) trait Coalesce {
    /// The subject of the item: only items with the same key can replace each other.
    type Key: Clone + Eq + Hash;

    fn key(&self) -> Self::Key;

    /// Replaces an older item with the same key. Returns true if the older item need not be delivered any more. The
    /// newer item keeps the state of the older one that the subscriber still needs.
    fn replace(&mut self, older: &Self) -> bool;

    /// Records that this item leaves the queue before one that may stand for an older item, so that no state is
    /// complete up to here.
    fn overtake(&mut self) {}

    /// The approximate memory of the item, in bytes, including memory that it shares with others.
    fn weight(&self) -> usize;
}

/// Maximum size of the items that wait for one subscriber, in bytes. A single item may be larger.
pub(crate) const MAX_QUEUE_BYTES: usize = 64 << 20;

/// An item that a subscriber takes out of its queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<T> {
    Item(T),
    /// Replaces the items that did not fit.
    Resync,
}

/// A queue of items, limited in number and size.
///
/// When it is full, it drops older items that newer ones replace. When no item can be replaced, it drops all of them
/// and delivers [`Received::Resync`] in their place. Adding an item takes amortized constant time.
pub(super) struct CoalescingQueue<T: Coalesce> {
    capacity: usize,
    /// The items that wait. `None` is the slot of an item that was replaced.
    slots: VecDeque<Option<T>>,
    /// The number of occupied slots.
    waiting: usize,
    /// The weight of the items that wait, in bytes.
    bytes: usize,
    /// The number of slots before the first one: with it, a slot keeps its number while others are removed.
    before: u64,
    /// The newest slot of each key, from the moment the queue was full until it is empty again.
    newest: Option<HashMap<T::Key, u64>>,
    /// True if items that did not fit were before the first slot.
    resync: bool,
}

impl<T: Coalesce> CoalescingQueue<T> {
    /// Creates a queue of `capacity` items (at least 1).
    pub(super) fn new(capacity: usize) -> CoalescingQueue<T> {
        let capacity = capacity.max(1);
        CoalescingQueue {
            capacity,
            slots: VecDeque::new(),
            waiting: 0,
            bytes: 0,
            before: 0,
            newest: None,
            resync: false,
        }
    }

    /// Adds an item.
    pub(super) fn push(&mut self, item: T) {
        let bytes = self.bytes + item.weight();
        if self.newest.is_none() && self.waiting < self.capacity && bytes <= MAX_QUEUE_BYTES {
            self.slots.push_back(Some(item));
            self.waiting += 1;
            self.bytes = bytes;
            return;
        }
        self.coalesce(item);
        if self.waiting > self.capacity || (self.bytes > MAX_QUEUE_BYTES && self.waiting > 1) {
            self.resync();
        } else if self.slots.len() > self.capacity.saturating_mul(2) {
            self.rebuild();
        }
    }

    /// Drops all items and delivers [`Received::Resync`] in their place.
    pub(super) fn resync(&mut self) {
        self.before += self.slots.len() as u64;
        self.slots.clear();
        (self.waiting, self.bytes) = (0, 0);
        self.newest = None;
        self.resync = true;
    }

    /// Removes and returns the next item.
    pub(super) fn take(&mut self) -> Option<Received<T>> {
        if std::mem::take(&mut self.resync) {
            return Some(Received::Resync);
        }
        while let Some(slot) = self.slots.pop_front() {
            self.before += 1;
            if let Some(mut item) = slot {
                self.waiting -= 1;
                self.bytes -= item.weight();
                if self.newest.is_some() && self.waiting > 0 {
                    item.overtake();
                }
                return Some(Received::Item(item));
            }
        }
        self.newest = None;
        None
    }

    /// True if the next item is Resync.
    pub(super) fn is_resync(&self) -> bool {
        self.resync
    }

    /// The items that wait, in their order.
    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    /// Adds an item in the place of an older one that it replaces. Afterwards the queue may hold one item too many.
    fn coalesce(&mut self, item: T) {
        if self.newest.is_none() {
            self.rebuild();
        }
        self.append(item);
    }

    /// Adds all items again, so that replaced items are dropped and no slot is empty.
    fn rebuild(&mut self) {
        self.newest = Some(HashMap::new());
        self.before += self.slots.len() as u64;
        (self.waiting, self.bytes) = (0, 0);
        for item in std::mem::take(&mut self.slots).into_iter().flatten() {
            self.append(item);
        }
        // A replaced item leaves its slot empty; the numbers of the other slots are known only after this.
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
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    /// Counts the calls of `wake`.
    #[derive(Default)]
    pub(in crate::feed) struct Count(AtomicUsize);

    impl Count {
        pub(in crate::feed) fn get(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// An item with a key; `from` is the oldest number that it stands for. Items with an odd key are never replaced.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(in crate::feed) struct Item {
        key: u8,
        from: u32,
        number: u32,
    }

    impl Coalesce for Item {
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

    pub(in crate::feed) fn item(key: u8, number: u32) -> Item {
        Item { key, from: number, number }
    }

    /// Takes all items: `Err` is a Resync.
    fn take_all(backlog: &mut CoalescingQueue<Item>) -> Vec<Result<Item, ()>> {
        let taken = std::iter::from_fn(|| backlog.take());
        taken.map(|next| if let Received::Item(item) = next { Ok(item) } else { Err(()) }).collect()
    }

    #[test]
    fn what_fits_is_kept_as_it_came() {
        let mut backlog = CoalescingQueue::new(3);
        for number in 0..3 {
            backlog.push(item(2, number));
        }
        assert_eq!(take_all(&mut backlog), [Ok(item(2, 0)), Ok(item(2, 1)), Ok(item(2, 2))]);
        assert_eq!(take_all(&mut backlog), []);
    }

    #[test]
    fn a_full_one_drops_what_was_replaced() {
        let mut backlog = CoalescingQueue::new(3);
        for (number, key) in (0..).zip([2, 4, 2, 2, 6, 4]) {
            backlog.push(item(key, number));
        }
        let all = [Item { key: 2, from: 0, number: 3 }, item(6, 4), Item { key: 4, from: 1, number: 5 }];
        assert_eq!(take_all(&mut backlog), all.map(Ok));
    }

    #[test]
    fn one_full_of_what_matters_is_emptied_and_says_so_once() {
        let mut backlog = CoalescingQueue::new(3);
        for number in 0..8 {
            backlog.push(item(2 * u8::try_from(number).unwrap(), number));
        }
        // Neither 0 to 3 nor 4 to 7 fit; one Resync stands for both.
        assert_eq!(take_all(&mut backlog), [Err(())]);
        backlog.push(item(2, 8));
        assert_eq!(take_all(&mut backlog), [Ok(item(2, 8))]);
        for number in 0..5 {
            backlog.push(item(1, number));
        }
        assert_eq!(take_all(&mut backlog), [Err(()), Ok(item(1, 4))]);
    }

    #[test]
    fn what_waits_takes_limited_memory() {
        let mut backlog = CoalescingQueue::new(1000);
        // Three of these fit; a fourth fits if it replaces one of them.
        for (number, key) in (0..).zip([200, 202, 204, 202]) {
            backlog.push(item(key, number));
        }
        let all = [item(200, 0), item(204, 2), Item { key: 202, from: 1, number: 3 }];
        assert_eq!(take_all(&mut backlog), all.map(Ok));
        for (number, key) in (0..).zip([200, 202, 204, 206]) {
            backlog.push(item(key, number));
        }
        assert_eq!(take_all(&mut backlog), [Err(())]);
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn resync_stands_before_what_comes_after_it() {
        let mut backlog = CoalescingQueue::new(3);
        backlog.push(item(2, 0));
        backlog.resync();
        backlog.push(item(2, 1));
        assert_eq!(take_all(&mut backlog), [Err(()), Ok(item(2, 1))]);
    }

    #[test]
    fn many_replacements_take_no_space() {
        let mut backlog = CoalescingQueue::new(10);
        for number in 0..10_000 {
            backlog.push(item(u8::try_from(number % 5).unwrap() * 2, number));
        }
        assert!(backlog.slots.len() <= 20 && backlog.newest.as_ref().unwrap().len() <= 5);
        let numbers: Vec<u32> = take_all(&mut backlog).into_iter().map(|item| item.unwrap().number).collect();
        assert_eq!(numbers, [9995, 9996, 9997, 9998, 9999]);
    }

    proptest! {
        /// Any sequence of pushes and takes keeps the order and the bound, and the newest item of every key arrives
        /// unless a Resync replaces it.
        #[test]
        fn nothing_is_lost_silently(
            capacity in 1..6_usize,
            steps in prop::collection::vec(prop_oneof![3 => (0..6_u8).prop_map(Some), 1 => Just(None)], 0..60),
        ) {
            let mut backlog = CoalescingQueue::new(capacity);
            let mut taken = Vec::new();
            let mut pushed = Vec::new();
            for (number, step) in (0..).zip(steps) {
                match step {
                    Some(key) => {
                        backlog.push(item(key, number));
                        pushed.push(item(key, number));
                    }
                    None => {
                        taken.extend(backlog.take());
                    }
                }
                prop_assert!(backlog.waiting <= capacity);
                prop_assert_eq!(backlog.waiting, backlog.slots.iter().flatten().count());
                prop_assert_eq!(backlog.bytes, backlog.slots.iter().flatten().map(Item::weight).sum::<usize>());
            }
            taken.extend(take_all(&mut backlog).into_iter().map(|next| next.map_or(Received::Resync, Received::Item)));

            let numbers: Vec<u32> = taken
                .iter()
                .filter_map(|next| match next { Received::Item(item) => Some(item.number), Received::Resync => None })
                .collect();
            prop_assert!(numbers.is_sorted_by(|left, right| left < right));
            // The items after the last Resync are complete: each push is there, or one that replaced it.
            let after_resync = taken.iter().rposition(|next| *next == Received::Resync).map_or(0, |at| at + 1);
            let whole: Vec<&Item> = taken[after_resync..]
                .iter()
                .filter_map(|next| match next { Received::Item(item) => Some(item), Received::Resync => None })
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
