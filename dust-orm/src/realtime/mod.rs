//! The realtime client: an exact local mirror of a store, kept by one WebSocket.
//!
//! [`SyncClient`] is the handle: it runs one task that owns the socket, and its
//! [`RealtimeTransport`](crate::transport::RealtimeTransport) makes a repo of a store. The mirror holds the leaves of a
//! store as of one op, and publishes its ops to subscribers through a [`Hub`](crate::transport::Hub).

mod builder;
pub mod cache;
mod call;
mod client;
mod connect;
mod connection_task;
mod counted_stream;
mod message_start;
// The items that only `internals` exports are unreachable without that feature.
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
pub(crate) mod mirror;
mod outgoing;
mod race;
mod registry;
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub))]
pub(crate) mod session;
mod store;
mod tls;
mod tunnel;
mod write_behind;

pub use builder::SyncClientBuilder;
pub use client::{StoreStatus, SyncClient};
pub use dust_protocol::channel::Permissions;
pub(crate) use mirror::{MAX_MIRROR, Mirror};
pub(crate) use registry::{ClientHandle, StoreRegistration};
pub use session::{StoreState, Timing};
