//! Waiting for a sign of life, without taking a large frame for silence.

use std::time::Duration;

/// How much has to arrive in the time of a wait, for a large frame to be on its way before what is waited for.
const STEADY_BYTES: u64 = 64 << 10;
/// How many times as long it is then waited, at the most.
const LONGEST: u32 = 60;

/// A wait for a frame that is due.
///
/// A frame is heard of when all of it is there. One that takes longer than the server may be silent holds up whatever comes
/// after it, and is no silence: as long as bytes arrive steadily the wait goes on, though not for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeout {
    since: Duration,
    /// When to look whether it is over.
    look_at: Duration,
    /// How many bytes had arrived when it was looked last.
    arrived: u64,
}

impl Timeout {
    /// A wait that ends after `limit`, if hardly anything arrives meanwhile.
    pub(super) fn new(now: Duration, limit: Duration, arrived: u64) -> Timeout {
        Timeout { since: now, look_at: now.saturating_add(limit), arrived }
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    pub(super) fn look_at(&self) -> Duration {
        self.look_at
    }

    /// Whether it has been waited long enough.
    pub(super) fn is_over(&mut self, now: Duration, limit: Duration, arrived: u64) -> bool {
        if now < self.look_at {
            return false;
        }
        let is_steady = arrived.saturating_sub(self.arrived) >= STEADY_BYTES;
        let ends_at = self.since.saturating_add(limit.saturating_mul(LONGEST));
        if is_steady && now < ends_at {
            *self = Timeout { look_at: now.saturating_add(limit).min(ends_at), arrived, ..*self };
            return false;
        }
        true
    }
}
