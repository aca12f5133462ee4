//! API behaviour that the recordings do not cover: tokens and limits of every kind, the log, differences, malformed
//! requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::sync::Arc;

use dust_emulator::{Emulator, RateLimit, Token};
use dust_protocol::{Mutation, Op, Path};
use dust_store::{ManualClock, Origin};
use support::send;
use support::world::World;

#[test]
fn write_records_its_author() {
    let world = World::with(Emulator::builder().token(Token::new("s").id("t1")));
    let headers = [
        ("authorization", "Bearer s"),
        ("content-type", "application/json"),
        ("x-request-id", "a-correlation-id-of-mine"),
    ];
    let answer = send(world.address(), "PUT", &world.entries("/a"), &headers, Some(b"1")).unwrap();
    assert_eq!(answer.header("x-request-id"), Some("a-correlation-id-of-mine"));
    let ops = r#"{"ops":[{"op":"set","path":"b","value":1},{"op":"delete","path":"c"}]}"#;
    send(world.address(), "POST", &world.entries("/batch_write"), &headers, Some(ops.as_bytes())).unwrap();
    // Too short to be accepted.
    let short = [headers[0], headers[1], ("x-request-id", "short")];
    let answer = send(world.address(), "PUT", &world.entries("/a"), &short, Some(b"1")).unwrap();
    let made_up = answer.header("x-request-id").unwrap();
    assert_eq!(made_up.len(), 36);
    let ops = world.emulator.store_handle("local/dev").unwrap().ops_since(0, 10).unwrap();
    let ids: Vec<&str> = ops.iter().map(|op| &*op.client_op_id).collect();
    assert_eq!(ids, ["a-correlation-id-of-mine", "a-correlation-id-of-mine:0", "a-correlation-id-of-mine:1", made_up]);
    assert!(ops.iter().all(|op| &*op.device_id == "http:t1"));
}

#[test]
fn token_is_checked_for_scope_store_and_expiry() {
    let clock = Arc::new(ManualClock::new(1_000));
    let builder = Emulator::builder().store("acme/main").store("acme/other").clock(Arc::clone(&clock) as _);
    let world = World::with(
        builder
            .token(Token::new("reader").read_only())
            .token(Token::new("writer").scopes(["entries:write"]))
            .token(Token::new("guest").only("acme/other"))
            .token(Token::new("stranger").org("else"))
            .token(Token::new("short").expires_at_ms(2_000)),
    );
    let path = world.entries("/a");
    let table = [
        ("reader", "PUT", 403),
        ("reader", "GET", 404),
        ("writer", "PUT", 200),
        ("writer", "GET", 403),
        ("guest", "GET", 403),
        ("stranger", "GET", 404),
        ("nobody", "GET", 401),
        ("short", "GET", 200),
    ];
    for (token, method, status) in table {
        assert_eq!(world.status_with(token, method, &path), status, "{token} {method}");
    }
    clock.advance(1_000);
    assert_eq!(world.status_with("short", "GET", &path), 401);
    world.emulator.add_token(Token::new("late"));
    assert_eq!(world.status_with("late", "GET", &path), 200);
    assert!(world.emulator.revoke_token("late"));
    assert_eq!(world.status_with("late", "GET", &path), 401);
}

