//! The conditions of a write.

use dust_protocol::Fence;

use crate::entity::Revision;

/// What was chained to a verb before it was awaited.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) struct Options {
    pub(in crate::repo) condition: Condition,
    pub(in crate::repo) fence: Option<Fence>,
}

/// When a write applies.
#[derive(Clone, Debug, Default)]
pub(in crate::repo) enum Condition {
    /// Always.
    #[default]
    None,
    /// When what is written has not changed since it was read.
    IfMatch(Revision),
    /// When there is no such record.
    IfLeafAbsent,
}
