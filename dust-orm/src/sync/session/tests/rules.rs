//! The rules one by one: what is sent when, and what is answered to what.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Command, CommandId, Output, Session, StoreId, StoreState, Timing, Work};
use crate::error::{DustErr, ErrKind};
use crate::protocol::channel::{FileUpload, Frames, Written};
use crate::protocol::{CommittedOp, Op, OpKind, Path, Precondition, RawJson, Write};

const TOPIC: &str = "store:acme/main";

struct Client {
    session: Session,
    now: Duration,
    sent: Vec<Value>,
    applied: Vec<u64>,
    replaced: Vec<(u64, usize)>,
    answers: Vec<(u64, Result<Written, DustErr>)>,
    states: Vec<StoreState>,
    dials: usize,
    hang_ups: usize,
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
        let mut client = Client {
            session: Session::new(Timing::default(), stores, 7),
            now: Duration::ZERO,
            sent: vec![],
            applied: vec![],
            replaced: vec![],
            answers: vec![],
            states: vec![],
            dials: 0,
            hang_ups: 0,
            next_id: 0,
        };
        client.session.start();
        client.drain();
        client
    }

    /// Connected and caught up with a store that has `seq` ops.
    fn live(seq: u64) -> Client {
        let mut client = Client::new(seq);
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
                Output::Dial => self.dials += 1,
                Output::HangUp => self.hang_ups += 1,
                Output::Send(text) => self.sent.push(serde_json::from_str(&text).unwrap()),
                Output::Apply { ops, .. } => self.applied.extend(ops.iter().map(|op| op.store_seq)),
                Output::Replace { seq, leaves, .. } => self.replaced.push((seq, leaves.len())),
                Output::Answer { id, result } => self.answers.push((id.0, result)),
                Output::State { state, .. } => self.states.push(state),
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

    fn ask(&mut self, work: Work, wait: bool) -> u64 {
        self.ask_within(work, if wait { Duration::MAX } else { Duration::ZERO })
    }

    fn ask_within(&mut self, work: Work, wait: Duration) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.session.command(self.now, CommandId(id), Command { store: StoreId(0), work, wait });
        self.drain();
        id
    }

    fn write(&mut self) -> u64 {
        self.ask(Work::Write(Write::new(path("p"), Op::Set(RawJson::null()))), false)
    }

    /// The last frame that was sent, which has to be of this event.
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

#[test]
fn a_session_joins_every_store_from_where_its_mirror_is() {
    let mut client = Client::over([("acme/main".to_owned(), 5), ("acme/other".to_owned(), 0)]);
    assert_eq!((client.dials, client.sent.len()), (1, 0));
    client.connect();
    assert_eq!(client.sent[0], json!(["1", "1", "store:acme/main", "phx_join", {"last_store_seq": 5}]));
    assert_eq!(client.sent[1], json!(["2", "2", "store:acme/other", "phx_join", {"last_store_seq": 0}]));
}

#[test]
fn ops_are_handed_on_in_order_and_once() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 3);
    client.event(None, 4, "live");
    client.event(Some("1"), 1, "a");
    client.event(Some("1"), 1, "a");
    client.event(Some("1"), 2, "b");
    assert_eq!(client.applied, [1, 2]);
    client.event(Some("1"), 3, "c");
    client.event(Some("1"), 4, "live");
    assert_eq!(client.applied, [1, 2, 3, 4]);
    assert!(!client.states.last().unwrap().is_live());
    client.says("1", "catch_up_complete", json!({"through_seq": 4}));
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn a_hole_in_what_is_pushed_is_filled_by_joining_again() {
    let mut client = Client::live(3);
    client.event(None, 8, "after http");
    assert_eq!(*client.last_sent("phx_join"), json!(["2", "2", TOPIC, "phx_join", {"last_store_seq": 3}]));
    client.joined("2", 8);
    client.says("1", "phx_close", json!({}));
    // What the old join still sends is not looked at.
    client.event(Some("1"), 4, "x");
    assert!(client.applied.is_empty());
    for seq in 4..=8 {
        client.event(Some("2"), seq, "x");
    }
    client.says("2", "catch_up_complete", json!({"through_seq": 8}));
    assert_eq!(client.applied, [4, 5, 6, 7, 8]);
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn where_nothing_is_pushed_status_finds_what_was_missed() {
    let mut client = Client::live(3);
    client.pass(ms(5_000));
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 5, "entry_count": 1}));
    client.sent.clear();
    client.pass(ms(249));
    assert!(client.sent.is_empty(), "its push may be on its way");
    client.pass(ms(1));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 3);
}

#[test]
fn a_status_that_an_event_overtakes_is_no_drift() {
    let mut client = Client::live(3);
    client.pass(ms(5_000));
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 4, "entry_count": 1}));
    client.event(None, 4, "x");
    client.sent.clear();
    client.pass(ms(4_000));
    assert!(client.sent.is_empty());
}

