//! Start, stop, connections, and seeds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dust_emulator::{Emulator, EmulatorError};
use dust_protocol::Path;
use support::send;
use support::world::World;
use tokio::io::AsyncReadExt;

#[test]
fn emulator_has_address_token_and_store() {
    let world = World::with(Emulator::builder());
    assert_eq!(world.emulator.store(), "local/dev");
    assert_eq!(world.emulator.url(), format!("http://{}", world.address()));
    assert!(world.emulator.token().starts_with("dust_tok_"));
    assert_eq!(world.put("/a", "1").text(), r#"{"revision":1,"store_seq":1}"#);
    let handle = world.emulator.store_handle("local/dev").unwrap();
    assert_eq!(handle.current_seq(), 1);
    assert!(!format!("{:?}", world.emulator).contains(world.emulator.token()));
}

#[test]
fn store_is_created_on_demand() {
    let world = World::new();
    assert_eq!(world.call("GET", "/api/stores/acme/more/entries", None).status(), 404);
    world.emulator.store_handle("acme/more").unwrap();
    assert_eq!(world.call("GET", "/api/stores/acme/more/entries", None).status(), 200);
    assert_eq!(world.call("POST", "/api/stores", Some(r#"{"name":"third"}"#)).status(), 201);
    assert_eq!(world.emulator.stores(), ["acme/main", "acme/more", "acme/third"]);
    let error = world.emulator.store_handle("Nonsense").unwrap_err().to_string();
    assert!(error.contains("`Nonsense`") && error.contains("acme/main"), "{error}");
}

#[test]
fn restart_keeps_port_and_data() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().store("acme/main").data_dir(directory.path()).secret("s");
    let world = World::with(builder.clone());
    world.put("/a", "1.50");
    world.emulator.store_handle("acme/second").unwrap();
    let path = Path::parse("file").unwrap();
    let hash = world.emulator.put_file("acme/main", &path, "hello", "h.txt", "text/plain").unwrap();
    let address = world.address();
    let in_use = World::with(Emulator::builder()).runtime.block_on(builder.clone().data_dir("/dev/null/x").start());
    assert!(matches!(in_use, Err(EmulatorError::File { .. })));
    world.stop();

    let world = World::with(builder.address(address));
    assert_eq!(world.address(), address);
    assert_eq!(world.emulator.stores(), ["acme/main", "acme/second"]);
    assert_eq!(world.get("/a").text(), r#"{"path":"a","revision":1,"type":"float","value":1.5}"#);
    let file = world.call("GET", &format!("/api/files/{hash}"), None);
    assert_eq!((file.text().as_str(), file.header("content-type")), ("hello", Some("text/plain; charset=utf-8")));
    assert_eq!(world.put("/b", "1").text(), r#"{"revision":3,"store_seq":3}"#);
}

#[test]
fn emulator_goes_down_and_comes_up() {
    let mut world = World::new();
    world.put("/a", "1");
    let mut idle = TcpStream::connect(world.address()).unwrap();
    let runtime = &world.runtime;
    runtime.block_on(world.emulator.go_down());
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "the connection is still open");
    assert!(TcpStream::connect(world.address()).is_err());
    runtime.block_on(world.emulator.come_up()).unwrap();
    runtime.block_on(world.emulator.come_up()).unwrap();
    assert_eq!(world.get("/a").status(), 200);
}

#[test]
fn error_names_port_in_use() {
    let world = World::new();
    let error = world.runtime.block_on(Emulator::builder().address(world.address()).start()).unwrap_err().to_string();
    assert!(error.contains(&world.address().to_string()) && error.contains("another port"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let emulator = Emulator::builder().idle_timeout(Duration::from_secs(60)).start().await.unwrap();
    let address = emulator.address();
    // The clock of the runtime is paused while this runs, and advances when all tasks are idle.
    let served = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0; 512]);
        while !answer.ends_with(b"\r\n\r\n{\"status\":\"ok\"}") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the connection is closed before it is idle");
            answer.extend_from_slice(&buffer[..read]);
        }
        stream.set_nonblocking(true).unwrap();
        stream
    });
    let mut stream = tokio::net::TcpStream::from_std(served.await.unwrap()).unwrap();
    let mut byte = [0];
    let closed = tokio::time::timeout(Duration::from_secs(61), stream.read(&mut byte)).await;
    assert_eq!(closed.expect("the connection is still open").unwrap(), 0);
}

#[test]
fn connection_serves_several_requests() {
    let world = World::new();
    let mut stream = TcpStream::connect(world.address()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"{\"status\":\"ok\"}") {
            let mut buffer = [0; 512];
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            answer.extend_from_slice(&buffer[..read]);
        }
    }
}

