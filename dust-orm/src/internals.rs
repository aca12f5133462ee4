//! The session and the mirror of the realtime client, and streams of ops, for the simulations, fuzzers and benchmarks
//! of this workspace. Not part of the public interface.

use std::sync::Arc;

use dust_protocol::Pattern;

pub use crate::feed::hub::{HubEvent, Listener};
pub use crate::feed::ops::{Delivery, Ops, QUEUE};
#[cfg(feature = "realtime")]
pub use crate::realtime::mirror::Mirror;
#[cfg(feature = "realtime")]
pub use crate::realtime::session::{Command, CommandId, CommandKind, Output, Session, StoreId};

use crate::feed::Hub;

/// Calls a function for the ops that concern a pattern, from now on, until the listener is dropped.
pub fn listen(hub: &Arc<Hub>, pattern: &Pattern, call: impl Fn(HubEvent<'_>) + Send + Sync + 'static) -> Listener {
    hub.listen(pattern, call)
}

/// The `store_seq` of the last op that a hub has published.
pub fn seq(hub: &Hub) -> u64 {
    hub.seq()
}

/// Subscribes to the ops that concern a pattern, from now on. The queue holds `capacity` ops.
pub fn subscribe(hub: &Arc<Hub>, pattern: &Pattern, capacity: usize) -> Ops {
    hub.subscribe(pattern, capacity)
}
