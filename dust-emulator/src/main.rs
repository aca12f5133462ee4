//! The emulator for development: `cargo run -p dust-emulator`.

// The program writes to the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use dust_emulator::{Emulator, EmulatorBuilder, RateLimit};

const HELP: &str = "\
A Dust server for development: the HTTP and WebSocket protocols of Dust over an embedded store.

Usage: dust-emulator [options]

  --listen ADDRESS   where to listen: an address and a port, a port, or
                     localhost and a port                  [127.0.0.1:7755]
  --host NAME        answer requests to this host too, such as the name of a
                     container; may be repeated    [localhost, its address]
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
Pages of web sites are not answered. SIGTERM and Ctrl-C stop it.
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
    hosts: Vec<String>,
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
        hosts: Vec::new(),
        stores: Vec::new(),
        data: None,
        seed: None,
        token: DEFAULT_TOKEN.to_owned(),
        rate_limit: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => options.listen = listener(&parser.value()?.string()?)?,
            Long("host") => options.hosts.push(parser.value()?.string()?),
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

/// The address of `--listen`.
fn listener(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match port.parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => Err(format!(
            "--listen `{text}`: expected an IP address and a port, such as {DEFAULT_LISTEN} or [::1]:7755, or a port \
             alone"
        )),
    }
}

fn builder(options: &Options) -> EmulatorBuilder {
    let mut builder = Emulator::builder().address(options.listen).secret(&options.token);
    for host in &options.hosts {
        builder = builder.host(host);
    }
    for store in &options.stores {
        builder = builder.store(store);
    }
    if let Some(data) = &options.data {
        builder = builder.data_dir(data);
    }
    if let Some(seed) = &options.seed {
        let first = options.stores.first().map_or("local/dev", String::as_str);
        builder = builder.seed_file(first, seed);
    }
    if options.rate_limit {
        builder = builder.rate_limit(RateLimit::PRODUCTION);
    }
    builder
}

async fn run(options: Options) -> Result<(), String> {
    // From here on neither signal ends the process at once, also in a container as its first process.
    let stopped = stopped()?;
    let emulator = builder(&options).start().await.map_err(|error| error.to_string())?;
    let (url, stores) = (emulator.url(), emulator.stores().join(", "));
    println!("The Dust emulator listens on {url}; stores: {stores}.\n");
    println!("export DUST_BASE_URL={url}");
    println!("export DUST_STORE={}", emulator.store());
    println!("export DUST_TOKEN={}\n", emulator.token());
    println!("Open {url} to look inside; press Ctrl-C to stop.");
    if let Some(warning) = exposed(emulator.address()) {
        eprintln!("{warning}");
    }
    if let Some(seed) = &options.seed {
        for store in emulator.skipped_seeds() {
            eprintln!("The seed {} was skipped, because {store} is not empty.", seed.display());
        }
    }
    stopped.await;
    emulator.stop().await;
    println!("Stopped.");
    Ok(())
}

/// Warns of an address that others can reach.
fn exposed(address: SocketAddr) -> Option<String> {
    let beyond = !address.ip().to_canonical().is_loopback();
    beyond.then(|| {
        format!(
            "Warning: {address} can be reached from other machines. There is no encryption, and the page and \
             /_emulator need no token; listen on {DEFAULT_LISTEN} to keep it on this machine."
        )
    })
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM. Signals count from this call on.
#[cfg(unix)]
fn stopped() -> Result<impl Future<Output = ()>, String> {
    use tokio::signal::unix::{SignalKind, signal};

    let failed = |error| format!("cannot wait for signals: {error}");
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn stopped() -> Result<impl Future<Output = ()>, String> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
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
    fn options_are_parsed() {
        let Ok(Asked::Run(options)) = asked(&[]) else { panic!() };
        assert_eq!((options.listen.to_string().as_str(), options.token.as_str()), (DEFAULT_LISTEN, DEFAULT_TOKEN));
        let arguments = ["--store", "a/b", "--store=a/c", "--data", "d", "--seed", "s", "--rate-limit", "--token", "t"];
        let Ok(Asked::Run(options)) = asked(&arguments) else { panic!() };
        assert_eq!(options.stores, ["a/b", "a/c"]);
        assert_eq!((options.data, options.seed), (Some("d".into()), Some("s".into())));
        assert!(options.rate_limit);
        assert_eq!(asked(&["-h"]), Ok(Asked::Help));
        assert!(asked(&["--nope"]).unwrap_err().contains("--nope"));
    }

    #[test]
    fn listen_takes_an_address_or_a_port() {
        for (text, address) in [
            ("7755", "127.0.0.1:7755"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:2", "[::1]:2"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(listener(text).unwrap().to_string(), address);
        }
        for text in ["here", "127.0.0.1", "localhost", ":7755", "example.com:80", "99999", "", "::1"] {
            let Err(error) = asked(&["--listen", text]) else { panic!("{text} is an address") };
            assert!(error.contains(&format!("--listen `{text}`")) && error.contains("127.0.0.1:7755"), "{error}");
        }
    }

    #[test]
    fn address_beyond_this_machine_causes_a_warning() {
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(exposed(address.parse().unwrap()), None);
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(exposed(address.parse().unwrap()).unwrap().contains(address));
        }
    }

    #[test]
    fn help_names_the_defaults() {
        assert!(HELP.contains(DEFAULT_LISTEN) && HELP.contains(DEFAULT_TOKEN));
    }
}
