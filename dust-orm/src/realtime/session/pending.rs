//! Commands from their arrival to their answer.
//!
//! ```text
//!              room on the channel          reply or event           mirror has the op
//!   Queued ──────────────────────► Sent ─────────────────► Committed ─────────────────► answered
//!                                   │                          ▲
//!                                   │ the channel ends         │ event in a later catch-up
//!                                   └────────────────► Lost ───┘
//!                                                        └── catch-up without the op: Timeout
//! ```
//!
//! A `Refresh` whose channel ends is queued again, as it writes nothing.

use std::time::Duration;

use dust_protocol::channel::{Refusal, Request, Response, Written};
use dust_protocol::value::push_number;
use dust_protocol::{CommittedOp, OpKind, Path};

use super::cause::Cause;
use super::connection::Socket;
use super::phase::{Open, Phase};
use super::{CommandId, CommandKind, Output, Session};
use crate::error::channel::Attempt;
use crate::error::{DustErr, Reason, no_connection};

/// A command that is not answered.
#[derive(Debug)]
pub(super) struct PendingCommand {
    pub(super) store: usize,
    pub(super) kind: CommandKind,
    /// The time until which it waits for a connection; `None` if it does not wait.
    pub(super) wait_until: Option<Duration>,
    /// The number of its op.
    pub(super) op: u64,
    pub(super) deadline: Duration,
    pub(super) state: CommandState,
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
    /// Committed, and the mirror does not have the op yet. The initial state of a command that only waits for an op.
    Committed(Written),
    /// The channel ended before the answer arrived.
    Lost {
        /// True if a snapshot has arrived since, which may contain its op.
        crossed: bool,
        /// The time at which it is given up if its op has not arrived.
        until: Option<Duration>,
        cause: Cause,
    },
}

impl CommandKind {
    /// The state of a command that is not processed yet.
    pub(super) fn initial_state(&self) -> CommandState {
        match self {
            CommandKind::CatchUp(through) => {
                CommandState::Committed(Written { store_seq: Some(*through), ..Written::default() })
            }
            _ => CommandState::Queued,
        }
    }
}

impl PendingCommand {
    /// The time at which it is given up.
    pub(super) fn due(&self) -> Duration {
        match self.state {
            CommandState::Lost { until: Some(until), .. } => until.min(self.deadline),
            CommandState::Queued => self.wait_until.map_or(self.deadline, |until| until.min(self.deadline)),
            _ => self.deadline,
        }
    }

    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, CommandState::Queued)
    }

    pub(super) fn target(&self) -> Option<(&Path, OpKind)> {
        self.kind.target()
    }

    /// Notes that its answer does not arrive any more.
    fn lose_answer(&mut self, cause: Cause) {
        self.state = match self.kind {
            CommandKind::Refresh => CommandState::Queued,
            _ => CommandState::Lost { crossed: false, until: None, cause },
        };
    }
}

/// The answer of a command by its own op.
fn written(op: &CommittedOp) -> Written {
    let has_value = !matches!(op.op, OpKind::Set | OpKind::Delete | OpKind::Merge | OpKind::Release);
    Written { store_seq: Some(op.store_seq), value: has_value.then(|| op.value.clone()) }
}

impl Session {
    /// Adds a command, and sends or answers it if that is possible now.
    pub(super) fn admit(&mut self, id: CommandId, pending: PendingCommand, now: Duration) {
        let store = pending.store;
        self.commands.insert(id, pending);
        self.advance_all(store, now);
        if !self.is_up() {
            self.give_up_unless_waiting(id);
        }
    }

    /// Answers a command whose deadline has passed already.
    pub(super) fn give_up_unsent(&mut self, id: CommandId, pending: PendingCommand) {
        self.commands.insert(id, pending);
        self.give_up(id, "its time was over before it could be");
    }

    /// Answers the commands of a store whose op the mirror has, and sends queued ones as far as there is room.
    pub(super) fn advance_all(&mut self, store: usize, now: Duration) {
        let visible = self.channels[store].visible();
        while let Some(id) = self.commands.next_reached(store, visible) {
            self.answer_committed(id);
        }
        if let Phase::Refused { error, .. } = &self.channels[store].phase {
            let error = error.clone();
            while let Some(id) = self.commands.next_queued(store) {
                self.answer(id, Err(error.clone()));
            }
        }
        while self.has_room_on_channel(store)
            && let Some(id) = self.commands.next_to_send(store)
        {
            self.send_command(id, now);
        }
    }

