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
