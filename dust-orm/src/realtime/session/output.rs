use std::time::Duration;

use dust_protocol::channel::{Permissions, Written};
use dust_protocol::{CommittedOp, PackedLeaves};

use super::CommandId;
use crate::error::DustErr;

/// A store of a session, by its place in the list the session was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub usize);

/// What a session wants done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a socket; then [`connected`](super::Session::connected) or [`lost`](super::Session::lost).
    Dial,
    /// Send a text frame.
    Send(String),
    /// Close the socket, without telling the session.
    HangUp,
    /// The next ops of a store, in order and without a hole.
    Apply {
        /// The store.
        store: StoreId,
        /// At least one.
        ops: Vec<CommittedOp>,
    },
    /// A store as a whole, in place of everything that was known of it.
    Replace {
        /// The store.
        store: StoreId,
        /// The `store_seq` it speaks for.
        seq: u64,
        /// Up to which `store_seq` the revisions may be too high; 0 when all are exact.
        inexact_through: u64,
        /// The leaves.
        leaves: PackedLeaves,
        /// Whether the store went back, or may have: the numbers of its ops mean other ops than before.
        is_rewound: bool,
    },
    /// The answer to a command. What it tells of has been handed out before.
    Answer {
        /// The command.
        id: CommandId,
        /// What was written, or why not.
        result: Result<Written, DustErr>,
    },
    /// A store has told how far it is.
    Stands {
        /// The store.
        store: StoreId,
        /// Its last op when it answered.
        seq: u64,
        /// When it was asked. A later op that was known of before then is in a log that is gone: that of the store before it
        /// was restored from a backup.
        asked: Duration,
    },
    /// A store is in another state than before.
    State {
        /// The store.
        store: StoreId,
        /// The state.
        state: StoreState,
    },
}

/// How a store's mirror stands to the server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum StoreState {
    /// The client is not enabled: there is no connection, and none is tried.
    Dormant,
    /// There is no connection, or the server does not answer for the store on it; the mirror is what it was.
    #[default]
    Offline,
    /// The ops that were missed are on their way.
    CatchingUp,
    /// The mirror is up to date, or behind by what is on its way.
    Live {
        /// What the token may do.
        permissions: Permissions,
    },
    /// The server refuses the store to this token, or the token altogether (it is wrong, expired or revoked), or crashes over
    /// an op that it was to send. It is asked again every 30 s. Or what the store holds is too large for a mirror or for a frame:
    /// then it is asked again after pauses that double, up to 4 minutes for a mirror and up to an hour for a frame.
    Refused(DustErr),
}

impl StoreState {
    /// Whether the mirror follows the store.
    pub fn is_live(&self) -> bool {
        matches!(self, StoreState::Live { .. })
    }

    /// Whether the two are the same kind of state.
    pub(super) fn is_same(&self, other: &StoreState) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
