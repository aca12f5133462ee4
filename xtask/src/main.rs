//! Checks of this repository: `cargo run -p xtask -- prose`, `api` and `imports`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod api;
mod imports;
mod prose;
mod resolve;
mod source;

use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
Checks of this repository. Each command exits with 1 if it finds something.

  prose            check the comments, errors and Markdown of the finished
                   folders (xtask/finished.txt), count the findings elsewhere
  prose PATH..     show every finding below these paths, finished or not
  api              compare the public items of dust-orm with docs/public-api.txt
  api --write      write docs/public-api.txt
  imports          find imports of dust-orm that point up in the layers of
                   docs/architecture.md, and circles of files
";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        ["prose"] => prose::check(&root),
        ["prose", paths @ ..] => prose::show(&root, paths),
        ["api"] => api::check(&root),
        ["api", "--write"] => api::write(&root),
        ["imports"] => imports::check(&root),
        _ => Err(HELP.to_owned()),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
