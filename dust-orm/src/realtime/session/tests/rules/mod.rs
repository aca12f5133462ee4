//! The rules of the session one by one, with a client whose server is the test.

use std::time::Duration;

use dust_protocol::channel::{FileUpload, FrameError, Written};
use dust_protocol::{CommittedOp, Mutation, Op, OpKind, Path, Precondition, RawJson};
use serde_json::{Value, json};

use super::super::{Command, CommandId, CommandKind, Output, Session, StoreId, StoreState, Timing};
use crate::error::{DustErr, ErrKind};

mod connection;
mod liveness;
mod lost_writes;
mod mirror;
mod refusal;
mod restore;
mod writes;

const TOPIC: &str = "store:acme/main";

struct Client {
    session: Session,
    now: Duration,
    sent: Vec<Value>,
    applied: Vec<u64>,
    replaced: Vec<(u64, usize)>,
    answers: Vec<(u64, Result<Written, DustErr>)>,
    states: Vec<StoreState>,
    /// The positions that stores have answered.
    positions: Vec<(usize, u64)>,
    connects: usize,
    disconnects: usize,
    next_id: u64,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

impl Client {
    fn new(seq: u64) -> Client {
        Client::over([("acme/main".to_owned(), seq)])
    }

    fn over(stores: impl IntoIterator<Item = (String, u64)>) -> Client {
        Client::timed(Timing::default(), stores)
    }

    fn timed(timing: Timing, stores: impl IntoIterator<Item = (String, u64)>) -> Client {
        let mut client = Client {
            session: Session::new(timing, stores, 7),
            now: Duration::ZERO,
            sent: vec![],
            applied: vec![],
            replaced: vec![],
            answers: vec![],
            states: vec![],
            positions: vec![],
            connects: 0,
            disconnects: 0,
            next_id: 0,
        };
        client.session.start();
        client.drain();
        client
    }

    /// A client that is connected and up to date with a store of `seq` ops.
    fn live(seq: u64) -> Client {
        Client::new(seq).caught_up(seq)
    }

    /// A client as of [`live`](Client::live), with a session that never requests the position of the store.
    fn unasking(seq: u64) -> Client {
        let timing = Timing { status: Duration::MAX, status_soon: Duration::MAX, ..Timing::default() };
        Client::timed(timing, [("acme/main".to_owned(), seq)]).caught_up(seq)
    }

    fn caught_up(self, seq: u64) -> Client {
        let mut client = self;
        client.connect();
        client.joined("1", seq);
        client.says("1", "catch_up_complete", json!({"through_seq": seq}));
        assert!(client.states.last().unwrap().is_live());
        client.sent.clear();
        client
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Connect => self.connects += 1,
                Output::Disconnect => self.disconnects += 1,
                Output::Send(text) => self.sent.push(serde_json::from_str(&text).unwrap()),
                Output::Apply { ops, .. } => self.applied.extend(ops.iter().map(|op| op.store_seq)),
                Output::Replace { seq, leaves, .. } => self.replaced.push((seq, leaves.len())),
                Output::Answer { id, result } => self.answers.push((id.0, result)),
                Output::State { state, .. } => self.states.push(state),
                Output::Position { store, seq, .. } => self.positions.push((store.0, seq)),
            }
        }
    }

    fn connect(&mut self) {
        self.session.connected(self.now);
        self.drain();
    }

    fn raw(&mut self, frame: Value) {
        self.session.frame(self.now, &frame.to_string());
        self.drain();
    }

    /// The server answers a heartbeat.
    fn is_alive(&mut self) {
        self.raw(json!([null, "9", "phoenix", "phx_reply", {"status": "ok", "response": {}}]));
    }

    fn says(&mut self, join_ref: &str, event: &str, payload: Value) {
        self.raw(json!([join_ref, null, TOPIC, event, payload]));
    }

    fn replies(&mut self, reference: &Value, status: &str, response: Value) {
        self.raw(json!([null, reference, TOPIC, "phx_reply", {"status": status, "response": response}]));
    }

    fn joined(&mut self, reference: &str, seq: u64) {
        let response = json!({"store_seq": seq, "permissions": {"read": true, "write": true}, "scopes": []});
        self.replies(&json!(reference), "ok", response);
    }

    fn event(&mut self, join_ref: Option<&str>, seq: u64, id: &str) {
        let payload =
            json!({"store_seq": seq, "op": "set", "path": "p", "value": seq, "device_id": "d", "client_op_id": id});
        self.raw(json!([join_ref, null, TOPIC, "event", payload]));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.session.next_wake().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.session.wake(self.now);
            self.drain();
        }
        self.now = end;
        self.session.wake(end);
        self.drain();
    }

    fn lose(&mut self) {
        self.session.lost(self.now, "cut");
        self.drain();
    }

    fn ask(&mut self, kind: CommandKind, wait: bool) -> u64 {
        self.ask_within(kind, if wait { Duration::MAX } else { Duration::ZERO })
    }

    fn ask_within(&mut self, kind: CommandKind, wait: Duration) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.session.command(self.now, CommandId(id), Command { store: StoreId(0), kind, wait });
        self.drain();
        id
    }

    fn write(&mut self) -> u64 {
        self.ask(CommandKind::Write { op: Op::set(path("p"), RawJson::null()), fence: None }, false)
    }

    /// The last frame that was sent; its event has to be `event`.
    fn last_sent(&self, event: &str) -> &Value {
        let frame = self.sent.last().unwrap_or_else(|| panic!("nothing was sent, not {event}"));
        assert_eq!(frame[3], event, "{frame}");
        frame
    }

    fn op_id(&self) -> String {
        self.last_sent("write")[4]["client_op_id"].as_str().unwrap().to_owned()
    }

    fn sent_events(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|frame| frame[3].as_str().unwrap().to_owned()).collect()
    }

    fn answer(&self, id: u64) -> Option<&Result<Written, DustErr>> {
        let mut answers = self.answers.iter().filter(|(answered, _)| *answered == id);
        let answer = answers.next().map(|(_, answer)| answer);
        assert!(answers.next().is_none(), "answered twice");
        answer
    }

    fn error(&self, id: u64) -> ErrKind {
        self.answer(id).expect("it is answered").as_ref().unwrap_err().kind()
    }
}
