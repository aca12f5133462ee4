use std::time::Duration;

/// The number of tries of a call within its deadline, and the pauses between them.
///
/// Only requests that cannot be applied twice are repeated: reads, writes that provably never reached the server, and
/// requests that the server refused because of its rate limit, which it does before it applies anything. A write whose
/// response was lost is [`Timeout`](crate::DustErr::Timeout).
///
/// A pause is random, between zero and an upper bound: `base_delay`, doubled after every try up to `max_delay`. After a
/// `429` the pause is the server's, at least one second. If the deadline is earlier, the call ends with
/// [`RateLimited`](crate::DustErr::RateLimited).
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
    /// The largest number of tries of a call (default: 3). 1 tries once and never waits. Tries that the rate limit
    /// refuses do not count.
    pub max_tries: u32,
    /// The upper bound of the first pause (default: 50 ms).
    pub base_delay: Duration,
    /// The upper bound of any pause (default: 5 s).
    pub max_delay: Duration,
    /// The budget that all calls share (default: 500). It limits the retries to an overloaded server: a retry costs 5,
    /// after a timeout 10, and a success returns 1.
    pub budget: u32,
}

impl RetryPolicy {
    /// A policy without retries: every call is tried once.
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
