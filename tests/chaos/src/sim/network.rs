//! The network: frames in transit, connections that open and end.

use std::time::Duration;

use super::mutation::Defect;
use super::wire::Wire;
use super::world::{Checked, Event, World};

impl World {
    /// The latency of a frame.
    pub(super) fn latency(&mut self) -> Duration {
        match self.dice.below(40) {
            0 => self.dice.time(0, 400),
            1..=10 => Duration::ZERO,
            _ => self.dice.time(0, self.plan.latency_ms),
        }
    }

    pub(super) fn push_up(&mut self, wire: usize, frame: String) {
        let at = self.now + self.latency();
        if let Some(at) = self.wires[wire].up.push(at, frame) {
            self.schedule_at(at, Event::Up(wire));
        }
    }

    pub(super) fn push_down(&mut self, wire: usize, frame: String) {
        let at = self.now + self.latency();
        if self.wires[wire].is_held
            && let Some(at) = self.wires[wire].down.push(at, frame)
        {
            self.schedule_at(at, Event::Down(wire));
        }
    }

    pub(super) fn dialled(&mut self, client: usize, attempt: u64) -> Checked {
        if self.clients[client].dialling != Some(attempt) {
            return Ok(());
        }
        self.clients[client].dialling = None;
        let time = self.clients[client].time(self.now);
        if self.server.down_until.is_some_and(|until| self.now < until) {
            self.counts.add("connection refused");
            self.tell(|| format!("client {client} is refused: the server is down"));
            self.clients[client].session.lost(time, "refused");
            return self.drain(client);
        }
        let wire = self.wires.len();
        self.tell(|| format!("client {client} is connected: wire {wire}"));
        let line = self.server.unplugged.connect(&self.clients[client].device_id);
        self.wires.push(Wire::new(client, self.clients[client].starts, line));
        self.clients[client].wire = Some(wire);
        self.clients[client].session.connected(time);
        self.drain(client)?;
        if self.is(Defect::ClientSendsAgain, 100)
            && let Some(frame) = self.clients[client].last_write.take()
        {
            self.push_up(wire, frame);
        }
        Ok(())
    }

    /// Closes the client's end of its connection. The server detects that later: frames in transit may still arrive.
    pub(super) fn let_go(&mut self, client: usize) {
        if let Some(wire) = self.clients[client].wire.take() {
            self.wires[wire].is_held = false;
            let after = self.dice.time(0, 3_000);
            self.schedule(after, Event::Gone(wire));
        }
    }

    pub(super) fn lost(&mut self, wire: usize) -> Checked {
        let client = self.wires[wire].client;
        if self.clients[client].wire != Some(wire) {
            return Ok(());
        }
        self.tell(|| format!("client {client} loses wire {wire}"));
        self.let_go(client);
        let time = self.clients[client].time(self.now);
        self.clients[client].session.lost(time, "the connection was cut");
        self.drain(client)
    }

    pub(super) fn at_client(&mut self, wire: usize) -> Checked {
        let client = self.wires[wire].client;
        match self.wires[wire].down.pop(self.now) {
            Err(later) => self.schedule_at(later, Event::Down(wire)),
            Ok(Some(frame)) if self.clients[client].wire == Some(wire) => {
                self.tell(|| format!("client {client} <- wire {wire}: {frame}"));
                let time = self.clients[client].time(self.now);
                self.clients[client].session.frame(time, &frame);
                return self.drain(client);
            }
            Ok(_) => {}
        }
        Ok(())
    }
}
