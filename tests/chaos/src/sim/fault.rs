//! The faults.

use std::time::Duration;

use super::call::Outcome;
use super::client::Mute;
use super::world::{Checked, Event, World, broken};
use crate::violation::{Promise, Violation};

/// The kinds of faults.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// All frames in transit are lost.
    Cut,
    /// The server reads the frames in transit, and its answers are lost.
    CutAfter,
    /// The client closes, and the frames in transit arrive later, during the next connection.
    Linger,
    /// All frames are delayed.
    Stall,
    /// All later frames are lost without an error, in one direction or both.
    Hole,
    /// The server's channels crash.
    Crash,
    /// The server's channels stop reading, on an open socket.
    Hang,
    /// The next join has no answer or no catch-up, or the next replies to `status` are lost.
    Mute,
    /// The server stops and restarts.
    Restart,
    /// The server restarts with a store as of some ops ago. Others may write before a client reconnects.
    Restore,
    Compact,
    /// Others write over HTTP.
    Beside,
    /// A client is suspended: its clock jumps.
    Leap,
    /// The server's wall clock is set.
    Wall,
    /// A client's process is killed, and restarts with its cache.
    Die,
    /// A client shuts down, and restarts with its cache.
    Stop,
    /// The cache of a client saves its mirrors.
    Save,
}

/// The faults of a plan without unknown outcomes.
const CALM: [(u64, Fault); 3] = [(6, Fault::Beside), (1, Fault::Compact), (1, Fault::Save)];

const FAULTS: [(u64, Fault); 17] = [
    (5, Fault::Cut),
    (5, Fault::CutAfter),
    (5, Fault::Linger),
    (4, Fault::Stall),
    (2, Fault::Hole),
    (3, Fault::Crash),
    (2, Fault::Hang),
    (2, Fault::Mute),
    (3, Fault::Restart),
    (3, Fault::Restore),
    (5, Fault::Compact),
    (8, Fault::Beside),
    (2, Fault::Leap),
    (2, Fault::Wall),
    (2, Fault::Die),
    (1, Fault::Stop),
    (3, Fault::Save),
];

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Cut => "fault: cut",
            Fault::CutAfter => "fault: cut after it was read",
            Fault::Linger => "fault: an old connection lingers",
            Fault::Stall => "fault: stall",
            Fault::Hole => "fault: black hole",
            Fault::Crash => "fault: channel crash",
            Fault::Hang => "fault: channel hangs",
            Fault::Mute => "fault: channel is mute",
            Fault::Restart => "fault: server restart",
            Fault::Restore => "fault: server restored",
            Fault::Compact => "fault: compaction",
            Fault::Beside => "fault: HTTP writes",
            Fault::Leap => "fault: clock leap",
            Fault::Wall => "fault: server's clock set",
            Fault::Die => "fault: client dies",
            Fault::Stop => "fault: client stopped",
            Fault::Save => "cache saved",
        }
    }
}

