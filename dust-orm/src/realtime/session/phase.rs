//! The phases of a store's channel, with the state that exists only in them.
//!
//! ```text
//!             connected, or        reply to
//!             `join_at` is due     the join                 catch_up_complete
//!   Closed ──────────────► Joining ──────► Open: CatchingUp ────────────────► Open: Live
//!     ▲                        ▲                    │                          │    ▲
//!     │                        │                    │ another history          │    │ the missing ops
//!     │                        │ every message      ▼             a hole       │    │ arrive by themselves
//!     │                        └───────────── Open: Draining ◄─────────────────┘    │
//!     │                          is answered        └───────────────────────────────┘
//!     │
//!     └── from Joining and Open: the channel crashes, is closed or does not answer
//!
//!   Refused ◄── from any phase: the server refuses the store, or its content does not fit
//!     └───────► Joining, at `retry_at`
//! ```

use std::time::Duration;

use dust_protocol::channel::Permissions;

use super::timeout::Timeout;
use super::unanswered::Unanswered;
use crate::error::DustErr;

#[derive(Debug)]
pub(super) enum Phase {
    Closed {
        /// The time of the next join; `None` waits for a connection.
        join_at: Option<Duration>,
    },
    Joining {
        join_ref: u64,
        /// The cursor when the join was sent.
        from: u64,
        /// The wait for the reply.
        timeout: Timeout,
    },
    Open(Open),
    Refused {
        error: DustErr,
        retry_at: Duration,
        /// True if a new connection does not end the refusal: the content of the store does not fit here.
        outlasts_connection: bool,
    },
}

/// A channel that is joined.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) join_ref: u64,
    pub(super) stage: Stage,
    pub(super) permissions: Permissions,
    pub(super) unanswered: Unanswered,
    /// The `status` request that is not answered.
    pub(super) status_request: Option<StatusRequest>,
    /// The time of the next `status` request.
    pub(super) status_at: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    CatchingUp {
        /// The last op of the catch-up.
        through: u64,
        /// The cursor when the join was sent.
        from: u64,
        /// The wait for the next part of the catch-up.
        timeout: Timeout,
    },
    /// Nothing is sent until every message is answered; then the store is joined again.
    Draining,
    Live {
        /// The time of a further join, if the last one left a hole.
        rejoin_at: Option<Duration>,
    },
}

#[derive(Debug)]
pub(super) struct StatusRequest {
    pub(super) reference: u64,
    /// The cursor when the request was sent.
    pub(super) cursor: u64,
    pub(super) timeout: Timeout,
}

impl Phase {
    pub(super) fn open(&self) -> Option<&Open> {
        match self {
            Phase::Open(open) => Some(open),
            _ => None,
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match self {
            Phase::Open(open) => Some(open),
            _ => None,
        }
    }

    /// The reference of the current join.
    pub(super) fn join_ref(&self) -> Option<u64> {
        match self {
            Phase::Joining { join_ref, .. } | Phase::Open(Open { join_ref, .. }) => Some(*join_ref),
            Phase::Closed { .. } | Phase::Refused { .. } => None,
        }
    }

    /// The join whose channel accepts messages.
    pub(super) fn accepting_join_ref(&self) -> Option<u64> {
        self.open().filter(|open| !matches!(open.stage, Stage::Draining)).map(|open| open.join_ref)
    }

    /// The stage of an open channel.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.open().map(|open| open.stage)
    }

    /// Moves an open channel to another stage.
    pub(super) fn set_stage(&mut self, stage: Stage) {
        if let Phase::Open(open) = self {
            open.stage = stage;
        }
    }

    /// The last op of the catch-up that runs, or 0.
    pub(super) fn catch_up_end(&self) -> u64 {
        match self.stage() {
            Some(Stage::CatchingUp { through, .. }) => through,
            _ => 0,
        }
    }

    pub(super) fn is_catching_up(&self) -> bool {
        matches!(self.stage(), Some(Stage::CatchingUp { .. }))
    }
}
