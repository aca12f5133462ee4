//! `status` requests: the position of a store while nothing is pushed.

use std::time::Duration;

use dust_protocol::channel::{Refusal, Request, Response};

use super::Session;
use super::phase::{Phase, Stage, StatusRequest};

impl Session {
    /// Requests the position of a store.
    pub(super) fn request_status(&mut self, store: usize, now: Duration) {
        let Some(join_ref) = self.channels[store].phase.accepting_join_ref() else { return };
        let Some(reference) = self.send(&Request::Status, Some(join_ref), store) else { return };
        let channel = &mut self.channels[store];
        let Phase::Open(open) = &mut channel.phase else { return };
        // Its reply follows those to the messages before it.
        let timeout = self.timing.answer_timeout(now, open.unanswered.bytes(), self.arrived);
        open.unanswered.push(reference, 0, timeout);
        open.status_request = Some(StatusRequest { reference, cursor: channel.cursor, timeout });
        // The reply sets the time of the next request.
        open.status_at = Duration::MAX;
        channel.known.position_requested();
    }

    /// Shortens the interval of requests: ops were missed that another client wrote over HTTP, and more may follow.
    pub(super) fn request_status_soon(&mut self, store: usize, now: Duration) {
        let channel = &mut self.channels[store];
        channel.status_interval = self.timing.status_soon;
        if let Phase::Open(open) = &mut channel.phase {
            open.status_at = open.status_at.min(now.saturating_add(self.timing.status_soon));
        }
    }

    pub(super) fn status_answered(&mut self, store: usize, now: Duration, outcome: Result<Response<'_>, Refusal>) {
        let channel = &mut self.channels[store];
        let Phase::Open(open) = &mut channel.phase else { return };
        let Some(StatusRequest { cursor, timeout, .. }) = open.status_request.take() else { return };
        open.status_at = now.saturating_add(channel.status_interval.min(self.timing.status));
        if std::mem::take(&mut channel.failures.timeouts) > 0 {
            self.announce(store);
        }
        let Ok(Ok(status)) = outcome.map(Response::status) else { return };
        let seq = status.current_seq;
        self.report_position(store, seq, timeout.since());
        let channel = &mut self.channels[store];
        if seq < cursor {
            let name = &channel.name;
            tracing::warn!(store = %name, "the store went back: it is fetched again from the beginning");
            return self.resync(store, now, seq);
        }
        channel.position_answered(seq);
        // An op that is pushed arrives within the grace period.
        channel.expect_op(seq, now.saturating_add(self.timing.grace));
        if !channel.has_hole() {
            channel.status_interval = channel.status_interval.saturating_mul(2).min(self.timing.status);
        }
        self.fill_gaps(store, now);
    }

    /// Sends the `status` request of a live store if it is due.
    pub(super) fn request_due_status(&mut self, store: usize, now: Duration) {
        let Phase::Open(open) = &self.channels[store].phase else { return };
        let is_live = matches!(open.stage, Stage::Live { .. });
        if is_live && open.status_at <= now && open.status_request.is_none() {
            self.request_status(store, now);
        }
    }
}
