//! Committed ops on their way to listeners.
//!
//! The hub finds the listeners of an op through an index over the patterns, so that the others cost nothing. A stream
//! of ops and the subscriptions of a repo are listeners with a queue of bounded length.

mod affected_paths;
mod coalescing_queue;
mod fanout;
// The items that only `internals` exports are unreachable without that feature.
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub(crate) mod hub;
mod index;
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
pub(crate) mod ops;
mod queue;

pub(crate) use coalescing_queue::{Coalesce, MAX_QUEUE_BYTES, Received};
pub(crate) use fanout::{Fanout, SubscriberId};
pub(crate) use hub::{Hub, HubEvent, Listener};
pub(crate) use ops::{Delivery, Ops, QUEUE};
pub(crate) use queue::Queue;
