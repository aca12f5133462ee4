//! The frames of a Dust server's WebSocket: Phoenix channels. No I/O.
//!
//! Frames are JSON text (`vsn=2.0.0`). Every frame is an array of five, [`Frame`]. [`Request::encode`] writes the
//! frames of a client. [`Incoming::decode`] parses those of a server; it never panics and keeps every digit of a value.

mod frame;
mod message;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

pub use super::file::FileUpload;
pub use frame::{Frame, FrameError};
pub use message::{Incoming, Joined, Message, Permissions, Response, Snapshot, StatusReport, Written};
pub use refusal::Refusal;
pub use request::{Request, RequestError};

/// The path of the socket on a server.
pub const SOCKET_PATH: &str = "/ws/sync/websocket";

/// The protocol capability version of this library (`capver`).
pub const CAPVER: u32 = 3;

/// The version of the frames (`vsn`): JSON text.
pub const VSN: &str = "2.0.0";

/// The longest frame to receive, in bytes. A snapshot is one frame with the whole store.
pub const MAX_INCOMING: usize = 256 * 1024 * 1024;

/// The longest frame to send, in bytes: the limit of a server for one HTTP request.
pub const MAX_OUTGOING: usize = 8_000_000;

/// The topic of a store with the name `org/name`.
pub fn topic(store: &str) -> String {
    format!("store:{store}")
}
