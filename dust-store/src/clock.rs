//! Clocks of a store.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The two clocks of leases. A store reads the time only from here, so that tests can set it.
pub trait Clock: Send + Sync {
    /// The wall clock, in milliseconds since 1970. `expires_at` of a lease is in its time. It may jump.
    fn wall_ms(&self) -> i64;

    /// The monotonic clock: milliseconds since a fixed time in this process. It decides when a lease has expired.
    fn monotonic_ms(&self) -> u64;
}

/// The clocks of the operating system.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // Also before 1970, later times have larger numbers.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock for tests, which only [`advance`](ManualClock::advance) and [`set_wall`](ManualClock::set_wall) move.
///
/// ```
/// use dust_store::{Clock, ManualClock};
///
/// let clock = ManualClock::new(1_000);
/// clock.advance(500);
/// assert_eq!((clock.wall_ms(), clock.monotonic_ms()), (1_500, 500));
/// clock.set_wall(9_000);
/// assert_eq!((clock.wall_ms(), clock.monotonic_ms()), (9_000, 500));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock at this wall time, in milliseconds since 1970.
    pub fn new(wall_ms: i64) -> ManualClock {
        ManualClock { wall: AtomicI64::new(wall_ms), monotonic: AtomicU64::new(0) }
    }

    /// Advances both clocks.
    pub fn advance(&self, ms: u32) {
        self.wall.fetch_add(ms.into(), Ordering::SeqCst);
        self.monotonic.fetch_add(ms.into(), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an administrator or NTP does.
    pub fn set_wall(&self, wall_ms: i64) {
        self.wall.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}
