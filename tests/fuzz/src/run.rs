//! The runner of seeds, and the report of a failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Target, recordings::Recordings};

/// Time limit for one seed; beyond it the seed hangs.
const HANG: Duration = Duration::from_secs(120);
/// Memory limit of the whole process, in KiB: no seed needs a hundredth of it.
const MOST_MEMORY: u64 = 2 << 20;

/// Runs the seeds of each target in turn, from `from` on, until `count` seeds have run or `time` is over. Returns the
/// number of runs, or the fault found.
pub fn run(targets: &[Target], from: u64, count: u64, time: Duration) -> Result<u64, String> {
    let recordings = Recordings::load();
    let watched = Arc::new(Watch::default());
    let watch = Arc::clone(&watched);
    std::thread::spawn(move || watch.watch());
    let end = Instant::now() + time;
    let mut done = 0;
    for seed in (from..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let is_its_turn = |target: &&Target| targets.len() == 1 || seed % target.every == 0;
        for target in targets.iter().filter(is_its_turn) {
            if Instant::now() >= end {
                return Ok(done);
            }
            one(target, &recordings, seed, &watched)?;
            done += 1;
        }
    }
    Ok(done)
}

fn one(target: &Target, recordings: &Recordings, seed: u64, watched: &Watch) -> Result<(), String> {
    watched.begin(format!("--target {} --from {seed} --count 1", target.name));
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(recordings, seed)));
    watched.end();
    let wrong = match outcome {
        Ok(Ok(())) => match peak_memory() {
            Some(peak) if peak > MOST_MEMORY => format!("it took {peak} KiB of memory"),
            _ => return Ok(()),
        },
        Ok(Err(wrong)) => wrong,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("a panic: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text"))
        }
    };
    Err(format!(
        "{}, seed {seed}: {wrong}\nagain: cargo run -p fuzz -- --target {0} --from {seed} --count 1",
        target.name
    ))
}

/// The peak memory of this process in KiB, or `None` if the system does not report it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Ends the process if a seed hangs.
#[derive(Default)]
struct Watch(Mutex<Option<(Instant, String)>>);

impl Watch {
    fn begin(&self, what: String) {
        *self.lock() = Some((Instant::now(), what));
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn watch(&self) {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((_, what)) = self.lock().take_if(|(since, _)| since.elapsed() > HANG) {
                // A hanging thread cannot be ended in another way.
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("it hangs; again: cargo run -p fuzz -- {what}\n").as_bytes(),
                );
                std::process::exit(1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
