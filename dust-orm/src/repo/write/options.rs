//! The conditions of a write.

use dust_protocol::Fence;

use crate::entity::Revision;

/// The options that were chained to a verb.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) struct Options {
    pub(in crate::repo) condition: Condition,
    pub(in crate::repo) fence: Option<Fence>,
}

/// The condition under which a write applies.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) enum Condition {
    /// The write always applies.
    #[default]
    None,
    /// The leaves to write have not changed since this revision was read.
    IfMatch(Revision),
    /// The record does not exist.
    IfAbsent,
}
