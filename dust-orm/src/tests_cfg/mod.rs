//! Small entities that the examples in these docs, and the tests, share. No part of the public interface.

pub mod link;
pub mod page;
pub mod setting;
