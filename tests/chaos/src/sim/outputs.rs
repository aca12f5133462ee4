//! The outputs of sessions, handled like in the task that owns a socket.

use dust_orm::DustErr;
use dust_orm::internals::Output;
use dust_protocol::PackedLeaves;

use super::mutation::Defect;
use super::service::op_number;
use super::world::{Checked, Event, World, broken};
use crate::violation::{Promise, Violation};

impl World {
    pub(super) fn wake(&mut self, client: usize) -> Checked {
        if self.clients[client].wakes_at != Some(self.now) {
            return Ok(());
        }
        self.clients[client].wakes_at = None;
        self.wake_now(client)
    }

    pub(super) fn wake_now(&mut self, client: usize) -> Checked {
        let time = self.clients[client].time(self.now);
        self.clients[client].session.wake(time);
        self.drain(client)?;
        let late = self.clients[client].commands.iter().find(|call| {
            let call = &self.calls[**call];
            call.outcome.is_none() && call.due <= time
        });
        match late {
            Some(call) => {
                Err(Violation::new(Promise::EveryCallIsAnswered, format!("call {call} is not answered in time")))
            }
            None => Ok(()),
        }
    }

    /// Handles the outputs of a session, like the task that owns a socket.
    pub(super) fn drain(&mut self, client: usize) -> Checked {
        let mut outputs = Vec::new();
        while let Some(output) = self.clients[client].session.next_output() {
            outputs.push(output);
        }
        if self.is(Defect::ClientAnswersEarly, 50) {
            outputs.sort_by_key(|output| !matches!(output, Output::Answer { .. }));
        }
        for output in outputs {
            self.output(client, output)?;
        }
        // Schedules its next wake.
        let this = &mut self.clients[client];
        let wakes_at = this.session.next_wake().map(|at| at.saturating_sub(this.ahead).max(self.now));
        if wakes_at != this.wakes_at {
            this.wakes_at = wakes_at;
            if let Some(at) = wakes_at {
                self.schedule_at(at, Event::Wake(client));
            }
        }
        Ok(())
    }

    pub(super) fn output(&mut self, client: usize, output: Output) -> Checked {
        match output {
            Output::Connect => {
                let this = &mut self.clients[client];
                this.attempts += 1;
                this.dialling = Some(this.attempts);
                let attempt = this.attempts;
                self.counts.add("dial");
                let after = if self.dice.percent(10) { self.dice.time(0, 2_000) } else { self.dice.time(0, 5) };
                self.schedule(after, Event::Dialled { client, attempt });
            }
            Output::Disconnect => {
                self.tell(|| format!("client {client} hangs up"));
                self.clients[client].dialling = None;
                self.let_go(client);
            }
            Output::Send(frame) => {
                if let Some(wire) = self.clients[client].wire {
                    if frame.contains(r#","write",{"#) {
                        let start = self.clients[client].starts;
                        self.writes_sent.extend(op_number(&frame).map(|number| (client, start, number)));
                        self.clients[client].last_write = Some(frame.clone());
                    }
                    self.push_up(wire, frame);
                }
            }
            Output::Apply { store, mut ops } => {
                if self.is(Defect::ClientLosesOp, 20) {
                    ops.pop();
                }
                if self.is(Defect::ClientDeliversTwice, 20) {
                    ops.extend(ops.last().cloned());
                }
                if self.is(Defect::ClientSwapsOps, 100) {
                    ops.reverse();
                }
                for op in &ops {
                    let era = self.clients[client].stores[store.0].era;
                    let original = self.server.stores[store.0].ledger_of(era).op(op.store_seq);
                    let taken = self.clients[client].stores[store.0].apply(op, original);
                    taken.map_err(|what| self.violation(Promise::OnceAndInOrder, client, store.0, what))?;
                }
                if self.is(Defect::HubLosesOp, 20) {
                    ops.pop();
                }
                let heard = self.clients[client].stores[store.0].publish(&ops, &mut self.dice);
                self.heard(client, store.0, heard)?;
            }
            Output::Replace { store, seq, inexact_through, mut leaves, is_rewound } => {
                self.counts.add("mirror replaced");
                self.tell(|| format!("client {client} replaces its mirror of s{} by that of op {seq}", store.0));
                let era = self.server.stores[store.0].era();
                let seen = &mut self.clients[client].stores[store.0];
                // It may go back only for a restored store without an op of the mirror.
                // A snapshot of just the last op cannot be compared with it.
                let goes_back = seq < seen.heard || (seq == seen.heard) != is_rewound;
                if goes_back && seen.era == era {
                    let what = format!("the mirror goes back from op {} to {seq}", seen.heard);
                    return Err(self.violation(Promise::OnceAndInOrder, client, store.0, what));
                }
                if seen.era != era {
                    // Answers with lost ops do not count any more.
                    seen.told = 0;
                    self.counts.add(if is_rewound { "restore noticed" } else { "restore passed over by a snapshot" });
                }
                if self.is(Defect::ClientLosesLeaf, 100) {
                    let mut rest = PackedLeaves::default();
                    leaves.iter().take(leaves.len().saturating_sub(1)).for_each(|leaf| rest.push(leaf));
                    leaves = rest;
                }
                let forgets = self.is(Defect::HubForgetsReplace, 100);
                let seen = &mut self.clients[client].stores[store.0];
                seen.mirror.replace(seq, inexact_through, leaves);
                (seen.heard, seen.era) = (seq, era);
                if !forgets {
                    let heard = seen.resync(&mut self.dice);
                    self.heard(client, store.0, heard)?;
                }
            }
            Output::Answer { id, result } => {
                if self.is(Defect::ClientForgetsCaller, 10) {
                    return Ok(());
                }
                let is_double = self.is(Defect::ClientAnswersTwice, 10);
                let result = match result {
                    Ok(_) if self.is(Defect::ClientDeniesWrite, 10) => Err(DustErr::network("the write was not sent")),
                    result => result,
                };
                self.answered(client, id, result.clone())?;
                if is_double {
                    self.answered(client, id, result)?;
                }
            }
            Output::State { store, state } => {
                self.tell(|| format!("client {client}: s{} is {state:?}", store.0));
                self.clients[client].stores[store.0].set_state(&state);
            }
            Output::Position { .. } => {}
            other => return Err(broken(format!("what is {other:?}?"))),
        }
        Ok(())
    }

    /// The events that subscribers have just received.
    fn heard(&mut self, client: usize, store: usize, heard: Result<u64, String>) -> Checked {
        let resyncs = heard.map_err(|what| self.violation(Promise::OnceAndInOrder, client, store, what))?;
        (0..resyncs).for_each(|_| self.counts.add("subscriber reads again"));
        Ok(())
    }
}
