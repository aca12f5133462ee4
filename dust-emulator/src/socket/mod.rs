//! The WebSocket, with a Phoenix channel for each store that a client has joined.
//!
//! One task has the connection ([`connection`]), and [`client_channels`] its channels. Outgoing frames are in one
//! queue, so that events, replies and the steps of a catch-up are sent in the order in which they were made. Ops that
//! are written on a WebSocket reach the channels of their topic through the [`Hub`]; ops that are written over HTTP are
//! not pushed.

mod channel;
mod client_channels;
mod connection;
mod frame;
mod handshake;
mod hub;
mod loopback_socket;
mod message_context;
mod msgpack;
mod put_file;
mod queue;
mod rollback;
mod status;
mod write;

pub(crate) use connection::Stops;
pub(crate) use handshake::{accept, serve};
pub(crate) use hub::Hub;
pub use loopback_socket::LoopbackSocket;
pub use message_context::ReplyFault;
