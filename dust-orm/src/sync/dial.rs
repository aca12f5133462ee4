//! Opening a socket.

use std::fmt;
use std::io;
use std::time::Duration;

use dust_protocol::channel::{CAPVER, MAX_INCOMING, MAX_OUTGOING, SOCKET_PATH, VSN};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use super::race::race;
use super::tls::Tls;
use super::tunnel;
use super::wire::{Counted, Wire};
use crate::config::proxy::{self, Proxy};
use crate::config::{Token, plain_text_hint};
use crate::error::{DustErr, Reason};

/// How much is read from a socket at a time. The library clears as much before each read, most of which find a frame or two, or
/// nothing yet; its default of 128 KiB takes longer to clear than a frame to handle.
const READ_BUFFER: usize = 8 << 10;

/// How long a socket may take to open.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) type Socket = WebSocketStream<Counted>;

/// Where a socket leads to, and as whom.
#[derive(Clone)]
pub(super) struct Address {
    url: Url,
    token: Token,
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// The proxy to the server, and the TLS to the proxy.
    proxy: Option<(Proxy, Option<Tls>)>,
    /// The addresses that a name has in a test.
    #[cfg(test)]
    resolved: Option<Vec<std::net::SocketAddr>>,
    /// The longest frame that is read, however many parts it comes in.
    max_incoming: usize,
}

/// Why a socket did not open.
#[derive(Debug)]
pub(super) enum DialError {
    /// The server was not reached, or is not itself.
    Unreachable(Reason),
    /// The server refused the token.
    Refused(DustErr),
}

impl Address {
    /// The socket of a server: `url` is the server's own address (`https://…`), or the whole address of the socket
    /// (`wss://…/ws/sync/websocket`).
    ///
    /// # Errors
    ///
    /// `InvalidParams` if `url` is malformed, if the environment names a proxy that cannot be used, or without TLS.
    pub(super) fn new(url: &str, token: &Token, device_id: &str) -> Result<Address, DustErr> {
        Address::with_variables(url, token, device_id, proxy::variable)
    }

