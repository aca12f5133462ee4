//! Committed ops on their way to those who listen.
//!
//! A transport that can be subscribed to owns one [`Hub`] and [publishes](Hub::publish) in it what its store has
//! committed. Whoever wants to know [subscribes](Hub::subscribe) with a pattern and gets a stream, or
//! [listens](Hub::listen) with a function that is called on the spot. The hub finds whom an op concerns through an index
//! over the patterns, so that those whom it does not concern cost nothing.
//!
//! Nobody is waited for: a stream has a queue of bounded length. When it is full, an op whose effect a later one replaces
//! is dropped; when that is not enough, everything in the queue is, and [`Delivery::Resync`] is in its place.
//!
//! ```
//! use dust_orm::feed::{Delivery, Hub};
//! use dust_protocol::{CommittedOp, Pattern, OpKind, Path, RawJson};
//! use futures_util::{FutureExt, StreamExt};
//! use std::sync::Arc;
//!
//! let hub = Hub::new(0);
//! let mut titles = hub.subscribe(&Pattern::parse("links/*/title")?, 1000);
//! let op = CommittedOp::new(1, OpKind::Set, Path::parse("links/dust/title")?, RawJson::parse("\"Dust\"")?).written_by("laptop".into(), "1".into());
//! hub.publish(std::slice::from_ref(&op));
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

/// How many events wait for one subscriber at the most, unless it asks for another number.
pub const QUEUE: usize = 1000;
