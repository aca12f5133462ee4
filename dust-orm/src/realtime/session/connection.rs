//! The connection: opening it, its heartbeats, and its end.

use std::time::Duration;

use dust_protocol::channel::{FrameError, Request};

use super::cause::Cause;
use super::phase::Phase;
use super::timeout::Timeout;
use super::{Output, STEADY, Session};
use crate::error::{DustErr, Reason};

/// Number of unreadable frames at which a connection is given up.
const MAX_UNREADABLE: u32 = 1_000;

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Socket {
    /// The session is not started.
    Off,
    Down {
        retry_at: Duration,
    },
    Connecting,
    Up {
        heartbeat_at: Duration,
        /// The wait for a frame since a heartbeat, until one arrives.
        silence: Option<Timeout>,
    },
}

impl Session {
    /// Requests a connection, if the session is not started.
    pub fn start(&mut self) {
        if self.socket == Socket::Off {
            self.connect();
        }
    }

    /// Closes the socket, and answers every command that is not answered yet. [`start`](Session::start) connects again.
    pub fn stop(&mut self) {
        if self.socket != Socket::Off {
            self.outputs.push_back(Output::Disconnect);
        }
        for channel in &mut self.channels {
            channel.phase = Phase::Closed { join_at: None };
        }
        self.disconnect(&"the client was stopped".into());
        self.socket = Socket::Off;
        for id in self.commands.all() {
            self.give_up(id, "the client was stopped");
        }
    }

    /// Joins the stores, as the socket is open.
    pub fn connected(&mut self, now: Duration) {
        if self.socket == Socket::Off {
            self.outputs.push_back(Output::Disconnect);
            return;
        }
        self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, silence: None };
        self.arrived = 0;
        self.unreadable = 0;
        for store in 0..self.channels.len() {
            match self.channels[store].phase {
                // Its content did not fit on the last connection, and is not fetched again by each one.
                Phase::Refused { outlasts_connection: true, retry_at, .. } if retry_at > now => {}
                _ => self.join(store, now),
            }
        }
    }

    /// Notes that the socket is closed, or was not opened, for this reason. Another one is requested after a pause.
    pub fn lost(&mut self, now: Duration, reason: impl Into<String>) {
        self.lost_because(now, reason.into().into());
    }

    /// As [`lost`](Session::lost), for a reason that may have a cause.
    pub(in crate::realtime) fn lost_because(&mut self, now: Duration, reason: Reason) {
        if self.socket == Socket::Off {
            return;
        }
        self.disconnect(&reason);
        self.lost_reason = Some(reason);
        // A connection that ends as soon as it is of use does not count as a success: the next may do the same.
        if self.useful_since.take().is_some_and(|since| since + STEADY <= now) {
            self.failures = 0;
        }
        let pause = self.rng.pause(self.failures, self.timing.min_pause, self.timing.max_pause);
        self.failures = self.failures.saturating_add(1);
        self.socket = Socket::Down { retry_at: now + pause };
    }

    /// Notes that the server refuses the token: all stores are refused, and another connection is requested after
    /// [`Timing::refused`](super::Timing::refused).
    pub fn refused(&mut self, now: Duration, error: &DustErr) {
        if self.socket == Socket::Off {
            return;
        }
        for store in 0..self.channels.len() {
            self.channels[store].disconnect();
            self.suspend(store, now, self.timing.refused, error.clone());
        }
        self.useful_since = None;
        self.failures = self.failures.saturating_add(1);
        self.socket = Socket::Down { retry_at: now + self.timing.refused };
    }

    /// Ignores a frame that cannot be read, for this reason. If it was an op, the hole that it leaves is found, and the
    /// op is fetched. A connection is given up after 1,000 such frames.
    pub fn unreadable(&mut self, now: Duration, error: FrameError) {
        if !self.note_arrival() {
            return;
        }
        self.unreadable += 1;
        if self.unreadable == 1 {
            let error = error.map(|text| self.hide(text));
            tracing::warn!(%error, "a frame of the Dust server cannot be read and is ignored, as are others like it");
        }
        if self.unreadable == MAX_UNREADABLE {
            tracing::warn!("the server sends nothing but frames that cannot be read: the connection is given up");
            self.outputs.push_back(Output::Disconnect);
            self.lost(now, "the server sends frames that cannot be read");
        }
    }

    /// Ends the wait for a frame, as one has arrived. False without a socket.
    pub(super) fn note_arrival(&mut self) -> bool {
        let Socket::Up { silence, .. } = &mut self.socket else { return false };
        *silence = None;
        true
    }

    /// Sets the number of bytes that have arrived since the socket was opened, those of an incomplete frame included.
    /// With this call before each [`wake`](Session::wake), a frame whose transfer takes longer than [`Timing::silence`]
    /// does not end the connection.
    ///
    /// [`Timing::silence`]: super::Timing::silence
    pub fn arrived(&mut self, bytes: u64) {
        self.arrived = bytes;
    }

    /// As [`wake`](Session::wake), for the connection alone.
    pub(super) fn wake_socket(&mut self, now: Duration) {
        match self.socket {
            Socket::Down { retry_at } if retry_at <= now => self.connect(),
            Socket::Up { heartbeat_at, mut silence } => {
                let limit = self.timing.silence;
                if silence.as_mut().is_some_and(|timeout| timeout.is_over(now, limit, self.arrived)) {
                    self.outputs.push_back(Output::Disconnect);
                    self.lost(now, "the server has gone silent");
                } else if heartbeat_at <= now {
                    let silence = silence.or(Some(Timeout::new(now, limit, self.arrived)));
                    self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, silence };
                    self.send(&Request::Heartbeat, None, 0);
                } else {
                    self.socket = Socket::Up { heartbeat_at, silence };
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self) {
        self.socket = Socket::Connecting;
        self.outputs.push_back(Output::Connect);
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.socket, Socket::Up { .. })
    }

    /// Ends the channels with their connection: the outcome of what was sent and is not answered is unknown, and
    /// commands that do not wait for a connection are answered.
    fn disconnect(&mut self, reason: &Reason) {
        for store in 0..self.channels.len() {
            self.channels[store].disconnect();
            self.announce(store);
            self.lose_sent(store, Cause::Connection);
            for id in self.commands.queued(store) {
                if self.commands.get(id).is_some_and(|pending| pending.wait_until.is_none()) {
                    self.give_up(id, reason.clone());
                }
            }
        }
    }
}
