//! Addresses, proxies, limits, and failures to connect, against servers on the loopback.

use std::io::{Read, Write};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::error::wrong_port::{TLS_ANSWERS, answer_next};

fn address(url: &str) -> Result<Endpoint, DustErr> {
    Endpoint::new(url, &Token::new("dust_tok_&secret"), "d 1")
}

#[test]
fn socket_address_is_derived_from_server_address() {
    let query = "?token=dust_tok_%26secret&device_id=d+1&capver=3&vsn=2.0.0";
    for (url, expected) in [
        ("http://127.0.0.1:7755", "ws://127.0.0.1:7755/ws/sync/websocket"),
        ("https://dustlayer.io/", "wss://dustlayer.io/ws/sync/websocket"),
        ("https://proxy/dust", "wss://proxy/dust/ws/sync/websocket"),
        ("ws://localhost:1", "ws://localhost:1/ws/sync/websocket"),
        ("wss://edge/sockets/dust", "wss://edge/sockets/dust"),
        ("https://proxy/dust/ws/sync/websocket/", "wss://proxy/dust/ws/sync/websocket/"),
    ] {
        assert_eq!(address(url).unwrap().url.as_str(), format!("{expected}{query}"), "{url}");
        assert_eq!(address(url).unwrap().server(), expected);
    }
    let address = address("https://[::1]").unwrap();
    assert_eq!((address.host.as_str(), address.port), ("::1", 443));
    assert!(!format!("{address:?}").contains("secret"));
}

fn through(server: &str, proxy: &str) -> Endpoint {
    let variable = |name: &str| (name == "ALL_PROXY").then(|| proxy.to_owned());
    Endpoint::with_variables(server, &Token::new("t"), "d", variable).unwrap()
}

/// The head of a request.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn socket_is_opened_through_a_proxy() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = through("http://dust.test:81", &format!("http://user:pass@{}", listener.local_addr().unwrap()));
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        // The bytes after the answer of the proxy are the server's.
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send("hello".into()).await.unwrap();
        head
    });
    let mut socket = address.connect().await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
    let asked = proxy.await.unwrap();
    let expected =
        "CONNECT dust.test:81 HTTP/1.1\r\nHost: dust.test:81\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n";
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn proxy_that_opens_no_connection_is_named_in_the_error() {
    for (answer, expected) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(), "requires a user and a password"),
        ("HTTP/1.1 503 No\r\n\r\n".to_owned(), "status 503"),
        ("HTTP/1.1 502\r\nVia: p\r\n\r\n".to_owned(), "status 502"),
        ("SSH-2.0\r\n\r\n".to_owned(), "no HTTP"),
        ("ICY 200 OK\r\n\r\n".to_owned(), "no HTTP"),
        ("HTTP/1.1 200".to_owned(), "broke the connection off"),
        (format!("HTTP/1.1 200 {}", "x".repeat(20_000)), "has no end"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let address = through("https://dust.test", &format!("http://{proxy}"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            // The client may close before it has read the whole answer.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let Err(ConnectError::Unreachable(why)) = address.connect().await else { panic!("it is not reached") };
        let why = why.text();
        assert!(why.contains(expected) && why.contains(&format!("by the proxy {proxy}")), "{why}");
        server.await.unwrap();
    }
}

#[test]
fn proxy_of_another_scheme_is_an_error_of_the_configuration() {
    let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://p:1".to_owned());
    let error = Endpoint::with_variables("wss://dust.test", &Token::new("t"), "d", variable).unwrap_err();
    assert!(matches!(error, DustErr::InvalidParams { .. }) && error.to_string().contains("socks5"), "{error}");
}

#[tokio::test]
async fn host_with_a_dead_first_address_is_reached_at_the_next() {
    // No process can listen on a port that is held.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = address("http://dust.test").unwrap();
    address.resolved = Some(vec![held.local_addr().unwrap(), listener.local_addr().unwrap()]);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(stream).await.unwrap()
    });
    address.connect().await.unwrap();
    server.await.unwrap();
}

