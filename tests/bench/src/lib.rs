//! A table of the speed of dust-orm, each row compared with another program: `cargo run --release -p bench`.
//!
//! | module | content |
//! |---|---|
//! | `rows` | the measured rows, one file for each family |
//! | `peers` | the programs that dust-orm is compared with |
//! | `entities` | the stored entities |
//! | `measure`, `alloc` | time, CPU and allocations of calls |
//! | `table` | rows, their aims, and their layout |
//!
//! `docs/performance.md` says how to read it.

mod alloc;
mod entities;
mod measure;
mod peers;
mod plan;
mod rows;
mod server;
mod table;

pub use plan::{Plan, Scale};
pub use rows::run;
pub use table::{Aim, Figure, Row, header};

/// The error of a run, which ends it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
