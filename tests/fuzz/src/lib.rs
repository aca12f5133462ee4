//! Arbitrary bytes and mutated recordings of a real server, through the parsers and through the whole client.
//!
//! A [`Target`] takes a seed, makes up something bad from it and looks at what becomes of it: no panic, no hang, no memory
//! without limit, no request elsewhere than asked, and afterwards a server that is well is understood. The same seed always
//! makes up the same.

pub mod mutate;
pub mod recordings;
pub mod run;
mod targets;

pub use targets::{Target, by_name, targets};
