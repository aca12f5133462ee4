//! The targets.

mod http;
mod input;
mod pages;
mod parsers;
mod proxy;
mod session;

use crate::recordings::Recordings;

/// A component that receives bad input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Runs only every `every`-th seed if there are other targets, for slow targets.
    pub every: u64,
    /// Generates bad input from a seed and runs the target; the error is the fault found.
    pub run: fn(&Recordings, u64) -> Result<(), String>,
}

/// All targets.
pub fn targets() -> Vec<Target> {
    vec![
        Target { name: "parsers", every: 1, run: parsers::run },
        Target { name: "input", every: 1, run: input::run },
        Target { name: "session", every: 1, run: session::run },
        Target { name: "pages", every: 1, run: pages::run },
        Target { name: "http", every: 8, run: http::run },
        Target { name: "proxy", every: 32, run: proxy::run },
    ]
}

/// The target of this name.
pub fn by_name(name: &str) -> Option<Target> {
    targets().into_iter().find(|target| target.name == name)
}

/// Parses a path of the tests.
fn path(text: &str) -> Result<dust_protocol::Path, String> {
    dust_protocol::Path::parse(text).map_err(|error| error.to_string())
}

/// Runs a future on a runtime.
fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}
