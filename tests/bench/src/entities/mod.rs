//! What is stored.

pub mod account;
pub mod card;
pub mod page;
