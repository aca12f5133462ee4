//! The realtime client: an exact local mirror of a store, kept by one WebSocket.
//!
//! [`SyncClient`] is the handle: it runs one task that owns the socket, and its
//! [`RealtimeTransport`](crate::transport::RealtimeTransport) makes a repo of a store. [`Mirror`] holds the leaves of a
//! store as of one op, and publishes its ops to subscribers through a [`Hub`](crate::feed::Hub). [`Session`] is the
//! protocol: a state machine without I/O and without a clock of its own. Its inputs are frames, commands and the time;
//! its outputs are frames to send, ops for the mirror and answers to commands.

mod builder;
pub mod cache;
mod call;
mod client;
mod connect;
mod connection_task;
mod counted_stream;
mod message_start;
mod mirror;
mod outgoing;
mod race;
mod registry;
pub mod session;
mod store;
mod tls;
mod tunnel;
mod write_behind;

pub use builder::SyncClientBuilder;
pub use client::{StoreStatus, SyncClient};
pub use dust_protocol::channel::Permissions;
pub use mirror::{MAX_MIRROR, Mirror};
pub(crate) use registry::{ClientHandle, StoreRegistration};
pub use session::{Session, StoreState, Timing};