    fn has_room_on_channel(&self, store: usize) -> bool {
        let phase = &self.channels[store].phase;
        phase.accepting_join_ref().is_some() && phase.open().is_some_and(|open| open.unanswered.has_room())
    }

    /// Answers a command that is queued and does not wait for a connection.
    pub(super) fn give_up_unless_waiting(&mut self, id: CommandId) {
        if self.commands.get(id).is_some_and(|pending| pending.is_queued() && pending.wait_until.is_none()) {
            let reason = match self.socket {
                Socket::Off => "the client is not running".into(),
                _ => no_connection(self.lost_reason.as_ref()),
            };
            self.give_up(id, reason);
        }
    }

    fn answer_committed(&mut self, id: CommandId) {
        if let Some(CommandState::Committed(written)) = self.commands.get(id).map(|pending| &pending.state) {
            let written = written.clone();
            self.answer(id, Ok(written));
        }
    }

    fn send_command(&mut self, id: CommandId, now: Duration) {
        let Some(pending) = self.commands.get(id) else { return };
        let channel = &mut self.channels[pending.store];
        let Phase::Open(Open { join_ref, unanswered, .. }) = &mut channel.phase else { return };
        let reference = self.next_reference;
        let mut client_op_id = String::with_capacity(self.op_prefix.len() + 20);
        client_op_id.push_str(&self.op_prefix);
        push_number(pending.op, &mut client_op_id);
        let client_op_id = client_op_id.as_str();
        let request = match &pending.kind {
            CommandKind::Write { op, fence } => Request::Write { op, fence: fence.as_ref(), client_op_id },
            CommandKind::PutFile(file) => Request::PutFile { file, client_op_id },
            CommandKind::Refresh | CommandKind::CatchUp(_) => Request::Status,
        };
        match request.encode(Some(*join_ref), reference, &channel.topic) {
            Ok(frame) => {
                self.next_reference += 1;
                let bytes = frame.len();
                self.outputs.push_back(Output::Send(frame));
                unanswered.push(reference, bytes, self.timing.answer_timeout(now, bytes, self.arrived));
                self.commands.change(id, |pending| pending.state = CommandState::Sent { reference, bytes });
            }
            Err(error) => self.answer(id, Err(error.into())),
        }
    }

    /// The reply to a command has arrived.
    pub(super) fn command_answered(
        &mut self,
        store: usize,
        now: Duration,
        id: CommandId,
        outcome: Result<Response<'_>, Refusal>,
    ) {
        let Some(pending) = self.commands.get(id) else { return };
        if let CommandKind::Refresh = pending.kind {
            return self.refresh_answered(store, now, id, outcome);
        }
        match outcome.map(Response::written) {
            Ok(Ok(written)) => {
                if let Some(seq) = written.store_seq {
                    self.channels[store].expect_op(seq, now.saturating_add(self.timing.grace));
                }
                self.committed(id, now, written);
            }
            Ok(Err(error)) => {
                let operation = format!("{} ({error})", pending.kind.text());
                self.answer(id, Err(DustErr::timeout(operation)));
            }
            Err(refusal) => {
                let Some((path, op)) = pending.target() else { return };
                let fence = match &pending.kind {
                    CommandKind::Write { fence, .. } => fence.as_ref().map(|fence| &fence.key),
                    _ => None,
                };
                let error = Attempt { path, op, fence, current: None }.refused(&refusal);
                self.answer(id, Err(error));
                // A store whose channel is not open is joined again already.
                if refusal.is_not_joined() && self.channels[store].phase.open().is_some() {
                    self.channel_closed(store, now, Cause::Closed);
                }
            }
        }
    }

    /// The reply to a `Refresh` has arrived: the command now waits for the last op of the store.
    fn refresh_answered(&mut self, store: usize, now: Duration, id: CommandId, outcome: Result<Response<'_>, Refusal>) {
        match outcome.map(Response::status) {
            Ok(Ok(status)) => {
                self.commands.change(id, |pending| {
                    pending.kind = CommandKind::CatchUp(status.current_seq);
                    pending.state = pending.kind.initial_state();
                });
                self.channels[store].expect_op(status.current_seq, now);
                self.fill_gaps(store, now);
            }
            Ok(Err(_)) | Err(_) => self.give_up(id, "the server did not answer with its position"),
        }
    }

