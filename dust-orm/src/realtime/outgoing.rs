//! What is to be sent on a socket, in the order it was given.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connect::Socket;

/// How long a server may take no byte of what waits to be sent: 30 s. One that is busy with an earlier frame does not read.
const STALLED: Duration = Duration::from_secs(30);

/// Frames that the system has not taken yet.
///
/// Sending never waits by itself: [`poll_send`](Outgoing::poll_send) hands the socket what it takes, beside whatever else its
/// task does. So a server that reads nothing until its answers are taken gets its answers taken. The session bounds how many
/// bytes are here: those of commands that are sent and not answered.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Message>,
    /// Whether the socket holds something that it has not handed to the system.
    is_unflushed: bool,
    /// Since when the server takes nothing, and how many bytes it had taken by then.
    stalled: Option<(Duration, u64)>,
}

impl Outgoing {
    pub(super) fn push(&mut self, frame: Message) {
        self.frames.push_back(frame);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.is_unflushed
    }

    /// Sends as much as the system takes. Ready when nothing is left, or with an error of the socket.
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

    /// Takes note of how many bytes the server has taken. Whether it has taken none for too long although something waits.
    pub(super) fn is_stalled(&mut self, now: Duration, taken: u64) -> bool {
        if self.is_empty() {
            self.stalled = None;
            return false;
        }
        match self.stalled {
            Some((since, before)) if before == taken => now >= since.saturating_add(STALLED),
            _ => {
                self.stalled = Some((now, taken));
                false
            }
        }
    }

    /// When to look whether the server takes nothing.
    pub(super) fn look_at(&self) -> Option<Duration> {
        self.stalled.map(|(since, _)| since.saturating_add(STALLED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_takes_no_byte_for_half_a_minute_is_stalled() {
        let mut outgoing = Outgoing::default();
        let at = Duration::from_secs;
        assert!(!outgoing.is_stalled(at(0), 5));
        assert_eq!(outgoing.look_at(), None);
        outgoing.push(Message::text("x"));
        assert!(!outgoing.is_stalled(at(1), 5));
        assert_eq!(outgoing.look_at(), Some(at(31)));
        assert!(!outgoing.is_stalled(at(30), 5));
        // One byte more, and it has half a minute again.
        assert!(!outgoing.is_stalled(at(31), 6));
        assert!(!outgoing.is_stalled(at(60), 6));
        assert!(outgoing.is_stalled(at(61), 6));
        outgoing.frames.clear();
        assert!(!outgoing.is_stalled(at(62), 6));
        assert_eq!(outgoing.look_at(), None);
    }
}
