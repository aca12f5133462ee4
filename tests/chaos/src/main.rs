//! Runs seeds: `cargo run -p chaos -- --seeds 100000 --from 1`, or one with its trace: `-- --seed 17`; or real sockets:
//! `-- --sockets --seconds 60`.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaos::sockets::{self, Options};
use chaos::{beside, seeds, sim};

const HELP: &str = "\
Checks what the realtime client promises under faults.

  --seeds N     run N simulations (default 2000)
  --from SEED   beginning with this seed (default: the time)
  --seed SEED   run one and tell what happens
  --sockets     use real sockets and processes instead, with what goes wrong
                decided by --from
  --seconds N   for so long (default 60)
  --beside      measure how long writers wait beside 10 HTTP writes a second,
                for --seconds, with the network taking --latency MS one way
                (default 5) and a channel --message MS over each write
                (default 2) and --writers N (default 8)
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, lexopt::Error> {
    use lexopt::prelude::*;
    let now = std::time::UNIX_EPOCH.elapsed().map_or(1, |elapsed| elapsed.as_secs());
    let (mut count, mut from, mut one) = (2_000, now, None);
    let (mut on_sockets, mut seconds) = (false, 60);
    let (mut is_beside, mut beside) = (false, beside::Options::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seeds") => count = arguments.value()?.parse()?,
            Long("from") => from = arguments.value()?.parse()?,
            Long("seed") => one = Some(arguments.value()?.parse()?),
            Long("sockets") => on_sockets = true,
            Long("beside") => is_beside = true,
            Long("latency") => beside.latency = Duration::from_millis(arguments.value()?.parse()?),
            Long("message") => beside.message = Duration::from_millis(arguments.value()?.parse()?),
            Long("writers") => beside.writers = arguments.value()?.parse()?,
            Long("seconds") => seconds = arguments.value()?.parse()?,
            // The child process of a run on sockets, which the run kills.
            Long("emulate") => {
                let data = PathBuf::from(arguments.value()?);
                return in_runtime(sockets::serve(&data)).map(|()| true);
            }
            Long("help") => {
                println!("{HELP}");
                return Ok(true);
            }
            other => return Err(other.unexpected()),
        }
    }
    if let Some(seed) = one {
        let report = sim::run_with(seed, None, true);
        println!("{}", seeds::explain(&report));
        return Ok(report.violation.is_none());
    }
    if is_beside {
        beside.time = Duration::from_secs(seconds);
        println!("{beside:?}");
        let figures = in_runtime(beside::run(beside))?;
        println!("{figures}");
        return Ok(figures.timeouts == 0 && figures.failed.0 == 0);
    }
    if on_sockets {
        println!("{seconds} s on real sockets, with the faults of {from}");
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let options = Options { seed: from, time: Duration::from_secs(seconds), program };
        let outcomes = in_runtime(sockets::run(options))?;
        println!("{outcomes}");
        return Ok(outcomes.violations.is_empty());
    }
    let began = Instant::now();
    println!("{count} seeds from {from} on");
    let summary = seeds::run(from, count, None);
    for report in &summary.failures {
        println!("{}", seeds::explain(report));
    }
    println!("{}{} seeds in {:?}, {} failed", summary.counts, summary.runs, began.elapsed(), summary.failures.len());
    Ok(summary.failures.is_empty())
}

fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, lexopt::Error> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    Ok(runtime.block_on(work)?)
}
