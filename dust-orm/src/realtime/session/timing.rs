//! Timeouts and intervals of a session.

use std::time::Duration;

/// Timeouts and intervals of a session. The defaults suit a Dust server.
///
/// ```
/// use std::time::Duration;
/// use dust_orm::realtime::Timing;
///
/// let mut timing = Timing::default();
/// timing.deadline = Duration::from_secs(5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// Interval of heartbeats (default: 30 s). A server closes a socket that is silent for 60 s.
    pub heartbeat: Duration,
    /// Time in which a frame has to arrive after a heartbeat (default: 10 s). Then the connection is given up.
    pub silence: Duration,
    /// Interval at which a store's position is requested (default: 5 s), which finds ops that are not pushed.
    pub status: Duration,
    /// Interval of these requests after ops were missed that another client wrote over HTTP (default: 250 ms). Doubles
    /// with each answer without a missed op, up to [`status`](Timing::status).
    pub status_soon: Duration,
    /// Pause before the first reconnection (default: 10 ms). Doubles with each further one.
    pub min_pause: Duration,
    /// The longest pause before a reconnection (default: 5 s).
    pub max_pause: Duration,
    /// Time in which a command is answered (default: 30 s).
    pub deadline: Duration,
    /// Time in which an op that the store is known to have may arrive by itself (default: 250 ms). Then the store is
    /// joined again.
    pub grace: Duration,
    /// Time after the next catch-up in which a write without an answer may still appear in the store (default: 2 s).
    /// Then its outcome is unknown.
    pub lost_grace: Duration,
    /// Time in which a join is answered (default: 10 s).
    pub join: Duration,
    /// Time since its last answer in which a channel answers a message (default: 10 s). Then the store is joined again,
    /// and on another socket if that does not help.
    pub answer: Duration,
    /// Time in which the next part of a catch-up arrives (default: 10 s). Doubles with each failure, up to 80 s. Then
    /// the store is joined again, as after an answer that does not arrive.
    pub catch_up: Duration,
    /// Pause before a refused store is joined again (default: 30 s).
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
