//! Commands: from being asked for to being answered.

use std::time::Duration;

use super::channel::Phase;
use super::{Output, Session, Socket, StoreId};
use crate::error::DustErr;
use crate::protocol::channel::{Attempt, FileUpload, Refusal, Request, Response, Written};
use crate::protocol::value::push_number;
use crate::protocol::{CommittedOp, OpKind, Path, Write};

/// The driver's own number for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What a session is asked for.
#[derive(Clone, Debug)]
pub struct Command {
    /// Of which store.
    pub store: StoreId,
    /// What.
    pub work: Work,
    /// How long to wait for a connection where there is none. Zero fails at once.
    pub wait: Duration,
}

/// The kinds of commands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Work {
    /// Write, and be answered when the mirror has it.
    Write(Write),
    /// Store a file, and be answered when the mirror has its reference.
    PutFile(FileUpload),
    /// Be answered when the mirror has the op of this `store_seq`, which is known to be committed.
    CatchUp(u64),
    /// Be answered when the mirror has what the store has now.
    Refresh,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) store: usize,
    pub(super) work: Work,
    /// Until when it may wait to be sent without a connection; `None` when it may not.
    pub(super) wait_until: Option<Duration>,
    /// The number of its op.
    pub(super) op: u64,
    pub(super) deadline: Duration,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Not sent.
    Queued,
    Sent {
        reference: u64,
    },
    /// Committed; the mirror does not have it yet.
    Committed(Written),
    /// The connection broke before the answer came.
    Lost {
        /// A snapshot was taken since, which may hide its op.
        crossed: bool,
        /// When to stop looking for it.
        until: Option<Duration>,
    },
}

impl Pending {
    pub(super) fn through(&self) -> Option<u64> {
        match self.work {
            Work::CatchUp(through) => Some(through),
            _ => None,
        }
    }

    /// When it is given up.
    pub(super) fn due(&self) -> Duration {
        match self.stage {
            Stage::Lost { until: Some(until), .. } => until.min(self.deadline),
            Stage::Queued => self.wait_until.map_or(self.deadline, |until| until.min(self.deadline)),
            _ => self.deadline,
        }
    }

    pub(super) fn target(&self) -> Option<(&Path, OpKind)> {
        match &self.work {
            Work::Write(write) => Some((&write.path, write.op.kind())),
            Work::PutFile(file) => Some((&file.path, OpKind::PutFile)),
            Work::CatchUp(_) | Work::Refresh => None,
        }
    }

    /// Its answer will not come any more.
    pub(super) fn cut_off(&mut self) {
        self.stage = match self.work {
            Work::Refresh => Stage::Queued,
            _ => Stage::Lost { crossed: false, until: None },
        };
    }

    /// Such as "set of `links/dust/title`".
    fn text(&self) -> String {
        match (self.target(), &self.work) {
            (Some((path, op)), _) => format!("{} of `{path}`", op.name()),
            (None, Work::CatchUp(through)) => format!("waiting for the op {through}"),
            (None, _) => "asking how far the store is".to_owned(),
        }
    }
}

/// What an op tells its writer.
fn written(op: &CommittedOp) -> Written {
    let tells = !matches!(op.op, OpKind::Set | OpKind::Delete | OpKind::Merge | OpKind::Release);
    Written { store_seq: Some(op.store_seq), value: tells.then(|| op.value.clone()) }
}

impl Session {
    /// Does what can be done for a command now.
    pub(super) fn advance(&mut self, id: CommandId) {
        let Some(pending) = self.pending.get(&id) else { return };
        let store = pending.store;
        if let Some(through) = pending.through() {
            if self.channels[store].visible() >= through {
                self.answer(id, Ok(Written { store_seq: Some(through), ..Written::default() }));
            }
            return;
        }
        match (&pending.stage, &self.channels[store].phase) {
            (Stage::Queued, Phase::CatchingUp { join_ref, .. } | Phase::Live { join_ref, .. }) => {
                let join_ref = *join_ref;
                self.send_write(id, join_ref);
            }
            (Stage::Queued, Phase::Refused { error, .. }) => {
                let error = error.clone();
                self.answer(id, Err(error));
            }
            (Stage::Queued, _) if !self.is_up() && pending.wait_until.is_none() => {
                let is_off = self.socket == Socket::Off;
                let why = format!("there is no connection{}", self.why_lost);
                self.give_up(id, if is_off { "the client is not running" } else { &why });
            }
            (Stage::Committed(written), _)
                if written.store_seq.is_none_or(|seq| self.channels[store].visible() >= seq) =>
            {
                let written = written.clone();
                self.answer(id, Ok(written));
            }
            _ => {}
        }
    }