#[test]
fn joins_that_bring_nothing_become_rare_and_end() {
    let mut client = Client::live(3);
    let asked = client.ask(Work::CatchUp(9), false);
    let mut joins = vec![];
    for _ in 0..35 {
        if client.sent.last().is_some_and(|frame| frame[3] == "phx_join") {
            let reference = client.sent.pop().unwrap()[1].as_str().unwrap().to_owned();
            joins.push(client.now);
            client.joined(&reference, 3);
            client.says(&reference, "catch_up_complete", json!({"through_seq": 3}));
        }
        client.sent.clear();
        client.pass(ms(1_000));
    }
    assert!((2..8).contains(&joins.len()), "{joins:?}");
    assert_eq!(client.error(asked), ErrKind::Timeout);
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn an_op_over_which_each_catch_up_crashes_is_told_of() {
    /// Waits for the next join, and answers it; its reference.
    fn joins(client: &mut Client) -> String {
        let began = client.now;
        loop {
            let join = client.sent.iter().find(|frame| frame[3] == "phx_join");
            if let Some(reference) = join.map(|frame| frame[1].as_str().unwrap().to_owned()) {
                client.sent.clear();
                client.joined(&reference, 9);
                return reference;
            }
            assert!(client.now < began + ms(60_000));
            client.pass(ms(100));
            client.raw(json!([null, "0", "phoenix", "phx_reply", {"status": "ok", "response": {}}]));
        }
    }
    let crash = |client: &mut Client, reference: &str| client.says(reference, "phx_error", json!({}));
    let mut client = Client::new(7);
    client.session = client.session.with_frames(Frames::MessagePack);
    client.connect();
    // By chance, with progress in between.
    for round in 0..5 {
        let reference = joins(&mut client);
        if round == 4 {
            client.event(Some(&reference), 8, "x");
        }
        crash(&mut client, &reference);
    }
    let began = client.now;
    for round in 1..6 {
        assert!(matches!(client.states.last(), Some(StoreState::CatchingUp)), "{round}");
        let reference = joins(&mut client);
        crash(&mut client, &reference);
    }
    assert!(client.now - began < ms(60_000));
    let Some(StoreState::Refused(error)) = client.states.last() else { panic!("{:?}", client.states) };
    assert_eq!(error.kind(), ErrKind::NotSupported);
    let text = error.to_string();
    assert!(text.contains("the op 8 of the store `acme/main`") && text.contains("use JSON frames"), "{text}");
    let asked = client.write();
    assert_eq!(client.error(asked), ErrKind::NotSupported);

    // It is tried again, now and then: a snapshot may stand in the place of the op by then.
    let refused_at = client.now;
    let reference = joins(&mut client);
    assert!(client.now >= refused_at + ms(29_900));
    crash(&mut client, &reference);
    assert!(matches!(client.states.last(), Some(StoreState::Refused(_))));
    let reference = joins(&mut client);
    client.says(&reference, "snapshot", json!({"snapshot_seq": 9, "entries": {}}));
    client.says(&reference, "catch_up_complete", json!({"through_seq": 9}));
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn an_unreadable_frame_is_a_sign_of_life() {
    let mut client = Client::live(3);
    client.pass(ms(35_000));
    client.session.unreadable(client.now, Frames::Json.unpack(&[0x90]).unwrap_err());
    client.pass(ms(9_000));
    assert_eq!(client.hang_ups, 0);
    client.pass(ms(30_000));
    assert_eq!(client.hang_ups, 1);
}

#[test]
fn a_snapshot_replaces_and_what_came_early_follows() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 11);
    client.event(None, 12, "live");
    client.event(None, 9, "covered");
    let entries =
        json!({"a": {"type": "integer", "value": {"_scalar": 1}}, "b": {"type": "null", "value": {"_scalar": null}}});
    client.says("1", "snapshot", json!({"snapshot_seq": 10, "entries": entries}));
    client.event(Some("1"), 11, "x");
    assert_eq!((client.replaced.as_slice(), client.applied.as_slice()), ([(10, 2)].as_slice(), [11, 12].as_slice()));
}

#[test]
fn a_store_with_fewer_ops_is_fetched_again_aside() {
    let mut client = Client::live(50);
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 2);
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 2);
    client.event(Some(&join), 1, "x");
    client.event(Some(&join), 2, "x");
    assert!(client.applied.is_empty() && client.replaced.is_empty(), "the old mirror is still shown");
    client.says(&join, "catch_up_complete", json!({"through_seq": 2}));
    assert_eq!(client.replaced, [(2, 1)]);
    client.event(None, 3, "x");
    assert_eq!(client.applied, [3]);
}

