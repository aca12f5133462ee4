//! The protocol of Dust: paths, patterns, leaf values, ops and requests. No I/O and no clock.
//!
//! The embedded store (`dust-store`), the transports and the entities (`dust-orm`) and the emulator use these types,
//! and every message of a Dust server is parsed into them first.

pub mod apply;
pub mod channel;
pub mod entry;
pub mod envelope;
pub mod excerpt;
pub mod file;
pub mod flatten;
pub mod http;
pub mod json;
pub mod list;
mod object;
pub mod op;
pub mod packed;
pub mod path;
pub mod pattern;
pub mod read;
pub mod seed;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
pub mod value;

pub use apply::{Leaf, LeafChange, Leaves, OpError};
pub use entry::{Entry, LeafKind};
pub use file::{FileUpload, content_hash};
pub use json::RawJson;
pub use list::{LeafPage, ListItem, ListRequest, Order, Page, Select, Selector};
pub use object::JsonObject;
pub use op::{BatchError, CommittedOp, Fence, Mutation, Op, OpKind, Precondition, check_batch};
pub use packed::{LeafRef, PackedLeaves};
pub use path::{Path, PathError};
pub use pattern::{Pattern, PatternError};
pub use seed::{SeedCheck, SeedEntry, SeedError, seed_entries};
pub use value::ValueError;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
