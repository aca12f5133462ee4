//! The stored entities.

pub mod account;
pub mod card;
pub mod page;