#[test]
fn seed_export_and_import_agree() {
    let seed = r#"{"links/dust": {"title": "Dust", "n": 1e3}, "theme": "dark"}"#;
    let world = World::with(Emulator::builder().store("acme/main").seed("acme/main", seed));
    assert!(world.get("/links/dust").text().ends_with(r#""value":{"n":1.0e3,"title":"Dust"}}"#));
    let object = world.emulator.export("acme/main").unwrap();
    assert_eq!(world.emulator.import("acme/copy", &object).unwrap(), 3);
    assert_eq!(world.emulator.export("acme/copy").unwrap(), object);

    let lines = world.call("GET", "/api/stores/acme/main/export", None);
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    world.emulator.store_handle("acme/lines").unwrap();
    let headers = [("authorization", format!("Bearer {}", world.emulator.token()))];
    let headers = [(headers[0].0, headers[0].1.as_str()), ("content-type", "application/x-ndjson")];
    let done = send(world.address(), "POST", "/api/stores/acme/lines/import", &headers, Some(&lines.body)).unwrap();
    assert_eq!(done.text(), r#"{"failed":[],"imported":3,"ok":true,"skipped":2,"unparseable":0}"#);
    assert_eq!(world.emulator.export("acme/lines").unwrap(), object);

    let cloned = world.call("POST", "/api/stores/acme/main/clone", Some(r#"{"name":"twin"}"#));
    assert_eq!(cloned.status(), 201);
    assert_eq!(world.emulator.export("acme/twin").unwrap(), object);
    assert_eq!(world.call("POST", "/api/stores/acme/main/clone", Some(r#"{"name":"twin"}"#)).status(), 422);
}

#[test]
fn seed_fills_only_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Emulator::builder().store("acme/main").data_dir(directory.path()).seed("acme/main", r#"{"a": 1}"#);
    let world = World::with(builder.clone());
    world.put("/a", "2");
    world.stop();
    let world = World::with(builder);
    assert!(world.get("/a").text().contains("\"value\":2"));
    assert_eq!(world.emulator.skipped_seeds(), ["acme/main"]);
    let bad = world.runtime.block_on(Emulator::builder().seed("acme/main", r#"{"a//b": 1}"#).start());
    assert!(bad.unwrap_err().to_string().contains("`a//b`"));
    let file = directory.path().join("seed.json");
    std::fs::write(&file, "{\n\"a\": tru}").unwrap();
    let bad = world.runtime.block_on(Emulator::builder().seed_file("acme/main", &file).start());
    let error = bad.unwrap_err().to_string();
    assert!(error.contains(&format!("{}: line 2, column 9: expected ident", file.display())), "{error}");
}

#[test]
fn long_answer_is_compressed_on_request() {
    let world = World::new();
    for at in 0..50 {
        world.put(&format!("/links/{at}"), "\"a title that many have\"");
    }
    let token = format!("Bearer {}", world.emulator.token());
    let get = |path: &str, encoding: &str| {
        let headers = [("authorization", token.as_str()), ("accept-encoding", encoding)];
        send(world.address(), "GET", &world.entries(path), &headers, None).unwrap()
    };
    let plain = get("", "identity");
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(get("", "gzip;q=0").body, plain.body);
    let packed = get("", "br, gzip");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 4 < plain.body.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // Answers with an ETag and short answers are not compressed.
    assert_eq!(get("/links", "gzip").header("content-encoding"), None);
    assert_eq!(get("?limit=1", "gzip").header("content-encoding"), None);
}