#[test]
fn token_creates_tokens_within_its_own_scopes() {
    let world = World::with(
        Emulator::builder().store("acme/main").store("acme/other").token(Token::new("boss").only("acme/main")),
    );
    let make = |body: &str| world.call_with("boss", "POST", "/api/tokens", Some(body)).unwrap();
    let made = make(r#"{"name":"n","store_names":["main"],"scopes":["entries:read"]}"#);
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let secret = made["raw_token"].as_str().unwrap();
    assert_eq!(world.status_with(secret, "GET", &world.entries("")), 200);
    assert_eq!(world.status_with(secret, "PUT", &world.entries("/a")), 403);
    assert_eq!(make(r#"{"name":"n","store_names":["other"]}"#).status(), 404);
    assert_eq!(make(r#"{"name":"n","store_access_mode":"all"}"#).status(), 403);
    assert_eq!(make(r#"{"name":"n","store_names":["main"],"scopes":["root"]}"#).status(), 403);
    assert_eq!(make(r#"{"store_names":["main"]}"#).status(), 400);
    assert_eq!(make(r#"{"name":"n"}"#).status(), 400);
    let listed = world.call_with("boss", "GET", "/api/tokens", None).unwrap().text();
    assert!(listed.contains(made["id"].as_str().unwrap()) && !listed.contains(secret), "{listed}");
    let id = format!("/api/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call_with("boss", "DELETE", &id, None).unwrap().text(), r#"{"ok":true}"#);
    assert_eq!(world.status_with(secret, "GET", &world.entries("")), 401);
    assert_eq!(world.call_with("boss", "DELETE", &id, None).unwrap().status(), 404);
}

#[test]
fn rate_limit_is_per_token_and_minute() {
    let clock = Arc::new(ManualClock::new(60_000_000));
    let limit = RateLimit { writes: 2, reads: 1 };
    let world =
        World::with(Emulator::builder().rate_limit(limit).clock(Arc::clone(&clock) as _).token(Token::new("other")));
    assert_eq!(world.put("/a", "1").header("x-ratelimit-remaining"), Some("1"));
    assert_eq!(world.put("/a", "2").header("x-ratelimit-remaining"), Some("0"));
    clock.advance(59_500);
    let refused = world.put("/a", "3");
    assert_eq!((refused.status(), refused.header("retry-after")), (429, Some("0")));
    assert_eq!(world.get("/a").text(), r#"{"path":"a","revision":2,"type":"integer","value":2}"#);
    assert_eq!(world.get("/a").status(), 429);
    assert_eq!(world.status_with("other", "GET", &world.entries("/a")), 200);
    clock.advance(500);
    assert_eq!(world.put("/a", "3").status(), 200);
    // The page and unauthenticated requests are not counted.
    assert_eq!(world.call("GET", "/", None).header("x-ratelimit-limit"), None);
}

#[test]
fn log_is_paged_and_filtered() {
    let world = World::new();
    for at in 1..=5 {
        world.put(&format!("/a/{at}"), "1");
    }
    world.call("DELETE", &world.entries("/a/1"), None);
    let seqs = |query: &str| {
        let answer = world.call("GET", &format!("/api/stores/acme/main/log?{query}"), None);
        let log: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let seqs: Vec<u64> =
            log["ops"].as_array().unwrap().iter().map(|op| op["store_seq"].as_u64().unwrap()).collect();
        (seqs, log["pagination"]["total"].as_u64().unwrap(), log["pagination"]["total_pages"].as_u64().unwrap())
    };
    assert_eq!(seqs("limit=4"), (vec![6, 5, 4, 3], 6, 2));
    assert_eq!(seqs("limit=4&page=2"), (vec![2, 1], 6, 2));
    assert_eq!(seqs("limit=4&page=3"), (vec![], 6, 2));
    assert_eq!(seqs("op=delete"), (vec![6], 1, 1));
    assert_eq!(seqs("path=a/1"), (vec![6, 1], 2, 1));
    assert_eq!(seqs("path=a/*&limit=2&page=2"), (vec![4, 3], 6, 3));
    assert_eq!(seqs("device_id=nobody"), (vec![], 0, 1));
    assert_eq!(seqs("limit=x&page=-1"), (vec![6, 5, 4, 3, 2, 1], 6, 1));
    assert_eq!(seqs("page=99999999999999999999").0, Vec::<u64>::new());
}

#[test]
fn diff_lists_changes_between_ops() {
    let world = World::new();
    world.put("/A/x", "1");
    world.put("/b", "2");
    world.put("/a", "{\"y\":3}");
    let diff = |query: &str| world.call("GET", &format!("/api/stores/acme/main/diff?{query}"), None).text();
    assert_eq!(
        diff("from_seq=1"),
        r#"{"changes":[{"after":null,"before":1,"path":"A/x"},{"after":3,"before":null,"path":"a/y"},{"after":2,"before":null,"path":"b"}],"from_seq":1,"to_seq":3}"#
    );
    assert_eq!(diff("from_seq=2&to_seq=2"), r#"{"changes":[],"from_seq":2,"to_seq":2}"#);
    assert_eq!(diff(""), r#"{"detail":"from_seq is required","error":"invalid_params"}"#);
    assert_eq!(diff("from_seq=x"), r#"{"detail":"from_seq must be an integer","error":"invalid_params"}"#);
}

#[test]
fn unknown_route_answers_plain_text() {
    let world = World::new();
    let table = [
        ("GET", "/api/nope", None, 404, "Not Found"),
        ("PATCH", "/api/stores/acme/main/entries/a", Some("1"), 404, "Not Found"),
        ("PUT", "/api/stores/acme/main/entries/a", Some("{"), 400, "Bad Request"),
        ("GET", "/api/stores/acme/main/entries?pattern=%FF", None, 400, "Bad Request"),
    ];
    for (method, target, body, status, text) in table {
        let answer = world.call(method, target, body);
        assert_eq!((answer.status(), answer.text().as_str()), (status, text), "{method} {target}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let missing = world.call("PUT", "/api/stores/acme/main/entries", Some("1"));
    assert_eq!(missing.text(), r#"{"detail":"path is required","error":"invalid_params"}"#);
    let empty = world.call("GET", "/api/stores/acme/main/entries/a%2F%2Fb", None);
    assert_eq!(empty.text(), r#"{"detail":"path cannot contain empty segments","error":"invalid_params"}"#);
    assert_eq!(world.call("GET", "/api/stores/acme/main/webhooks", None).text(), r#"{"webhooks":[]}"#);
    assert_eq!(world.call("POST", "/api/stores/acme/main/webhooks", Some("{}")).status(), 501);
}

#[test]
fn file_is_served_while_an_entry_refers_to_it() {
    let world = World::new();
    let hash =
        world.emulator.put_file("acme/main", &Path::parse("a").unwrap(), "hello", "h.txt", "text/plain").unwrap();
    let status = || world.call("GET", &format!("/api/files/{hash}"), None).status();
    assert_eq!(status(), 200);
    // A store without the bytes can refer to them too: a server keeps the files of all stores together.
    let second = world.emulator.store_handle("acme/second").unwrap();
    let reference = world.emulator.store_handle("acme/main").unwrap().file_reference(&hash).unwrap().unwrap();
    world.call("DELETE", &world.entries("/a"), None);
    assert_eq!(status(), 403);
    let write = Op::new(Path::parse("b").unwrap(), Mutation::PutFile(reference));
    second.write(write, None, &Origin::new("test", "1")).unwrap();
    assert_eq!(status(), 200);
    world.emulator.store_handle("acme/main").unwrap().compact().unwrap();
    assert_eq!(status(), 404);
}

#[test]
fn start_without_runtime_fails_with_advice() {
    use dust_emulator::EmulatorError;
    use futures_util::FutureExt;

    let error = Emulator::start().now_or_never().expect("it does not wait").unwrap_err();
    assert!(matches!(error, EmulatorError::NoRuntime) && error.to_string().contains("#[tokio::main]"), "{error}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut emulator = runtime.block_on(async {
        let mut emulator = Emulator::start().await.unwrap();
        emulator.go_down().await;
        emulator
    });
    let error = emulator.come_up().now_or_never().expect("it does not wait").unwrap_err();
    assert!(matches!(error, EmulatorError::NoRuntime), "{error}");
    emulator.stop().now_or_never().expect("the emulator is down");
}
