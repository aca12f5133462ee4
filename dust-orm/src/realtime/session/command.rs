//! Commands: from being asked for to being answered.

use std::time::Duration;

use dust_protocol::channel::{FileUpload, Refusal, Request, Response, Written};
use dust_protocol::value::push_number;
use dust_protocol::{CommittedOp, OpKind, Path, Write};

use super::cause::Cause;
use super::channel::Phase;
use super::connection::Socket;
use super::{Output, Session, StoreId};
use crate::error::channel::Attempt;
use crate::error::{DustErr, Reason, no_connection};

/// The driver's own number for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What a session is asked for.
#[derive(Clone, Debug)]
pub struct Command {
    /// Of which store.
    pub store: StoreId,
    /// What.
    pub work: CommandKind,
    /// How long to wait for a connection where there is none. Zero fails at once.
    pub wait: Duration,
}

/// The kinds of commands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommandKind {
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
    pub(super) work: CommandKind,
    /// Until when it may wait to be sent without a connection; `None` when it may not.
    pub(super) wait_until: Option<Duration>,
    /// The number of its op.
    pub(super) op: u64,
    pub(super) deadline: Duration,
    pub(super) stage: CommandState,
}

#[derive(Debug)]
pub(super) enum CommandState {
    /// Not sent.
    Queued,
    Sent {
        reference: u64,
        /// The length of its frame.
        bytes: usize,
    },
    /// Committed; the mirror does not have it yet. What only waits for an op is this from the beginning.
    Committed(Written),
    /// The connection broke before the answer came.
    Lost {
        /// A snapshot was taken since, which may hide its op.
        crossed: bool,
        /// When to stop looking for it.
        until: Option<Duration>,
        /// Why its answer will not come.
        cause: Cause,
    },
}

impl CommandKind {
    fn target(&self) -> Option<(&Path, OpKind)> {
        match self {
            CommandKind::Write(write) => Some((&write.path, write.op.kind())),
            CommandKind::PutFile(file) => Some((&file.path, OpKind::PutFile)),
            CommandKind::CatchUp(_) | CommandKind::Refresh => None,
        }
    }

    /// Such as "set of `links/dust/title`".
    pub(in crate::realtime) fn text(&self) -> String {
        match (self.target(), self) {
            (Some((path, op)), _) => format!("{} of `{path}`", op.name()),
            (None, CommandKind::CatchUp(through)) => format!("waiting for the op {through}"),
            (None, _) => "asking how far the store is".to_owned(),
        }
    }

    /// How far a command is that nothing was done for.
    pub(super) fn first_stage(&self) -> CommandState {
        match self {
            CommandKind::CatchUp(through) => {
                CommandState::Committed(Written { store_seq: Some(*through), ..Written::default() })
            }
            _ => CommandState::Queued,
        }
    }
}

impl Pending {
    /// When it is given up.
    pub(super) fn due(&self) -> Duration {
        match self.stage {
            CommandState::Lost { until: Some(until), .. } => until.min(self.deadline),
            CommandState::Queued => self.wait_until.map_or(self.deadline, |until| until.min(self.deadline)),
            _ => self.deadline,
        }
    }

    pub(super) fn target(&self) -> Option<(&Path, OpKind)> {
        self.work.target()
    }

    /// Its answer will not come any more.
    pub(super) fn cut_off(&mut self, cause: Cause) {
        self.stage = match self.work {
            CommandKind::Refresh => CommandState::Queued,
            _ => CommandState::Lost { crossed: false, until: None, cause },
        };
    }
}

/// What an op tells its writer.
fn written(op: &CommittedOp) -> Written {
    let tells = !matches!(op.op, OpKind::Set | OpKind::Delete | OpKind::Merge | OpKind::Release);
    Written { store_seq: Some(op.store_seq), value: tells.then(|| op.value.clone()) }
}

impl Session {
    /// Takes a command and does what can be done for it now.
    pub(super) fn admit(&mut self, id: CommandId, pending: Pending, now: Duration) {
        let store = pending.store;
        self.commands.insert(id, pending);
        self.advance_all(store, now);
        if !self.is_up() {
            self.give_up_unless_it_waits(id);
        }
    }

    /// Answers a command whose caller has waited too long already.
    pub(super) fn give_up_unsent(&mut self, id: CommandId, pending: Pending) {
        self.commands.insert(id, pending);
        self.give_up(id, "its time was over before it could be");
    }

