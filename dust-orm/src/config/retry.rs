use std::time::Duration;

/// How often and how eagerly a call is tried again within its deadline.
///
/// Only what cannot do harm twice is tried again: reads, writes that provably never reached the server, and requests the
/// server refused because of its rate limit, which it does before it applies anything. A write whose answer was lost is
/// [`Timeout`](crate::DustErr::Timeout).
///
/// Pauses are drawn at random between nothing and `base_delay`, doubled with every try up to `max_delay`. A pause the
/// server asks for with `429` is taken in full, at least a second, and ends the call with
/// [`RateLimited`](crate::DustErr::RateLimited) when the deadline comes first.
///
/// ```
/// use std::time::Duration;
/// use dust_orm::RetryPolicy;
///
/// let patient = RetryPolicy::default().with_max_tries(6).with_max_delay(Duration::from_secs(10));
/// assert_eq!(RetryPolicy::none().max_tries, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a call is tried at the most; 1 tries once and never waits. Waiting for the rate limit does not count. 3 by
    /// default.
    pub max_tries: u32,
    /// The upper bound of the first pause. 50 ms by default.
    pub base_delay: Duration,
    /// The upper bound of any pause. 5 s by default.
    pub max_delay: Duration,
    /// The budget that all calls share, so that a server in trouble is not buried in retries: a retry costs 5, after a
    /// timeout 10, and a success gives 1 back. 500 by default.
    pub budget: u32,
}

impl RetryPolicy {
    /// Every call is tried once.
    pub fn none() -> RetryPolicy {
        RetryPolicy::default().with_max_tries(1)
    }

    /// Sets the number of tries.
    pub fn with_max_tries(self, max_tries: u32) -> RetryPolicy {
        RetryPolicy { max_tries, ..self }
    }

    /// Sets the upper bound of the first pause.
    pub fn with_base_delay(self, base_delay: Duration) -> RetryPolicy {
        RetryPolicy { base_delay, ..self }
    }

    /// Sets the upper bound of any pause.
    pub fn with_max_delay(self, max_delay: Duration) -> RetryPolicy {
        RetryPolicy { max_delay, ..self }
    }

    /// Sets the budget that all calls share.
    pub fn with_budget(self, budget: u32) -> RetryPolicy {
        RetryPolicy { budget, ..self }
    }
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            max_tries: 3,
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(5),
            budget: 500,
        }
    }
}
