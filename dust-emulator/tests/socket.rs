//! WebSocket behaviour that the recordings do not cover: faults, control by tests, and the end of sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dust_emulator::{Emulator, Fault, RateLimit, Route, Token};
use dust_store::ManualClock;
use serde_json::{Value, json};
use support::socket::{Ended, Socket};
use support::world::World;

const TOPIC: &str = "store:acme/main";

fn open(world: &World, device: &str) -> Socket {
    Socket::json(world.address(), world.emulator.token(), device)
}

fn joined(world: &World, device: &str) -> Socket {
    let mut socket = open(world, device);
    let last = world.emulator.store_handle("acme/main").unwrap().current_seq();
    assert_eq!(socket.join(TOPIC, last).len(), 2);
    socket
}

fn set(socket: &mut Socket, path: &str, value: Value) -> String {
    socket.send(TOPIC, "write", json!({"op": "set", "path": path, "value": value, "client_op_id": "x"}))
}

/// The event's name, and the `store_seq` of an event.
fn shown(frame: &Value) -> (String, Option<u64>) {
    (frame[3].as_str().unwrap().to_owned(), frame[4]["store_seq"].as_u64())
}

fn event(seq: u64) -> (String, Option<u64>) {
    ("event".to_owned(), Some(seq))
}

fn reply() -> (String, Option<u64>) {
    ("phx_reply".to_owned(), None)
}

#[test]
fn socket_writes_reach_every_socket_and_http_writes_none() {
    let world = World::new();
    let (mut one, mut two) = (joined(&world, "one"), joined(&world, "two"));
    let reference = set(&mut one, "a", json!({"b": 1}));
    let frame = one.frame();
    assert_eq!(frame, two.frame());
    assert_eq!(frame[4]["device_id"], "one");
    assert_eq!(
        one.frame(),
        json!(["1", reference, TOPIC, "phx_reply", {"response": {"store_seq": 1}, "status": "ok"}])
    );
    world.put("/http", "1");
    assert!(one.is_quiet() && two.is_quiet());
    set(&mut two, "c", json!(1));
    assert_eq!(shown(&one.frame()), event(3));
    // A new client receives all of them in its catch-up.
    let frames = open(&world, "three").join(TOPIC, 1);
    assert_eq!(frames[1..3].iter().map(shown).collect::<Vec<_>>(), [event(2), event(3)]);
    assert_eq!(frames[3][4]["through_seq"], 3);
    world.stop();
}

#[test]
fn live_event_arrives_in_middle_of_catch_up() {
    let world = World::new();
    for key in 1..=5 {
        world.put(&format!("/k{key}"), "1");
    }
    let mut writer = joined(&world, "writer");
    world.emulator.hold_catch_ups(2);
    let mut late = open(&world, "late");
    late.send(TOPIC, "phx_join", json!({"last_store_seq": 0}));
    let first: Vec<_> = (0..3).map(|_| shown(&late.frame())).collect();
    assert_eq!(first, [reply(), event(1), event(2)]);
    set(&mut writer, "live", json!(true));
    let live = late.frame();
    assert_eq!((&live[0], shown(&live)), (&Value::Null, event(6)));
    world.emulator.release_catch_ups();
    let rest: Vec<Value> = (0..5).map(|_| late.frame()).collect();
    assert_eq!(rest[..4].iter().map(shown).collect::<Vec<_>>(), [event(3), event(4), event(5), event(6)]);
    assert!(rest.iter().all(|frame| frame[0] == "1"));
    assert_eq!(rest[4][4], json!({"through_seq": 6}));
    world.stop();
}