#[test]
fn a_store_that_is_fetched_anew_and_is_too_large_is_refused() {
    let mut client = Client::live(5);
    client.session = std::mem::replace(&mut client.session, Session::new(Timing::default(), [], 0)).with_max_mirror(10);
    client.lose();
    client.pass(ms(10));
    client.connect();
    // The server has fewer ops than the mirror.
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 2);
    for _ in 0..2 {
        assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
        let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
        client.joined(&join, 2);
        let large = json!({"op": "set", "path": "p", "value": "a value that is too large", "device_id": "d"});
        for seq in [1, 2] {
            let mut payload = large.clone();
            payload["store_seq"] = json!(seq);
            payload["client_op_id"] = json!(seq.to_string());
            client.says(&join, "event", payload);
        }
        client.says(&join, "catch_up_complete", json!({"through_seq": 2}));
        let Some(StoreState::Refused(error)) = client.states.last() else { panic!("{:?}", client.states) };
        assert!(error.to_string().contains("max_mirror"), "{error}");
        assert!(client.applied.is_empty() && client.replaced.is_empty(), "the old mirror is still shown");
        client.pass(Timing::default().refused);
    }
}

#[test]
fn ops_that_waited_when_the_connection_broke_are_fetched_again() {
    let mut client = Client::live(5);
    client.event(None, 8, "of a store that was restored before this op");
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 7);
    client.event(Some(&join), 6, "x");
    client.event(Some(&join), 7, "x");
    assert_eq!(client.applied, [6, 7]);
    client.says(&join, "catch_up_complete", json!({"through_seq": 7}));
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn a_batch_is_handed_on_as_a_whole() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 6);
    client.event(Some("1"), 1, "a:0");
    client.event(Some("1"), 2, "a:1");
    assert!(client.applied.is_empty(), "more of it may come");
    client.event(Some("1"), 3, "b:0");
    assert_eq!(client.applied, [1, 2]);
    client.event(Some("1"), 4, "c");
    assert_eq!(client.applied, [1, 2, 3, 4]);
    client.event(None, 7, "pushed");
    client.event(Some("1"), 5, "d:0");
    assert_eq!(client.applied, [1, 2, 3, 4]);
    client.event(Some("1"), 6, "d:1");
    assert_eq!(client.applied, [1, 2, 3, 4, 5, 6, 7], "a catch-up does not end in a batch");
}

#[test]
fn half_a_batch_is_fetched_again_or_handed_on_when_no_more_comes() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 3);
    client.event(Some("1"), 1, "a:0");
    client.lose();
    client.pass(ms(10));
    client.connect();
    for end in ["phx_error", "catch_up_complete"] {
        let join = client.last_sent("phx_join").clone();
        assert_eq!(join[4]["last_store_seq"], 0);
        let join = join[1].as_str().unwrap().to_owned();
        client.joined(&join, 3);
        client.event(Some(&join), 1, "a:0");
        client.event(Some(&join), 2, "a:1");
        assert!(client.applied.is_empty());
        client.says(&join, end, json!({"through_seq": 3}));
        assert_eq!(client.applied.as_slice(), if end == "phx_error" { &[][..] } else { &[1, 2] });
        client.pass(ms(100));
    }
}

#[test]
fn ids_that_count_on_and_on_hold_nothing_up_for_long() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 5_000);
    for seq in 1..=2_500 {
        client.event(Some("1"), seq, &format!("laptop:{seq}"));
    }
    assert_eq!(client.applied.len(), 2_000, "no batch has more than 1000 ops");
}

#[test]
fn an_op_that_overtakes_the_answer_to_a_join_is_no_restore() {
    let mut client = Client::live(3);
    client.event(None, 5, "after http");
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.event(None, 4, "late");
    assert_eq!(client.applied, [4, 5]);
    client.joined(&join, 4);
    assert_eq!(client.last_sent("phx_join")[1], join, "no other join");
}

#[test]
fn a_status_that_went_back_is_a_restore() {
    let mut client = Client::live(30);
    client.pass(ms(5_000));
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 29, "entry_count": 1}));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
}

/// Loses the connection and opens another; the reference of the join, and the op it begins after.
fn again(client: &mut Client) -> (String, u64) {
    client.lose();
    client.pass(ms(6_000));
    client.connect();
    let join = client.last_sent("phx_join").clone();
    (join[1].as_str().unwrap().to_owned(), join[4]["last_store_seq"].as_u64().unwrap())
}

