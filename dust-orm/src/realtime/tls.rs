//! TLS for a socket: the system's with the feature `native-tls`, otherwise rustls, as for HTTP.
//!
//! tungstenite's own connector does TLS and the WebSocket handshake in one call. It is not used: the stream between the
//! two is counted (`counted_stream.rs`), and a proxy may need TLS without a WebSocket.

use super::counted_stream::Wire;
use crate::error::{DustErr, Reason};

/// A connector for TLS.
#[derive(Clone)]
#[cfg(feature = "native-tls")]
pub(super) struct Tls(tokio_native_tls::TlsConnector);

#[cfg(feature = "native-tls")]
impl Tls {
    pub(super) fn new() -> Result<Tls, DustErr> {
        let connector = native_tls::TlsConnector::new()
            .map_err(|error| DustErr::invalid_params(format!("TLS cannot be set up: {error}")).with_source(error))?;
        Ok(Tls(connector.into()))
    }

    pub(super) async fn connect(&self, host: &str, stream: Box<dyn Wire>) -> Result<Box<dyn Wire>, Reason> {
        Ok(Box::new(self.0.connect(host, stream).await.map_err(Reason::of)?))
    }
}

/// A connector for TLS.
#[derive(Clone)]
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
pub(super) struct Tls(tokio_rustls::TlsConnector);

#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
impl Tls {
    pub(super) fn new() -> Result<Tls, DustErr> {
        let mut config = crate::config::tls::client(true)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(std::sync::Arc::new(config).into()))
    }

    pub(super) async fn connect(&self, host: &str, stream: Box<dyn Wire>) -> Result<Box<dyn Wire>, Reason> {
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(Reason::of)?;
        Ok(Box::new(self.0.connect(name, stream).await.map_err(Reason::of)?))
    }
}

/// No connector: the crate was built without TLS.
#[derive(Clone)]
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
pub(super) enum Tls {}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
impl Tls {
    pub(super) fn new() -> Result<Tls, DustErr> {
        Err(DustErr::invalid_params(
            "the address of the socket begins with wss, but dust-orm was built without TLS: turn on its feature \
             `rustls` or `native-tls`",
        ))
    }

    pub(super) async fn connect(&self, _: &str, _: Box<dyn Wire>) -> Result<Box<dyn Wire>, Reason> {
        match *self {}
    }
}
