//! A library of tests for `DustRepo` and every `Transport`, on any store.
//!
//! A [`Backend`] makes stores to test against; [`trials`] turns the tests into those of a test binary, named
//! `<backend>::<module>::<test>`. See `tests/conformance.rs` for the backends of this workspace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod backend;
mod context;
pub mod entities;
mod plain;
mod probe;
mod real;
mod scoped;
mod server;
mod suite;

pub use backend::{Backend, EmbeddedFile, EmbeddedMemory};
pub use plain::PlainServer;
pub use real::{RealServer, RealServerRealtime, Server};
pub use server::{EmulatorHttp, EmulatorPromoted, EmulatorRealtime};
pub use suite::trials;
