//! Joining a store again whose channel is open, and channels that do not answer.
//!
//! ```text
//!            a hole              all that was sent is answered
//!    Live ─────────► Draining ─────────────────────────────────► Joining ──► CatchingUp ──► Live
//!      ▲                │  │
//!      └────────────────┘  └─ no answer for `answer` ──► Closed, and on another socket the second time
//!        the hole closes
//! ```
//!
//! A server that is asked to join a topic again ends the channel that there is, with all messages that this has not read:
//! they are neither done nor answered, ever. So a store is joined again only when everything that was sent on its channel is
//! answered, and nothing more is sent until then. Commands wait meanwhile, as long as the answer to a bounded number of
//! messages and to a join takes.
//!
//! The other way is a second socket that does nothing but catch up: writers would not wait for the answers to others. Measured
//! with `chaos --beside` (8 writers, 10 HTTP writes a second, 5 ms one way, 2 ms a message): a join that waits for nothing gives
//! a median of 28 ms a write and 47 ms at the 99.9th percentile, this one 37 to 42 ms and 90 to 190 ms; holes are closed after
//! 23 ms there and 47 to 51 ms here. (A join that overtakes: 18 ms, and 12 of 4,113 writes unknown after 30 s.) A second connection
//! to open, authorise, keep alive and judge is not worth that.

use std::time::Duration;

use super::cause::Cause;
use super::channel::Phase;
use super::timeout::Timeout;
use super::{Output, Session};

/// How often the patience with a catch-up is doubled.
const MAX_DOUBLINGS: u32 = 3;

/// How long a KiB of a message may be under way before an answer is due: what 256 KiB a second take.
const UPLOAD_PER_KIB: Duration = Duration::from_millis(4);

impl Session {
    /// Joins a store again as soon as everything that was sent on its channel is answered.
    pub(super) fn rejoin(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        if let Phase::CatchingUp { join_ref, .. } | Phase::Live { join_ref, .. } = channel.phase {
            channel.phase = Phase::Draining { join_ref };
            self.announce(store);
        }
        if let Phase::Joining { .. } = self.channels[store].phase {
            // Nothing is sent before a join is answered.
            return self.join(store, now);
        }
        self.drain(store, now);
    }

    /// Goes on with a store that waits for the answers of its channel, if they are there.
    pub(super) fn drain(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        let Phase::Draining { join_ref } = channel.phase else { return };
        if !channel.has_hole() {
            // What was missing came by itself.
            channel.failed_joins = 0;
            channel.phase = Phase::Live { join_ref, rejoin_at: None };
            self.announce(store);
            self.advance_all(store, now);
        } else if channel.unanswered.settled_at(self.timing.grace).is_some_and(|at| at <= now) {
            self.join(store, now);
        }
    }

    /// Notes that a catch-up goes on.
    pub(super) fn catch_up_goes_on(&mut self, store: usize, now: Duration) {
        let limit = self.catch_up_limit(store);
        if let Phase::CatchingUp { wait, .. } = &mut self.channels[store].phase {
            *wait = Timeout::new(now, limit, self.arrived);
        }
    }

    /// The wait for an answer that a channel gives once it has been sent so many bytes.
    pub(super) fn answer_wait(&self, now: Duration, bytes: usize) -> Timeout {
        let upload = UPLOAD_PER_KIB.saturating_mul(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        Timeout::new(now, self.timing.answer.saturating_add(upload), self.arrived)
    }

    /// How long the catch-up of a store may bring nothing.
    pub(super) fn catch_up_limit(&self, store: usize) -> Duration {
        self.timing.catch_up.saturating_mul(1 << self.channels[store].hangs.min(MAX_DOUBLINGS))
    }

    /// What a channel owes for too long.
    pub(super) fn overdue(&mut self, store: usize, now: Duration) -> Option<&'static str> {
        let (arrived, limit) = (self.arrived, self.catch_up_limit(store));
        let channel = &mut self.channels[store];
        let (join, answer) = (self.timing.join, self.timing.answer);
        let (phase, what, limit) = match &mut channel.phase {
            Phase::Joining { wait, .. } => (Some(wait), "a join is not answered", join),
            Phase::CatchingUp { wait, .. } => (Some(wait), "a catch-up brings nothing", limit),
            _ => (None, "", limit),
        };
        let status = channel.status_sent.as_mut().map(|asked| &mut asked.wait);
        let waits = [
            (phase, what, limit),
            (status, "a status is not answered", answer),
            (channel.unanswered.wait(), "what was sent is not answered", answer),
        ];
        let over =
            |(wait, what, limit): (Option<&mut Timeout>, _, _)| wait?.is_over(now, limit, arrived).then_some(what);
        waits.into_iter().find_map(over)
    }

    /// A channel does not answer although its socket is open: what was sent is unknown, and the store is joined again. Where
    /// that has not helped, a new socket is opened, which the other stores of this one have to follow: so the second time, and
    /// then after twice as many times each.
    pub(super) fn hung(&mut self, store: usize, now: Duration, what: &'static str) {
        let channel = &mut self.channels[store];
        channel.hangs = channel.hangs.saturating_add(1);
        let (hangs, name) = (channel.hangs, &channel.name);
        if hangs < 2 || !hangs.is_power_of_two() {
            tracing::warn!(store = %name, what, "a store does not answer: it is joined again");
            return self.channel_closed(store, now, Cause::Hung);
        }
        tracing::warn!(store = %name, what, "a store still does not answer: its connection is given up");
        let why = format!("the store `{name}` does not answer on it: {what}");
        self.outputs.push_back(Output::HangUp);
        self.lost(now, &why);
    }
}