#[test]
fn a_store_that_was_restored_and_has_grown_is_noticed_by_its_last_op() {
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    client.event(None, 2, "a-2");
    // The same store: its last op comes once more, and is not handed on again.
    let (join, from) = again(&mut client);
    assert_eq!(from, 1);
    client.joined(&join, 4);
    client.event(None, 4, "live");
    client.event(Some(&join), 2, "a-2");
    client.event(Some(&join), 3, "a-3");
    client.event(Some(&join), 4, "live");
    client.says(&join, "catch_up_complete", json!({"through_seq": 4}));
    assert_eq!((client.applied.as_slice(), client.replaced.len()), (&[1, 2, 3, 4][..], 0));
    assert!(client.states.last().unwrap().is_live());
    // On the same connection there is no doubt.
    client.event(None, 6, "hole");
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 4);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 6);
    client.event(Some(&join), 5, "a-5");
    client.event(Some(&join), 6, "hole");
    client.says(&join, "catch_up_complete", json!({"through_seq": 6}));

    // Another store: restored to op 3, and grown to 8 since. Nothing of it is shown as if it followed what was there.
    let (join, from) = again(&mut client);
    assert_eq!(from, 5);
    client.joined(&join, 8);
    client.event(None, 9, "b-9");
    client.event(None, 7, "b-7");
    client.event(Some(&join), 6, "b-6");
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 0);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 9);
    for seq in 1..=9 {
        client.event(Some(&join), seq, &format!("b-{seq}"));
    }
    client.says(&join, "catch_up_complete", json!({"through_seq": 9}));
    assert_eq!(client.applied, [1, 2, 3, 4, 5, 6]);
    assert_eq!(client.replaced, [(9, 1)]);
}

#[test]
fn where_the_last_op_is_in_no_log_any_more_the_mirror_stays() {
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    let (join, from) = again(&mut client);
    assert_eq!(from, 0);
    client.joined(&join, 1);
    client.says(&join, "snapshot", json!({"snapshot_seq": 1, "entries": {}}));
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    assert!(client.replaced.is_empty() && client.states.last().unwrap().is_live());
    // From then on there is nothing to compare with, until an op comes.
    assert_eq!(again(&mut client).1, 1);

    // A server that sends neither is believed, and holds nothing up.
    let mut client = Client::live(0);
    client.event(None, 1, "a-1");
    let (join, _) = again(&mut client);
    client.joined(&join, 2);
    client.event(Some(&join), 2, "a-2");
    assert_eq!(client.applied, [1]);
    client.says(&join, "catch_up_complete", json!({"through_seq": 2}));
    assert_eq!(client.applied, [1, 2]);
    // A break in between leaves the question open.
    let (join, _) = again(&mut client);
    client.joined(&join, 2);
    assert_eq!(again(&mut client).1, 1);
}

#[test]
fn a_token_that_is_revoked_is_told_of_and_tried_again_seldom() {
    let mut client = Client::live(0);
    let patient = {
        client.lose();
        client.ask(Work::Write(Write::new(path("p"), Op::Delete)), true)
    };
    let revoked = DustErr::Unauthorized { scope: None, message: "revoked".to_owned() };
    client.session.refused(client.now, &revoked);
    client.drain();
    assert!(matches!(client.states.last(), Some(StoreState::Refused(error)) if error.kind() == ErrKind::Unauthorized));
    assert_eq!(client.error(patient), ErrKind::Unauthorized);
    let late = client.write();
    assert_eq!(client.error(late), ErrKind::Unauthorized);
    let (states, dials) = (client.states.len(), client.dials);
    client.pass(ms(29_999));
    assert_eq!(client.dials, dials);
    client.pass(ms(1));
    assert_eq!(client.dials, dials + 1);
    client.session.refused(client.now, &revoked);
    client.drain();
    assert_eq!(client.states.len(), states, "it is refused all the while");
    client.pass(ms(30_000));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    assert!(client.states.last().unwrap().is_live());
}

#[test]
fn a_write_is_answered_by_its_event_or_by_its_reply_when_the_mirror_has_it() {
    let mut client = Client::live(0);
    let first = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.event(None, 1, &op_id);
    assert_eq!(client.answer(first).unwrap().as_ref().unwrap().store_seq, Some(1));
    client.replies(&reference, "ok", json!({"store_seq": 1}));

    let second = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.replies(&reference, "ok", json!({"store_seq": 2}));
    assert!(client.answer(second).is_none(), "not readable yet");
    client.event(None, 2, &op_id);
    assert_eq!(client.answer(second).unwrap().as_ref().unwrap().store_seq, Some(2));
    assert!(client.session.is_quiet());
}

#[test]
fn a_write_behind_a_hole_waits_for_it() {
    let mut client = Client::live(0);
    let id = client.write();
    let (reference, op_id) = (client.last_sent("write")[1].clone(), client.op_id());
    client.event(None, 3, &op_id);
    client.replies(&reference, "ok", json!({"store_seq": 3}));
    assert!(client.answer(id).is_none());
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 3);
    client.event(Some(&join), 1, "http");
    client.event(Some(&join), 2, "http");
    assert!(client.answer(id).unwrap().is_ok());
}

