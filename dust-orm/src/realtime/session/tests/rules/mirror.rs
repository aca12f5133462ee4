//! Ops, batches and snapshots that the mirror receives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn session_joins_every_store_from_the_op_of_its_mirror() {
    let mut client = Client::over([("acme/main".to_owned(), 5), ("acme/other".to_owned(), 0)]);
    assert_eq!((client.connects, client.sent.len()), (1, 0));
    client.connect();
    assert_eq!(client.sent[0], json!(["1", "1", "store:acme/main", "phx_join", {"last_store_seq": 5}]));
    assert_eq!(client.sent[1], json!(["2", "2", "store:acme/other", "phx_join", {"last_store_seq": 0}]));
}

#[test]
fn ops_are_delivered_in_order_and_once() {
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
fn hole_in_pushed_ops_is_filled_by_another_join() {
    let mut client = Client::live(3);
    client.event(None, 8, "after http");
    assert_eq!(*client.last_sent("phx_join"), json!(["2", "2", TOPIC, "phx_join", {"last_store_seq": 3}]));
    client.joined("2", 8);
    client.says("1", "phx_close", json!({}));
    // Frames of the old join are ignored.
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
fn status_finds_missed_ops_where_nothing_is_pushed() {
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
fn status_overtaken_by_an_event_causes_no_join() {
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
fn joins_without_ops_back_off() {
    let mut client = Client::unasking(3);
    let asked = client.ask(CommandKind::CatchUp(9), false);
    let mut joins = vec![];
    for _ in 0..35 {
        if client.sent.last().is_some_and(|frame| frame[3] == "phx_join") {
            let reference = client.sent.pop().unwrap()[1].as_str().unwrap().to_owned();
            joins.push(client.now);
            // It says that it has them, and does not send them.
            client.joined(&reference, 9);
            client.says(&reference, "catch_up_complete", json!({"through_seq": 3}));
        }
        client.sent.clear();
        client.pass(ms(1_000));
    }
    assert!((4..12).contains(&joins.len()), "{joins:?}");
    assert_eq!(client.error(asked), ErrKind::Timeout);
    assert!(!client.states.last().unwrap().is_live());
}

#[test]
fn op_that_the_store_lacks_is_fetched_once() {
    let mut client = Client::unasking(3);
    let asked = client.ask(CommandKind::CatchUp(9), false);
    let reference = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
    client.sent.clear();
    client.joined(&reference, 3);
    client.says(&reference, "catch_up_complete", json!({"through_seq": 3}));
    client.pass(ms(29_999));
    assert_eq!((client.sent_events(), client.positions.last()), (vec![], Some(&(0, 3))));
    assert!(client.states.last().unwrap().is_live());
    client.pass(ms(1));
    assert_eq!(client.error(asked), ErrKind::Timeout);
}

#[test]
fn op_at_which_each_catch_up_crashes_refuses_the_store() {
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
    assert!(text.contains("the ops after 8 of the store `acme/main`") && text.contains("the server's log"), "{text}");
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
fn ops_of_a_snapshot_are_not_fetched_again() {
    let mut client = Client::live(5);
    client.session.advance_known_seq(client.now, StoreId(0), 7);
    client.drain();
    let join = client.last_sent("phx_join")[0].as_str().unwrap().to_owned();
    client.joined(&join, 7);
    client.says(&join, "snapshot", json!({"snapshot_seq": 9, "entries": {}}));
    client.says(&join, "catch_up_complete", json!({"through_seq": 9}));
    assert!(client.states.last().unwrap().is_live());
    assert!(client.session.next_wake().is_some_and(|next| next > client.now), "nothing is due");
}

#[test]
fn snapshot_replaces_the_mirror_and_early_ops_follow() {
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
fn copy_that_is_too_large_refuses_its_store() {
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
fn mirror_that_is_too_large_warns_once_and_is_retried_with_back_off() {
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let mut client = Client::live(5);
        let refuse = |client: &mut Client| {
            let error = DustErr::TooLarge { what: "the mirror of the store `acme/main`".to_owned() };
            client.session.refuse(client.now, StoreId(0), 5, error);
            client.drain();
            client.sent.clear();
            let before = client.now;
            while client.sent.is_empty() {
                client.pass(ms(1_000));
                client.is_alive();
                client.sent.retain(|frame| frame[3] == "phx_join");
            }
            (client.now - before).as_secs()
        };
        client.pass(ms(1_000));
        assert_eq!((0..6).map(|_| refuse(&mut client)).collect::<Vec<_>>(), [30, 60, 120, 240, 240, 240]);
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
        // Somebody has deleted much, and it is followed again; until it is too large again.
        let join = client.last_sent("phx_join")[1].as_str().unwrap().to_owned();
        client.joined(&join, 5);
        client.says(&join, "catch_up_complete", json!({"through_seq": 5}));
        client.pass(ms(1_000));
        assert_eq!(refuse(&mut client), 30);
        assert_eq!(warnings.0.load(Ordering::Relaxed), 2);
    });
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn early_ops_of_a_lost_connection_are_fetched_again() {
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
fn batch_is_delivered_as_a_whole() {
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
fn half_of_a_batch_is_fetched_again_or_delivered_without_the_rest() {
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
fn ids_of_an_endless_batch_delay_delivery_by_one_page() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 5_000);
    for seq in 1..=2_500 {
        client.event(Some("1"), seq, &format!("laptop:{seq}"));
    }
    assert_eq!(client.applied.len(), 2_000, "no batch has more than 1000 ops");
}

#[test]
fn early_ops_take_limited_memory() {
    let mut client = Client::new(0);
    client.connect();
    client.joined("1", 100);
    let value = RawJson::parse(&format!("\"{}\"", "x".repeat(4 << 20))).unwrap();
    let receive = |client: &mut Client, seq: u64, id: String| {
        let (value, device_id) = (value.clone(), "d".into());
        let op = CommittedOp::new(seq, OpKind::Set, path("p"), value).written_by(device_id, id.into());
        client.session.receive(0, client.now, op);
        client.drain();
        client.session.early_bytes()
    };
    // 15 of them fit, but not 16, with the memory beside their values.
    for seq in 2..=40 {
        assert!(receive(&mut client, seq, "x".into()) <= 64 << 20);
    }
    client.event(Some("1"), 1, "x");
    assert_eq!(client.applied.last(), Some(&16));
    // A batch that does not fit is delivered in parts, and no op of it is lost.
    for seq in 17..=60 {
        assert!(receive(&mut client, seq, format!("batch:{}", seq - 17)) <= 64 << 20);
    }
    client.event(Some("1"), 61, "x");
    assert_eq!(client.applied, (1..=61).collect::<Vec<_>>());
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