    /// The command whose op this is, if it is one of this session's, and the answer that the op gives.
    pub(super) fn own_op(&self, op: &CommittedOp) -> Option<(CommandId, Written)> {
        let number: u64 = op.client_op_id.strip_prefix(&self.op_prefix)?.parse().ok()?;
        let (id, pending) = self.commands.by_op(number)?;
        let (path, kind) = pending.target()?;
        (*path == op.path && kind == op.op).then(|| (id, written(op)))
    }

    /// Notes that the op of a command is committed. The command is answered when the mirror has the op.
    pub(super) fn committed(&mut self, id: CommandId, now: Duration, written: Written) {
        let Some(pending) = self.commands.get(id) else { return };
        let channel = &mut self.channels[pending.store];
        if let CommandState::Sent { reference, .. } = pending.state
            && let Some(open) = channel.phase.open_mut()
        {
            open.unanswered.op_arrived(reference, now);
        }
        let visible = channel.visible();
        if written.store_seq.is_none_or(|seq| visible >= seq) {
            self.answer(id, Ok(written));
        } else {
            self.commands.change(id, |pending| pending.state = CommandState::Committed(written));
        }
    }

    /// Marks the commands of a store that are sent and not answered as lost, as their channel ends.
    pub(super) fn lose_sent(&mut self, store: usize, cause: Cause) {
        for id in self.commands.sent(store) {
            self.commands.change(id, |pending| pending.lose_answer(cause));
        }
    }

    /// Notes that a snapshot has arrived: it may contain the ops of lost writes, without their ids.
    pub(super) fn snapshot_crossed(&mut self, store: usize) {
        for id in self.commands.lost(store) {
            self.commands.change(id, |pending| {
                if let CommandState::Lost { crossed, .. } = &mut pending.state {
                    *crossed = true;
                }
            });
        }
    }

    /// Gives up lost writes whose ops a complete catch-up did not contain, or sets the time at which they are given up.
    pub(super) fn settle_lost(&mut self, store: usize, now: Duration) {
        let end = now.saturating_add(self.timing.lost_grace);
        for id in self.commands.lost(store) {
            match self.commands.get(id).map(|pending| &pending.state) {
                Some(CommandState::Lost { crossed: true, .. }) => {
                    self.give_up(id, "a snapshot");
                }
                // The server may have received the frame and apply it later.
                Some(CommandState::Lost { until: None, cause, .. }) => {
                    let cause = *cause;
                    self.commands.change(id, |pending| {
                        pending.state = CommandState::Lost { crossed: false, until: Some(end), cause };
                    });
                }
                _ => {}
            }
        }
    }

    /// Gives up the commands whose deadline has passed.
    pub(super) fn give_up_late(&mut self, now: Duration) {
        if self.commands.first_due(now).is_none() {
            return;
        }
        while let Some(id) = self.commands.first_due(now) {
            let Some(pending) = self.commands.get(id) else { return };
            let sent = self.commands.sent_count(pending.store);
            if pending.is_queued() && sent > 0 {
                self.give_up(id, format!("the server has not answered the {sent} commands that were sent before it"));
            } else {
                self.give_up(id, "no answer in time");
            }
        }
        // There is room for others now, and the deadline of none has passed.
        for store in 0..self.channels.len() {
            self.advance_all(store, now);
        }
    }

    /// Answers a command that is not sent, or whose outcome is not known, with an error for this reason.
    pub(super) fn give_up(&mut self, id: CommandId, reason: impl Into<Reason>) {
        let reason = reason.into();
        let why = reason.text();
        let Some(pending) = self.commands.get(id) else { return };
        let text = pending.kind.text();
        let error = match &pending.state {
            CommandState::Queued if pending.target().is_some() => {
                DustErr::network(format!("{text} was not sent: {why}")).with_cause(reason.source())
            }
            CommandState::Committed(Written { store_seq: Some(seq), .. }) if pending.target().is_some() => {
                DustErr::timeout(format!("{text}, which was committed as {seq} but has not arrived in the mirror yet,"))
            }
            CommandState::Lost { crossed, until, cause } => {
                let cause = cause.text();
                let then = match (crossed, until) {
                    (true, _) => ", and a snapshot hides whether it was applied",
                    (false, Some(_)) => ", and the ops that followed do not contain it",
                    (false, None) => ", and no catch-up has completed since",
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
