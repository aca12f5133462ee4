//! How long is waited for what.

use std::time::Duration;

/// How patient a session is. The defaults are right for a Dust server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// How often a sign of life is sent: 30 s. A server closes a socket that is silent for 60 s.
    pub heartbeat: Duration,
    /// How long the server may be silent after it: 10 s.
    pub silence: Duration,
    /// How often a store is asked how far it is while nothing is written past the socket: 5 s.
    pub status: Duration,
    /// How soon it is asked after ops were missed that somebody wrote over HTTP: 250 ms, doubled with each answer that
    /// tells of none, up to [`status`](Timing::status).
    pub status_soon: Duration,
    /// The pause before the first reconnection, doubled for each further one: 10 ms.
    pub min_pause: Duration,
    /// The longest pause: 5 s.
    pub max_pause: Duration,
    /// How long a command may take: 30 s.
    pub deadline: Duration,
    /// How long a store may be known to be ahead before it is joined again: 250 ms.
    pub grace: Duration,
    /// How long a write that was cut off may still turn up after the next catch-up: 2 s.
    pub lost_grace: Duration,
    /// How long the answer to a join may take: 10 s.
    pub join: Duration,
    /// How long a channel may leave what was sent on it unanswered: 10 s since its last answer. Then the store is joined
    /// again, and on another socket where that does not help.
    pub answer: Duration,
    /// How long a catch-up may bring nothing: 10 s, twice as long after each time that it did, up to eight times. Then the
    /// store is joined again, as where an answer does not come.
    pub catch_up: Duration,
    /// How long a refused store is left alone before it is tried again: 30 s.
    pub refused: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_secs(30),
            silence: Duration::from_secs(10),
            status: Duration::from_secs(5),
            status_soon: Duration::from_millis(250),
            min_pause: Duration::from_millis(10),
            max_pause: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            grace: Duration::from_millis(250),
            lost_grace: Duration::from_secs(2),
            join: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            catch_up: Duration::from_secs(10),
            refused: Duration::from_secs(30),
        }
    }
}
