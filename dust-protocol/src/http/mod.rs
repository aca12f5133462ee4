//! Bodies of HTTP requests and answers, without I/O.
//!
//! A body that does not fit is an error. No answer of a server makes these functions panic.

mod answer;
mod body;

pub use answer::{Unreadable, WriteAnswer, entry, leaf_page, leaves, page, store_seq, write_answer};
pub use body::{Condition, batch_body, batch_write_body, delete_body, put_body};

/// The largest body that a server accepts, in bytes.
pub const MAX_BODY: usize = 8_000_000;

#[cfg(test)]
mod tests;
