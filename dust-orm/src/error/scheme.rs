//! Failures of a connection that come from the wrong scheme for a port.

/// Failures of a TLS handshake with a server that speaks plain text.
const PLAIN_SIGNS: [&str; 5] =
    ["InvalidContentType", "wrong version number", "packet length too long", "record overflow", "handshake eof"];

/// Answers of a server with TLS to plain text: nothing, an alert, which is no HTTP, or a page of a common server.
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

/// The way out where the scheme of an address may not fit its port, as the end of a message; empty for another
/// failure.
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
