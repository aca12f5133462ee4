//! Callers: their calls, reads and answers.

use std::time::Duration;

use dust_orm::internals::{Command, CommandId, CommandKind, StoreId};
use dust_orm::realtime::Timing;
use dust_orm::{DustErr, ErrKind};
use dust_protocol::channel::Written;
use dust_protocol::{CommittedOp, Fence, Mutation, Op, OpKind, Pattern};

use super::call::{self, Call, Outcome, Step};
use super::client::Client;
use super::mutation::Defect;
use super::world::{Caller, Checked, Event, World, broken};
use crate::ledger;
use crate::violation::{Promise, Violation};

/// Time limit for a call without faults: the latency of a frame is up to 400 ms, and catch-ups arrive op by op.
const SOON: Duration = Duration::from_secs(10);

impl World {
    /// Schedules the next step of a caller that has its answer.
    pub(super) fn go_on(&mut self, caller: usize) {
        self.callers[caller].waits_for = None;
        let after = self.dice.time(0, self.plan.think_ms);
        self.schedule(after, Event::Next(caller));
    }

    pub(super) fn next(&mut self, caller: usize) -> Checked {
        let Caller { client, left, waits_for, .. } = self.callers[caller];
        if left == 0 || waits_for.is_some() {
            return Ok(());
        }
        self.callers[caller].left -= 1;
        let store = self.dice.index(self.server.stores.len());
        let step =
            call::step(&mut self.dice, &self.callers[caller].knowledge[store], self.calls.len()).map_err(broken)?;
        match step {
            Step::Read(pattern) => {
                self.read(caller, store, pattern)?;
                self.go_on(caller);
                Ok(())
            }
            Step::Http(writes) => {
                self.tell(|| format!("caller {caller} writes over HTTP to s{store}"));
                match self.write_http(store, writes)? {
                    Some(seq) => self.ask(caller, store, CommandKind::CatchUp(seq)),
                    None => {
                        self.go_on(caller);
                        Ok(())
                    }
                }
            }
            Step::Ask(CommandKind::CatchUp(_)) => {
                // The lease of another caller.
                let seq = self.server.stores[store].ledger.seq();
                let seq = self.dice.within(seq.saturating_sub(3), seq);
                self.ask(caller, store, CommandKind::CatchUp(seq))
            }
            Step::Ask(work) => self.ask(caller, store, work),
        }
        .map_err(|violation| {
            let Violation { promise, what } = violation;
            Violation::new(promise, format!("{what} (client {client})"))
        })
    }

    /// Reads the mirror.
    pub(super) fn read(&mut self, caller: usize, store: usize, pattern: &str) -> Checked {
        self.counts.add("read");
        let client = self.callers[caller].client;
        let seen = &self.clients[client].stores[store];
        self.tell(|| format!("caller {caller} reads {pattern} of s{store} at op {}", seen.mirror.seq()));
        if seen.mirror.seq() < seen.told {
            let what = format!("its callers know of op {}, the mirror has {}", seen.told, seen.mirror.seq());
            return Err(self.violation(Promise::OrderOfCalls, client, store, what));
        }
        let pattern = Pattern::parse(pattern).map_err(|error| broken(error.to_string()))?;
        let ledger = self.server.stores[store].ledger_of(seen.era);
        ledger.check(&seen.mirror, &pattern, Promise::ReadsAreStates)?;
        let leaves = ledger::shown(&seen.mirror, &pattern).map_err(broken)?;
        let revisions = leaves.into_iter().map(|(_, _, revision)| revision);
        self.callers[caller].knowledge[store].revisions = revisions.collect();
        Ok(())
    }

    pub(super) fn ask(&mut self, caller: usize, store: usize, kind: CommandKind) -> Checked {
        let client = self.callers[caller].client;
        let index = self.calls.len();
        self.tell(|| format!("caller {caller} asks client {client}, s{store}: call {index}: {kind:?}"));
        let target = match &kind {
            CommandKind::Write { op, fence } => Some((op.path.clone(), op.kind(), fence.clone())),
            _ => None,
        };
        let plain = match &kind {
            CommandKind::Write { op, fence: None } if matches!(op.mutation, Mutation::Set(_) | Mutation::Delete) => {
                Some(op.clone())
            }
            _ => None,
        };
        let this = &mut self.clients[client];
        let time = this.time(self.now);
        let id = CommandId(this.commands.len() as u64);
        this.commands.push(index);
        self.calls.push(Call {
            caller,
            client,
            start: this.starts,
            number: this.commands.len() as u64,
            store,
            target,
            plain,
            // The answer has to include all ops from before the call.
            since: match kind {
                CommandKind::CatchUp(seq) => seq,
                _ => self.server.stores[store].ledger.seq(),
            },
            due: time + Timing::default().deadline,
            outcome: None,
            found: None,
            found_era: 0,
        });
        self.callers[caller].waits_for = Some(index);
        if let (CommandKind::Write { op, .. }, true) = (&kind, self.mutation == Some(Defect::ClientShowsUncommitted)) {
            show_uncommitted(&mut self.clients[client], store, op);
        }
        let wait = if self.dice.percent(50) { Duration::MAX } else { Duration::ZERO };
        self.clients[client].session.command(time, id, Command { store: StoreId(store), kind, wait });
        if self.dice.percent(self.plan.cancelled) {
            let after = self.dice.time(0, 500);
            self.schedule(after, Event::Cancel { caller, call: index });
        }
        self.drain(client)
    }

