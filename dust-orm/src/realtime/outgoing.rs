//! Frames that wait to be sent on a socket, in their order.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connect::Socket;

/// Time in which the server takes at least one byte of the waiting frames. A server that is busy with an earlier frame
/// does not read.
const STALLED: Duration = Duration::from_secs(30);

/// Frames that the system has not accepted yet.
///
/// [`poll_send`](Outgoing::poll_send) passes frames to the socket without waiting, so that its task receives at the
/// same time: a server may read nothing until its answers are read. The session bounds the size, as it bounds the bytes
/// of commands that are sent and not answered.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Message>,
    /// True if the socket holds bytes that it has not passed to the system.
    is_unflushed: bool,
    stalled: Option<Stall>,
}

impl Outgoing {
    pub(super) fn push(&mut self, frame: Message) {
        self.frames.push_back(frame);
    }

    /// True if nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.is_unflushed
    }

    /// Sends as much as the system accepts. Ready when nothing is left, or with an error of the socket.
    pub(super) fn poll_send(&mut self, socket: &mut Socket, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.frames.is_empty() {
            ready!(socket.poll_ready_unpin(context))?;
            let Some(frame) = self.frames.pop_front() else { break };
            self.is_unflushed = true;
            socket.start_send_unpin(frame)?;
        }
        if self.is_unflushed {
            ready!(socket.poll_flush_unpin(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// True if something waits and no byte was written for [`STALLED`]. `written` is the number of bytes written so
    /// far.
    pub(super) fn is_stalled(&mut self, now: Duration, written: u64) -> bool {
        if self.is_empty() {
            self.stalled = None;
            return false;
        }
        match self.stalled {
            Some(stall) if stall.written == written => now >= stall.ends_at(),
            _ => {
                self.stalled = Some(Stall { since: now, written });
                false
            }
        }
    }

    /// The time of the next check whether the server takes nothing.
    pub(super) fn check_at(&self) -> Option<Duration> {
        self.stalled.map(Stall::ends_at)
    }
}

/// A time in which the server takes nothing.
#[derive(Clone, Copy, Debug)]
struct Stall {
    since: Duration,
    /// The bytes that were written by then.
    written: u64,
}

impl Stall {
    fn ends_at(self) -> Duration {
        self.since.saturating_add(STALLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_takes_no_byte_for_half_a_minute_is_stalled() {
        let mut outgoing = Outgoing::default();
        let at = Duration::from_secs;
        assert!(!outgoing.is_stalled(at(0), 5));
        assert_eq!(outgoing.check_at(), None);
        outgoing.push(Message::text("x"));
        assert!(!outgoing.is_stalled(at(1), 5));
        assert_eq!(outgoing.check_at(), Some(at(31)));
        assert!(!outgoing.is_stalled(at(30), 5));
        // One more byte restarts the half minute.
        assert!(!outgoing.is_stalled(at(31), 6));
        assert!(!outgoing.is_stalled(at(60), 6));
        assert!(outgoing.is_stalled(at(61), 6));
        outgoing.frames.clear();
        assert!(!outgoing.is_stalled(at(62), 6));
        assert_eq!(outgoing.check_at(), None);
    }
}
