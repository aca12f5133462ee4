//! Outputs of a session.

use std::time::Duration;

use dust_protocol::channel::{Permissions, Written};
use dust_protocol::{CommittedOp, PackedLeaves};

use super::{CommandId, StoreId};
use crate::error::DustErr;

/// An action that a session requests from its driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a socket, then call [`connected`](super::Session::connected) or [`lost`](super::Session::lost).
    Connect,
    /// Send a text frame.
    Send(String),
    /// Close the socket, without a call of [`lost`](super::Session::lost).
    Disconnect,
    /// Apply the next ops of a store, in order and without a hole.
    Apply {
        /// The store.
        store: StoreId,
        /// At least one op.
        ops: Vec<CommittedOp>,
    },
    /// Replace the whole mirror of a store.
    Replace {
        /// The store.
        store: StoreId,
        /// The `store_seq` of the new content.
        seq: u64,
        /// The last `store_seq` through which revisions may be too high; 0 if all are exact.
        inexact_through: u64,
        /// The leaves.
        leaves: PackedLeaves,
        /// True if the store went back, or may have: the numbers of its ops mean other ops than before.
        is_rewound: bool,
    },
    /// Answer a command. The ops that the answer names were applied before.
    Answer {
        /// The command.
        id: CommandId,
        /// The result of the write, or its error.
        result: Result<Written, DustErr>,
    },
    /// Note the position of a store as the server answered it.
    Position {
        /// The store.
        store: StoreId,
        /// The last op of the store at the time of the answer.
        seq: u64,
        /// The time of the request. An op that was known before it and is later than `seq` no longer exists: the store
        /// was restored from a backup.
        requested_at: Duration,
    },
    /// Note the new state of a store.
    State {
        /// The store.
        store: StoreId,
        /// The state.
        state: StoreState,
    },
}

/// The relation of a store's mirror to the server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum StoreState {
    /// The client is not enabled: there is no connection, and none is opened.
    Dormant,
    /// There is no connection, or the server does not answer for the store; the mirror keeps its content.
    #[default]
    Offline,
    /// The missed ops are being fetched.
    CatchingUp,
    /// The mirror is up to date, except for ops in transit.
    Live {
        /// The permissions of the token.
        permissions: Permissions,
    },
    /// The store is not followed, for this reason.
    ///
    /// - The server refuses the store to this token, or the token itself (it is wrong, expired or revoked), or it
    ///   crashes at an op. The store is joined again every 30 s.
    /// - The content is too large for a mirror or for a frame. The store is joined again after 30 s, then after pauses
    ///   that double, up to 4 minutes for a mirror and about an hour for a frame.
    Refused(DustErr),
}

impl StoreState {
    /// True if the mirror follows the store.
    pub fn is_live(&self) -> bool {
        matches!(self, StoreState::Live { .. })
    }

    /// True if both are the same kind of state.
    pub(super) fn is_same(&self, other: &StoreState) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
