//! One connection, which loses, delays and stalls, but does not reorder.

use std::collections::VecDeque;
use std::time::Duration;

use dust_emulator::LoopbackSocket;

/// A connection, from the moment it is open.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: usize,
    /// Which start of the client opened it.
    pub(super) start: u64,
    /// The server's end, while it has one.
    pub(super) line: Option<LoopbackSocket>,
    /// Whether the client holds its end.
    pub(super) is_held: bool,
    pub(super) up: Way,
    pub(super) down: Way,
    /// Whether a step of a catch-up is due already.
    pub(super) steps: bool,
    /// Whether a channel is going to read already.
    pub(super) reads: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Way {
    frames: VecDeque<(Duration, String)>,
    last: Duration,
    stalled_until: Duration,
    /// Whether everything vanishes.
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
    /// Whether the server has something to do that it was sent.
    pub(super) fn is_sent(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !self.up.is_empty() || line.unread() > 0)
    }
}

impl Way {
    /// Takes a frame; when it arrives, which is not before those it has taken.
    pub(super) fn push(&mut self, at: Duration, frame: String) -> Option<Duration> {
        if self.is_hole {
            return None;
        }
        self.last = self.last.max(at).max(self.stalled_until);
        self.frames.push_back((self.last, frame));
        Some(self.last)
    }

    /// The frame that arrives now; or when it will, if that was put off.
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

    /// Everything stops for a while.
    pub(super) fn stall(&mut self, until: Duration) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Everything arrives at once.
    pub(super) fn drain(&mut self) -> Vec<String> {
        self.frames.drain(..).map(|(_, frame)| frame).collect()
    }
}
