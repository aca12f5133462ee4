//! Arbitrary bytes and mutated recordings of a real server as input of the parsers and of the whole client.
//!
//! A [`Target`] generates bad input from a seed and checks the result: no panic, no hang, bounded memory, no request to
//! another address, and afterwards the client works with a working server. The same seed always generates the same
//! input.

pub mod mutate;
pub mod recordings;
pub mod run;
mod targets;

pub use targets::{Target, by_name, targets};
