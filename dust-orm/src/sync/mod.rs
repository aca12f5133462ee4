//! The realtime client: an exact local mirror of a store, kept by one WebSocket.
//!
//! [`Mirror`] holds the leaves of a store as of one op. [`Session`] is the protocol: a state machine without I/O and
//! without a clock of its own, fed with frames, commands and the time, that says what to send, what the mirror gets and
//! what to answer.

mod mirror;
pub mod session;

pub use mirror::Mirror;
pub use session::Session;
