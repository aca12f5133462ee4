//! A command on its way from a handle to the session.

use std::time::Instant;

use dust_protocol::channel::Written;
use tokio::sync::oneshot;

use super::client::was_shut_down;
use super::session::Command;
use crate::error::DustErr;

/// A command of a handle.
pub(super) struct Call {
    pub(super) command: Command,
    /// The moment at which its caller began to wait.
    pub(super) begun: Instant,
    pub(super) unsent: Unsent,
}

/// The way of a result to the caller.
pub(super) type Answer = oneshot::Sender<Result<Written, DustErr>>;

/// The caller of a command that the session does not have yet. If it is dropped, the command was never sent, which the
/// caller gets as the answer.
///
/// The queue of calls may get a call after it is closed: its caller had a place in it before.
pub(super) struct Unsent(Option<Answer>);

impl Unsent {
    pub(super) fn new(answer: Answer) -> Unsent {
        Unsent(Some(answer))
    }

    /// The caller, as the session takes its command.
    pub(super) fn take(mut self) -> Option<Answer> {
        self.0.take()
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            // The caller may have gone.
            let _ = answer.send(Err(was_shut_down()));
        }
    }
}