#[test]
fn a_refused_write_says_why_and_a_release_of_nothing_is_fine() {
    let mut client = Client::live(0);
    let write =
        Write { precondition: Some(Precondition::IfMatch(3)), ..Write::new(path("p"), Op::Set(RawJson::null())) };
    let id = client.ask(Work::Write(write), false);
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!({"reason": "conflict"}));
    assert_eq!(client.error(id), ErrKind::Conflict);

    let id = client.ask(Work::Write(Write::new(path("lock"), Op::Release { token: 4 })), false);
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "ok", json!({"released": false}));
    assert_eq!(client.answer(id).unwrap().as_ref().unwrap().store_seq, None);

    let vacant =
        Write { precondition: Some(Precondition::IfVacant), ..Write::new(path("p"), Op::Set(RawJson::null())) };
    let id = client.ask(Work::Write(vacant), false);
    assert_eq!(client.error(id), ErrKind::NotSupported);
}

#[test]
fn leases_and_files_tell_more_than_a_number() {
    let mut client = Client::live(0);
    let lease = Op::Lease { holder: Some("me".into()), ttl_ms: 1_000 };
    let id = client.ask(Work::Write(Write::new(path("lock"), lease)), false);
    let op_id = client.op_id();
    let value = json!({"_type": "lease", "expires_at": 5, "holder": "me", "token": 1});
    let payload = json!({"store_seq": 1, "op": "lease", "path": "lock", "value": value, "client_op_id": op_id});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    let written = client.answer(id).unwrap().as_ref().unwrap();
    assert_eq!(written.value.as_ref().unwrap().to::<Value>().unwrap(), value);

    let file = FileUpload { path: path("f"), content: b"hello".to_vec(), filename: None, content_type: None };
    let id = client.ask(Work::PutFile(file), false);
    let sent = client.last_sent("put_file").clone();
    let value = json!({"_type": "file", "hash": "sha256:x"});
    let payload =
        json!({"store_seq": 2, "op": "put_file", "path": "f", "value": value, "client_op_id": sent[4]["client_op_id"]});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    let written = client.answer(id).unwrap().as_ref().unwrap();
    assert_eq!(written.store_seq, Some(2));
    assert_eq!(written.value.as_ref().unwrap().to::<Value>().unwrap(), value);
}

#[test]
fn without_a_connection_a_write_fails_at_once_or_waits_if_it_is_told_to() {
    let mut client = Client::live(0);
    client.lose();
    let impatient = client.write();
    assert_eq!(client.error(impatient), ErrKind::Network);
    let patient = client.ask(Work::Write(Write::new(path("p"), Op::Delete)), true);
    client.sent.clear();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    let op_id = client.op_id();
    let payload = json!({"store_seq": 1, "op": "delete", "path": "p", "value": null, "client_op_id": op_id});
    client.raw(json!([null, null, TOPIC, "event", payload]));
    assert!(client.answer(patient).unwrap().is_ok());

    client.lose();
    let patient = client.ask(Work::Write(Write::new(path("p"), Op::Delete)), true);
    client.pass(ms(30_000));
    assert_eq!(client.error(patient), ErrKind::Network, "it was never sent");

    let mut client = Client::live(0);
    client.lose();
    let patient = client.ask_within(Work::Write(Write::new(path("p"), Op::Delete)), ms(500));
    client.pass(ms(499));
    assert!(client.answer(patient).is_none());
    client.pass(ms(1));
    assert_eq!(client.error(patient), ErrKind::Network, "it waits no longer than it may");
}

#[test]
fn an_op_that_is_known_by_another_way_is_fetched_at_once() {
    let mut client = Client::live(0);
    client.sent.clear();
    client.session.know(client.now, StoreId(0), 1);
    client.session.know(client.now, StoreId(7), 1);
    client.drain();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, "other");
    assert_eq!(client.applied, [1]);
}

#[test]
fn a_lost_reply_is_found_in_the_catch_up() {
    let mut client = Client::live(0);
    let (found, missing) = (client.write(), client.write());
    let op_id = client.sent[0][4]["client_op_id"].as_str().unwrap().to_owned();
    client.lose();
    assert!(client.answer(found).is_none() && client.answer(missing).is_none());
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, &op_id);
    assert!(client.answer(found).unwrap().is_ok());
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    assert!(client.answer(missing).is_none(), "the server may be about to do it");
    assert!(!client.sent.iter().skip(2).any(|frame| frame[3] == "write"), "nothing is sent twice");
    client.pass(ms(2_000));
    assert_eq!(client.error(missing), ErrKind::Timeout);
}

#[test]
fn a_snapshot_hides_what_became_of_a_write() {
    let mut client = Client::live(0);
    let id = client.write();
    client.lose();
    client.pass(ms(10));
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    client.says(&join, "snapshot", json!({"snapshot_seq": 5, "entries": {}}));
    client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
    assert_eq!(client.error(id), ErrKind::Timeout);
}

