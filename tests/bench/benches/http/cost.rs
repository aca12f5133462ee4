//! What calls cost, and how that is shown.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What one round of one client took, per call, in µs.
#[derive(Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

/// The rounds of a client written by hand and of dust-orm.
#[derive(Default)]
pub struct Row {
    pub by_hand: Vec<Cost>,
    pub orm: Vec<Cost>,
}

/// Adds a round of so many calls to what the rounds cost.
macro_rules! measure {
    ($costs:expr, $calls:expr, |$number:ident| $call:expr) => {{
        let before = $crate::cost::now();
        for $number in 0..$calls {
            $call;
        }
        $costs.push($crate::cost::Cost::since(before, $calls));
    }};
}
pub(crate) use measure;

/// The time, and the CPU time of this process.
pub fn now() -> (Duration, Duration) {
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    (read(ClockId::Monotonic), read(ClockId::ProcessCPUTime))
}

/// The median of the rounds.
pub fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Cost {
    pub fn since((wall, cpu): (Duration, Duration), calls: usize) -> Cost {
        let (wall_now, cpu_now) = now();
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        Cost { wall: per_call(wall_now - wall), cpu: per_call(cpu_now - cpu) }
    }
}

impl Row {
    pub fn print_header(rounds: usize) {
        println!(
            "\nper call, medians of {rounds} rounds     by hand      dust-orm   ratio   CPU by hand  CPU dust-orm  difference"
        );
    }

    pub fn print(&self, name: &str) {
        let (hand, orm) = (median(&self.by_hand, |cost| cost.wall), median(&self.orm, |cost| cost.wall));
        let (hand_cpu, orm_cpu) = (median(&self.by_hand, |cost| cost.cpu), median(&self.orm, |cost| cost.cpu));
        println!(
            "{name:<32} {hand:>9.1} µs {orm:>10.1} µs {:>7.3} {hand_cpu:>10.1} µs {orm_cpu:>10.1} µs {:>+9.1} µs",
            orm / hand,
            orm_cpu - hand_cpu,
        );
    }
}
