//! A bounded queue of the frames for a socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, watch};

use super::frame::Outgoing;
use super::hub::Order;

/// The largest number of bytes that wait for a client. A larger frame may wait alone.
pub(super) const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The approximate overhead of a frame, in bytes.
const FRAME: usize = 256;

/// The sending end of a queue.
#[derive(Clone)]
pub(super) struct Queue {
    orders: mpsc::UnboundedSender<Order>,
    bytes: Arc<AtomicUsize>,
    overflown: watch::Sender<bool>,
}

/// The receiving end of a queue.
pub(super) struct Waiting {
    orders: mpsc::UnboundedReceiver<Order>,
    bytes: Arc<AtomicUsize>,
}

impl Queue {
    pub(super) fn new() -> (Queue, Waiting) {
        let (sender, orders) = mpsc::unbounded_channel();
        let bytes = Arc::new(AtomicUsize::new(0));
        let waiting = Waiting { orders, bytes: Arc::clone(&bytes) };
        (Queue { orders: sender, bytes, overflown: watch::channel(false).0 }, waiting)
    }

    /// Appends an order. Beyond the bound it is dropped, and the connection has to end.
    pub(super) fn send(&self, order: Order) {
        let bytes = size(&order);
        let before = self.bytes.fetch_add(bytes, Ordering::SeqCst);
        if before > 0 && before + bytes > MOST_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.overflown.send_replace(true);
        } else if self.orders.send(order).is_err() {
            // The connection has ended.
            self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
    }

    /// Becomes true when the bound was exceeded.
    pub(super) fn overflown(&self) -> watch::Receiver<bool> {
        self.overflown.subscribe()
    }
}

impl Waiting {
    /// Waits for the next order; `None` after the sending end was dropped.
    pub(super) async fn recv(&mut self) -> Option<Order> {
        let order = self.orders.recv().await;
        self.taken(order)
    }

    /// The next order, if there is one.
    pub(super) fn try_recv(&mut self) -> Option<Order> {
        let order = self.orders.try_recv().ok();
        self.taken(order)
    }

    fn taken(&self, order: Option<Order>) -> Option<Order> {
        if let Some(order) = &order {
            self.bytes.fetch_sub(size(order), Ordering::SeqCst);
        }
        order
    }
}

fn size(order: &Order) -> usize {
    match order {
        Order::Send(Outgoing { payload, .. }) => payload.len() + FRAME,
        Order::Crash(_) => FRAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &Arc<str>) -> Order {
        let payload = Arc::clone(payload);
        Order::Send(Outgoing {
            join_ref: None,
            reference: None,
            topic: "t".into(),
            event: "event",
            payload,
            moment: None,
        })
    }

    #[test]
    fn queue_is_bounded_in_bytes() {
        let (queue, mut waiting) = Queue::new();
        // A frame of any size may wait alone.
        queue.send(frame(&"x".repeat(2 * MOST_BYTES).into()));
        assert!(!*queue.overflown().borrow());
        queue.send(frame(&"x".into()));
        assert!(*queue.overflown().borrow());
        assert!(waiting.try_recv().is_some() && waiting.try_recv().is_none());

        let (queue, mut waiting) = Queue::new();
        let payload = "x".repeat(MOST_BYTES / 4).into();
        for _ in 0..100 {
            for _ in 0..3 {
                queue.send(frame(&payload));
            }
            for _ in 0..3 {
                assert!(waiting.try_recv().is_some());
            }
        }
        assert!(!*queue.overflown().borrow());
    }
}
