//! The options of `single_flight`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::world::{RealWorld, Runtime};

/// The default ttl of the lease.
const LEASE_TTL: Duration = Duration::from_secs(30);

/// The time for which a caller waits by default, beyond the ttl of the lease: enough to take over from a dead process.
const EXTRA_WAIT: Duration = Duration::from_secs(5);

/// The condition under which a stored value is returned.
type Freshness<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// The default interval between looks without subscriptions.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The options of [`single_flight`](crate::DustRepo::single_flight).
///
/// ```
/// use std::time::Duration;
/// use dust_orm::repo::{FlightOptions, OnUnavailable};
///
/// let options = FlightOptions::<String>::new()
///     .fresh_if(|text| !text.is_empty())
///     .lease_ttl(Duration::from_secs(10))
///     .on_unavailable(OnUnavailable::Error);
/// ```
#[derive(Clone)]
pub struct FlightOptions<T> {
    fresh: Option<Freshness<T>>,
    pub(super) lease_ttl: Duration,
    wait: Option<Duration>,
    pub(super) look_every: Duration,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) allow_stale: bool,
    pub(super) holder: Option<String>,
    pub(super) world: Arc<dyn Runtime>,
}

/// The reaction of a flight if Dust is unreachable or does not answer before the work has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Every caller does the work by itself, and nothing is published. For values that are needed more than repeated
    /// work is harmful.
    #[default]
    RunLocal,
    /// The flight fails with that error. For work that is more harmful when repeated than a missing value.
    Error,
}

impl<T> FlightOptions<T> {
    /// The default options: any stored value is fresh.
    pub fn new() -> FlightOptions<T> {
        FlightOptions {
            fresh: None,
            lease_ttl: LEASE_TTL,
            wait: None,
            look_every: LOOK_EVERY,
            on_unavailable: OnUnavailable::default(),
            allow_stale: true,
            holder: None,
            world: Arc::new(RealWorld::new()),
        }
    }

    /// Sets the condition under which a stored value is returned (default: always). A value that ages needs a field
    /// with the time of its computation: the time of its write may be much later, after an outage.
    #[must_use]
    pub fn fresh_if(mut self, fresh: impl Fn(&T) -> bool + Send + Sync + 'static) -> FlightOptions<T> {
        self.fresh = Some(Arc::new(fresh));
        self
    }

    /// Sets the ttl of the lease (default: 30 s), which is renewed after each third of it. It is the time until another
    /// caller takes over from a dead process. Use the same for all callers of a key.
    #[must_use]
    pub fn lease_ttl(mut self, ttl: Duration) -> FlightOptions<T> {
        self.lease_ttl = ttl;
        self
    }

    /// Sets the time for which a caller waits for the value of another one, or for the lease (default: the ttl of the
    /// lease and 5 s). The work itself has no limit of time.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> FlightOptions<T> {
        self.wait = Some(wait);
        self
    }

    /// Sets the interval between looks of a waiting caller if the transport has no subscriptions (default: 50 ms).
    #[must_use]
    pub fn look_every(mut self, interval: Duration) -> FlightOptions<T> {
        self.look_every = interval;
        self
    }

    /// Sets the reaction if Dust is unreachable (default: [`OnUnavailable::RunLocal`]).
    #[must_use]
    pub fn on_unavailable(mut self, reaction: OnUnavailable) -> FlightOptions<T> {
        self.on_unavailable = reaction;
        self
    }

    /// Fails with [`LeaseHeld`](crate::DustErr::LeaseHeld) if no fresh value comes in time, instead of returning a
    /// value that is no longer fresh.
    #[must_use]
    pub fn refuse_stale(mut self) -> FlightOptions<T> {
        self.allow_stale = false;
        self
    }

    /// Sets the name of the holder of the lease, as information for its readers (default: none).
    #[must_use]
    pub fn holder(mut self, holder: impl Into<String>) -> FlightOptions<T> {
        self.holder = Some(holder.into());
        self
    }

    #[cfg(test)]
    #[cfg(feature = "embedded")]
    pub(super) fn in_world(mut self, world: Arc<dyn Runtime>) -> FlightOptions<T> {
        self.world = world;
        self
    }

    pub(super) fn wait_or_default(&self) -> Duration {
        self.wait.unwrap_or_else(|| self.lease_ttl.saturating_add(EXTRA_WAIT))
    }

    pub(super) fn is_fresh(&self, value: &T) -> bool {
        self.fresh.as_ref().is_none_or(|fresh| fresh(value))
    }
}

impl<T> Default for FlightOptions<T> {
    fn default() -> FlightOptions<T> {
        FlightOptions::new()
    }
}

impl<T> fmt::Debug for FlightOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightOptions")
            .field("lease_ttl", &self.lease_ttl)
            .field("wait", &self.wait_or_default())
            .field("look_every", &self.look_every)
            .field("on_unavailable", &self.on_unavailable)
            .field("allow_stale", &self.allow_stale)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}