    pub(super) fn answered(&mut self, client: usize, id: CommandId, result: Result<Written, DustErr>) -> Checked {
        let index = usize::try_from(id.0).ok().and_then(|id| self.clients[client].commands.get(id)).copied();
        let Some(index) = index else {
            return Err(Violation::new(Promise::EveryCallIsAnswered, format!("{id:?} has no call")));
        };
        self.tell(|| format!("call {index} is answered: {result:?}"));
        let Call { caller, store, since, .. } = self.calls[index];
        let found = self.calls[index].found;
        let is_write = self.calls[index].target.is_some();
        match &self.calls[index].outcome {
            // The answer has to be right, although the caller has given up.
            Some(Outcome::Cancelled) => return Ok(()),
            Some(before) => {
                let what = format!("call {index} is answered again, after {before:?}");
                return Err(Violation::new(Promise::EveryCallIsAnswered, what));
            }
            None => {}
        }
        let outcome = match &result {
            Ok(written) => Outcome::Done(written.store_seq),
            Err(error) if error.kind() == ErrKind::Timeout => Outcome::Unknown,
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.counts.add(match (&outcome, is_write) {
            (Outcome::Done(_), true) => "write acknowledged",
            (Outcome::Done(_), false) => "other call done",
            (Outcome::Unknown, true) if found.is_some() => "write unknown, was done",
            (Outcome::Unknown, true) => "write unknown, was not done",
            (Outcome::Unknown, false) => "other call timed out",
            (_, true) => "write failed",
            (_, false) => "other call failed",
        });
        if self.plan.is_calm {
            self.check_calm(index, &outcome)?;
        }
        match &outcome {
            Outcome::Done(Some(seq)) => {
                if is_write && found != Some(*seq) {
                    let what = format!("call {index} is acknowledged as op {seq} of s{store}, but it is {found:?}");
                    return Err(Violation::new(Promise::AcknowledgedIsKept, what));
                }
                if !is_write && *seq < since {
                    let what =
                        format!("call {index} has the answer op {seq}, but op {since} was committed before it began");
                    return Err(Violation::new(Promise::OrderOfCalls, what));
                }
                let seen = &mut self.clients[client].stores[store];
                if seen.mirror.seq() < *seq {
                    let what =
                        format!("call {index} has the answer op {seq}, and the mirror is at {}", seen.mirror.seq());
                    return Err(Violation::new(Promise::OrderOfCalls, what));
                }
                seen.told = seen.told.max(*seq);
            }
            Outcome::Failed(error) if found.is_some() => {
                let what = format!("call {index} is answered as failed ({error}), but it is op {found:?} of s{store}");
                return Err(Violation::new(Promise::FailedIsAbsent, what));
            }
            Outcome::Done(None) if found.is_some() => {
                let what =
                    format!("call {index} has the answer that nothing changed, but it is op {found:?} of s{store}");
                return Err(Violation::new(Promise::FailedIsAbsent, what));
            }
            _ => {}
        }
        if let Ok(written) = &result {
            self.learn(index, written)?;
        }
        let was_not_sent = matches!(result, Err(DustErr::Network { .. }));
        let is_unknown = outcome == Outcome::Unknown && self.mutation == Some(Defect::FailoverSendsAgain);
        self.calls[index].outcome = Some(outcome);
        if was_not_sent || is_unknown {
            self.fail_over(index)?;
        }
        if self.callers[caller].waits_for == Some(index) {
            self.go_on(caller);
        }
        Ok(())
    }

    /// Sends a write over HTTP that the client could not send, as a repo does.
    fn fail_over(&mut self, index: usize) -> Checked {
        let Call { store, ref mut plain, .. } = self.calls[index];
        let Some(write) = plain.take() else { return Ok(()) };
        self.counts.add("write failed over to HTTP");
        self.tell(|| format!("call {index} goes over HTTP instead"));
        self.write_http_for(Some(index), store, vec![write])?;
        Ok(())
    }

    /// Checks that a call ends soon and with a known outcome if the only faults are writes of others and lost events.
    fn check_calm(&self, index: usize, outcome: &Outcome) -> Checked {
        let Call { client, due, ref target, .. } = self.calls[index];
        let began = due - Timing::default().deadline;
        let took = self.clients[client].time(self.now) - began;
        if target.is_some() && *outcome == Outcome::Unknown || took > SOON {
            let what = format!("call {index} was answered after {took:?} as {outcome:?}, and nothing went wrong");
            return Err(Violation::new(Promise::UnknownNeedsAFault, what));
        }
        Ok(())
    }

    /// Records the values of an answer, after a comparison with the log.
    pub(super) fn learn(&mut self, index: usize, written: &Written) -> Checked {
        let Call { caller, store, ref target, found_era, .. } = self.calls[index];
        let (Some((path, kind, _)), Some(seq)) = (target, written.store_seq) else { return Ok(()) };
        let logged = self.server.stores[store].ledger_of(found_era).op(seq).map(|op| &op.value);
        if let (Some(value), OpKind::Increment | OpKind::Add | OpKind::Remove) = (&written.value, kind)
            && Some(value) != logged
        {
            let what = format!("call {index} has the answer {value}, the log has {logged:?}");
            return Err(Violation::new(Promise::AcknowledgedIsKept, what));
        }
        if let OpKind::Lease = kind {
            let fence = Fence { key: path.clone(), token: seq };
            self.callers[caller].knowledge[store].leases.push(fence);
        }
        Ok(())
    }
}

/// Puts an uncommitted value into a mirror.
fn show_uncommitted(client: &mut Client, store: usize, write: &Op) {
    let Mutation::Set(value) = &write.mutation else { return };
    let mirror = &mut client.stores[store].mirror;
    mirror.apply(
        &CommittedOp::new(mirror.seq(), OpKind::Set, write.path.clone(), value.clone())
            .written_by("d".into(), "c".into()),
    );
}