    /// Does what can be done for the commands of a store: answers those whose op the mirror has, and sends those that wait as
    /// far as there is room for them.
    pub(super) fn advance_all(&mut self, store: usize, now: Duration) {
        let visible = self.channels[store].visible();
        while let Some(id) = self.commands.next_reached(store, visible) {
            self.answer_committed(id);
        }
        match &self.channels[store].phase {
            Phase::CatchingUp { join_ref, .. } | Phase::Live { join_ref, .. } => {
                let join_ref = *join_ref;
                while self.channels[store].unanswered.has_room()
                    && let Some(id) = self.commands.next_to_send(store)
                {
                    self.send_write(id, join_ref, now);
                }
            }
            Phase::Refused { error, .. } => {
                let error = error.clone();
                while let Some(id) = self.commands.next_queued(store) {
                    self.answer(id, Err(error.clone()));
                }
            }
            Phase::Closed { .. } | Phase::Joining { .. } | Phase::Draining { .. } => {}
        }
    }

    /// Answers a command that is not sent and does not wait for a connection.
    pub(super) fn give_up_unless_it_waits(&mut self, id: CommandId) {
        let is_queued =
            |pending: &Pending| matches!(pending.stage, CommandState::Queued) && pending.wait_until.is_none();
        if self.commands.get(id).is_some_and(is_queued) {
            let why = match self.socket {
                Socket::Off => "the client is not running".into(),
                _ => no_connection(self.why_lost.as_ref()),
            };
            self.give_up_because(id, &why);
        }
    }

    fn answer_committed(&mut self, id: CommandId) {
        let Some(CommandState::Committed(written)) = self.commands.get(id).map(|pending| &pending.stage) else {
            return;
        };
        let written = written.clone();
        self.answer(id, Ok(written));
    }

    fn send_write(&mut self, id: CommandId, join_ref: u64, now: Duration) {
        let Some(pending) = self.commands.get(id) else { return };
        let reference = self.next_reference;
        let mut client_op_id = String::with_capacity(self.op_prefix.len() + 20);
        client_op_id.push_str(&self.op_prefix);
        push_number(pending.op, &mut client_op_id);
        let client_op_id = client_op_id.as_str();
        let request = match &pending.work {
            CommandKind::Write(write) => Request::Write { write, client_op_id },
            CommandKind::PutFile(file) => Request::PutFile { file, client_op_id },
            CommandKind::Refresh | CommandKind::CatchUp(_) => Request::Status,
        };
        match request.encode(Some(join_ref), reference, &self.channels[pending.store].topic) {
            Ok(frame) => {
                self.next_reference += 1;
                let (store, bytes) = (pending.store, frame.len());
                self.outputs.push_back(Output::Send(frame));
                let wait = self.answer_wait(now, bytes);
                self.channels[store].unanswered.push(reference, bytes, wait);
                self.commands.change(id, |pending| pending.stage = CommandState::Sent { reference, bytes });
            }
            Err(error) => self.answer(id, Err(error.into())),
        }
    }

    pub(super) fn write_answered(
        &mut self,
        store: usize,
        now: Duration,
        id: CommandId,
        outcome: Result<Response<'_>, Refusal>,
    ) {
        let Some(pending) = self.commands.get(id) else { return };
        if let CommandKind::Refresh = pending.work {
            return self.refresh_answered(store, now, id, outcome);
        }
        match outcome.map(Response::written) {
            Ok(Ok(written)) => {
                if let Some(seq) = written.store_seq {
                    self.channels[store].know(seq, now.saturating_add(self.timing.grace));
                }
                self.committed(id, now, written);
            }
            Ok(Err(error)) => {
                let operation = format!("{} ({error})", pending.work.text());
                self.answer(id, Err(DustErr::timeout(operation)));
            }
            Err(refusal) => {
                let Some((path, op)) = pending.target() else { return };
                let fence = match &pending.work {
                    CommandKind::Write(write) => write.fence.as_ref().map(|fence| &fence.key),
                    _ => None,
                };
                let error = Attempt { path, op, fence, current: None }.refused(&refusal);
                self.answer(id, Err(error));
                // Unless it is being joined already.
                let is_open = self.channels[store].is_open();
                if refusal.is_not_joined() && is_open {
                    self.channel_closed(store, now, Cause::Closed);
                }
            }
        }
    }

    /// The store has told how far it is: now the mirror has to get there.
    fn refresh_answered(&mut self, store: usize, now: Duration, id: CommandId, outcome: Result<Response<'_>, Refusal>) {
        match outcome.map(Response::status) {
            Ok(Ok(status)) => {
                self.commands.change(id, |pending| {
                    pending.work = CommandKind::CatchUp(status.current_seq);
                    pending.stage = pending.work.first_stage();
                });
                self.channels[store].know(status.current_seq, now);
                self.fill_gaps(store, now);
            }
            Ok(Err(_)) | Err(_) => self.give_up(id, "the server did not tell"),
        }
    }

