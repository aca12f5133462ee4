//! One connection, which loses, delays and stalls frames, but does not reorder them.

use std::collections::VecDeque;
use std::time::Duration;

use dust_emulator::LoopbackSocket;

/// A connection, from the moment it is open.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: usize,
    /// The number of the client's start that opened it.
    pub(super) start: u64,
    /// The server's end, while it has one.
    pub(super) line: Option<LoopbackSocket>,
    /// True while the client holds its end.
    pub(super) is_held: bool,
    pub(super) up: Way,
    pub(super) down: Way,
    /// True if a step of a catch-up is scheduled.
    pub(super) steps: bool,
    /// True if a read of a channel is scheduled.
    pub(super) reads: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Way {
    frames: VecDeque<(Duration, String)>,
    last: Duration,
    stalled_until: Duration,
    /// True if all frames are lost.
    pub(super) is_hole: bool,
}

impl Wire {
    pub(super) fn new(client: usize, start: u64, line: LoopbackSocket) -> Wire {
        Wire {
            client,
            start,
            line: Some(line),
            is_held: true,
            up: Way::default(),
            down: Way::default(),
            steps: false,
            reads: false,
        }
    }
}

impl Wire {
    /// True if the server has unhandled frames.
    pub(super) fn is_sent(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !self.up.is_empty() || line.unread() > 0)
    }
}

impl Way {
    /// Accepts a frame and returns its time of arrival, not before that of earlier frames.
    pub(super) fn push(&mut self, at: Duration, frame: String) -> Option<Duration> {
        if self.is_hole {
            return None;
        }
        self.last = self.last.max(at).max(self.stalled_until);
        self.frames.push_back((self.last, frame));
        Some(self.last)
    }

    /// Returns the frame that arrives now, or its later time of arrival after a stall.
    pub(super) fn pop(&mut self, now: Duration) -> Result<Option<String>, Duration> {
        match self.frames.front() {
            Some(_) if now < self.stalled_until => Err(self.stalled_until),
            Some((due, _)) if *due <= now => Ok(self.frames.pop_front().map(|(_, frame)| frame)),
            _ => Ok(None),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Delays all frames for a time.
    pub(super) fn stall(&mut self, until: Duration) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Lets all frames arrive at once.
    pub(super) fn drain(&mut self) -> Vec<String> {
        self.frames.drain(..).map(|(_, frame)| frame).collect()
    }
}
