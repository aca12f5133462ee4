//! The world: the schedule of events, and the checks during them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::call::{Call, Knowledge, Outcome};
use super::client::Client;
use super::mutation::Defect;
use super::plan::Plan;
use super::server::Server;
use super::wire::Wire;
use super::{Counts, Trace};
use crate::dice::Dice;
use crate::violation::{Promise, Violation};

/// Time limit to become idle after the faults have ended.
const PATIENCE: Duration = Duration::from_secs(300);

/// Maximum number of events at the same time: a client that requests an immediate wake again and again is in a busy
/// loop.
const MOST_AT_ONCE: u32 = 10_000;

/// A scheduled event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A frame arrives at the server.
    Up(usize),
    /// A frame arrives at the client.
    Down(usize),
    /// A catch-up continues.
    CatchUp(usize),
    /// A channel reads its waiting messages.
    Read(usize),
    /// The wake time of a client.
    Wake(usize),
    /// An attempt to connect ends.
    Dialled { client: usize, attempt: u64 },
    /// The server detects the end of a connection.
    Gone(usize),
    /// The client detects the end of a connection.
    Lost(usize),
    /// A caller continues.
    Next(usize),
    /// A caller gives up.
    Cancel { caller: usize, call: usize },
    /// A fault.
    Fault,
    /// A client restarts.
    Start(usize),
}

/// A caller of a client, with one call after the other.
#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) client: usize,
    pub(super) waits_for: Option<usize>,
    pub(super) left: u64,
    pub(super) knowledge: Vec<Knowledge>,
}

pub(super) struct World {
    pub(super) now: Duration,
    /// Number of scheduled events.
    turns: u64,
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    /// The scheduled events, by time and number.
    queue: BTreeMap<(Duration, u64), Event>,
    pub(super) server: Server,
    pub(super) clients: Vec<Client>,
    pub(super) wires: Vec<Wire>,
    pub(super) callers: Vec<Caller>,
    pub(super) calls: Vec<Call>,
    /// The writes that were sent on sockets: the client, its start, and the number of its command.
    pub(super) writes_sent: BTreeSet<(usize, u64, u64)>,
    /// The writes of these that the server received.
    pub(super) writes_arrived: BTreeSet<(usize, u64, u64)>,
    pub(super) faults_left: u64,
    pub(super) mutation: Option<Defect>,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
}

pub(super) type Checked = Result<(), Violation>;

/// Makes the violation for an error of the simulation itself.
pub(super) fn broken(what: impl Into<String>) -> Violation {
    Violation::new(Promise::NoPanic, what)
}

impl World {
    pub(super) fn new(seed: u64, mutation: Option<Defect>, trace: Trace) -> Result<World, Violation> {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(&mut dice);
        trace.add(|| format!("seed {seed}: {plan:?}"));
        let server = Server::new(&plan).map_err(broken)?;
        let clients = (0..plan.clients).map(|index| Client::new(index, &server.stores, &mut dice));
        let clients: Vec<Client> = clients.collect::<Result<_, String>>().map_err(broken)?;
        let callers = (0..plan.clients * plan.callers).map(|index| Caller {
            client: index % plan.clients,
            left: plan.calls,
            knowledge: vec![Knowledge::default(); plan.stores],
            ..Caller::default()
        });
        let callers = callers.collect();
        let faults_left = plan.faults;
        let mut world = World {
            now: Duration::ZERO,
            turns: 0,
            dice,
            plan,
            queue: BTreeMap::new(),
            server,
            clients,
            wires: Vec::new(),
            callers,
            calls: Vec::new(),
            writes_sent: BTreeSet::new(),
            writes_arrived: BTreeSet::new(),
            faults_left,
            mutation,
            counts: Counts::default(),
            trace,
        };
        for _ in 0..world.plan.before {
            world.write_beside()?;
        }
        if world.dice.percent(30) {
            world.compact()?;
        }
        Ok(world)
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Checked {
        for client in 0..self.clients.len() {
            self.clients[client].session.start();
            self.drain(client)?;
        }
        for caller in 0..self.callers.len() {
            let at = self.dice.time(0, 50);
            self.schedule(at, Event::Next(caller));
        }
        if self.faults_left > 0 {
            let at = self.dice.time(0, self.plan.fault_gap_ms);
            self.schedule(at, Event::Fault);
        }
        let (mut calm_since, mut at_once) = (None, 0);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            at_once = if at == self.now { at_once + 1 } else { 0 };
            if at_once > MOST_AT_ONCE {
                return Err(Violation::new(Promise::ComesToRest, format!("no time passes any more: {event:?}")));
            }
            self.now = at;
            self.server.tick(at);
            self.happen(event)?;
            if self.faults_left > 0 || self.callers.iter().any(|caller| caller.left > 0 || caller.waits_for.is_some()) {
                continue;
            }
            if self.is_at_rest() {
                return self.check();
            }
            if at > *calm_since.get_or_insert(at) + PATIENCE {
                break;
            }
        }
        let stand = self.clients.iter().map(|client| {
            let stores = client.stores.iter().zip(&self.server.stores);
            let stores = stores.map(|(seen, kept)| format!("{} of {}", seen.mirror.seq(), kept.ledger.seq()));
            format!("{} at {}: {:?}", client.name, stores.collect::<Vec<_>>().join(", "), client.session)
        });
        Err(Violation::new(Promise::ComesToRest, stand.collect::<Vec<_>>().join("\n")))
    }

    /// True if no event is left.
    fn is_at_rest(&self) -> bool {
        let follows = |client: &Client| {
            let mut stores = client.stores.iter().zip(&self.server.stores);
            client.session.is_quiet()
                && stores.all(|(seen, kept)| {
                    seen.is_live && seen.era == kept.era() && seen.mirror.seq() == kept.ledger.seq()
                })
        };
        // A frame in transit may be a write.
        self.clients.iter().all(follows) && !self.wires.iter().any(Wire::is_sent)
    }

    pub(super) fn schedule(&mut self, after: Duration, event: Event) {
        self.schedule_at(self.now + after, event);
    }

    pub(super) fn schedule_at(&mut self, at: Duration, event: Event) {
        self.turns += 1;
        self.queue.insert((at, self.turns), event);
    }

    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        self.trace.add(|| format!("{:>10.3} ms  {}", self.now.as_secs_f64() * 1000.0, line()));
    }

    pub(super) fn is(&mut self, mutation: Defect, percent: u64) -> bool {
        self.mutation == Some(mutation) && self.dice.percent(percent)
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Up(wire) => self.at_server(wire),
            Event::Down(wire) => self.at_client(wire),
            Event::CatchUp(wire) => self.catch_up(wire),
            Event::Read(wire) => self.read_left(wire),
            Event::Wake(client) => self.wake(client),
            Event::Dialled { client, attempt } => self.dialled(client, attempt),
            Event::Gone(wire) => {
                self.wires[wire].line = None;
                Ok(())
            }
            Event::Lost(wire) => self.lost(wire),
            Event::Next(caller) => self.next(caller),
            Event::Cancel { caller, call } => {
                if self.callers[caller].waits_for == Some(call) {
                    self.counts.add("caller cancelled");
                    self.tell(|| format!("call {call} is cancelled"));
                    self.calls[call].outcome = Some(Outcome::Cancelled);
                    self.go_on(caller);
                }
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::Start(client) => self.start(client),
        }
    }

    pub(super) fn violation(
        &self,
        promise: Promise,
        client: usize,
        store: usize,
        what: impl Into<String>,
    ) -> Violation {
        Violation::new(promise, format!("client {client}, s{store}: {}", what.into()))
    }
}
