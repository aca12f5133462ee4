//! Opening a socket: address, proxy, TLS and WebSocket handshake.

use std::fmt;
use std::io;
use std::time::Duration;

use dust_protocol::channel::{CAPVER, MAX_INCOMING, MAX_OUTGOING, SOCKET_PATH, VSN};
use dust_protocol::excerpt::excerpt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use super::counted_stream::{Counted, Wire};
use super::race::race;
use super::tls::Tls;
use super::tunnel;
use crate::config::Token;
use crate::config::proxy::{self, Proxy};
use crate::error::{DustErr, Reason, wrong_scheme_hint};

/// Size of the buffer for a read from a socket. The library clears it before each read, and most reads return a frame
/// or two, or nothing; clearing its default of 128 KiB takes longer than processing a frame.
const READ_BUFFER: usize = 8 << 10;

/// Time in which a socket opens.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) type Socket = WebSocketStream<Counted>;

/// The address and the credentials of a socket.
#[derive(Clone)]
pub(super) struct Endpoint {
    url: Url,
    token: Token,
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// The proxy to the server, and the TLS to the proxy.
    proxy: Option<(Proxy, Option<Tls>)>,
    /// The addresses of the host, in a test.
    #[cfg(test)]
    resolved: Option<Vec<std::net::SocketAddr>>,
    /// The longest message that is read, in bytes of all its frames.
    max_incoming: usize,
}

/// The error of a socket that did not open.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The server was not reached, or did not answer as a Dust server.
    Unreachable(Reason),
    /// The server refused the token.
    Refused(DustErr),
}

impl Endpoint {
    /// The endpoint of a server: `url` is the address of the server (`https://…`), or of its socket
    /// (`wss://…/ws/sync/websocket`).
    ///
    /// # Errors
    ///
    /// `InvalidParams` if `url` is malformed, if the environment names a proxy that cannot be used, or if `url` needs
    /// TLS and the crate was built without.
    pub(super) fn new(url: &str, token: &Token, device_id: &str) -> Result<Endpoint, DustErr> {
        Endpoint::with_variables(url, token, device_id, proxy::variable)
    }

    fn with_variables(
        url: &str,
        token: &Token,
        device_id: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Endpoint, DustErr> {
        let malformed = |why: &str| {
            DustErr::invalid_params(format!(
                "`url` (DUST_WS_URL) {why}; for example wss://dustlayer.io{SOCKET_PATH}, or leave it out, as it is \
                 derived from the base URL"
            ))
        };
        let mut url = Url::parse(url).map_err(|_| malformed("is not an address with a scheme and a host"))?;
        let is_whole = matches!(url.scheme(), "ws" | "wss");
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            _ => return Err(malformed("must begin with `wss://` or `ws://`")),
        };
        if url.set_scheme(scheme).is_err() {
            return Err(malformed("must begin with `wss://` or `ws://`"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(malformed("must not contain user info, a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/');
        if path.is_empty() || !(is_whole || path.ends_with(SOCKET_PATH)) {
            let path = format!("{path}{SOCKET_PATH}");
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
        Ok(Endpoint {
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
    pub(super) fn with_max_incoming(self, bytes: Option<usize>) -> Endpoint {
        Endpoint { max_incoming: bytes.unwrap_or(self.max_incoming), ..self }
    }

    /// The address of the socket without the token.
    pub(super) fn server(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }

    /// Opens a socket.
    pub(super) async fn connect(&self) -> Result<Socket, ConnectError> {
        match tokio::time::timeout(TIMEOUT, self.try_connect()).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable("it does not answer".into())),
        }
    }

    async fn try_connect(&self) -> Result<Socket, ConnectError> {
        let mut stream = match &self.proxy {
            Some(proxy) => self.tunnel(proxy).await.map_err(|why| self.unreachable(why))?,
            None => {
                self.connect_tcp(&self.host, self.port).await.map_err(|error| self.unreachable(Reason::of(error)))?
            }
        };
        if let Some(tls) = &self.tls {
            let connected = tls.connect(&self.host, stream).await;
            stream = connected.map_err(|why| self.unreachable(self.with_hint(why)))?;
        }
        let (stream, limits) = (Counted::new(stream), Some(limits(self.max_incoming)));
        let opened = tokio_tungstenite::client_async_with_config(self.url.as_str(), stream, limits).await;
        match opened {
            Ok((mut socket, _)) => {
                socket.get_mut().follow_messages();
                Ok(socket)
            }
            Err(Error::Http(response)) => Err(self.refused(&response)),
            // Only these errors never contain the URL, which has the token.
            Err(error @ (Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::ConnectionClosed)) => {
                let why = Reason::of(error).map(|why| self.token.redact(why));
                Err(self.unreachable(self.with_hint(why)))
            }
            Err(error) => Err(self.unreachable(self.token.redact(error.to_string()).into())),
        }
    }

    /// The error for an answer other than a WebSocket handshake.
    fn refused(&self, response: &Response<Option<Vec<u8>>>) -> ConnectError {
        let status = response.status().as_u16();
        if matches!(status, 401 | 403) {
            let message = format!(
                "the server at {}:{} refuses the token for its WebSocket: it is wrong, expired or revoked",
                self.host, self.port
            );
            return ConnectError::Refused(DustErr::unauthorized(message, None));
        }
        let page = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let hint = match wrong_scheme_hint(self.tls.is_some(), &page) {
            "" => " (is the path of `url`, DUST_WS_URL, or of `base_url`, DUST_BASE_URL, right?)",
            hint => hint,
        };
        let location = response.headers().get("location").and_then(|location| location.to_str().ok());
        let redirect = match location {
            Some(to) => format!(", a redirect to {},", excerpt(&self.token.redact(to.to_owned()))),
            None => String::new(),
        };
        let why = format!("it answered {status}{redirect} where a WebSocket was expected{hint}");
        self.unreachable(why.into())
    }

    /// Adds a hint if the scheme does not match the port.
    fn with_hint(&self, why: Reason) -> Reason {
        why.map(|why| format!("{why}{}", wrong_scheme_hint(self.tls.is_some(), &why)))
    }

    /// Connects to the address of a host that answers first (`race.rs`).
    async fn connect_tcp(&self, host: &str, port: u16) -> io::Result<Box<dyn Wire>> {
        let stream = race(self.resolve(host, port).await?, TcpStream::connect).await?;
        // Frames are small, and callers wait for each.
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
        let stream = self.connect_tcp(&proxy.host, proxy.port).await;
        let mut stream = stream.map_err(|error| by(Reason::of(error)))?;
        if let Some(tls) = tls {
            stream = tls.connect(&proxy.host, stream).await.map_err(by)?;
        }
        tunnel::open(&mut *stream, proxy, &self.host, self.port).await.map_err(by)?;
        Ok(stream)
    }

    fn unreachable(&self, why: Reason) -> ConnectError {
        ConnectError::Unreachable(why.map(|why| format!("{}:{}: {why}", self.host, self.port)))
    }
}

/// The limits of a socket's memory. A server that pings and does not read lets answers accumulate: these take as much
/// memory as a frame.
fn limits(max_incoming: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_incoming))
        .max_frame_size(Some(max_incoming))
        .max_write_buffer_size(2 * MAX_OUTGOING)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
