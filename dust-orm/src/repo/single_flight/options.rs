//! How a flight goes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::{Runtime, SystemRuntime};

/// How long a lease lasts unless it is renewed, by default.
const LEASE_TTL: Duration = Duration::from_secs(30);

/// How much longer than a lease lasts a caller waits, by default: enough to take over from one that died.
const EXTRA_WAIT: Duration = Duration::from_secs(5);

/// Whether a stored value will do.
type Freshness<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// How often a caller looks who cannot be told, by default.
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

/// What a flight does when Dust cannot be reached, or does not answer, before the work has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Every caller does the work for itself, and nothing is published: a value is worth more than not doing work twice.
    #[default]
    RunLocal,
    /// The flight fails with that error: doing work twice costs more than having no value.
    Error,
}

impl<T> FlightOptions<T> {
    /// The defaults: any stored value is fresh.
    pub fn new() -> FlightOptions<T> {
        FlightOptions {
            fresh: None,
            lease_ttl: LEASE_TTL,
            wait: None,
            look_every: LOOK_EVERY,
            on_unavailable: OnUnavailable::default(),
            allow_stale: true,
            holder: None,
            world: Arc::new(SystemRuntime::new()),
        }
    }

    /// Whether a stored value may be the answer. A value that grows old says itself when it was made: what the store or this
    /// process knows of it is when it came by, which after an outage is something else.
    #[must_use]
    pub fn fresh_if(mut self, fresh: impl Fn(&T) -> bool + Send + Sync + 'static) -> FlightOptions<T> {
        self.fresh = Some(Arc::new(fresh));
        self
    }

    /// How long the lease lasts that whoever computes renews every third of it: so long it takes until others take over from
    /// one that died. 30 s by default; the same for all callers of a key.
    #[must_use]
    pub fn lease_ttl(mut self, ttl: Duration) -> FlightOptions<T> {
        self.lease_ttl = ttl;
        self
    }

    /// How long a caller waits for another's value or for its own turn. By default 5 s longer than the lease lasts. The work
    /// itself has no limit.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> FlightOptions<T> {
        self.wait = Some(wait);
        self
    }

    /// How often a caller looks who waits, where the transport has no subscriptions. 50 ms by default.
    #[must_use]
    pub fn look_every(mut self, interval: Duration) -> FlightOptions<T> {
        self.look_every = interval;
        self
    }

    /// What to do when Dust cannot be reached. By default every caller does the work for itself.
    #[must_use]
    pub fn on_unavailable(mut self, what: OnUnavailable) -> FlightOptions<T> {
        self.on_unavailable = what;
        self
    }

    /// Fails with [`LeaseHeld`](crate::DustErr::LeaseHeld) where the answer would be a value that is no longer fresh,
    /// as no fresh one came in time.
    #[must_use]
    pub fn refuse_stale(mut self) -> FlightOptions<T> {
        self.allow_stale = false;
        self
    }

    /// Who computes, for those who look at the lease.
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
