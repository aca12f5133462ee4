//! Time and random numbers as waits need them. Tests inject their own.

use std::fmt;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;

use crate::patience::sleep;
use crate::random::{Rng, share};

/// A source of time and random numbers.
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// The time since a fixed moment; it never goes back.
    fn now(&self) -> Duration;

    /// The time since 1970, by which the server counts the requests of a minute.
    #[cfg(feature = "http")]
    fn unix_time(&self) -> Duration;

    /// Waits between two tries, or for another process.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Waits until a try has taken too long.
    #[cfg(feature = "http")]
    fn limit(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// A random number.
    fn random(&self) -> u64;
}

/// A random duration between 0 and `max`.
pub(crate) fn jitter(runtime: &dyn Runtime, max: Duration) -> Duration {
    share(runtime.random(), max)
}

/// The clock of the system, the timers of the caller's runtime, and a generator with a seed from the system.
#[derive(Debug)]
pub(crate) struct SystemRuntime {
    start: Instant,
    rng: Rng,
}

impl SystemRuntime {
    pub(crate) fn new() -> SystemRuntime {
        SystemRuntime { start: Instant::now(), rng: Rng::from_system() }
    }
}

impl Runtime for SystemRuntime {
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
        self.rng.next_u64()
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
pub(crate) mod manual;