impl World {
    pub(super) fn fault(&mut self) -> Checked {
        self.faults_left = self.faults_left.saturating_sub(1);
        if self.faults_left > 0 {
            let after = self.dice.time(0, self.plan.fault_gap_ms);
            self.schedule(after, Event::Fault);
        }
        let fault = if self.plan.is_calm { self.dice.pick(&CALM) } else { self.dice.pick(&FAULTS) };
        let Some(fault) = fault else { return Ok(()) };
        let client = self.dice.index(self.clients.len());
        self.counts.add(fault.name());
        self.tell(|| format!("FAULT {fault:?} of client {client}"));
        match (fault, self.clients[client].wire) {
            (Fault::Cut, Some(wire)) => {
                self.wires[wire].up.drain();
                self.cut(wire);
                Ok(())
            }
            (Fault::CutAfter, Some(wire)) => {
                for frame in self.wires[wire].up.drain() {
                    self.serve(wire, &frame)?;
                }
                self.cut(wire);
                Ok(())
            }
            (Fault::Linger, Some(wire)) => {
                self.wires[wire].down.drain();
                let until = self.now + self.dice.time(0, 3_500);
                self.wires[wire].up.stall(until);
                let after = self.dice.time(0, 10);
                self.schedule(after, Event::Lost(wire));
                Ok(())
            }
            (Fault::Stall, Some(wire)) => {
                let longest = self.dice.pick(&[(4, 300), (3, 5_000), (2, 45_000)]).unwrap_or(300);
                let until = self.now + self.dice.time(0, longest);
                let which = self.dice.below(3);
                if which != 0 {
                    self.wires[wire].up.stall(until);
                }
                if which != 1 {
                    self.wires[wire].down.stall(until);
                }
                Ok(())
            }
            (Fault::Hole, Some(wire)) => {
                let which = self.dice.below(3);
                self.wires[wire].up.is_hole = which != 0;
                self.wires[wire].down.is_hole = which != 1;
                Ok(())
            }
            (Fault::Crash, Some(wire)) => {
                if let Some(line) = &mut self.wires[wire].line {
                    line.crash();
                }
                self.look()
            }
            (Fault::Hang, Some(wire)) => {
                if let Some(line) = &mut self.wires[wire].line {
                    line.hang();
                }
                Ok(())
            }
            (Fault::Mute, _) => {
                let mute = match self.dice.below(3) {
                    0 => Mute { joins: self.dice.within(1, 3), ..Mute::default() },
                    1 => Mute { catch_ups: self.dice.within(1, 3), ..Mute::default() },
                    _ => Mute { statuses: self.dice.within(1, 4), ..Mute::default() },
                };
                self.clients[client].mute = mute;
                Ok(())
            }
            (Fault::Restart, _) => {
                self.stop_server();
                if self.dice.percent(30) { self.compact() } else { Ok(()) }
            }
            (Fault::Restore, _) => {
                self.stop_server();
                self.restore()?;
                for _ in 0..self.dice.within(0, 12) {
                    self.write_beside()?;
                }
                if self.dice.percent(20) { self.compact() } else { Ok(()) }
            }
            (Fault::Compact, _) => self.compact(),
            (Fault::Beside, _) => {
                for _ in 0..self.dice.within(1, 6) {
                    self.write_beside()?;
                }
                Ok(())
            }
            (Fault::Leap, _) => {
                let leap = self.dice.time(1_000, 70_000);
                self.clients[client].ahead += leap;
                self.wake_now(client)
            }
            (Fault::Wall, _) => {
                let by_ms = self.dice.within(0, 240_000);
                self.server.set_wall(i64::try_from(by_ms).unwrap_or_default() - 120_000);
                Ok(())
            }
            (Fault::Die, _) => {
                self.let_go(client);
                self.abandon(client);
                self.die(client)
            }
            (Fault::Stop, _) => {
                self.clients[client].session.stop();
                self.drain(client)?;
                let unanswered = self.clients[client].commands.iter().find(|call| self.calls[**call].outcome.is_none());
                if let Some(call) = unanswered {
                    let what = format!("call {call} was not answered before the client stopped");
                    return Err(Violation::new(Promise::EveryCallIsAnswered, what));
                }
                self.clients[client].save();
                self.die(client)
            }
            (Fault::Save, _) => {
                self.clients[client].save();
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// Cuts all connections, and refuses new ones for a time.
    fn stop_server(&mut self) {
        for wire in 0..self.wires.len() {
            self.cut(wire);
        }
        let down_for = self.dice.time(0, 3_000);
        self.server.down_until = Some(self.now + down_for);
    }

    /// Cuts a connection. Both ends detect it soon.
    fn cut(&mut self, wire: usize) {
        self.wires[wire].line = None;
        self.wires[wire].down.drain();
        let after = self.dice.time(0, 40);
        self.schedule(after, Event::Lost(wire));
    }

    /// Drops the open calls of this client.
    fn abandon(&mut self, client: usize) {
        for call in self.clients[client].commands.clone() {
            if self.calls[call].outcome.is_none() {
                self.calls[call].outcome = Some(Outcome::Cancelled);
                let caller = self.calls[call].caller;
                if self.callers[caller].waits_for == Some(call) {
                    self.go_on(caller);
                }
            }
        }
    }

    fn die(&mut self, client: usize) -> Checked {
        self.clients[client].restart(client, &self.server.stores, &mut self.dice).map_err(broken)?;
        let after = if self.dice.percent(50) { Duration::ZERO } else { self.dice.time(0, 2_000) };
        self.schedule(after, Event::Start(client));
        Ok(())
    }

    pub(super) fn start(&mut self, client: usize) -> Checked {
        self.tell(|| format!("client {client} starts again at {:?}", self.clients[client].cursors()));
        self.clients[client].session.start();
        self.drain(client)
    }
}
