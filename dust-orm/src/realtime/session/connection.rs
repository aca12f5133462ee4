//! The connection: how it comes about, what it takes for alive, and how it ends.

use std::time::Duration;

use dust_protocol::channel::{FrameError, Request};

use super::cause::Cause;
use super::channel::Phase;
use super::timeout::Timeout;
use super::{Output, STEADY, Session};
use crate::error::{DustErr, Reason};

/// How many frames of one connection may be such that they cannot be read.
const MAX_UNREADABLE: u32 = 1_000;

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Socket {
    /// Not asked for.
    Off,
    Down {
        retry_at: Duration,
    },
    Connecting,
    Up {
        heartbeat_at: Duration,
        /// Since a heartbeat that nothing was heard after.
        unheard: Option<Timeout>,
    },
}

impl Session {
    /// Begins to connect.
    pub fn start(&mut self) {
        if self.socket == Socket::Off {
            self.dial();
        }
    }

    /// Stops: whatever is not answered yet is answered now, and the socket is closed. [`start`](Session::start) begins
    /// again.
    pub fn stop(&mut self) {
        if self.socket != Socket::Off {
            self.outputs.push_back(Output::HangUp);
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

    /// The socket is open.
    pub fn connected(&mut self, now: Duration) {
        if self.socket == Socket::Off {
            self.outputs.push_back(Output::HangUp);
            return;
        }
        self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, unheard: None };
        (self.arrived, self.unreadable) = (0, 0);
        for store in 0..self.channels.len() {
            // What was not taken of the connection before is not asked for again by each one.
            let is_left_alone = matches!(self.channels[store].phase, Phase::Refused { is_lasting: true, retry_at, .. } if retry_at > now);
            if !is_left_alone {
                self.join(store, now);
            }
        }
    }

    /// The socket is closed, or could not be opened.
    pub fn lost(&mut self, now: Duration, why: &str) {
        self.lost_because(now, &why.into());
    }

    /// The same with the error of the socket as the cause.
    pub(crate) fn lost_because(&mut self, now: Duration, why: &Reason) {
        if self.socket == Socket::Off {
            return;
        }
        self.disconnect(why);
        self.why_lost = Some(why.clone());
        // One that ends as soon as it is of use proves nothing: the next may do the same.
        if self.useful_since.take().is_some_and(|since| since + STEADY <= now) {
            self.failures = 0;
        }
        let pause = self.dice.pause(self.failures, self.timing.min_pause, self.timing.max_pause);
        self.failures = self.failures.saturating_add(1);
        self.socket = Socket::Down { retry_at: now + pause };
    }

    /// The server does not let this token in. It is tried again as seldom as a store that is refused, which all of them are.
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

    /// A frame has arrived that is none, for this reason. It is ignored; if it was an op, the hole it leaves is found, and the
    /// op asked for again. A connection that brings nothing else is given up.
    pub fn unreadable(&mut self, now: Duration, error: FrameError) {
        if !self.hear() {
            return;
        }
        self.unreadable += 1;
        if self.unreadable == 1 {
            let error = error.map(|text| self.hide(text));
            tracing::warn!(%error, "a frame of the Dust server cannot be read and is ignored, as are others like it");
        }
        if self.unreadable == MAX_UNREADABLE {
            tracing::warn!("the server sends nothing but frames that cannot be read: the connection is given up");
            self.outputs.push_back(Output::HangUp);
            self.lost(now, "the server sends frames that cannot be read");
        }
    }

    /// Notes that the server has given a sign of life. Without a socket there is nobody to give one.
    pub(super) fn hear(&mut self) -> bool {
        let Socket::Up { unheard, .. } = &mut self.socket else { return false };
        *unheard = None;
        true
    }

    /// So many bytes have arrived since the socket was opened, with those of a frame that is not complete. Who tells this before
    /// each [`wake`](Session::wake) does not lose a connection over a frame that takes longer than the server may be silent.
    pub fn arrived(&mut self, bytes: u64) {
        self.arrived = bytes;
    }

    /// As [`wake`](Session::wake), of the connection alone.
    pub(super) fn wake_socket(&mut self, now: Duration) {
        match self.socket {
            Socket::Down { retry_at } if retry_at <= now => self.dial(),
            Socket::Up { heartbeat_at, mut unheard } => {
                let silence = self.timing.silence;
                if unheard.as_mut().is_some_and(|wait| wait.is_over(now, silence, self.arrived)) {
                    self.outputs.push_back(Output::HangUp);
                    self.lost(now, "the server has gone silent");
                } else if heartbeat_at <= now {
                    let unheard = unheard.or(Some(Timeout::new(now, silence, self.arrived)));
                    self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, unheard };
                    self.send(&Request::Heartbeat, None, 0);
                } else {
                    self.socket = Socket::Up { heartbeat_at, unheard };
                }
            }
            _ => {}
        }
    }

    pub(super) fn dial(&mut self) {
        self.socket = Socket::Connecting;
        self.outputs.push_back(Output::Dial);
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.socket, Socket::Up { .. })
    }

    /// Forgets the connection: what was sent and not answered is unknown, what waits to be sent will not be.
    pub(super) fn disconnect(&mut self, why: &Reason) {
        for store in 0..self.channels.len() {
            self.channels[store].disconnect();
            self.announce(store);
            self.lose_sent(store, Cause::Connection);
            for id in self.commands.queued(store) {
                if self.commands.get(id).is_some_and(|pending| pending.wait_until.is_none()) {
                    self.give_up_because(id, why);
                }
            }
        }
    }
}
