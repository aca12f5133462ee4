//! One table of how fast dust-orm is, each row beside what one would use without it: `cargo run --release -p bench`.
//!
//! | module | what |
//! |---|---|
//! | `rows` | what is measured, a family of rows a file |
//! | `peers` | what dust-orm is compared with |
//! | `entities` | what is stored |
//! | `measure`, `alloc` | time, CPU and allocations of calls |
//! | `table` | rows, their aims, and how they are shown |
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

/// What goes wrong is told, and ends the run.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
