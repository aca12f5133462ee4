//! Runs of many seeds on all processors.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sim::{self, Counts, Defect, Report};

/// Maximum number of recorded failures.
const KEPT: usize = 3;

/// The result of a number of seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// Number of runs.
    pub runs: u64,
    /// Counts of the events of all runs.
    pub counts: Counts,
    /// The first runs that broke a promise, with their traces.
    pub failures: Vec<Report>,
}

/// Runs seeds from `from` on, until `count` are done or a few have failed.
pub fn run(from: u64, count: u64, mutation: Option<Defect>) -> Summary {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let report = sim::run_with(from.wrapping_add(at), mutation, false);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.runs += 1;
                    summary.counts.merge(&report.counts);
                    if report.violation.is_some() {
                        // Once more, with a trace.
                        summary.failures.push(sim::run_with(report.seed, mutation, true));
                        stop.store(summary.failures.len() >= KEPT, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort_by_key(|report| report.seed);
    summary
}

/// A failure as text: its events, and the command to repeat it.
pub fn explain(report: &Report) -> String {
    let Report { seed, violation, trace, .. } = report;
    let what = violation.as_ref().map_or_else(|| "all is well".to_owned(), ToString::to_string);
    format!("{}\n\nseed {seed}: {what}\nagain: cargo run -p chaos -- --seed {seed}\n", trace.join("\n"))
}