/// A server that sends parts of one message until its client closes.
async fn endless(listener: tokio::net::TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap().into_inner();
    let mut part = vec![0x01, 126, 0xff, 0xff];
    part.resize(4 + 0xffff, b'x');
    while stream.write_all(&part).await.is_ok() {
        part[0] = 0x00;
    }
}

#[tokio::test]
async fn endless_message_fails_at_the_limit() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = address(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    assert_eq!(address.max_incoming, 256 << 20);
    address.max_incoming = 1 << 20;
    let server = tokio::spawn(endless(listener));
    let mut socket = address.connect().await.unwrap();
    let error = socket.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Capacity(_)), "{error}");
    let arrived = socket.get_ref().counts().read;
    assert!((1 << 20..3 << 20).contains(&arrived), "{arrived}");
    drop(socket);
    tokio::time::timeout(Duration::from_secs(60), server).await.expect("it hears of the end").unwrap();
}

/// A server that sends pings and reads no answer.
struct Deaf(u64);

impl Read for Deaf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ping = [[0x89, 125].as_slice(), &[7; 125]].concat();
        for byte in buffer.iter_mut() {
            *byte = ping[(self.0 % 127) as usize];
            self.0 += 1;
        }
        Ok(buffer.len())
    }
}

impl Write for Deaf {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn unread_answers_to_pings_are_bounded() {
    let mut socket = WebSocket::from_raw_socket(Deaf(0), Role::Client, Some(limits(MAX_INCOMING)));
    for _ in 0..2 * MAX_OUTGOING / 125 {
        assert!(socket.read().unwrap().is_ping());
    }
    let error = socket.write("x".repeat(200).into()).unwrap_err();
    assert!(matches!(error, Error::WriteBufferFull(_)), "{error}");
}

#[test]
fn malformed_address_is_an_error_with_an_example() {
    for url in ["", "dust", "ftp://dust", "ws://user@dust", "ws://dust/?token=x"] {
        let error = address(url).unwrap_err().to_string();
        assert!(error.contains("DUST_WS_URL") && error.contains("for example"), "{url}: {error}");
    }
}

/// The reason why a server that answers with these bytes is not reached by a scheme.
async fn failure(scheme: &str, answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = address(&format!("{scheme}://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move { answer_next(&listener, answer).await });
    let Err(ConnectError::Unreachable(why)) = address.unwrap().connect().await else { panic!("it is not reached") };
    server.await.unwrap();
    why.text().to_owned()
}

#[tokio::test]
async fn plain_text_to_port_of_tls_names_the_setting() {
    for answer in TLS_ANSWERS {
        let why = failure("http", answer).await;
        assert!(why.contains("`https://` in `base_url` (DUST_BASE_URL)") && why.contains("`wss://`"), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn tls_to_port_of_plain_text_names_the_setting() {
    // A machine without any root certificate cannot use TLS.
    if address("https://dust").is_err() {
        return;
    }
    let answers = [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b""];
    // The system's library does not distinguish an aborted handshake from another end.
    for answer in answers.into_iter().take(if cfg!(feature = "native-tls") { 1 } else { 2 }) {
        let why = failure("https", answer).await;
        assert!(why.contains("`http://` in `base_url` (DUST_BASE_URL)") && why.contains("`ws://`"), "{why}");
    }
}

#[tokio::test]
async fn answer_of_wrong_path_names_the_setting() {
    for (answer, expected) in [
        (b"HTTP/1.1 404 Not Found\r\n\r\n".as_slice(), "it answered 404 where"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "it answered 200 where"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://dust.test/\r\n\r\n", "a redirect to https://dust.test/, where"),
    ] {
        let why = failure("http", answer).await;
        assert!(why.contains(expected) && why.contains("`base_url`, DUST_BASE_URL, right?"), "{why}");
    }
}
