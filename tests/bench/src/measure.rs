//! The cost of calls: time, CPU and allocations.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::{Result, alloc};

/// The cost of a call: the median of rounds, or one round.
///
/// CPU and allocations are those of the thread that measures. The server has a thread of its own, so that they are the
/// client's alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Duration in nanoseconds.
    pub wall: f64,
    /// CPU time in nanoseconds.
    pub cpu: f64,
    /// Number of allocations.
    pub allocations: f64,
}

/// A running round.
pub struct Meter {
    wall: Duration,
    cpu: Duration,
    allocations: u64,
}

impl Meter {
    /// Begins a round.
    pub fn start() -> Meter {
        Meter { allocations: alloc::allocations(), cpu: read(ClockId::ThreadCPUTime), wall: read(ClockId::Monotonic) }
    }

    /// Ends the round, and returns the cost of one of `calls` calls.
    pub fn stop(self, calls: usize) -> Cost {
        let (wall, cpu) = (read(ClockId::Monotonic), read(ClockId::ThreadCPUTime));
        let per_call = |whole: f64| whole / calls as f64;
        Cost {
            wall: per_call((wall - self.wall).as_nanos() as f64),
            cpu: per_call((cpu - self.cpu).as_nanos() as f64),
            allocations: per_call((alloc::allocations() - self.allocations) as f64),
        }
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl Cost {
    /// The median of rounds, for each figure separately.
    pub fn median(rounds: &[Cost]) -> Cost {
        let median = |of: fn(&Cost) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Cost {
            wall: median(|cost| cost.wall),
            cpu: median(|cost| cost.cpu),
            allocations: median(|cost| cost.allocations),
        }
    }

    /// The cost of one of several operations of a call.
    pub fn per(self, things: usize) -> Cost {
        let each = |whole: f64| whole / things as f64;
        Cost { wall: each(self.wall), cpu: each(self.cpu), allocations: each(self.allocations) }
    }
}

/// Two implementations, measured in turns.
#[derive(Debug, Default)]
pub struct Turns {
    peer: Vec<Cost>,
    dust: Vec<Cost>,
}

impl Turns {
    /// Measures both in `rounds` rounds of `calls` calls each, after a round of warm-up. The order changes from round
    /// to round. Each call receives its number, and both receive the same numbers.
    pub async fn take(
        rounds: usize,
        calls: usize,
        mut peer: impl AsyncFnMut(usize) -> Result<()>,
        mut dust: impl AsyncFnMut(usize) -> Result<()>,
    ) -> Result<Turns> {
        let mut turns = Turns::default();
        for round in 0..=rounds {
            let (by_peer, by_dust) = if round % 2 == 0 {
                let by_peer = self::round(round, calls, &mut peer).await?;
                (by_peer, self::round(round, calls, &mut dust).await?)
            } else {
                let by_dust = self::round(round, calls, &mut dust).await?;
                (self::round(round, calls, &mut peer).await?, by_dust)
            };
            if round > 0 {
                turns.push(by_peer, by_dust);
            }
        }
        Ok(turns)
    }

    /// Adds a round from another measurement.
    pub fn push(&mut self, peer: Cost, dust: Cost) {
        self.peer.push(peer);
        self.dust.push(dust);
    }

    /// The costs of the peer and of dust-orm.
    pub fn medians(&self) -> (Cost, Cost) {
        (Cost::median(&self.peer), Cost::median(&self.dust))
    }
}

async fn round(round: usize, calls: usize, call: &mut impl AsyncFnMut(usize) -> Result<()>) -> Result<Cost> {
    let meter = Meter::start();
    for number in round * calls..(round + 1) * calls {
        call(number).await?;
    }
    Ok(meter.stop(calls))
}

/// Number of calls of each implementation by [`Turns::take`], the first round included.
pub fn calls_of(rounds: usize, calls: usize) -> usize {
    (rounds + 1) * calls
}
