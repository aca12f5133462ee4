//! A wait for a frame, which a large frame in transit extends.

use std::time::Duration;

/// Bytes that have to arrive during a wait for it to be extended.
const STEADY_BYTES: u64 = 64 << 10;
/// The longest wait, in multiples of its limit.
const MAX_EXTENSION: u32 = 60;

/// A wait for a frame that is due.
///
/// The session sees a frame only when it is complete. A frame whose transfer takes longer than the server may be silent
/// delays the frame that is waited for, and is not silence: while bytes arrive steadily the wait is extended, up to 60
/// times its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeout {
    since: Duration,
    /// The time of the next check.
    check_at: Duration,
    /// The bytes that had arrived at the last check.
    arrived: u64,
}

impl Timeout {
    /// A wait that ends after `limit` unless a large frame is in transit. `arrived` is the number of bytes so far.
    pub(super) fn new(now: Duration, limit: Duration, arrived: u64) -> Timeout {
        Timeout { since: now, check_at: now.saturating_add(limit), arrived }
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    pub(super) fn check_at(&self) -> Duration {
        self.check_at
    }

    /// True if the wait is over. Extends it by `limit` if a large frame is in transit.
    pub(super) fn is_over(&mut self, now: Duration, limit: Duration, arrived: u64) -> bool {
        if now < self.check_at {
            return false;
        }
        let is_steady = arrived.saturating_sub(self.arrived) >= STEADY_BYTES;
        let ends_at = self.since.saturating_add(limit.saturating_mul(MAX_EXTENSION));
        if is_steady && now < ends_at {
            self.check_at = now.saturating_add(limit).min(ends_at);
            self.arrived = arrived;
            return false;
        }
        true
    }
}
