//! Prints the table: see `docs/performance.md`.

#![allow(clippy::print_stdout, reason = "that is what it does")]

use std::io::Write;

use lexopt::ValueExt;

use bench::{Plan, Scale, header};

const USAGE: &str = "\
cargo run --release -p bench -- [--rows TEXT] [--quick]

  --rows TEXT   only rows whose name contains it, such as `http` or `mirror: get`
  --quick       a smoke run: few calls on small stores; the figures say nothing";

fn main() -> bench::Result<()> {
    let (mut scale, mut wanted) = (Scale::FULL, String::new());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("rows") => wanted = arguments.value()?.string()?,
            lexopt::Arg::Long("quick") => scale = Scale::QUICK,
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    println!("{}", header());
    let mut plan = Plan::new(scale, &wanted, |row| {
        println!("{row}");
        // Rows come seconds apart; whoever looks on sees them as they come. A pipe that was closed is no matter.
        let _ = std::io::stdout().flush();
    });
    bench::run(&mut plan)?;
    if plan.rows().is_empty() {
        return Err(format!("no row has {wanted:?} in its name").into());
    }
    Ok(())
}
