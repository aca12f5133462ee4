//! Joining a store, and the ways in which its channel ends.

use std::time::Duration;

use dust_protocol::channel::{Joined, Refusal, Request, Response};

use super::cause::Cause;
use super::phase::{Open, Phase, Stage};
use super::timeout::Timeout;
use super::unanswered::Unanswered;
use super::{Output, STEADY, Session, StoreId};
use crate::error::DustErr;
use crate::error::channel::join_refused;
use crate::realtime::Mirror;

/// The longest pause between two joins of a store.
const MAX_JOIN_PAUSE: Duration = Duration::from_secs(10);
/// The pause after the first join that delivered nothing.
const MIN_JOIN_PAUSE: Duration = Duration::from_millis(100);
/// Number of catch-ups in a row that crash at the same op before the store is refused: about three seconds.
const MAX_CATCH_UP_CRASHES: u32 = 6;

impl Session {
    /// Joins a store from the last delivered op, or from the op before it, to compare that op's id with the mirror's.
    pub(super) fn join(&mut self, store: usize, now: Duration) {
        if !self.is_up() {
            return;
        }
        let channel = &mut self.channels[store];
        let from = channel.cursor;
        let last_store_seq = from - u64::from(channel.begin_history_check());
        // The frame of a join has its own reference as the reference of the join.
        let join_ref = self.next_reference;
        self.send(&Request::Join { last_store_seq }, Some(join_ref), store);
        let timeout = Timeout::new(now, self.timing.join, self.arrived);
        let channel = &mut self.channels[store];
        channel.phase = Phase::Joining { join_ref, from, timeout };
        channel.known.position_requested();
        // A message that is not answered by now never is: its channel ends with this join.
        self.lose_sent(store, Cause::Joined);
        self.announce(store);
    }

    /// The pause before the next join, after this number of joins without success.
    pub(super) fn join_pause(&mut self, failures: u32) -> Duration {
        self.rng.pause(failures.saturating_sub(1), MIN_JOIN_PAUSE, MAX_JOIN_PAUSE)
    }

    pub(super) fn join_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &self.channels[store];
        let Phase::Joining { join_ref, from, timeout } = channel.phase else { return };
        match outcome.map(Response::joined) {
            // The server looked up its position after it had received the join; ops pushed since then do not count.
            Ok(Ok(joined)) if joined.store_seq < from => {
                tracing::warn!(
                    store = %channel.name, mirror = from, server = joined.store_seq,
                    "the store has fewer ops than its mirror: it is fetched again from the beginning"
                );
                self.report_position(store, joined.store_seq, timeout.since());
                self.resync(store, now, joined.store_seq);
            }
            Ok(Ok(joined)) => {
                self.report_position(store, joined.store_seq, timeout.since());
                self.begin_catch_up(store, now, join_ref, from, &joined);
            }
            Err(refusal) if refusal.is_final() => {
                let error = join_refused(&refusal, &channel.name);
                self.suspend(store, now, self.timing.refused, error);
            }
            Ok(Err(_)) | Err(_) => self.channel_closed(store, now, Cause::Closed),
        }
    }

    fn begin_catch_up(&mut self, store: usize, now: Duration, join_ref: u64, from: u64, joined: &Joined) {
        let timeout = Timeout::new(now, self.catch_up_limit(store), self.arrived);
        let channel = &mut self.channels[store];
        channel.position_answered(joined.store_seq);
        channel.phase = Phase::Open(Open {
            join_ref,
            stage: Stage::CatchingUp { through: joined.store_seq, from, timeout },
            permissions: joined.permissions,
            unanswered: Unanswered::default(),
            status_request: None,
            status_at: now.saturating_add(channel.status_interval.min(self.timing.status)),
        });
        self.announce(store);
        self.advance_all(store, now);
    }

    /// Reports the position that a store has answered to a request of the time `requested_at`.
    pub(super) fn report_position(&mut self, store: usize, seq: u64, requested_at: Duration) {
        self.outputs.push_back(Output::Position { store: StoreId(store), seq, requested_at });
    }

    /// Fetches a store again from its beginning; it is known to have the ops through `known`.
    pub(super) fn resync(&mut self, store: usize, now: Duration, known: u64) {
        let channel = &mut self.channels[store];
        channel.resync = Some(Mirror::default());
        channel.cursor = 0;
        channel.known.last = known;
        channel.known.fetch_at = None;
        channel.early.clear();
        channel.forget_history();
        // The numbers of the earlier ops mean other ops now.
        self.snapshot_crossed(store);
        self.rejoin(store, now);
    }

    /// The channel has ended or was not opened: the outcome of what was sent is unknown, and the store is joined again.
    pub(super) fn channel_closed(&mut self, store: usize, now: Duration, cause: Cause) {
        self.lose_sent(store, cause);
        let channel = &mut self.channels[store];
        let was_steady = channel.useful_since.take().is_some_and(|since| since + STEADY <= now);
        let failures = &mut channel.failures;
        failures.joins = failures.joins.saturating_add(1);
        // A channel that closes as soon as it is up to date is not joined faster than one that never is.
        failures.early_closes = if was_steady { 0 } else { failures.early_closes.saturating_add(1) };
        let failures = failures.joins.max(failures.early_closes);
        let pause = self.join_pause(failures);
        self.channels[store].phase = Phase::Closed { join_at: Some(now + pause) };
        self.announce(store);
    }

    /// The channel has crashed. Where each catch-up crashes at the same op, the server cannot send that op: the store
    /// is refused, so that its users get an error.
    pub(super) fn channel_crashed(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        if !channel.phase.is_catching_up() {
            return self.channel_closed(store, now, Cause::Crash);
        }
        let crashes = channel.failures.catch_up_crashes.saturating_add(1);
        channel.failures.catch_up_crashes = crashes;
        if crashes < MAX_CATCH_UP_CRASHES {
            return self.channel_closed(store, now, Cause::Crash);
        }
        let error = channel.catch_up_crash_error();
        tracing::warn!(store = %channel.name, %error, "the mirror of a store stays behind");
        self.suspend(store, now, self.timing.refused, error);
    }

    /// Refuses a store for `pause`, for this reason. The outcome of what was sent is unknown.
    pub(super) fn suspend(&mut self, store: usize, now: Duration, pause: Duration, error: DustErr) {
        self.lose_sent(store, Cause::Refused);
        self.channels[store].phase = Phase::Refused { error, retry_at: now + pause, outlasts_connection: false };
        self.announce(store);
        self.advance_all(store, now);
    }

    /// Reports a store's state if it has changed.
    pub(super) fn announce(&mut self, store: usize) {
        let channel = &mut self.channels[store];
        let state = channel.state();
        if !state.is_same(&channel.announced) {
            channel.announced = state.clone();
            self.outputs.push_back(Output::State { store: StoreId(store), state });
        }
    }
}