#[test]
fn a_crashed_channel_is_joined_again_and_its_writes_are_looked_for() {
    let mut client = Client::live(0);
    let id = client.write();
    let op_id = client.op_id();
    client.says("1", "phx_error", json!({}));
    client.pass(ms(100));
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 1);
    client.event(Some(&join), 1, &op_id);
    assert!(client.answer(id).unwrap().is_ok());
    // That of a join that is over means nothing.
    client.says(&join, "catch_up_complete", json!({"through_seq": 1}));
    client.sent.clear();
    client.says("1", "phx_error", json!({}));
    client.pass(ms(1_000));
    assert!(client.sent.is_empty() && client.states.last().unwrap().is_live());
}

#[test]
fn a_channel_that_was_not_open_took_no_write() {
    let mut client = Client::live(0);
    let id = client.write();
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!({"reason": "unmatched topic"}));
    assert_eq!(client.error(id), ErrKind::Network);
    client.pass(ms(100));
    client.last_sent("phx_join");
}

#[test]
fn a_refused_store_fails_writes_and_is_tried_again_later() {
    let mut client = Client::new(0);
    client.connect();
    client.replies(&json!("1"), "error", json!({"reason": "missing_scope", "scope": "entries:read", "message": "no"}));
    assert!(matches!(client.states.last(), Some(StoreState::Refused(error)) if error.kind() == ErrKind::Unauthorized));
    let id = client.write();
    assert_eq!(client.error(id), ErrKind::Unauthorized);
    client.sent.clear();
    client.pass(ms(29_000));
    assert!(client.sent.is_empty());
    client.pass(ms(1_000));
    assert!(client.sent_events().contains(&"phx_join".to_owned()));
}

#[test]
fn a_join_that_fails_or_is_not_answered_is_repeated_more_and_more_slowly() {
    let mut client = Client::new(0);
    client.connect();
    let mut gaps = vec![];
    for _ in 0..8 {
        let join = client.last_sent("phx_join")[1].clone();
        let before = client.now;
        client.replies(&join, "error", json!({"reason": "join crashed"}));
        client.sent.clear();
        while client.sent.is_empty() {
            client.pass(ms(10));
        }
        gaps.push(client.now - before);
    }
    assert!(gaps[0] <= ms(110) && gaps[7] >= ms(5_000) && gaps[7] <= ms(10_010), "{gaps:?}");
    client.sent.clear();
    client.pass(ms(20_010));
    assert!(client.sent_events().contains(&"phx_join".to_owned()), "after ten seconds without an answer");
}

#[test]
fn a_silent_socket_is_dead() {
    let mut client = Client::live(0);
    client.pass(ms(30_000));
    assert!(client.sent_events().contains(&"heartbeat".to_owned()));
    client.pass(ms(9_000));
    client.raw(json!([null, "9", "phoenix", "phx_reply", {"status": "ok", "response": {}}]));
    client.pass(ms(29_000));
    assert_eq!((client.hang_ups, client.dials), (0, 1));
    client.pass(ms(5_000));
    assert_eq!((client.hang_ups, client.dials), (1, 2));
    assert!(client.states.iter().any(|state| matches!(state, StoreState::Offline)));
}

#[test]
fn reconnections_slow_down_until_one_is_of_use() {
    let mut client = Client::live(0);
    let mut pauses = vec![];
    for _ in 0..14 {
        client.lose();
        let (before, dials) = (client.now, client.dials);
        while client.dials == dials {
            client.pass(ms(1));
        }
        pauses.push(client.now - before);
    }
    assert!(pauses[0] <= ms(11) && pauses[0] >= ms(5), "{pauses:?}");
    assert!(pauses[13] >= ms(2_500) && pauses[13] <= ms(5_001), "{pauses:?}");
    client.connect();
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    client.pass(ms(1_000));
    client.lose();
    let (before, dials) = (client.now, client.dials);
    client.pass(ms(11));
    assert_eq!(client.dials, dials + 1, "{before:?}");
}

#[test]
fn a_server_that_lets_in_and_breaks_off_each_time_is_not_hammered() {
    let mut client = Client::new(0);
    let mut dials = 0;
    while client.now < ms(60_000) {
        if client.dials > dials {
            dials = client.dials;
            client.connect();
            let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
            client.joined(&join, 0);
            client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
            client.lose();
        }
        client.pass(ms(5));
    }
    assert!(dials < 40, "{dials} in a minute");
}

