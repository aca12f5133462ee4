//! A connection through an HTTP proxy, with its method `CONNECT`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::counted_stream::Wire;
use crate::config::proxy::Proxy;
use crate::error::Reason;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;

/// Requests a connection to a host from the proxy at the other end of a stream. Afterwards the stream is that
/// connection.
pub(super) async fn open(stream: &mut dyn Wire, proxy: &Proxy, host: &str, port: u16) -> Result<(), Reason> {
    let failed =
        |error: std::io::Error| Reason::of(error).map(|why| format!("the proxy broke the connection off: {why}"));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut answer = Vec::new();
    // One byte at a time: the bytes after the head belong to the connection.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER {
            return Err("the answer of the proxy has no end within 16 KiB".into());
        }
        answer.push(stream.read_u8().await.map_err(failed)?);
    }
    let line = answer.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.filter(|line| line.starts_with("HTTP/")).unwrap_or_default().split_ascii_whitespace();
    match words.nth(1).and_then(|status| status.parse::<u16>().ok()) {
        Some(200..300) => Ok(()),
        Some(407) => Err("the proxy requires a user and a password, or others (status 407)".into()),
        Some(status) => Err(format!("the proxy refuses the connection with status {status}").into()),
        None => Err("the answer of the proxy is no HTTP".into()),
    }
}
