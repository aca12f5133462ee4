//! Runs seeds for a given time: `cargo run --release -p fuzz -- --seconds 600`.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::{by_name, run, targets};

const HELP: &str = "\
Feeds arbitrary bytes and mutated recordings to the parsers and to the client.

  --seconds N    for so long (default 60)
  --count N      this many seeds of each target at the most
  --from SEED    beginning with this seed (default: the time)
  --target NAME  this target only: parsers, input, session, pages, http, proxy
";

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), lexopt::Error> {
    use lexopt::prelude::*;
    let mut from = std::time::UNIX_EPOCH.elapsed().map_or(1, |elapsed| elapsed.as_secs() << 20);
    let (mut seconds, mut count, mut chosen) = (60, u64::MAX, targets());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Long("count") => count = arguments.value()?.parse()?,
            Long("from") => from = arguments.value()?.parse()?,
            Long("target") => {
                let name: String = arguments.value()?.parse()?;
                chosen = vec![by_name(&name).ok_or_else(|| format!("there is no target `{name}`\n\n{HELP}"))?];
            }
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected()),
        }
    }
    let began = Instant::now();
    println!("seeds from {from} on, for {seconds} s");
    let done = run::run(&chosen, from, count, Duration::from_secs(seconds))?;
    println!("{done} runs in {:?}, nothing found", began.elapsed());
    Ok(())
}