#[test]
fn a_channel_that_crashes_each_time_it_is_up_to_date_is_not_hammered() {
    let mut client = Client::live(0);
    let mut joins = 0;
    client.says("1", "phx_error", json!({}));
    while client.now < ms(60_000) {
        if client.sent.last().is_some_and(|frame| frame[3] == "phx_join") {
            joins += 1;
            let join = client.sent.pop().unwrap()[1].as_str().unwrap().to_owned();
            client.joined(&join, 0);
            client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
            client.says(&join, "phx_error", json!({}));
        }
        client.sent.clear();
        client.pass(ms(5));
    }
    assert!(joins < 25, "{joins} in a minute");
    // One that lasted is forgiven.
    while client.sent.last().is_none_or(|frame| frame[3] != "phx_join") {
        client.pass(ms(5));
    }
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 0);
    client.says(&join, "catch_up_complete", json!({"through_seq": 0}));
    client.pass(ms(1_000));
    client.sent.clear();
    client.says(&join, "phx_error", json!({}));
    client.pass(ms(100));
    client.last_sent("phx_join");
}

#[test]
fn a_server_that_sends_what_is_no_frame_is_given_up_for_a_while() {
    let mut client = Client::live(0);
    for _ in 0..999 {
        client.session.frame(client.now, "garbage");
    }
    client.drain();
    assert_eq!(client.hang_ups, 0);
    client.session.frame(client.now, r#"[1,2,"store:acme/main","event",{"store_seq":18446744073709551615}]"#);
    client.drain();
    assert_eq!((client.hang_ups, client.dials), (1, 1));
    assert!(matches!(client.states.last(), Some(StoreState::Offline)));
    client.pass(ms(10));
    assert_eq!(client.dials, 2);
    // Each connection has as many.
    client.connect();
    client.session.frame(client.now, "garbage");
    client.drain();
    assert_eq!(client.hang_ups, 1);
}

#[test]
fn numbers_that_no_store_reaches_are_not_believed() {
    let mut client = Client::live(3);
    for seq in [u64::MAX, u64::MAX - 1, 1 << 63] {
        client.event(None, seq, "x");
        client.event(Some("1"), seq, "x");
        client.says("1", "snapshot", json!({"snapshot_seq": seq, "entries": {}}));
    }
    assert!(client.applied.is_empty() && client.replaced.is_empty());
    client.event(None, 4, "x");
    assert_eq!(client.applied, [4]);
    client.says("1", "snapshot", json!({"snapshot_seq": i64::MAX, "entries": {}}));
    client.event(None, 5, "x");
    client.pass(ms(10_000));
}

#[test]
fn what_waits_for_earlier_ops_takes_limited_memory() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 100);
    let value = RawJson::parse(&format!("\"{}\"", "x".repeat(4 << 20))).unwrap();
    let receive = |client: &mut Client, seq: u64, id: String| {
        let (value, device_id) = (value.clone(), "d".into());
        let op =
            CommittedOp { store_seq: seq, op: OpKind::Set, path: path("p"), value, device_id, client_op_id: id.into() };
        client.session.receive(0, client.now, op);
        client.drain();
        client.session.early_bytes()
    };
    // 15 of them fit, but not 16, with what they have beside their values.
    for seq in 2..=40 {
        assert!(receive(&mut client, seq, "x".into()) <= 64 << 20);
    }
    client.event(Some("1"), 1, "x");
    assert_eq!(client.applied.last(), Some(&16));
    // A batch that does not fit is seen in parts, and nothing of it is lost.
    for seq in 17..=60 {
        assert!(receive(&mut client, seq, format!("batch:{}", seq - 17)) <= 64 << 20);
    }
    client.event(Some("1"), 61, "x");
    assert_eq!(client.applied, (1..=61).collect::<Vec<_>>());
}

#[test]
fn what_a_server_says_is_shown_short_and_without_the_token() {
    let mut client = Client::new(0);
    client.session.keep_secret(crate::config::Token::new("dust_tok_secret"));
    client.connect();
    let message = format!("{}dust_tok_secret\n{}", "no ".repeat(62), "no ".repeat(1_000_000));
    let reason = json!({"reason": "missing_scope", "scope": "dust_tok_secret", "message": message});
    client.replies(&json!("1"), "error", reason);
    let Some(StoreState::Refused(error)) = client.states.last() else { panic!("it is refused") };
    let text = format!("{error} {error:?}");
    assert!(text.len() < 1_500 && !text.contains("dust_tok") && text.contains("[token]"), "{text}");

    let mut client = Client::live(0);
    client.session.keep_secret(crate::config::Token::new("dust_tok_secret"));
    let id = client.write();
    let reference = client.last_sent("write")[1].clone();
    client.replies(&reference, "error", json!("the token dust_tok_secret has no access"));
    let text = format!("{:?}", client.answer(id).unwrap());
    assert!(text.contains("[token]") && !text.contains("dust_tok"), "{text}");
}

