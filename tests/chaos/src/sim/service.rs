//! The operations of the server, and its committed ops.

use dust_emulator::ReplyFault;
use dust_orm::internals::StoreId;
use dust_protocol::{CommittedOp, Op};

use super::call::{self, Call, Outcome};
use super::mutation::Defect;
use super::server::http_origin;
use super::wire::Wire;
use super::world::{Checked, Event, World, broken};
use crate::violation::{Promise, Violation};

impl World {
    pub(super) fn at_server(&mut self, wire: usize) -> Checked {
        match self.wires[wire].up.pop(self.now) {
            Err(later) => {
                self.schedule_at(later, Event::Up(wire));
                Ok(())
            }
            Ok(Some(frame)) => self.serve(wire, &frame),
            Ok(None) => Ok(()),
        }
    }

    /// Handles a frame on the server.
    pub(super) fn serve(&mut self, wire: usize, frame: &str) -> Checked {
        if self.wires[wire].line.is_none() {
            return Ok(());
        }
        let is_write = frame.contains(r#","write",{"#);
        let mut twist = ReplyFault::default();
        if is_write && self.dice.percent(self.plan.twists) {
            match self.dice.within(u64::from(self.plan.is_calm), 3) {
                0 => (twist.no_reply, _) = (true, self.counts.add("reply lost")),
                1 => (twist.no_event, _) = (true, self.counts.add("event lost")),
                2 => (twist.event_twice, _) = (true, self.counts.add("event twice")),
                _ => (twist.reply_first, _) = (true, self.counts.add("reply before event")),
            }
        }
        if is_write {
            self.sent_on_socket(wire, frame)?;
        }
        self.mute(wire, frame, &mut twist);
        self.tell(|| {
            let how = if twist == ReplyFault::default() { String::new() } else { format!(" ({twist:?})") };
            format!("server <- wire {wire}: {frame}{how}")
        });
        let mut times = 1;
        let mut refusal = None;
        let mut changed = None;
        if is_write {
            if self.is(Defect::ServerForgetsWrite, 30) {
                let seq = self.server.stores.iter().map(|kept| kept.ledger.seq()).min().unwrap_or_default();
                refusal = Some(format!(r#"{{"status":"ok","response":{{"store_seq":{seq}}}}}"#));
                times = 0;
            } else if self.is(Defect::ServerWritesTwice, 30) {
                times = 2;
            } else if self.is(Defect::ServerRefusesWhatItWrote, 30) {
                twist = ReplyFault { no_reply: true, no_event: true, ..ReplyFault::default() };
                refusal = Some(r#"{"status":"error","response":{"reason":"conflict"}}"#.to_owned());
            } else if self.is(Defect::ServerIgnoresFences, 100) {
                changed = Some(frame.replace(r#""fence":"#, r#""fences":"#));
            }
        }
        let is_message = is_write || frame.contains(r#","status",{"#);
        let (is_left, is_busy) = (self.dice.percent(self.plan.unread), self.dice.percent(90));
        if frame.contains(r#","phx_join",{"#) {
            self.overtake(wire);
        }
        for _ in 0..times {
            let Some(line) = self.wires[wire].line.as_mut() else { break };
            let frame = changed.as_deref().unwrap_or(frame);
            let waits = is_message && (is_left || is_busy && line.unread() > 0);
            if waits && line.leave_unread(frame, twist) {
                continue;
            }
            let is_open = line.receive(frame, twist);
            if !is_open {
                return Err(broken(format!("the client sent what is no frame: {frame}")));
            }
        }
        if let Some(payload) = refusal {
            let head = frame.splitn(4, ',').take(3).collect::<Vec<_>>().join(",");
            self.push_down(wire, format!(r#"{head},"phx_reply",{payload}]"#));
        }
        self.look()?;
        self.plan_catch_up(wire);
        self.plan_read(wire);
        Ok(())
    }

    /// Checks that the write of a call may be sent over HTTP: not if it was sent on a socket with an unknown outcome.
    fn sent_again(&mut self, index: usize) -> Checked {
        let Call { client, start, number, ref outcome, .. } = self.calls[index];
        if matches!(outcome, Some(Outcome::Failed(_))) || !self.writes_sent.contains(&(client, start, number)) {
            return Ok(());
        }
        let what = format!("the write of call {index}, which was sent, is sent again over HTTP, after {outcome:?}");
        Err(Violation::new(Promise::SentOnce, what))
    }

    /// Checks that a write is sent on a socket only once.
    fn sent_on_socket(&mut self, wire: usize, frame: &str) -> Checked {
        let (Some(number), Wire { client, start, .. }) = (op_number(frame), &self.wires[wire]) else { return Ok(()) };
        if self.writes_arrived.insert((*client, *start, number)) {
            return Ok(());
        }
        let what = format!("the write {number} of client {client} is sent again on a socket");
        Err(Violation::new(Promise::SentOnce, what))
    }

    /// Removes the answers that a client should not receive.
    fn mute(&mut self, wire: usize, frame: &str, twist: &mut ReplyFault) {
        let mute = &mut self.clients[self.wires[wire].client].mute;
        let (is_join, is_status) = (frame.contains(r#","phx_join",{"#), frame.contains(r#","status",{"#));
        let (left, muted, what) = match () {
            () if is_join && mute.joins > 0 => (&mut mute.joins, &mut twist.no_reply, "join not answered"),
            () if is_join && mute.catch_ups > 0 => (&mut mute.catch_ups, &mut twist.no_catch_up, "catch-up stalled"),
            () if is_status && mute.statuses > 0 => (&mut mute.statuses, &mut twist.no_reply, "status not answered"),
            () => return,
        };
        *left -= 1;
        *muted = true;
        self.counts.add(what);
    }

    /// A join is read before the waiting messages of the channels: it ends the channel of its topic, with its unread
    /// messages.
    fn overtake(&mut self, wire: usize) {
        let Some(line) = self.wires[wire].line.as_mut() else { return };
        for _ in 0..self.dice.within(0, line.unread() as u64) {
            line.read();
        }
        if line.unread() > 0 {
            self.counts.add("join while messages are unread");
        }
    }

    fn plan_read(&mut self, wire: usize) {
        let this = &mut self.wires[wire];
        if this.line.as_ref().is_some_and(|line| line.unread() > 0) && !this.reads {
            this.reads = true;
            let after = self.latency();
            self.schedule(after, Event::Read(wire));
        }
    }

    pub(super) fn read_left(&mut self, wire: usize) -> Checked {
        self.wires[wire].reads = false;
        if let Some(line) = &mut self.wires[wire].line {
            line.read();
        }
        self.look()?;
        self.plan_catch_up(wire);
        self.plan_read(wire);
        Ok(())
    }

    pub(super) fn plan_catch_up(&mut self, wire: usize) {
        let this = &mut self.wires[wire];
        if this.line.as_ref().is_some_and(|line| line.is_catching_up()) && !this.steps {
            this.steps = true;
            let after = self.latency();
            self.schedule(after, Event::CatchUp(wire));
        }
    }

    pub(super) fn catch_up(&mut self, wire: usize) -> Checked {
        let most = [1, 3, 1000][self.dice.index(3)];
        self.wires[wire].steps = false;
        if let Some(line) = &mut self.wires[wire].line {
            line.catch_up(most);
        }
        self.look()?;
        self.plan_catch_up(wire);
        Ok(())
    }

    /// Collects the ops that the server has committed, and the frames that it sends.
    pub(super) fn look(&mut self) -> Checked {
        for store in 0..self.server.stores.len() {
            let kept = &mut self.server.stores[store];
            if kept.handle.current_seq() == kept.ledger.seq() {
                continue;
            }
            let before = kept.ledger.seq();
            kept.ledger.read(&kept.handle).map_err(broken)?;
            for seq in before + 1..=self.server.stores[store].ledger.seq() {
                self.committed(store, seq)?;
            }
        }
        for wire in 0..self.wires.len() {
            while let Some(frame) = self.wires[wire].line.as_mut().and_then(|line| line.next_frame()) {
                self.push_down(wire, frame);
            }
        }
        Ok(())
    }

    /// Checks a committed op: it has to have exactly one call.
    pub(super) fn committed(&mut self, store: usize, seq: u64) -> Checked {
        let Some(op) = self.server.stores[store].ledger.op(seq).cloned() else { return Ok(()) };
        self.tell(|| {
            format!(
                "COMMITTED in s{store}: {seq} {} {} = {} by {} {}",
                op.op.name(),
                op.path,
                op.value,
                op.device_id,
                op.client_op_id
            )
        });
        if op.device_id.starts_with("http:") {
            return Ok(());
        }
        let wrong = |promise, what: &str| {
            let CommittedOp { device_id, client_op_id, .. } = &op;
            Err(Violation::new(promise, format!("op {seq} of s{store} by {device_id} {client_op_id} {what}")))
        };
        let Some(index) = self.author(&op) else { return wrong(Promise::FailedIsAbsent, "has no call") };
        let era = self.server.stores[store].era();
        let call = &mut self.calls[index];
        let asked = call.target.as_ref().filter(|(path, kind, _)| *path == op.path && *kind == op.op);
        let Some((_, _, fence)) = asked.filter(|_| call.store == store) else {
            return wrong(Promise::FailedIsAbsent, &format!("is not the write of call {index}"));
        };
        if let Some(before) = call.found.replace(seq) {
            return wrong(Promise::WrittenOnce, &format!("was op {before} already"));
        }
        call.found_era = era;
        if seq <= call.since {
            return wrong(Promise::OrderOfCalls, "is older than its call");
        }
        if let Some(Outcome::Failed(error)) = &call.outcome {
            return wrong(Promise::FailedIsAbsent, &format!("was answered as failed: {error}"));
        }
        if let Some(fence) = fence {
            let state = self.server.stores[store].ledger.state(seq - 1);
            let holds = state.and_then(|state| state.get(&fence.key)).is_some_and(|leaf| {
                leaf.value.to::<serde_json::Value>().is_ok_and(|lease| lease["token"].as_u64() == Some(fence.token))
            });
            if !holds {
                return wrong(Promise::FencesHold, &format!("was done without its lease: {fence:?}"));
            }
        }
        Ok(())
    }

    /// The call of an op: a session numbers its ops by its commands, from 1 on.
    pub(super) fn author(&self, op: &CommittedOp) -> Option<usize> {
        let (_, number) = op.client_op_id.rsplit_once('-')?;
        let number: u64 = number.parse().ok()?;
        let (client, start) = op.device_id.strip_prefix('d')?.split_once('.')?;
        let (client, start): (usize, u64) = (client.parse().ok()?, start.parse().ok()?);
        self.calls.iter().position(|call| (call.client, call.start, call.number) == (client, start, number))
    }

    /// Writes over HTTP as another program, without an event for the clients.
    pub(super) fn write_beside(&mut self) -> Checked {
        let store = self.dice.index(self.server.stores.len());
        let write = call::plain_write(&mut self.dice, self.calls.len()).map_err(broken)?;
        self.write_http(store, vec![write])?;
        Ok(())
    }

    /// Writes over HTTP, one write or a batch, and returns the number of the last op.
    pub(super) fn write_http(&mut self, store: usize, writes: Vec<Op>) -> Result<Option<u64>, Violation> {
        self.write_http_for(None, store, writes)
    }

    /// Writes over HTTP for a call of a client.
    pub(super) fn write_http_for(
        &mut self,
        call: Option<usize>,
        store: usize,
        writes: Vec<Op>,
    ) -> Result<Option<u64>, Violation> {
        self.counts.add("HTTP write");
        if let Some(call) = call {
            self.sent_again(call)?;
        }
        // Each request has an id of its own, except under the mutation of equal ids.
        let anonymous = self.mutation == Some(Defect::OpsShareTheirIds);
        let request =
            if anonymous { "request".to_owned() } else { format!("request-{}", self.counts.of("HTTP write")) };
        let handle = &self.server.stores[store].handle;
        let written = handle.batch_write(writes, None, &http_origin(&request));
        let seq = written.ok().and_then(|ops| ops.last().map(|op| op.store_seq));
        self.look()?;
        Ok(seq)
    }

    /// Restarts the server from a backup: with all ops up to some op, and without later ones, whose loss breaks no
    /// promise. Restores that a client cannot detect are left out: those within ops whose ids the client or its cache
    /// does not have.
    pub(super) fn restore(&mut self) -> Checked {
        let store = self.dice.index(self.server.stores.len());
        let blind = self.clients.iter().map(|client| {
            let cached = &client.stores[store].cached;
            let blind = if cached.last_op_id().is_some() { 0 } else { cached.seq() };
            blind.max(client.session.undetected_rewind_limit(StoreId(store)))
        });
        let least = blind.max().unwrap_or_default();
        let kept = &mut self.server.stores[store];
        let through = self.dice.within(least.min(kept.ledger.seq()), kept.ledger.seq());
        let is_lost = through < kept.ledger.seq();
        if !is_lost || !self.server.unplugged.restore(&kept.name, through).map_err(|error| broken(error.to_string()))? {
            return Ok(());
        }
        kept.handle = self.server.unplugged.store_handle(&kept.name).map_err(|error| broken(error.to_string()))?;
        let before = kept.ledger.through(through);
        kept.lost.push(std::mem::replace(&mut kept.ledger, before));
        kept.restored_to.push(through);
        let era = kept.era();
        self.counts.add("store restored");
        self.tell(|| format!("s{store} is restored as of op {through}"));
        for client in &mut self.clients {
            client.stores[store].restored(through, era);
        }
        for call in self.calls.iter_mut().filter(|call| call.store == store) {
            call.since = call.since.min(through);
        }
        Ok(())
    }

    pub(super) fn compact(&mut self) -> Checked {
        let store = self.dice.index(self.server.stores.len());
        let compacted = self.server.stores[store].handle.compact().map_err(|error| broken(error.to_string()))?;
        if let Some(seq) = compacted {
            self.counts.add("compaction");
            self.tell(|| format!("s{store} is compacted at op {seq}"));
        }
        Ok(())
    }
}

/// The number of the command of a frame's write.
pub(super) fn op_number(frame: &str) -> Option<u64> {
    let id = frame.split(r#""client_op_id":""#).nth(1)?.split('"').next()?;
    id.rsplit_once('-')?.1.parse().ok()
}
