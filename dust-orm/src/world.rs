//! What waiting needs of the world around it: time and chance. Tests bring their own.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;

use crate::patience::sleep;

/// Time and chance.
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// The time since some moment in the past; it never goes back.
    fn now(&self) -> Duration;

    /// The time since 1970, which is what the server's rate limit goes by.
    #[cfg(feature = "http")]
    fn unix_time(&self) -> Duration;

    /// Waits between two tries, or for others.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Ends when a try has taken too long.
    #[cfg(feature = "http")]
    fn limit(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// A random number.
    fn random(&self) -> u64;
}

/// A duration between nothing and `most`, drawn at random.
pub(crate) fn jitter(world: &dyn Runtime, most: Duration) -> Duration {
    // 53 bits are what a float holds exactly.
    let fraction = (world.random() >> 11) as f64 / (1_u64 << 53) as f64;
    most.mul_f64(fraction)
}

/// The time of the caller's runtime, and the randomness that the standard library keys its hash maps with.
#[derive(Debug)]
pub(crate) struct RealWorld {
    start: Instant,
    keys: std::hash::RandomState,
    drawn: AtomicU64,
}

impl RealWorld {
    pub(crate) fn new() -> RealWorld {
        RealWorld { start: Instant::now(), keys: std::hash::RandomState::new(), drawn: AtomicU64::new(0) }
    }
}

impl Runtime for RealWorld {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[cfg(feature = "http")]
    fn unix_time(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(sleep(duration))
    }

    #[cfg(feature = "http")]
    fn limit(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(sleep(duration))
    }

    fn random(&self) -> u64 {
        self.keys.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
pub(crate) mod manual;
