//! A subscription to ops.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use dust_protocol::{CommittedOp, OpKind, Path, Pattern};

use super::affected_paths::may_change_below;
use super::coalescing_queue::{Coalesce, Received};
use super::hub::{Hub, HubEvent, Listener};
use super::queue::Queue;

/// Default length of the queue of one subscriber, in events.
pub const QUEUE: usize = 1000;

/// An item of a subscription to ops.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// An op, once, in the order of `store_seq`.
    Op(Arc<CommittedOp>),
    /// Ops are missing here: read again the data that depends on them.
    Resync,
}

/// The stream of ops that concern a pattern, made by `Hub::subscribe`. Dropping it ends the subscription at once.
///
/// A subscriber that falls behind by more than its queue holds misses ops whose effect a later one replaces (an older
/// `set` of the same path); when that is not enough, it receives [`Delivery::Resync`] in the place of all of them. The
/// stream ends only when the hub is closed.
pub struct Ops {
    queue: Arc<Queue<Arc<CommittedOp>>>,
    _listener: Listener,
}

impl Hub {
    /// Subscribes to the ops that concern a pattern, from now on. The queue holds `capacity` ops (at least 1; the usual
    /// number is [`QUEUE`](super::QUEUE)).
    ///
    /// After waiting for [`Transport::op_hub`](crate::Transport::op_hub), the stream has no op that could be read
    /// before.
    pub(crate) fn subscribe(self: &Arc<Hub>, pattern: &Pattern, capacity: usize) -> Ops {
        Ops::new(self, pattern, capacity, |_| true)
    }

    /// Subscribes to the ops that concern a pattern, and of these to those that may change a leaf below a path that
    /// begins with a text. Otherwise as [`subscribe`](Hub::subscribe).
    pub(crate) fn subscribe_below(self: &Arc<Hub>, pattern: &Pattern, start: String, capacity: usize) -> Ops {
        Ops::new(self, pattern, capacity, move |op| may_change_below(op, &start))
    }
}

impl Ops {
    fn new(
        hub: &Arc<Hub>,
        pattern: &Pattern,
        capacity: usize,
        concerns: impl Fn(&CommittedOp) -> bool + Send + Sync + 'static,
    ) -> Ops {
        let queue = Arc::new(Queue::new(capacity));
        let into = Arc::clone(&queue);
        let listener = hub.listen_to_ops(pattern, move |news| {
            let wake = |waker: Option<Waker>| waker.into_iter().for_each(Waker::wake);
            match news {
                HubEvent::Commit { ops, .. } => {
                    ops.iter().filter(|op| concerns(op)).for_each(|op| wake(into.push(Arc::clone(op))));
                }
                HubEvent::Resync => wake(into.resync()),
                HubEvent::Closed => wake(into.close()),
            }
        });
        Ops { queue, _listener: listener }
    }
}

impl Stream for Ops {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.queue.poll(context).map(|next| {
            next.map(|taken| match taken {
                Received::Item(op) => Delivery::Op(op),
                Received::Resync => Delivery::Resync,
            })
        })
    }
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops").finish_non_exhaustive()
    }
}

impl Coalesce for Arc<CommittedOp> {
    type Key = Path;

    fn key(&self) -> Path {
        self.path.clone()
    }

    fn replace(&mut self, older: &Self) -> bool {
        match self.op {
            // These remove the leaves at the path and below it.
            OpKind::Set | OpKind::Delete | OpKind::PutFile => true,
            // These carry the new value of one leaf, which is all that an older op of this kind has changed.
            OpKind::Increment | OpKind::Add | OpKind::Remove | OpKind::Lease | OpKind::Renew | OpKind::Release => {
                !matches!(older.op, OpKind::Set | OpKind::Delete | OpKind::PutFile | OpKind::Merge)
            }
            // A merge names only some fields; the effect of an op of a later version is unknown.
            _ => false,
        }
    }

    fn weight(&self) -> usize {
        self.footprint()
    }
}
