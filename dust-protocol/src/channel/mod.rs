//! The frames of a Dust server's WebSocket: Phoenix channels. No I/O.
//!
//! Here frames are JSON text (`vsn=2.0.0`); [`Frames`] says what they are on the socket. Every frame is an array of five, [`Frame`]. What a client sends is made by [`Request::encode`]; what it receives is read
//! by [`Incoming::decode`], which never panics and keeps every digit of a value.

mod frame;
mod frames;
mod message;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

pub use super::file::FileUpload;
pub use frame::{Frame, FrameError};
pub use frames::Frames;
pub use message::{Incoming, Joined, Message, Permissions, Response, Snapshot, StatusReport, Written};
pub use refusal::Refusal;
pub use request::{Request, RequestError};

/// The path of the socket on a server.
pub const SOCKET_PATH: &str = "/ws/sync/websocket";

/// The protocol capability version that this library speaks (`capver`).
pub const CAPVER: u32 = 3;

/// The version of the frames (`vsn`): JSON text.
pub const VSN: &str = "2.0.0";

/// The longest frame that is read, in bytes. A snapshot is one frame that holds the whole store.
pub const MAX_INCOMING: usize = 256 * 1024 * 1024;

/// The longest frame that is sent, in bytes: what the server takes in one HTTP request.
pub const MAX_OUTGOING: usize = 8_000_000;

/// The topic of a store, which is named `org/name`.
pub fn topic(store: &str) -> String {
    format!("store:{store}")
}
