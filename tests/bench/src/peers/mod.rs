//! The programs that dust-orm is compared with.

mod by_hand;
mod socket;
mod sql;

pub use by_hand::ByHand;
pub use socket::{Frame, Socket};
pub use sql::{create_pages, sqlite};
