//! Who hears of a store's committed ops.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::protocol::{Change, CommittedOp, Glob};

/// How many ops wait for a subscriber. When there are more they are dropped, and it is told [`Change::Resync`].
pub const QUEUE: usize = 1000;

/// The subscribers of one store. Nobody waits for any of them.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Vec<(Glob, Weak<Mutex<Queue>>)>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Change>,
    is_closed: bool,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic is called under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    fn push(&mut self, change: Change) {
        if change == Change::Resync || self.waiting.len() >= QUEUE {
            self.waiting.clear();
            self.waiting.push_back(Change::Resync);
        } else {
            self.waiting.push_back(change);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Hub {
    pub(super) fn subscribe(&self, pattern: Glob) -> Changes {
        let queue = Arc::default();
        lock(&self.0).push((pattern, Arc::downgrade(&queue)));
        Changes { queue }
    }

    /// Tells of ops that the mirror has.
    pub(super) fn publish(&self, ops: Vec<CommittedOp>) {
        let mut subscribers = lock(&self.0);
        subscribers.retain(|(_, queue)| queue.strong_count() > 0);
        if subscribers.is_empty() {
            return;
        }
        for op in ops {
            let op = Arc::new(op);
            for (_, queue) in subscribers.iter().filter(|(pattern, _)| pattern.concerns(&op.path)) {
                if let Some(queue) = queue.upgrade() {
                    lock(&queue).push(Change::Op(Arc::clone(&op)));
                }
            }
        }
    }

    /// Tells that anything may have changed.
    pub(super) fn resync(&self) {
        for queue in lock(&self.0).iter().filter_map(|(_, queue)| queue.upgrade()) {
            lock(&queue).push(Change::Resync);
        }
    }

    /// Ends every subscription, once it has been read to its end.
    pub(super) fn close(&self) {
        for queue in lock(&self.0).drain(..).filter_map(|(_, queue)| queue.upgrade()) {
            let mut queue = lock(&queue);
            queue.is_closed = true;
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }
}

/// A subscription to the committed ops of a store: in the order of `store_seq`, once each, when the mirror has them.
/// Dropping it ends it.
///
/// A subscriber that falls [`QUEUE`] ops behind finds [`Change::Resync`] in their place. The stream ends only when the
/// client is shut down.
pub struct Changes {
    queue: Arc<Mutex<Queue>>,
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut queue = lock(&self.queue);
        match queue.waiting.pop_front() {
            Some(change) => Poll::Ready(Some(change)),
            None if queue.is_closed => Poll::Ready(None),
            None => {
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("waiting", &lock(&self.queue).waiting.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::protocol::{OpKind, Path, RawJson};

    fn op(seq: u64, at: &str) -> CommittedOp {
        CommittedOp {
            store_seq: seq,
            op: OpKind::Set,
            path: Path::parse(at).unwrap(),
            value: RawJson::null(),
            device_id: "d".into(),
            client_op_id: "c".into(),
        }
    }

    fn heard(changes: &mut Changes) -> Vec<Option<u64>> {
        let mut heard = vec![];
        while let Some(Some(change)) = changes.next().now_or_never() {
            heard.push(match change {
                Change::Op(op) => Some(op.store_seq),
                Change::Resync => None,
            });
        }
        heard
    }

    #[test]
    fn a_subscriber_hears_what_concerns_it_in_order() {
        let hub = Hub::default();
        let mut all = hub.subscribe(Glob::parse("**").unwrap());
        let mut titles = hub.subscribe(Glob::parse("links/*/title").unwrap());
        hub.publish(vec![op(1, "links/a/title"), op(2, "links/a/note"), op(3, "links")]);
        assert_eq!(heard(&mut all), [Some(1), Some(2), Some(3)]);
        assert_eq!(heard(&mut titles), [Some(1), Some(3)]);
        hub.resync();
        assert_eq!(heard(&mut titles), [None]);
    }

    #[test]
    fn a_slow_subscriber_is_told_to_read_again_and_harms_nobody() {
        let hub = Hub::default();
        let mut slow = hub.subscribe(Glob::parse("**").unwrap());
        let mut quick = hub.subscribe(Glob::parse("**").unwrap());
        for seq in 1..=QUEUE as u64 + 5 {
            hub.publish(vec![op(seq, "p")]);
            assert_eq!(heard(&mut quick), [Some(seq)]);
        }
        assert_eq!(heard(&mut slow), [None, Some(1002), Some(1003), Some(1004), Some(1005)]);
    }

    #[test]
    fn dropping_ends_a_subscription_and_closing_ends_all() {
        let hub = Hub::default();
        let mut kept = hub.subscribe(Glob::parse("**").unwrap());
        drop(hub.subscribe(Glob::parse("**").unwrap()));
        hub.publish(vec![op(1, "p")]);
        assert_eq!(lock(&hub.0).len(), 1);
        hub.close();
        assert_eq!(heard(&mut kept), [Some(1)]);
        assert_eq!(kept.next().now_or_never(), Some(None));
    }
}
