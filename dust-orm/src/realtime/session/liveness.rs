//! Joining a store again whose channel is open, and channels that do not answer.
//!
//! A server that receives a join of a topic that is joined ends the open channel with all messages that the channel has
//! not read: they are neither applied nor answered, ever. So a store is joined again only when everything that was sent
//! on its channel is answered, and nothing more is sent until then ([`Stage::Draining`]). Commands wait meanwhile, as
//! long as the answers to a bounded number of messages and to a join take.
//!
//! The alternative is a second socket that only catches up: then writers do not wait for the answers to others.
//! Measured with `chaos --beside` (8 writers, 10 HTTP writes a second, 5 ms one way, 2 ms a message):
//!
//! | | median write | 99.9th percentile | hole filled after |
//! |---|---|---|---|
//! | second socket, a join waits for nothing | 28 ms | 47 ms | 23 ms |
//! | one socket, a join waits for the answers | 37 to 42 ms | 90 to 190 ms | 47 to 51 ms |
//!
//! A join that waits for nothing on one socket has a median of 18 ms, and of 4,113 writes the outcome of 12 is unknown
//! after 30 s. The gain of a second connection is too small for one more to open, authorise, keep alive and supervise.

use std::time::Duration;

use super::cause::Cause;
use super::phase::{Open, Phase, Stage};
use super::timeout::Timeout;
use super::timing::Timing;
use super::{Output, Session};

/// Number of times that the limit of a catch-up is doubled.
const MAX_DOUBLINGS: u32 = 3;

/// Additional time for the answer to a message, for each KiB of it: an upload of 256 KiB a second.
const UPLOAD_PER_KIB: Duration = Duration::from_millis(4);

impl Timing {
    /// The wait for the next answer of a channel to which `bytes` bytes were sent, where `arrived` bytes have arrived
    /// so far.
    pub(super) fn answer_timeout(&self, now: Duration, bytes: usize, arrived: u64) -> Timeout {
        let upload = UPLOAD_PER_KIB.saturating_mul(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        Timeout::new(now, self.answer.saturating_add(upload), arrived)
    }
}

impl Session {
    /// Joins a store again as soon as everything that was sent on its channel is answered.
    pub(super) fn rejoin(&mut self, store: usize, now: Duration) {
        match self.channels[store].phase.stage() {
            Some(Stage::CatchingUp { .. } | Stage::Live { .. }) => {
                self.channels[store].phase.set_stage(Stage::Draining);
                self.announce(store);
            }
            Some(Stage::Draining) => {}
            // Nothing is sent before a join is answered.
            None if matches!(self.channels[store].phase, Phase::Joining { .. }) => return self.join(store, now),
            None => return,
        }
        self.drain(store, now);
    }

    /// Joins a draining store if everything is answered, or makes it live again if the missing ops have arrived.
    pub(super) fn drain(&mut self, store: usize, now: Duration) {
        let channel = &self.channels[store];
        let Phase::Open(Open { stage: Stage::Draining, unanswered, .. }) = &channel.phase else { return };
        if !channel.has_hole() {
            self.hole_closed(store);
            self.advance_all(store, now);
        } else if unanswered.settled_at(self.timing.grace).is_some_and(|at| at <= now) {
            self.join(store, now);
        }
    }

    /// Restarts the wait for the next part of a catch-up, as one has arrived.
    pub(super) fn catch_up_progressed(&mut self, store: usize, now: Duration) {
        let limit = self.catch_up_limit(store);
        if let Phase::Open(Open { stage: Stage::CatchingUp { timeout, .. }, .. }) = &mut self.channels[store].phase {
            *timeout = Timeout::new(now, limit, self.arrived);
        }
    }

    /// The time in which the next part of a store's catch-up has to arrive.
    pub(super) fn catch_up_limit(&self, store: usize) -> Duration {
        self.timing.catch_up.saturating_mul(1 << self.channels[store].failures.timeouts.min(MAX_DOUBLINGS))
    }

    /// The answer of a channel that is overdue, as text.
    pub(super) fn overdue(&mut self, store: usize, now: Duration) -> Option<&'static str> {
        let arrived = self.arrived;
        let catch_up_limit = self.catch_up_limit(store);
        let answer_limit = self.timing.answer;
        let is_over = |timeout: &mut Timeout, limit| timeout.is_over(now, limit, arrived);
        match &mut self.channels[store].phase {
            Phase::Joining { timeout, .. } => is_over(timeout, self.timing.join).then_some("a join is not answered"),
            Phase::Open(Open { stage, status_request, unanswered, .. }) => {
                if let Stage::CatchingUp { timeout, .. } = stage
                    && is_over(timeout, catch_up_limit)
                {
                    return Some("a catch-up brings nothing");
                }
                if status_request.as_mut().is_some_and(|request| is_over(&mut request.timeout, answer_limit)) {
                    return Some("a status is not answered");
                }
                let is_unanswered = unanswered.timeout().is_some_and(|timeout| is_over(timeout, answer_limit));
                is_unanswered.then_some("what was sent is not answered")
            }
            Phase::Closed { .. } | Phase::Refused { .. } => None,
        }
    }

    /// A channel does not answer although its socket is open: the outcome of what was sent is unknown, and the store is
    /// joined again. After the 2nd, 4th, 8th, … failure in a row a new socket is opened instead, to which the other
    /// stores move too.
    pub(super) fn timed_out(&mut self, store: usize, now: Duration, what: &'static str) {
        let channel = &mut self.channels[store];
        let timeouts = channel.failures.timeouts.saturating_add(1);
        channel.failures.timeouts = timeouts;
        let name = &channel.name;
        if timeouts < 2 || !timeouts.is_power_of_two() {
            tracing::warn!(store = %name, what, "a store does not answer: it is joined again");
            return self.channel_closed(store, now, Cause::TimedOut);
        }
        tracing::warn!(store = %name, what, "a store still does not answer: its connection is given up");
        let why = format!("the store `{name}` does not answer on it: {what}");
        self.outputs.push_back(Output::Disconnect);
        self.lost(now, why);
    }

    /// As [`wake`](Session::wake), for the channel of one store.
    pub(super) fn wake_channel(&mut self, store: usize, now: Duration) {
        if !self.is_up() {
            return;
        }
        if let Some(what) = self.overdue(store, now) {
            return self.timed_out(store, now, what);
        }
        match &self.channels[store].phase {
            Phase::Closed { join_at: Some(at) } | Phase::Refused { retry_at: at, .. } if *at <= now => {
                self.join(store, now);
            }
            Phase::Open(_) => {
                self.request_due_status(store, now);
                self.fill_gaps(store, now);
            }
            Phase::Closed { .. } | Phase::Joining { .. } | Phase::Refused { .. } => {}
        }
    }
}