#[test]
fn paused_catch_up_has_sent_snapshot() {
    let world = World::new();
    world.put("/a", "1");
    world.emulator.store_handle("acme/main").unwrap().compact().unwrap();
    world.put("/b", "2");
    world.emulator.hold_catch_ups(0);
    let mut socket = open(&world, "d");
    socket.send(TOPIC, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(shown(&socket.frame()), reply());
    let snapshot = socket.frame();
    assert_eq!(snapshot[4], json!({"snapshot_seq": 1, "entries": {"a": {"type": "integer", "value": {"_scalar": 1}}}}));
    assert!(socket.is_quiet());
    world.emulator.release_catch_ups();
    assert_eq!(shown(&socket.frame()), event(2));
    assert_eq!(shown(&socket.frame()).0, "catch_up_complete");
    world.stop();
}

#[test]
fn message_faults_apply() {
    let world = World::new();
    let faults = world.emulator.faults();
    let (mut one, mut two) = (joined(&world, "one"), joined(&world, "two"));

    faults.add(Fault::swallow_reply().route(Route::SocketWrite));
    set(&mut one, "a", json!(1));
    assert_eq!((shown(&one.frame()), shown(&two.frame())), (event(1), event(1)));
    assert!(one.is_quiet());

    faults.add(Fault::swallow_event());
    set(&mut one, "a", json!(2));
    assert_eq!(shown(&one.frame()), reply());
    assert!(two.is_quiet());

    faults.add(Fault::duplicate_event().path_contains("acme/main/a"));
    set(&mut one, "a", json!(3));
    let frames: Vec<_> = (0..3).map(|_| shown(&one.frame())).collect();
    assert_eq!(frames, [event(3), event(3), reply()]);
    assert_eq!([shown(&two.frame()), shown(&two.frame())], [event(3), event(3)]);

    faults.add(Fault::reply_first());
    set(&mut one, "a", json!(4));
    assert_eq!([shown(&one.frame()), shown(&one.frame())], [reply(), event(4)]);
    assert_eq!(shown(&two.frame()), event(4));

    faults.add(Fault::refuse("store_archived").writes());
    set(&mut one, "a", json!(5));
    assert_eq!(one.frame()[4], json!({"response": {"reason": "store_archived"}, "status": "error"}));

    faults.add(Fault::crash().applied().route(Route::SocketWrite));
    set(&mut one, "a", json!(6));
    assert_eq!([shown(&one.frame()), shown(&one.frame())], [event(5), ("phx_error".to_owned(), None)]);
    assert_eq!(shown(&two.frame()), event(5));
    set(&mut one, "a", json!(7));
    assert_eq!(one.frame()[4]["response"]["reason"], "unmatched topic");

    faults.add(Fault::crash().route(Route::SocketStatus));
    two.send(TOPIC, "status", json!({}));
    assert_eq!(two.frame(), json!(["1", "1", TOPIC, "phx_error", {}]));
    assert_eq!(faults.pending(), []);
    world.stop();
}

#[test]
fn close_fault_drops_connection_before_or_after_write() {
    let world = World::new();
    let faults = world.emulator.faults();
    let mut watcher = joined(&world, "watcher");
    faults.add(Fault::close().route(Route::SocketWrite));
    let mut one = joined(&world, "one");
    set(&mut one, "a", json!(1));
    assert_eq!(one.message(), Err(Ended::Dropped));
    assert!(watcher.is_quiet());
    assert_eq!(world.get("/a").status(), 404);

    faults.add(Fault::close().applied().route(Route::SocketWrite));
    let mut one = joined(&world, "one");
    set(&mut one, "a", json!(1));
    assert_eq!(one.message(), Err(Ended::Dropped));
    assert_eq!(shown(&watcher.frame()), event(1));
    assert_eq!(world.get("/a").status(), 200);
    world.stop();
}

#[test]
fn request_faults_do_not_affect_messages() {
    let world = World::new();
    let faults = world.emulator.faults();
    let mut socket = joined(&world, "one");
    faults.add(Fault::close().writes());
    faults.add(Fault::status(503).writes());
    set(&mut socket, "a", json!(1));
    assert_eq!([shown(&socket.frame()), shown(&socket.frame())], [event(1), reply()]);
    assert_eq!(faults.pending().len(), 2);
    world.stop();
}

#[test]
fn connect_fault_refuses_connection() {
    let world = World::new();
    let query = format!("token={}&device_id=d&capver=3&vsn=2.0.0", world.emulator.token());
    let faults = world.emulator.faults();
    faults.add(Fault::status(503).route(Route::Socket).times(2));
    faults.add(Fault::close().route(Route::Socket));
    faults.add(Fault::swallow_reply().route(Route::SocketJoin));
    let connect = || Socket::open(world.address(), &query).map(|_| ());
    assert_eq!([connect(), connect(), connect(), connect()], [Err(503), Err(503), Err(0), Ok(())]);
    let statuses: Vec<_> = world.emulator.requests().iter().map(|record| (record.route, record.status)).collect();
    let expected = [Some(503), Some(503), None, Some(101)].map(|status| (Route::Socket, status));
    assert_eq!(statuses, expected);
    assert_eq!(world.emulator.faults().pending().len(), 1);
    world.stop();
}

#[test]
fn control_calls_end_sockets() {
    let mut world = World::new();
    let (mut one, mut two) = (joined(&world, "one"), joined(&world, "two"));
    assert_eq!(world.emulator.open_sockets(), 2);
    world.emulator.crash_channels();
    assert_eq!(one.frame(), json!(["1", "1", TOPIC, "phx_error", {}]));
    assert_eq!(two.frame()[3], "phx_error");
    one.join(TOPIC, 0);
    world.emulator.disconnect_all();
    assert_eq!([one.ended(), two.ended()], [Ended::Dropped; 2]);

    let mut three = joined(&world, "three");
    let closed = std::thread::spawn(move || three.ended());
    world.runtime.block_on(world.emulator.go_down());
    assert_eq!(closed.join().unwrap(), Ended::Closed(1001));
    assert_eq!(world.emulator.open_sockets(), 0);
    world.runtime.block_on(world.emulator.come_up()).unwrap();
    assert!(joined(&world, "four").is_quiet());
    world.stop();
}

#[test]
fn server_stops_although_client_does_not_read() {
    let mut world = World::new();
    // More than the buffers between the two hold.
    let large: serde_json::Map<_, _> = (0..24).map(|key| (format!("k{key}"), json!("x".repeat(500_000)))).collect();
    world.emulator.import("acme/main", &Value::Object(large).to_string()).unwrap();
    let mut socket = open(&world, "deaf");
    socket.send(TOPIC, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(shown(&socket.frame()), reply());
    world.runtime.block_on(world.emulator.go_down());
    assert_eq!(world.emulator.open_sockets(), 0);
    world.stop();
}

#[test]
fn silent_socket_is_closed_after_timeout() {
    let clock = Arc::new(ManualClock::new(0));
    let world = World::with(Emulator::builder().store("acme/main").clock(Arc::clone(&clock) as _));
    let (mut silent, mut alive) = (joined(&world, "silent"), joined(&world, "alive"));
    clock.advance(59_999);
    assert!(alive.is_quiet());
    clock.advance(1);
    assert_eq!(silent.message(), Err(Ended::Closed(1002)));
    assert!(alive.is_quiet());
    world.stop();
}

#[test]
fn rate_limit_counts_socket_and_http_writes_together() {
    let limit = RateLimit { writes: 2, reads: 100 };
    let world = World::with(Emulator::builder().store("acme/main").rate_limit(limit));
    let mut socket = joined(&world, "one");
    // Independent of the wall clock: the third write of a window is refused, and of five in a row one is a third.
    let mut refused = 0;
    for _ in 0..5 {
        world.put("/a", "1");
        set(&mut socket, "b", json!(1));
        let frame = socket.frame();
        if frame[4]["status"] == "error" {
            assert_eq!(frame[4]["response"], json!({"reason": "rate_limited", "retry_after_ms": 60_000}));
            refused += 1;
        } else {
            assert_eq!(shown(&socket.frame()), reply());
        }
    }
    assert!(refused >= 2, "{refused}");
    socket.send(TOPIC, "status", json!({}));
    assert_eq!(socket.frame()[4]["status"], "ok");
    world.stop();
}

#[test]
fn second_store_and_second_topic_are_separate() {
    let world = World::with(
        Emulator::builder().store("acme/main").store("acme/other").token(Token::new("narrow").only("acme/main")),
    );
    let mut socket = joined(&world, "one");
    socket.join("store:acme/other", 0);
    set(&mut socket, "a", json!(1));
    assert_eq!(socket.frame()[2], TOPIC);
    assert_eq!(shown(&socket.frame()), reply());
    assert_eq!(world.emulator.store_handle("acme/other").unwrap().current_seq(), 0);
    let mut narrow = Socket::json(world.address(), "narrow", "n");
    narrow.send("store:acme/other", "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(narrow.frame()[4]["response"]["reason"], "store_not_allowed");
    world.stop();
}

#[test]
fn malformed_writes_are_answered() {
    let world = World::new();
    let mut socket = joined(&world, "one");
    let ask = |socket: &mut Socket, payload: Value| {
        socket.send(TOPIC, "write", payload);
        let frame = socket.frame();
        if frame[3] == "event" { socket.frame()[4].clone() } else { frame[4].clone() }
    };
    let reason = |answer: Value| answer["response"]["reason"].as_str().unwrap_or_default().to_owned();
    let with = |members: Value| {
        let mut payload = json!({"op": "set", "path": "a", "value": 1, "client_op_id": "x"});
        payload.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        payload
    };
    assert_eq!(reason(ask(&mut socket, with(json!({"if_match": 1.5})))), "%CaseClauseError{term: 1.5}");
    assert_eq!(reason(ask(&mut socket, with(json!({"if_match": -1})))), "conflict");
    assert_eq!(reason(ask(&mut socket, with(json!({"op": "remove", "value": null})))), "remove_requires_value");
    assert!(
        reason(ask(&mut socket, with(json!({"value": {"_type": "decimal", "_typed": "x"}}))))
            .starts_with("`a`: invalid_value")
    );
    assert_eq!(reason(ask(&mut socket, with(json!({"fence": {"key": "", "token": 1}})))), "fenced");
    assert_eq!(reason(ask(&mut socket, with(json!({"fence": {"key": "l", "token": -1}})))), "fenced");
    // A server ignores the fence of a lease op.
    let lease = with(json!({"op": "lease", "path": "l", "fence": {"key": "x", "token": 9}, "holder": {"a": 1}}));
    assert_eq!(ask(&mut socket, lease)["response"]["holder"], json!("{\"a\":1}"));
    assert_eq!(reason(ask(&mut socket, with(json!({"op": "renew", "path": "l", "token": -1})))), "not_held");
    assert_eq!(reason(ask(&mut socket, with(json!({"op": "renew", "path": "l", "token": "1"})))), ":invalid_lease_op");
    assert!(socket.is_quiet());
    world.stop();
}

#[test]
fn control_endpoints_report_and_change_sockets() {
    let world = World::new();
    let mut socket = joined(&world, "one");
    let call = |method, path: &str, body| world.call(method, &format!("/_emulator/{path}"), body);
    assert_eq!(call("GET", "sockets", None).text(), r#"{"channels":1,"open":1}"#);
    assert_eq!(call("POST", "catch-ups", Some(r#"{"hold_after":1}"#)).status(), 200);
    assert_eq!(call("POST", "catch-ups", Some("{}")).status(), 400);
    assert_eq!(call("POST", "catch-ups", Some("[1]")).status(), 400);
    assert_eq!(call("POST", "faults", Some(r#"["close",0,false,null,null,null,null,0,1]"#)).status(), 400);
    assert_eq!(call("DELETE", "catch-ups", None).status(), 200);
    assert_eq!(call("PUT", "sockets", Some("1")).status(), 405);
    call("DELETE", "channels", None);
    assert_eq!(socket.frame()[3], "phx_error");
    let fault = r#"{"effect":{"refuse":{"response":"{\"reason\":\"no\"}"}},"route":"socket_join"}"#;
    assert_eq!(call("POST", "faults", Some(fault)).status(), 201);
    socket.send(TOPIC, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(socket.frame()[4]["response"]["reason"], "no");
    call("DELETE", "sockets", None);
    assert_eq!(socket.message(), Err(Ended::Dropped));
    world.stop();
}

#[test]
fn put_file_stores_file_after_delay() {
    let world = World::new();
    let mut socket = joined(&world, "one");
    world.emulator.faults().add(Fault::delay(Duration::from_millis(1)).route(Route::SocketPutFile));
    socket.send(TOPIC, "put_file", json!({"path": "f", "content": "aGVsbG8=", "client_op_id": "f"}));
    let value = socket.frame()[4]["value"].clone();
    assert_eq!((&value["filename"], &value["content_type"]), (&Value::Null, &json!("application/octet-stream")));
    let hash = socket.frame()[4]["response"]["hash"].as_str().unwrap().to_owned();
    assert_eq!(world.call("GET", &format!("/api/files/{hash}"), None).text(), "hello");
    assert_eq!(world.emulator.faults().pending(), []);
    socket.send(TOPIC, "status", json!({}));
    assert_eq!(socket.frame()[4]["response"]["file_storage_bytes"], 5);
    world.stop();
}

#[test]
fn store_in_file_accepts_writes() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::with(Emulator::builder().store("acme/main").data_dir(directory.path()));
    let mut socket = joined(&world, "one");
    set(&mut socket, "a", json!(1));
    assert_eq!([shown(&socket.frame()), shown(&socket.frame())], [event(1), reply()]);
    assert_eq!(open(&world, "two").join(TOPIC, 0).len(), 3);
    world.stop();
}

#[test]
fn rollback_restores_object() {
    let world = World::new();
    let mut socket = joined(&world, "one");
    for value in [json!({"a": {"b": 1}, "c": [2]}), json!("flat")] {
        set(&mut socket, "p", value);
        assert_eq!([shown(&socket.frame()).0, shown(&socket.frame()).0], ["event", "phx_reply"]);
    }
    socket.send(TOPIC, "rollback", json!({"path": "p", "to_seq": 1}));
    assert_eq!(socket.frame()[4]["value"], json!({"a": {"b": 1}, "c": [2]}));
    assert_eq!(socket.frame()[4]["response"]["store_seq"], 3);
    socket.send(TOPIC, "rollback", json!({"path": "p", "to_seq": 0}));
    assert_eq!(socket.frame()[4]["response"]["reason"], "beyond_retention");
    socket.send(TOPIC, "rollback", json!({"to_seq": "x"}));
    assert_eq!(socket.frame()[4]["response"]["reason"], "to_seq must be an integer");
    world.stop();
}

#[test]
fn client_that_does_not_read_is_dropped_without_delay_for_others() {
    let world = World::new();
    let (mut writer, deaf) = (joined(&world, "writer"), joined(&world, "deaf"));
    let value = json!("x".repeat(1_000_000));
    let mut written = 0;
    while world.emulator.open_sockets() == 2 {
        assert!(written < 200, "{written} MB wait for a client that does not read");
        set(&mut writer, "a", value.clone());
        written += 1;
        assert_eq!((shown(&writer.frame()), shown(&writer.frame())), (event(written), reply()));
    }
    assert!(written > 32, "dropped after {written} MB");
    drop(deaf);
}
