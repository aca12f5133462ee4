//! Requests that a hostile page can make a browser on this machine send.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use dust_emulator::Emulator;
use dust_protocol::Path;
use support::send;
use support::socket::Socket;
use support::world::World;

/// The status of a request with these headers, `host` among them.
fn status(world: &World, method: &str, target: &str, headers: &str) -> u16 {
    let mut stream = TcpStream::connect(world.address()).unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn routes_refuse_other_origin_and_other_host() {
    let world = World::new();
    let own = format!("host: {}\r\n", world.address());
    let socket = format!("/ws/sync/websocket?token={}&device_id=d&capver=3&vsn=2.0.0", world.emulator.token());
    let targets = [
        ("GET", "/"),
        ("GET", "/?store=acme/main"),
        ("GET", "/healthz"),
        ("GET", "/_emulator/requests"),
        ("DELETE", "/_emulator/requests"),
        ("DELETE", "/_emulator/sockets"),
        ("POST", "/_emulator/faults"),
        ("GET", "/api/stores"),
        ("GET", "/api/stores/acme/main/entries"),
        ("OPTIONS", "/api/stores/acme/main/entries"),
        ("GET", "/api/files/sha256:0"),
        ("GET", socket.as_str()),
        ("GET", "/nothing"),
    ];
    for (method, target) in targets {
        assert_ne!(status(&world, method, target, &own), 0, "{method} {target}");
        if target != socket {
            assert_ne!(status(&world, method, target, &own), 403, "{method} {target}");
        }
        for headers in [
            format!("{own}origin: http://evil.example\r\n"),
            format!("{own}origin: null\r\n"),
            format!("{own}origin: http://localhost:3000\r\n"),
            format!("{own}sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n"),
            "host: evil.example\r\n".to_owned(),
            format!("host: evil.example:{}\r\norigin: http://evil.example\r\n", world.address().port()),
        ] {
            let upgrade =
                "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            let headers = if target == socket { format!("{headers}{upgrade}") } else { headers };
            assert_eq!(status(&world, method, target, &headers), 403, "{method} {target} {headers}");
        }
    }
    assert_eq!(world.emulator.open_sockets(), 0);
    // Its own page, and clients other than browsers.
    let page = format!("{own}origin: http://{}\r\nsec-fetch-site: same-origin\r\n", world.address());
    assert_eq!(status(&world, "GET", "/", &page), 200);
    Socket::json(world.address(), world.emulator.token(), "d");
}

#[test]
fn configured_host_is_accepted() {
    let world = World::with(Emulator::builder().host("emulator"));
    assert_eq!(status(&world, "GET", "/healthz", "host: emulator:7755\r\n"), 200);
    assert_eq!(status(&world, "GET", "/healthz", "host: emulators:7755\r\n"), 403);
}

#[test]
fn planted_file_is_served_as_attachment() {
    let world = World::new();
    let page = "<script>alert(1)</script>";
    for (content_type, served) in [
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/html\r\nx: y", "application/octet-stream"),
        ("text/plain", "text/plain; charset=utf-8"),
    ] {
        let path = Path::parse("file").unwrap();
        let hash = world.emulator.put_file("acme/main", &path, page, "a\".html\r\nx: y", content_type).unwrap();
        let answer = world.call("GET", &format!("/api/files/{hash}"), None);
        assert_eq!((answer.status(), answer.text().as_str()), (200, page));
        assert_eq!(answer.header("content-type"), Some(served));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let disposition = "attachment; filename=\"a_.html__x: y\"; filename*=UTF-8''a%22.html%0D%0Ax%3A%20y";
        assert_eq!(answer.header("content-disposition"), Some(disposition));
    }
}

#[test]
fn planted_value_is_not_served_as_page() {
    let world = World::new();
    world.put("/a", "\"<script>alert(1)</script>\"");
    for target in ["/entries/a", "/entries", "/export", "/log", "/entries?pattern=%3Cscript%3E", "/%3Cscript%3E"] {
        let answer = world.call("GET", &format!("/api/stores/acme/main{target}"), None);
        let is_html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        assert!(!is_html || !answer.text().contains('<'), "{target}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
    let page = send(world.address(), "GET", "/?store=acme/main", &[], None).unwrap();
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}