#[test]
fn every_command_has_a_deadline() {
    let mut client = Client::live(0);
    let (write, catch_up) = (client.write(), client.ask(Work::CatchUp(1), false));
    client.pass(ms(29_999));
    assert!(client.answers.is_empty());
    client.pass(ms(1));
    assert_eq!((client.error(write), client.error(catch_up)), (ErrKind::Timeout, ErrKind::Timeout));
    let caught_up = client.ask(Work::CatchUp(0), false);
    assert!(client.answer(caught_up).unwrap().is_ok());
}

#[test]
fn what_was_written_over_http_is_fetched_at_once() {
    let mut client = Client::live(4);
    let id = client.ask(Work::CatchUp(6), false);
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 6);
    client.event(Some(&join), 5, "http");
    assert!(client.answer(id).is_none());
    client.event(Some(&join), 6, "http");
    assert!(client.answer(id).unwrap().is_ok());
}

#[test]
fn a_refresh_asks_how_far_the_store_is_and_gets_there() {
    let mut client = Client::live(4);
    let up_to_date = client.ask(Work::Refresh, false);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 4, "entry_count": 1}));
    assert_eq!(client.answer(up_to_date).unwrap().as_ref().unwrap().store_seq, Some(4));

    let behind = client.ask(Work::Refresh, false);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 5, "entry_count": 1}));
    assert!(client.answer(behind).is_none());
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    client.event(Some(&join), 5, "http");
    assert!(client.answer(behind).unwrap().is_ok());

    let cut_off = client.ask(Work::Refresh, false);
    client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
    client.says(&join, "phx_error", json!({}));
    client.pass(ms(100));
    let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.joined(&join, 5);
    let status = client.last_sent("status")[1].clone();
    client.replies(&status, "ok", json!({"current_seq": 5, "entry_count": 1}));
    assert!(client.answer(cut_off).unwrap().is_ok(), "it is asked again");

    let lost = client.ask(Work::Refresh, false);
    client.lose();
    client.pass(ms(30_000));
    assert_eq!(client.error(lost), ErrKind::Timeout);
}

#[test]
fn stopping_answers_everything_and_closes_the_socket() {
    let mut client = Client::live(0);
    let sent = client.write();
    client.session.stop();
    client.drain();
    assert_eq!((client.error(sent), client.hang_ups), (ErrKind::Timeout, 1));
    assert!(client.session.is_quiet() && client.session.next_wake().is_none());
    let late = client.write();
    assert_eq!(client.error(late), ErrKind::Network);
    client.connect();
    assert_eq!(client.hang_ups, 2, "a socket that opens late is closed");
    client.session.start();
    client.drain();
    assert_eq!(client.dials, 2);
}

#[test]
fn too_many_early_ops_are_dropped_and_fetched() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 20_000);
    for seq in 2..=10_100 {
        client.event(None, seq, "x");
    }
    client.event(Some("1"), 1, "x");
    assert_eq!(client.applied.last(), Some(&10_000));
    client.sent.clear();
    client.says("1", "catch_up_complete", json!({"through_seq": 20_000}));
    client.pass(ms(200));
    assert_eq!(client.last_sent("phx_join")[4]["last_store_seq"], 10_000);
}

#[test]
fn frames_of_nobody_are_ignored() {
    let mut client = Client::live(0);
    client.session.frame(client.now, "not json");
    client.raw(json!(["1", null, "store:acme/else", "event", {"store_seq": 1, "op": "set", "path": "p", "value": 1}]));
    client.raw(json!([null, "77", TOPIC, "phx_reply", {"status": "ok", "response": {"store_seq": 9}}]));
    client.raw(json!(["1", null, TOPIC, "presence_state", {}]));
    assert!(client.sent.is_empty() && client.applied.is_empty());
    client.session.command(
        client.now,
        CommandId(9),
        Command { store: StoreId(3), work: Work::CatchUp(0), wait: Duration::ZERO },
    );
    client.drain();
    assert_eq!(client.error(9), ErrKind::NotFound);
}

/// The sessions of two processes never give the same id to an op.
#[test]
fn op_ids_differ_between_sessions() {
    let id = |seed| {
        let mut session = Session::new(Timing::default(), [("acme/main".to_owned(), 0)], seed);
        session.start();
        session.connected(Duration::ZERO);
        session.frame(
            Duration::ZERO,
            r#"["1","1","store:acme/main","phx_reply",{"status":"ok","response":{"store_seq":0}}]"#,
        );
        let work = Work::Write(Write::new(path("p"), Op::Delete));
        session.command(Duration::ZERO, CommandId(1), Command { store: StoreId(0), work, wait: Duration::ZERO });
        let sent: Vec<String> = std::iter::from_fn(|| session.next_output())
            .filter_map(|output| if let Output::Send(frame) = output { Some(frame) } else { None })
            .collect();
        sent.last().unwrap().clone()
    };
    assert_eq!(id(1), id(1));
    assert_ne!(id(1), id(2));
}
