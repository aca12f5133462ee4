//! A command on its way from a handle to the session.

use std::time::Instant;

use dust_protocol::channel::Written;
use tokio::sync::oneshot;

use super::session::Command;
use crate::error::DustErr;

/// A command of a handle.
pub(super) struct Call {
    pub(super) command: Command,
    /// The time at which its caller began to wait.
    pub(super) begun: Instant,
    pub(super) unsent: Unsent,
}

/// The sender of a result to the caller.
pub(super) type Answer = oneshot::Sender<Result<Written, DustErr>>;

/// The caller of a command that the session does not have yet. Dropping it answers the caller that the command was not
/// sent.
///
/// The queue of calls may receive a call after it is closed: its caller had a place in it before.
pub(super) struct Unsent(Option<Answer>);

impl Unsent {
    pub(super) fn new(answer: Answer) -> Unsent {
        Unsent(Some(answer))
    }

    /// The sender to the caller, once the session has the command.
    pub(super) fn take(mut self) -> Option<Answer> {
        self.0.take()
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            // The caller may have dropped the future.
            let _ = answer.send(Err(shut_down_error()));
        }
    }
}

/// The error of a call to a client that has ended.
pub(super) fn shut_down_error() -> DustErr {
    DustErr::network("the realtime client was shut down")
}