    fn with_variables(
        url: &str,
        token: &Token,
        device_id: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Address, DustErr> {
        let malformed = |why: &str| {
            DustErr::invalid_params(format!(
                "`url` (DUST_WS_URL) {why}; for example wss://dustlayer.io{SOCKET_PATH}, or nothing, as it follows from \
                 the base URL"
            ))
        };
        let mut url = Url::parse(url).map_err(|_| malformed("is not an address with a scheme and a host"))?;
        let (scheme, whole) = match url.scheme() {
            "ws" => ("ws", true),
            "wss" => ("wss", true),
            "http" => ("ws", false),
            "https" => ("wss", false),
            _ => return Err(malformed("must begin with `wss://` or `ws://`")),
        };
        if url.set_scheme(scheme).is_err() {
            return Err(malformed("must begin with `wss://` or `ws://`"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(malformed("holds a user, a password, a `?` or a `#`, which are not its business"));
        }
        if !whole || url.path().trim_matches('/').is_empty() {
            let path = format!("{}{SOCKET_PATH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let host = url.host_str().ok_or_else(|| malformed("lacks a host"))?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(|| malformed("lacks a port"))?;
        url.query_pairs_mut()
            .append_pair("token", token.reveal())
            .append_pair("device_id", device_id)
            .append_pair("capver", &CAPVER.to_string())
            .append_pair("vsn", VSN);
        let tls = (scheme == "wss").then(Tls::new).transpose()?;
        let proxy = match proxy::proxy_for(&url, variable)? {
            Some(proxy) => {
                let tls = proxy.is_https.then(Tls::new).transpose()?;
                Some((proxy, tls))
            }
            None => None,
        };
        let max_incoming = MAX_INCOMING;
        #[cfg(test)]
        let resolved = None;
        Ok(Address {
            url,
            token: token.clone(),
            host,
            port,
            tls,
            proxy,
            #[cfg(test)]
            resolved,
            max_incoming,
        })
    }

    #[cfg(test)]
    pub(super) fn with_max_incoming(self, bytes: Option<usize>) -> Address {
        Address { max_incoming: bytes.unwrap_or(self.max_incoming), ..self }
    }

    /// The server, as it can be shown.
    pub(super) fn server(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }

    /// Opens a socket.
    pub(super) async fn dial(&self) -> Result<Socket, DialError> {
        match tokio::time::timeout(TIMEOUT, self.try_dial()).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable("it does not answer".into())),
        }
    }

    async fn try_dial(&self) -> Result<Socket, DialError> {
        let mut stream = match &self.proxy {
            Some(proxy) => self.tunnel(proxy).await.map_err(|why| self.unreachable(why))?,
            None => self.connect(&self.host, self.port).await.map_err(|error| self.unreachable(Reason::of(error)))?,
        };
        if let Some(tls) = &self.tls {
            let connected = tls.connect(&self.host, stream).await;
            stream =
                connected.map_err(|why| self.unreachable(why.map(|why| format!("{why}{}", plain_text_hint(&why)))))?;
        }
        let (stream, limits) = (Counted::new(stream), Some(limits(self.max_incoming)));
        let opened = tokio_tungstenite::client_async_with_config(self.url.as_str(), stream, limits).await;
        match opened {
            Ok((mut socket, _)) => {
                socket.get_mut().follow_messages();
                Ok(socket)
            }
            Err(Error::Http(response)) if matches!(response.status().as_u16(), 401 | 403) => {
                let message = format!(
                    "the server at {}:{} refuses the token for its WebSocket: it is wrong, expired or revoked",
                    self.host, self.port
                );
                Err(DialError::Refused(DustErr::unauthorized(message, None)))
            }
            Err(Error::Http(response)) => {
                let status = response.status().as_u16();
                let why = format!(
                    "it answered {status} where a WebSocket was expected (is the path of `url`, DUST_WS_URL, or of \
                     `base_url`, DUST_BASE_URL, right?)"
                );
                Err(self.unreachable(why.into()))
            }
            // Of the others only these hold nothing of the URL, which has the token.
            Err(error @ (Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::ConnectionClosed)) => {
                Err(self.unreachable(Reason::of(error).map(|why| self.token.redact(why))))
            }
            Err(error) => Err(self.unreachable(self.token.redact(error.to_string()).into())),
        }
    }

    /// Connects to the address of a host that answers first.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Wire>> {
        let stream = race(self.resolve(host, port).await?, TcpStream::connect).await?;
        // Frames are small, and each is waited for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small frames to the Dust server may be delayed");
        }
        Ok(Box::new(stream))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<std::net::SocketAddr>> {
        #[cfg(test)]
        if let Some(addresses) = &self.resolved {
            return Ok(addresses.clone());
        }
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    /// Connects to the server through its proxy.
    async fn tunnel(&self, (proxy, tls): &(Proxy, Option<Tls>)) -> Result<Box<dyn Wire>, Reason> {
        let by = |why: Reason| why.map(|why| format!("by the proxy {}:{}: {why}", proxy.host, proxy.port));
        let stream = self.connect(&proxy.host, proxy.port).await;
        let mut stream = stream.map_err(|error| by(Reason::of(error)))?;
        if let Some(tls) = tls {
            stream = tls.connect(&proxy.host, stream).await.map_err(by)?;
        }
        tunnel::open(&mut *stream, proxy, &self.host, self.port).await.map_err(by)?;
        Ok(stream)
    }

    fn unreachable(&self, why: Reason) -> DialError {
        DialError::Unreachable(why.map(|why| format!("{}:{}: {why}", self.host, self.port)))
    }
}

/// What a socket takes into memory. A server that pings, and does not read what is sent, makes answers pile up that it does not
/// take: these have as much room as a frame, and the latest counts.
fn limits(max_incoming: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_incoming))
        .max_frame_size(Some(max_incoming))
        .max_write_buffer_size(2 * MAX_OUTGOING)
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_tungstenite::tungstenite::WebSocket;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    fn address(url: &str) -> Result<Address, DustErr> {
        Address::new(url, &Token::new("dust_tok_&secret"), "d 1")
    }

    #[test]
    fn the_address_of_the_socket_follows_from_that_of_the_server() {
        let query = "?token=dust_tok_%26secret&device_id=d+1&capver=3&vsn=2.0.0";
        for (url, expected) in [
            ("http://127.0.0.1:7755", "ws://127.0.0.1:7755/ws/sync/websocket"),
            ("https://dustlayer.io/", "wss://dustlayer.io/ws/sync/websocket"),
            ("https://proxy/dust", "wss://proxy/dust/ws/sync/websocket"),
            ("ws://localhost:1", "ws://localhost:1/ws/sync/websocket"),
            ("wss://edge/sockets/dust", "wss://edge/sockets/dust"),
        ] {
            assert_eq!(address(url).unwrap().url.as_str(), format!("{expected}{query}"), "{url}");
            assert_eq!(address(url).unwrap().server(), expected);
        }
        let address = address("https://[::1]").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 443));
        assert!(!format!("{address:?}").contains("secret"));
    }

    fn through(server: &str, proxy: &str) -> Address {
        let variable = |name: &str| (name == "ALL_PROXY").then(|| proxy.to_owned());
        Address::with_variables(server, &Token::new("t"), "d", variable).unwrap()
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
            // The bytes behind the answer of the proxy are the server's.
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            socket.send("hello".into()).await.unwrap();
            head
        });
        let mut socket = address.dial().await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
        let asked = proxy.await.unwrap();
        let expected =
            "CONNECT dust.test:81 HTTP/1.1\r\nHost: dust.test:81\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n";
        assert_eq!(asked, expected);
    }

    #[tokio::test]
    async fn proxy_that_opens_no_connection_is_named_and_tried_again() {
        for (answer, expected) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(), "wants a user and a password"),
            ("HTTP/1.1 503 No\r\n\r\n".to_owned(), "status 503"),
            ("SSH-2.0\r\n\r\n".to_owned(), "no HTTP"),
            ("HTTP/1.1 200".to_owned(), "broke the connection off"),
            (format!("HTTP/1.1 200 {}", "x".repeat(20_000)), "has no end"),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let proxy = listener.local_addr().unwrap();
            let address = through("https://dust.test", &format!("http://{proxy}"));
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                head(&mut stream).await;
                // The client may have enough before the end.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
            let Err(DialError::Unreachable(why)) = address.dial().await else { panic!("it is not reached") };
            let why = why.text();
            assert!(why.contains(expected) && why.contains(&format!("by the proxy {proxy}")), "{why}");
            server.await.unwrap();
        }
    }

    #[test]
    fn proxy_of_another_scheme_is_an_error_of_the_configuration() {
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://p:1".to_owned());
        let error = Address::with_variables("wss://dust.test", &Token::new("t"), "d", variable).unwrap_err();
        assert!(matches!(error, DustErr::InvalidParams { .. }) && error.to_string().contains("socks5"), "{error}");
    }

    #[tokio::test]
    async fn host_whose_first_address_is_dead_is_reached_at_the_next() {
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
        address.dial().await.unwrap();
        server.await.unwrap();
    }

    /// A server that sends parts of one message for as long as somebody takes them.
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
    async fn a_message_without_an_end_is_given_up_at_the_limit() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut address = address(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        assert_eq!(address.max_incoming, 256 << 20);
        address.max_incoming = 1 << 20;
        let server = tokio::spawn(endless(listener));
        let mut socket = address.dial().await.unwrap();
        let error = socket.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Capacity(_)), "{error}");
        let arrived = socket.get_ref().counts().arrived;
        assert!((1 << 20..3 << 20).contains(&arrived), "{arrived}");
        drop(socket);
        tokio::time::timeout(Duration::from_secs(60), server).await.expect("it hears of the end").unwrap();
    }

    /// A server that pings, and takes no answer.
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
    fn answers_to_pings_that_nobody_takes_do_not_pile_up() {
        let mut socket = WebSocket::from_raw_socket(Deaf(0), Role::Client, Some(limits(MAX_INCOMING)));
        for _ in 0..2 * MAX_OUTGOING / 125 {
            assert!(socket.read().unwrap().is_ping());
        }
        let error = socket.write("x".repeat(200).into()).unwrap_err();
        assert!(matches!(error, Error::WriteBufferFull(_)), "{error}");
    }

    #[test]
    fn an_address_that_is_none_says_so() {
        for url in ["", "dust", "ftp://dust", "ws://user@dust", "ws://dust/?token=x"] {
            let error = address(url).unwrap_err().to_string();
            assert!(error.contains("DUST_WS_URL") && error.contains("for example"), "{url}: {error}");
        }
    }
}
