//! The rate limit: requests per minute and token, separately for reads and writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The number of requests that one token may make in a minute of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// All requests but reads. A request counts once for any number of ops; `POST entries/batch`, which reads, counts
    /// too.
    pub writes: u32,
    /// GET and HEAD requests.
    pub reads: u32,
}

impl RateLimit {
    /// 100 writes and 1000 reads, as in production.
    pub const PRODUCTION: RateLimit = RateLimit { writes: 100, reads: 1000 };
}

/// The requests that share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    Reads,
    Writes,
}

/// The decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No limit is set.
    Unlimited,
    Allowed {
        limit: u32,
        remaining: u32,
    },
    /// The time to the end of the window, in seconds, rounded down.
    Denied {
        limit: u32,
        seconds: i64,
    },
}

const WINDOW_MS: i64 = 60_000;

/// Counts requests in windows that begin with the minutes of the wall clock.
pub(crate) struct Limits {
    limit: Option<RateLimit>,
    /// The window and the hits in it, by token and bucket.
    hits: Mutex<HashMap<(String, Bucket), (i64, u32)>>,
}

impl Limits {
    pub(crate) fn new(limit: Option<RateLimit>) -> Limits {
        Limits { limit, hits: Mutex::default() }
    }

    pub(crate) fn hit(&self, token_id: &str, bucket: Bucket, now_ms: i64) -> Verdict {
        let Some(limit) = self.limit else { return Verdict::Unlimited };
        let limit = match bucket {
            Bucket::Reads => limit.reads,
            Bucket::Writes => limit.writes,
        };
        let window = now_ms.div_euclid(WINDOW_MS);
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted_in, count) = hits.entry((token_id.to_owned(), bucket)).or_insert((window, 0));
        if *counted_in != window {
            (*counted_in, *count) = (window, 0);
        }
        *count = count.saturating_add(1);
        if *count <= limit {
            Verdict::Allowed { limit, remaining: limit - *count }
        } else {
            Verdict::Denied { limit, seconds: ((window + 1) * WINDOW_MS - now_ms) / 1000 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_is_a_minute_of_the_wall_clock() {
        let limits = Limits::new(Some(RateLimit { writes: 2, reads: 1 }));
        let hit = |token, bucket, now_ms| limits.hit(token, bucket, now_ms);
        assert_eq!(hit("a", Bucket::Writes, 3_500), Verdict::Allowed { limit: 2, remaining: 1 });
        assert_eq!(hit("a", Bucket::Writes, 3_500), Verdict::Allowed { limit: 2, remaining: 0 });
        assert_eq!(hit("a", Bucket::Writes, 3_500), Verdict::Denied { limit: 2, seconds: 56 });
        assert_eq!(hit("a", Bucket::Writes, 59_500), Verdict::Denied { limit: 2, seconds: 0 });
        // Another bucket, another token, another window.
        assert_eq!(hit("a", Bucket::Reads, 3_500), Verdict::Allowed { limit: 1, remaining: 0 });
        assert_eq!(hit("b", Bucket::Writes, 3_500), Verdict::Allowed { limit: 2, remaining: 1 });
        assert_eq!(hit("a", Bucket::Writes, 60_000), Verdict::Allowed { limit: 2, remaining: 1 });
    }

    #[test]
    fn no_limit_counts_nothing() {
        let limits = Limits::new(None);
        for _ in 0..2000 {
            assert_eq!(limits.hit("a", Bucket::Writes, 0), Verdict::Unlimited);
        }
    }
}
