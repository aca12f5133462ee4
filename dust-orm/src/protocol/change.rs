use std::sync::Arc;

use super::op::CommittedOp;

/// What a subscriber to a store hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An op was committed, and can be read.
    Op(Arc<CommittedOp>),
    /// Ops were left out, because there were too many or because they are not known one by one: read again what matters.
    Resync,
}
