//! Running seeds, and telling of one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Target, recordings::Recordings};

/// How long one seed may take. Nothing takes nearly as long: it hangs.
const HANG: Duration = Duration::from_secs(120);
/// How much memory the whole process may ever take, in KiB: no seed needs a hundredth of it.
const MOST_MEMORY: u64 = 2 << 20;

/// Runs the seeds from one on, until there were so many or the time is up, of each target in turn; how many it were, or what
/// went wrong.
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

/// The most memory that this process has taken so far, in KiB, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Watches that nothing hangs.
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
                // There is no other way to end what hangs.
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
