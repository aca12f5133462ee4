//! Failures of a connection that come from the wrong scheme for a port.

/// Failures of a TLS handshake with a server that speaks plain text.
const PLAIN_SIGNS: [&str; 5] =
    ["InvalidContentType", "wrong version number", "packet length too long", "record overflow", "handshake eof"];

/// Failures of plain text that is sent to a server with TLS. It answers with nothing, with an alert, which is not HTTP,
/// or with a page.
const TLS_SIGNS: [&str; 8] = [
    "invalid HTTP",
    "HTTP version must be 1.1",
    "Handshake not finished",
    "closed before message completed",
    "Connection reset",
    "HTTP request to an HTTPS server",
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server",
];

/// The advice to change the scheme, as the end of a message, if the failure shows that the scheme does not match the
/// port; empty for another failure.
pub(crate) fn wrong_scheme_hint(is_tls: bool, failure: &str) -> &'static str {
    let has = |signs: &[&str]| signs.iter().any(|sign| failure.contains(sign));
    match is_tls {
        true if has(&PLAIN_SIGNS) => {
            "; if the server speaks no TLS on this port, write `http://` in `base_url` (DUST_BASE_URL), or `ws://` in \
             `url` (DUST_WS_URL), or the port of its TLS"
        }
        false if has(&TLS_SIGNS) => {
            "; if the server speaks TLS on this port, write `https://` in `base_url` (DUST_BASE_URL), or `wss://` in \
             `url` (DUST_WS_URL)"
        }
        _ => "",
    }
}

#[cfg(test)]
pub(crate) mod wrong_port {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers of servers with TLS to plain text: an alert, the pages of two servers, and nothing.
    pub(crate) const TLS_ANSWERS: [&[u8]; 4] = [
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 63\r\n\r\n\
          <center>The plain HTTP request was sent to HTTPS port</center>\n",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"",
    ];

    /// Answers the next connection with these bytes, whatever it sends, and closes it.
    pub(crate) async fn answer_next(listener: &TcpListener, answer: &[u8]) {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A whole request, or the beginning of a handshake.
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        // Waits until the client has closed, so that no unread bytes reset the connection.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}
