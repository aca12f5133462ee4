//! Committed ops on their way to listeners.
//!
//! A transport that can be subscribed to owns one [`Hub`] and [publishes](Hub::publish) in it what its store has
//! committed: the ops, and the leaves that they changed if a listener wants them. A subscriber
//! [subscribes](Hub::subscribe) with a pattern and gets a stream, or [listens](Hub::listen) with a function that is
//! called at once. The hub finds the listeners of an op through an index over the patterns, so that the others cost
//! nothing.
//!
//! Publishing never waits for a subscriber: a stream has a queue of bounded length. When it is full, an op whose effect
//! a later one replaces is dropped; when that is not enough, [`Delivery::Resync`] replaces the whole queue.
//!
//! # Changes of leaves
//!
//! An op is applied once, to the leaves of the store or of the mirror. The transport decides before that whether to
//! record the changes, so that they cost nothing without a listener that wants them:
//!
//! ```text
//! the transport                              a listener that wants changes
//!   1 lock the leaves                          a listen
//!   2 hub.wants_changes(path of each op)?      b transport.op_hub().await: passes the lock, then waits
//!   3 apply the ops, recording if so             until everything that can be read is published
//!   4 unlock: the ops can be read              c read the leaves
//!   5 hub.publish(ops, changes)                d patch them with the changes published since a
//! ```
//!
//! If `a` comes before 2, the commit has changes. If it comes after 2, then `b` waits for 4 and 5, and `c` reads what
//! the ops did. Before `b` ends the listener may receive the commit without changes; subscriptions to entities treat it
//! as a [`Resync`](HubEvent::Resync). A transport that has no leaves may publish every commit without changes: then
//! subscriptions read all records again after each.
//!
//! ```
//! use dust_orm::feed::{Delivery, Hub};
//! use dust_protocol::{CommittedOp, Pattern, OpKind, Path, RawJson};
//! use futures_util::{FutureExt, StreamExt};
//! use std::sync::Arc;
//!
//! let hub = Hub::new(0);
//! let mut titles = hub.subscribe(&Pattern::parse("links/*/title")?, 1000);
//! let op = CommittedOp::new(1, OpKind::Set, Path::parse("links/dust/title")?, RawJson::parse("\"Dust\"")?);
//! let op = op.written_by("laptop".into(), "1".into());
//! hub.publish(std::slice::from_ref(&op), None);
//! assert_eq!(titles.next().now_or_never().flatten(), Some(Delivery::Op(Arc::new(op))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod affected_paths;
mod coalescing_queue;
mod fanout;
mod hub;
mod index;
mod ops;
mod queue;

pub(crate) use coalescing_queue::{Coalesce, MAX_QUEUE_BYTES, Received};
pub(crate) use fanout::{Fanout, SubscriberId};
pub use hub::{Hub, HubEvent, Listener};
pub use ops::{Delivery, Ops};

/// Default length of the queue of one subscriber, in events.
pub const QUEUE: usize = 1000;
