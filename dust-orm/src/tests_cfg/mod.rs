//! Small entities that the examples in the documentation and the tests share. Not part of the public interface.

pub mod bookmark;
pub mod link;
pub mod page;
pub mod setting;
