//! Injected faults, and the log of requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::time::{Duration, Instant};

use dust_emulator::{Fault, Route};
use support::send;
use support::world::World;

#[test]
fn status_fault_replaces_answer() {
    let world = World::new();
    world.emulator.faults().add(Fault::status(503).writes().times(2));
    assert_eq!(world.get("").status(), 200);
    assert_eq!(world.put("/a", "1").text(), r#"{"errors":{"detail":"Service Unavailable"}}"#);
    assert_eq!(world.put("/a", "1").status(), 503);
    assert_eq!(world.put("/a", "1").text(), r#"{"revision":1,"store_seq":1}"#);

    world.emulator.faults().add(Fault::rate_limited(7).path_contains("/a"));
    let limited = world.get("/a");
    assert_eq!((limited.status(), limited.header("retry-after")), (429, Some("7")));

    world.emulator.faults().add(Fault::writer_unavailable().applied());
    let unknown = world.put("/a", "2");
    assert!(unknown.text().contains("{:writer_unavailable, {:timeout"), "{}", unknown.text());
    assert!(world.get("/a").text().contains("\"value\":2"));
}

#[test]
fn close_fault_closes_before_or_after_request() {
    let world = World::new();
    world.emulator.faults().add(Fault::close().writes());
    assert_eq!(world.try_call("PUT", &world.entries("/a"), Some("1")), None);
    assert_eq!(world.get("/a").status(), 404);
    world.emulator.faults().add(Fault::close().applied().route(Route::Put));
    assert_eq!(world.try_call("PUT", &world.entries("/a"), Some("1")), None);
    assert_eq!(world.get("/a").status(), 200);
    let requests = world.emulator.requests();
    let seen: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.status, r.fault.as_deref())).collect();
    let closed = ("PUT", None, Some("close"));
    assert_eq!(seen, [closed, ("GET", Some(404), None), closed, ("GET", Some(200), None)]);
    assert_eq!((requests[0].number, requests[0].route, requests[0].body_bytes), (1, Route::Put, 1));
    world.emulator.clear_requests();
    assert_eq!(world.emulator.requests(), []);
}

#[test]
fn truncate_fault_cuts_answer() {
    let world = World::new();
    world.put("/a", "\"something\"");
    let whole = world.get("/a");
    world.emulator.faults().add(Fault::truncate(20).reads());
    let cut = world.get("/a");
    assert_eq!(cut.header("content-length"), Some(whole.body.len().to_string().as_str()));
    assert_eq!(cut.body, whole.body[..20]);
    world.emulator.faults().add(Fault::truncate(100_000));
    assert_eq!(world.get("/a").body, whole.body[..whole.body.len() - 1]);
}

#[test]
fn delay_fault_delays_answer() {
    let world = World::new();
    let wait = Duration::from_millis(60);
    world.emulator.faults().add(Fault::delay(wait));
    let start = Instant::now();
    assert_eq!(world.put("/a", "1").status(), 200);
    assert!(start.elapsed() >= wait);
}

#[test]
fn control_routes_list_faults_and_requests() {
    let world = World::new();
    let call = |method: &str, target: &str, body: Option<&str>| {
        send(world.address(), method, target, &[], body.map(str::as_bytes)).unwrap()
    };
    let fault = r#"{"effect":{"status":{"status":500}},"method":"PUT"}"#;
    assert_eq!(call("POST", "/_emulator/faults", Some(fault)).status(), 201);
    assert!(call("GET", "/_emulator/faults", None).text().contains("500"));
    assert_eq!(world.put("/a", "1").status(), 500);
    assert_eq!(call("GET", "/_emulator/faults", None).text(), "[]");
    world.emulator.faults().add(Fault::close().forever());
    assert_eq!(call("DELETE", "/_emulator/faults", None).text(), "[]");
    let wrong = call("POST", "/_emulator/faults", Some(r#"{"effect":"explode"}"#));
    assert!(wrong.status() == 400 && wrong.text().contains("explode"), "{}", wrong.text());
    let requests: serde_json::Value = serde_json::from_slice(&call("GET", "/_emulator/requests", None).body).unwrap();
    assert_eq!(requests[0]["fault"], "status 500");
    assert_eq!(requests[0]["route"], "put");
    assert_eq!(call("DELETE", "/_emulator/requests", None).text(), "[]");
    assert_eq!(call("PUT", "/_emulator/requests", None).status(), 405);
    assert_eq!(call("GET", "/_emulator/nothing", None).status(), 404);
}
