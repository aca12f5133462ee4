//! The emulator for development: `cargo run -p dust-emulator`.

// What it says is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use dust_emulator::{Emulator, EmulatorBuilder, RateLimit};

const HELP: &str = "\
A Dust server for development: the HTTP and WebSocket protocols of Dust over an embedded store.

Usage: dust-emulator [options]

  --listen ADDRESS   where to listen                       [127.0.0.1:7755]
  --store ORG/NAME   a store to have; may be repeated      [local/dev]
  --data DIR         keep the stores in this directory     [in memory]
  --seed FILE        fill the first store, if it is empty: a JSON object of
                     paths and values, or a server's JSON lines export
  --token SECRET     the token that may do everything      [dust_tok_emulator]
  --rate-limit       100 writes and 1000 reads a minute, as in production
  -h, --help         this text
  -V, --version      the version

Open http://127.0.0.1:7755 to see what its stores hold. Faults on demand and
the log of requests are at /_emulator/faults and /_emulator/requests.
There is no encryption, and the page needs no token: keep it on this machine.
";

const DEFAULT_LISTEN: &str = "127.0.0.1:7755";
const DEFAULT_TOKEN: &str = "dust_tok_emulator";

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Version,
    Run(Options),
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    listen: SocketAddr,
    stores: Vec<String>,
    data: Option<PathBuf>,
    seed: Option<PathBuf>,
    token: String,
    rate_limit: bool,
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    use lexopt::prelude::*;

    let mut options = Options {
        listen: DEFAULT_LISTEN.parse().map_err(|_| "the default address is not one")?,
        stores: Vec::new(),
        data: None,
        seed: None,
        token: DEFAULT_TOKEN.to_owned(),
        rate_limit: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => options.listen = parser.value()?.parse()?,
            Long("store") => options.stores.push(parser.value()?.string()?),
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("seed") => options.seed = Some(parser.value()?.into()),
            Long("token") => options.token = parser.value()?.string()?,
            Long("rate-limit") => options.rate_limit = true,
            Short('h') | Long("help") => return Ok(Asked::Help),
            Short('V') | Long("version") => return Ok(Asked::Version),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Asked::Run(options))
}

fn builder(options: &Options) -> Result<EmulatorBuilder, String> {
    let mut builder = Emulator::builder().address(options.listen).secret(&options.token);
    for store in &options.stores {
        builder = builder.store(store);
    }
    if let Some(data) = &options.data {
        builder = builder.data_dir(data);
    }
    if let Some(seed) = &options.seed {
        let text = std::fs::read_to_string(seed).map_err(|error| format!("{}: {error}", seed.display()))?;
        let first = options.stores.first().map_or("local/dev", String::as_str);
        builder = builder.seed(first, text);
    }
    if options.rate_limit {
        builder = builder.rate_limit(RateLimit::PRODUCTION);
    }
    Ok(builder)
}

async fn run(options: Options) -> Result<(), String> {
    let emulator = builder(&options)?.start().await.map_err(|error| error.to_string())?;
    let (url, stores) = (emulator.url(), emulator.stores().join(", "));
    println!("The Dust emulator listens on {url}; stores: {stores}.\n");
    println!("export DUST_BASE_URL={url}");
    println!("export DUST_STORE={}", emulator.store());
    println!("export DUST_TOKEN={}\n", emulator.token());
    println!("Open {url} to look inside; press Ctrl-C to stop.");
    tokio::signal::ctrl_c().await.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    emulator.stop().await;
    Ok(())
}

fn main() -> ExitCode {
    let options = match parse(std::env::args_os().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Version) => {
            println!("dust-emulator {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(&format!("{error}; --help tells what there is")),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    match runtime.block_on(run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("dust-emulator: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Asked, String> {
        parse(std::iter::once("dust-emulator").chain(arguments.iter().copied()).skip(1).map(OsString::from))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read() {
        let Ok(Asked::Run(options)) = asked(&[]) else { panic!() };
        assert_eq!((options.listen.to_string().as_str(), options.token.as_str()), (DEFAULT_LISTEN, DEFAULT_TOKEN));
        let arguments = ["--store", "a/b", "--store=a/c", "--data", "d", "--seed", "s", "--rate-limit", "--token", "t"];
        let Ok(Asked::Run(options)) = asked(&arguments) else { panic!() };
        assert_eq!(options.stores, ["a/b", "a/c"]);
        assert_eq!((options.data, options.seed), (Some("d".into()), Some("s".into())));
        assert!(options.rate_limit);
        assert_eq!(asked(&["-h"]), Ok(Asked::Help));
        assert!(asked(&["--nope"]).unwrap_err().contains("--nope"));
        assert!(asked(&["--listen", "here"]).unwrap_err().contains("here"));
    }

    #[test]
    fn the_help_names_the_defaults() {
        assert!(HELP.contains(DEFAULT_LISTEN) && HELP.contains(DEFAULT_TOKEN));
    }
}
