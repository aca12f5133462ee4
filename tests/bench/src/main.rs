//! Prints the table: see `docs/performance.md`.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::io::Write;
use std::num::NonZero;

use lexopt::ValueExt;

use bench::{Plan, Scale, header};

const USAGE: &str = "\
cargo run --release -p bench -- [--rows TEXT] [--rounds N] [--quick]

  --rows TEXT   only rows whose name contains it, such as `http` or `mirror: get`
  --rounds N    so many rounds of each row, where the medians are to mean more, or a profiler has to wait
  --quick       a smoke run: few calls on small stores; the figures say nothing";

fn main() -> bench::Result<()> {
    let (mut scale, mut wanted, mut rounds) = (Scale::FULL, String::new(), None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("rows") => wanted = arguments.value()?.string()?,
            lexopt::Arg::Long("rounds") => rounds = Some(arguments.value()?.parse::<NonZero<usize>>()?.get()),
            lexopt::Arg::Long("quick") => scale = Scale::QUICK,
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(rounds) = rounds {
        (scale.rounds, scale.few_rounds) = (rounds, rounds);
    }
    println!("{}", header());
    let mut plan = Plan::new(scale, &wanted, |row| {
        println!("{row}");
        // Prints each row at once, as rows take seconds. An error of a closed pipe is ignored.
        let _ = std::io::stdout().flush();
    });
    bench::run(&mut plan)?;
    if plan.rows().is_empty() {
        return Err(format!("no row has {wanted:?} in its name").into());
    }
    Ok(())
}