    fn send_write(&mut self, id: CommandId, join_ref: u64) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let reference = self.next_reference;
        let mut client_op_id = String::with_capacity(self.op_prefix.len() + 20);
        client_op_id.push_str(&self.op_prefix);
        push_number(pending.op, &mut client_op_id);
        let client_op_id = client_op_id.as_str();
        let request = match &pending.work {
            Work::Write(write) => Request::Write { write, client_op_id },
            Work::PutFile(file) => Request::PutFile { file, client_op_id },
            Work::Refresh => Request::Status,
            Work::CatchUp(_) => return,
        };
        match request.encode(Some(join_ref), reference, &self.channels[pending.store].topic) {
            Ok(frame) => {
                self.next_reference += 1;
                self.outputs.push_back(Output::Send(frame));
                pending.stage = Stage::Sent { reference };
                self.by_reference.insert(reference, id);
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    /// Looks at all commands of a store again, in the order they were given.
    pub(super) fn advance_all(&mut self, store: usize) {
        let ids: Vec<CommandId> =
            self.pending.iter().filter(|(_, pending)| pending.store == store).map(|(id, _)| *id).collect();
        for id in ids {
            self.advance(id);
        }
    }

    pub(super) fn write_answered(
        &mut self,
        store: usize,
        now: Duration,
        id: CommandId,
        outcome: Result<Response<'_>, Refusal>,
    ) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if let Work::Refresh = pending.work {
            return self.refresh_answered(store, now, id, outcome);
        }
        match outcome.map(Response::written) {
            Ok(Ok(written)) => {
                let seq = written.store_seq;
                pending.stage = Stage::Committed(written);
                if let Some(seq) = seq {
                    self.channels[store].know(seq, now + self.timing.grace);
                }
                self.advance(id);
            }
            Ok(Err(error)) => {
                let operation = format!("{} ({error})", pending.text());
                self.answer(id, Err(DustErr::Timeout { operation }));
            }
            Err(refusal) => {
                let Some((path, op)) = pending.target() else { return };
                let fence = match &pending.work {
                    Work::Write(write) => write.fence.as_ref().map(|fence| &fence.key),
                    _ => None,
                };
                let error = refusal.of_write(&Attempt { path, op, fence, current: None });
                self.answer(id, Err(error));
                // Unless it is being joined already.
                let is_open = matches!(self.channels[store].phase, Phase::CatchingUp { .. } | Phase::Live { .. });
                if refusal.is_not_joined() && is_open {
                    self.channel_closed(store, now);
                }
            }
        }
    }

    /// The store has told how far it is: now the mirror has to get there.
    fn refresh_answered(&mut self, store: usize, now: Duration, id: CommandId, outcome: Result<Response<'_>, Refusal>) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        match outcome.map(Response::status) {
            Ok(Ok(status)) => {
                pending.work = Work::CatchUp(status.current_seq);
                pending.stage = Stage::Queued;
                self.channels[store].know(status.current_seq, now);
                self.advance(id);
                self.close_holes(store, now);
            }
            Ok(Err(_)) | Err(_) => self.give_up(id, "the server did not tell"),
        }
    }

    /// Which command an op does, if it is one of this session's own, and what it tells of it.
    pub(super) fn own_op(&self, op: &CommittedOp) -> Option<(CommandId, Written)> {
        let number: u64 = op.client_op_id.strip_prefix(&self.op_prefix)?.parse().ok()?;
        let id = *self.by_op.get(&number)?;
        let (path, kind) = self.pending.get(&id)?.target()?;
        (*path == op.path && kind == op.op).then(|| (id, written(op)))
    }

    /// The op of a command was handed on, which answers it.
    pub(super) fn committed(&mut self, id: CommandId, written: Written) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if let Stage::Sent { reference } = pending.stage {
            self.by_reference.remove(&reference);
        }
        pending.stage = Stage::Committed(written);
        self.advance(id);
    }

    /// The channel of a store is gone: what was sent there and not answered is unknown.
    pub(super) fn lose_sent(&mut self, store: usize) {
        for pending in self.pending.values_mut().filter(|pending| pending.store == store) {
            if let Stage::Sent { reference } = pending.stage {
                self.by_reference.remove(&reference);
                pending.cut_off();
            }
        }
    }

    /// A snapshot hides the ops before it, and with them those of writes that were cut off.
    pub(super) fn snapshot_crossed(&mut self, store: usize) {
        for pending in self.pending.values_mut().filter(|pending| pending.store == store) {
            if let Stage::Lost { crossed, .. } = &mut pending.stage {
                *crossed = true;
            }
        }
    }

    /// A catch-up is complete, and did not contain the ops of these writes.
    pub(super) fn settle_lost(&mut self, store: usize, now: Duration) {
        let until = now + self.timing.lost_grace;
        let mut hidden = Vec::new();
        for (id, pending) in self.pending.iter_mut().filter(|(_, pending)| pending.store == store) {
            match &mut pending.stage {
                Stage::Lost { crossed: true, .. } => hidden.push(*id),
                // The server may be about to do it: it may have the frame and not have read it.
                Stage::Lost { until: end @ None, .. } => *end = Some(until),
                _ => {}
            }
        }
        for id in hidden {
            self.give_up(id, "the connection was lost, and a snapshot hides whether it was applied");
        }
    }

    /// Answers a command that will not be done, or about which nothing more will be heard.
    pub(super) fn give_up(&mut self, id: CommandId, why: &str) {
        let Some(pending) = self.pending.get(&id) else { return };
        let text = pending.text();
        let error = match &pending.stage {
            Stage::Queued if pending.target().is_some() => DustErr::Network(format!("{text} was not sent: {why}")),
            Stage::Committed(Written { store_seq: Some(seq), .. }) => DustErr::Timeout {
                operation: format!("{text}, which was committed as {seq} but has not come back yet,"),
            },
            _ => DustErr::Timeout { operation: format!("{text} ({why})") },
        };
        self.answer(id, Err(error));
    }

    fn answer(&mut self, id: CommandId, result: Result<Written, DustErr>) {
        let Some(pending) = self.pending.remove(&id) else { return };
        self.by_op.remove(&pending.op);
        if let Stage::Sent { reference } = pending.stage {
            self.by_reference.remove(&reference);
        }
        self.outputs.push_back(Output::Answer { id, result });
    }
}