    /// Which command an op does, if it is one of this session's own, and what it tells of it.
    pub(super) fn own_op(&self, op: &CommittedOp) -> Option<(CommandId, Written)> {
        let number: u64 = op.client_op_id.strip_prefix(&self.op_prefix)?.parse().ok()?;
        let (id, pending) = self.commands.by_op(number)?;
        let (path, kind) = pending.target()?;
        (*path == op.path && kind == op.op).then(|| (id, written(op)))
    }

    /// The op of a command is committed, which answers it when the mirror has the op.
    pub(super) fn committed(&mut self, id: CommandId, now: Duration, written: Written) {
        let Some(pending) = self.commands.get(id) else { return };
        if let CommandState::Sent { reference, .. } = pending.stage {
            self.channels[pending.store].unanswered.read(reference, now);
        }
        let visible = self.channels[pending.store].visible();
        if written.store_seq.is_none_or(|seq| visible >= seq) {
            self.answer(id, Ok(written));
        } else {
            self.commands.change(id, |pending| pending.stage = CommandState::Committed(written));
        }
    }

    /// The channel of a store is gone: what was sent there and not answered is unknown.
    pub(super) fn lose_sent(&mut self, store: usize, cause: Cause) {
        for id in self.commands.sent(store) {
            self.commands.change(id, |pending| pending.cut_off(cause));
        }
    }

    /// A snapshot hides the ops before it, and with them those of writes that were cut off.
    pub(super) fn snapshot_crossed(&mut self, store: usize) {
        for id in self.commands.lost(store) {
            self.commands.change(id, |pending| {
                if let CommandState::Lost { crossed, .. } = &mut pending.stage {
                    *crossed = true;
                }
            });
        }
    }

    /// A catch-up is complete, and did not contain the ops of these writes.
    pub(super) fn settle_lost(&mut self, store: usize, now: Duration) {
        let end = now.saturating_add(self.timing.lost_grace);
        for id in self.commands.lost(store) {
            match self.commands.get(id).map(|pending| &pending.stage) {
                Some(CommandState::Lost { crossed: true, .. }) => {
                    self.give_up(id, "a snapshot");
                }
                // The server may be about to do it: it may have the frame and not have read it.
                Some(CommandState::Lost { until: None, cause, .. }) => {
                    let cause = *cause;
                    self.commands.change(id, |pending| {
                        pending.stage = CommandState::Lost { crossed: false, until: Some(end), cause };
                    });
                }
                _ => {}
            }
        }
    }

    /// Gives up the commands whose time is over.
    pub(super) fn give_up_late(&mut self, now: Duration) {
        if self.commands.first_due(now).is_none() {
            return;
        }
        while let Some(id) = self.commands.first_due(now) {
            let Some(pending) = self.commands.get(id) else { return };
            let sent = self.commands.sent_count(pending.store);
            if matches!(pending.stage, CommandState::Queued) && sent > 0 {
                self.give_up(id, &format!("the server has not answered the {sent} commands that were sent before it"));
            } else {
                self.give_up(id, "no answer in time");
            }
        }
        // There is room for others now, of which none is late.
        for store in 0..self.channels.len() {
            self.advance_all(store, now);
        }
    }

    /// Answers a command that will not be done, or about which nothing more will be heard.
    pub(super) fn give_up(&mut self, id: CommandId, why: &str) {
        self.give_up_because(id, &why.into());
    }

    /// The same with a cause.
    pub(super) fn give_up_because(&mut self, id: CommandId, reason: &Reason) {
        let why = reason.text();
        let Some(pending) = self.commands.get(id) else { return };
        let text = pending.work.text();
        let error = match &pending.stage {
            CommandState::Queued if pending.target().is_some() => {
                DustErr::network(format!("{text} was not sent: {why}")).with_cause(reason.source())
            }
            CommandState::Committed(Written { store_seq: Some(seq), .. }) if pending.target().is_some() => {
                DustErr::timeout(format!("{text}, which was committed as {seq} but has not come back yet,"))
            }
            CommandState::Lost { crossed, until, cause } => {
                let cause = cause.text();
                let then = match (crossed, until) {
                    (true, _) => ", and a snapshot hides whether it was applied",
                    (false, Some(_)) => ", and the ops that followed do not contain it",
                    (false, None) => ", and the store has not been caught up with since",
                };
                DustErr::timeout(format!("{text} ({cause}{then})"))
            }
            _ => DustErr::timeout(format!("{text} ({why})")).with_cause(reason.source()),
        };
        self.answer(id, Err(error));
    }

    fn answer(&mut self, id: CommandId, result: Result<Written, DustErr>) {
        if self.commands.remove(id).is_some() {
            self.outputs.push_back(Output::Answer { id, result });
        }
    }
}
