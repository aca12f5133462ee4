//! The plan of a seed: the participants, and the rates of faults.

use crate::dice::Dice;

/// A run as a seed plans it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) clients: usize,
    pub(super) stores: usize,
    /// Callers of each client.
    pub(super) callers: usize,
    /// Calls of each caller.
    pub(super) calls: u64,
    /// True if the only faults are HTTP writes of others and lost events: then no outcome may be unknown.
    pub(super) is_calm: bool,
    pub(super) faults: u64,
    /// Maximum time between two faults, in milliseconds.
    pub(super) fault_gap_ms: u64,
    /// Maximum time between an answer and the next call, in milliseconds.
    pub(super) think_ms: u64,
    /// Usual maximum latency of a frame, in milliseconds.
    pub(super) latency_ms: u64,
    /// Percentage of writes with an unusual answer: no reply, no event, two events, the reply first.
    pub(super) twists: u64,
    /// Percentage of messages that the channel reads later than the socket.
    pub(super) unread: u64,
    /// Percentage of cancelled calls.
    pub(super) cancelled: u64,
    /// Number of ops before the first client starts.
    pub(super) before: u64,
    /// Rate limit in writes per minute, if there is one.
    pub(super) rate_limit: Option<u32>,
}

impl Plan {
    pub(super) fn new(dice: &mut Dice) -> Plan {
        let is_calm = dice.percent(20);
        Plan {
            clients: dice.within(1, 3) as usize,
            stores: 1 + usize::from(dice.percent(25)),
            callers: dice.within(1, 3) as usize,
            calls: dice.within(2, 7),
            is_calm,
            faults: if is_calm && dice.percent(30) { 0 } else { dice.within(1, 12) },
            fault_gap_ms: dice.pick(&[(3, 100), (3, 800), (1, 6_000)]).unwrap_or(800),
            think_ms: dice.pick(&[(2, 5), (3, 100), (2, 1_500)]).unwrap_or(100),
            latency_ms: dice.pick(&[(2, 0), (4, 5), (2, 150)]).unwrap_or(5),
            twists: dice.pick(&[(2, 0), (3, 10), (1, 40)]).unwrap_or(0),
            unread: dice.pick(&[(1, 0), (2, 20), (2, 80)]).unwrap_or(0),
            cancelled: dice.pick(&[(1, 0), (2, 8)]).unwrap_or(0),
            before: dice.pick(&[(2, 0), (2, 6), (1, 25)]).unwrap_or(0),
            rate_limit: dice.percent(8).then_some(5),
        }
    }
}
