//! The simulation: clients, a server, a scheduler and a virtual clock, in one thread. A seed determines the whole run.

mod call;
mod callers;
mod client;
mod fault;
mod followers;
mod mutation;
mod network;
mod outputs;
mod plan;
mod quiet;
mod server;
mod service;
mod wire;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

pub use mutation::Defect;

use crate::violation::{Promise, Violation};
use world::World;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The broken promise, if any.
    pub violation: Option<Violation>,
    /// Counts of events.
    pub counts: Counts,
    /// The trace, if it was recorded.
    pub trace: Vec<String>,
}

/// Counts of events, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    /// Counts an event.
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Counts) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// The count of an event.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:>9}  {what}")?;
        }
        Ok(())
    }
}

/// The trace of a run as lines of text, if it is recorded.
#[derive(Clone, Default)]
pub(crate) struct Trace(Option<Rc<RefCell<Vec<String>>>>);

impl Trace {
    pub(crate) fn add(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            lines.borrow_mut().push(line());
        }
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Report {
    run_with(seed, None, false)
}

/// Runs a seed, with a mutation if one is given, and records a trace on request.
pub fn run_with(seed: u64, mutation: Option<Defect>, traced: bool) -> Report {
    let trace = Trace(traced.then(Rc::default));
    let mut counts = Counts::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        World::new(seed, mutation, trace.clone()).and_then(|mut world| {
            let outcome = world.run();
            counts = std::mem::take(&mut world.counts);
            outcome
        })
    }));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
            Some(Violation::new(Promise::NoPanic, text))
        }
    };
    let trace = trace.0.map(|lines| lines.take()).unwrap_or_default();
    Report { seed, violation, counts, trace }
}
