//! Channels with unread messages: joined again, hanging, stalled, crashed by a second file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use dust_emulator::{Emulator, Fault, ReplyFault, Route};
use serde_json::{Value, json};
use support::socket::Socket;
use support::world::World;

const TOPIC: &str = "store:acme/main";

fn joined(world: &World) -> Socket {
    let mut socket = Socket::json(world.address(), world.emulator.token(), "d");
    socket.join(TOPIC, 0);
    socket
}

fn set(socket: &mut Socket, path: &str) -> String {
    socket.send(TOPIC, "write", json!({"op": "set", "path": path, "value": 1, "client_op_id": path}))
}

fn put_file(socket: &mut Socket, path: &str) -> String {
    socket.send(TOPIC, "put_file", json!({"path": path, "content": "aGk=", "client_op_id": path}))
}

#[test]
fn second_join_drops_unread_messages() {
    let mut kept = BTreeSet::new();
    for _ in 0..12 {
        let world = World::new();
        // A channel reads later than its socket.
        world.emulator.faults().add(Fault::delay(Duration::from_millis(20)).route(Route::SocketWrite).forever());
        let mut socket = joined(&world);
        let sent: Vec<String> = (0..5).map(|at| set(&mut socket, &format!("k{at}"))).collect();
        socket.send_text(&json!(["9", "9", TOPIC, "phx_join", {"last_store_seq": 0}]).to_string());
        let mut answered = Vec::new();
        let store_seq = loop {
            let frame = socket.frame();
            match frame[3].as_str() {
                Some("phx_reply") if frame[1] == "9" => break frame[4]["response"]["store_seq"].as_u64().unwrap(),
                Some("phx_reply") => answered.push(frame[1].as_str().unwrap().to_owned()),
                _ => {}
            }
        };
        // The channel has read, applied and answered the first messages; the rest is dropped.
        assert_eq!(answered[..], sent[..answered.len()]);
        assert_eq!(store_seq, answered.len() as u64);
        let rest: Vec<Value> = (0..store_seq + 2).map(|_| socket.frame()).collect();
        assert_eq!(rest[0], json!(["1", "1", TOPIC, "phx_close", {}]));
        assert_eq!(rest.last().unwrap()[4], json!({"through_seq": store_seq}));
        assert!(socket.is_quiet());
        assert_eq!(world.emulator.store_handle("acme/main").unwrap().current_seq(), store_seq);
        kept.insert(store_seq);
        world.stop();
    }
    assert!(kept.len() > 1, "the number of read messages is always the same: {kept:?}");
}

#[test]
fn hanging_channel_reads_nothing_until_next_join() {
    let world = World::new();
    let mut socket = joined(&world);
    world.emulator.faults().add(Fault::hang().route(Route::SocketStatus));
    socket.send(TOPIC, "status", json!({}));
    set(&mut socket, "lost");
    assert!(socket.is_quiet(), "the socket stays open");
    socket.send_text(&json!(["9", "9", TOPIC, "phx_join", {"last_store_seq": 0}]).to_string());
    let frames: Vec<String> = (0..3).map(|_| socket.frame()[3].as_str().unwrap().to_owned()).collect();
    assert_eq!(frames, ["phx_reply", "phx_close", "catch_up_complete"]);
    let reference = set(&mut socket, "kept");
    assert_eq!([&socket.frame()[3], &socket.frame()[1]], [&json!("event"), &json!(reference)]);
    world.stop();
}

#[test]
fn stalled_catch_up_sends_nothing_and_next_one_all() {
    let world = World::new();
    world.put("/a", "1");
    world.emulator.faults().add(Fault::stall_catch_up());
    let mut socket = Socket::json(world.address(), world.emulator.token(), "d");
    socket.send(TOPIC, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(socket.frame()[4]["response"]["store_seq"], 1);
    assert!(socket.is_quiet());
    let reference = set(&mut socket, "b");
    assert_eq!([&socket.frame()[4]["store_seq"], &socket.frame()[1]], [&json!(2), &json!(reference)]);
    assert!(socket.is_quiet(), "the channel answers, without its catch-up");
    assert_eq!(Socket::json(world.address(), world.emulator.token(), "e").join(TOPIC, 0).len(), 4);
    world.stop();
}

#[test]
fn one_file_fault_crashes_channel_at_second_file() {
    let world = World::new();
    world.emulator.faults().add(Fault::one_file());
    for attempt in 0..2 {
        let mut socket = joined(&world);
        if attempt == 0 {
            put_file(&mut socket, "f/a");
            assert_eq!([&socket.frame()[3], &socket.frame()[3]], ["event", "phx_reply"]);
        }
        put_file(&mut socket, "f/b");
        assert_eq!(socket.frame(), json!(["1", "1", TOPIC, "phx_error", {}]));
    }
    assert_eq!(world.emulator.store_handle("acme/main").unwrap().current_seq(), 1);
    world.stop();
}

#[test]
fn loopback_socket_drops_unread_messages_at_join() {
    let server = Emulator::builder().store("acme/main").unplugged().unwrap();
    let mut line = server.connect("d");
    let write = |at: u64| {
        let payload = json!({"op": "set", "path": format!("k{at}"), "value": 1, "client_op_id": "x"});
        json!(["1", (at + 2).to_string(), TOPIC, "write", payload]).to_string()
    };
    let join = json!(["1", "1", TOPIC, "phx_join", {"last_store_seq": 0}]).to_string();
    assert!(!line.leave_unread(&join, ReplyFault::default()), "a join is read by the socket itself");
    assert!(line.receive(&join, ReplyFault::default()));
    for at in 0..3 {
        assert!(line.leave_unread(&write(at), ReplyFault::default()));
    }
    line.read();
    assert!(line.receive(&join, ReplyFault::default()));
    assert_eq!((line.unread(), server.store_handle("acme/main").unwrap().current_seq()), (0, 1));
    // Messages keep their order.
    assert!(line.leave_unread(&write(3), ReplyFault::default()));
    assert!(line.receive(&write(4), ReplyFault::default()));
    assert_eq!(server.store_handle("acme/main").unwrap().current_seq(), 3);
    line.hang();
    assert!(line.leave_unread(&write(5), ReplyFault::default()));
    line.read();
    assert_eq!((line.unread(), server.store_handle("acme/main").unwrap().current_seq()), (1, 3));
}
