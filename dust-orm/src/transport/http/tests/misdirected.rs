//! A base URL with the wrong scheme or path: the error names the setting.

use dust_protocol::Op;

use super::*;
use crate::config::RetryPolicy;
use crate::error::wrong_port::{TLS_ANSWERS, answer_next};
use crate::error::{DustErr, ErrKind};
use crate::transport::Transport;

/// The errors of a read and of a write by this scheme, with a server that answers with these bytes.
async fn errors(scheme: &str, answer: &'static [u8]) -> Option<[DustErr; 2]> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            answer_next(&listener, answer).await;
        }
    });
    let config = config(&url).retry(RetryPolicy::none()).build().unwrap();
    // A machine without any root certificate cannot use https at all.
    let transport = HttpTransport::in_world(config, TestWorld::new()).ok()?;
    let read = transport.get(&path("a")).await.unwrap_err();
    let write = transport.write(vec![Op::set(path("a"), value("1"))], None).await.unwrap_err();
    Some([read, write])
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn https_to_plain_port_names_the_setting() {
    let answers = [b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n".as_slice(), b""];
    // The system's library does not distinguish an aborted handshake from another end.
    for answer in answers.into_iter().take(if cfg!(feature = "native-tls") { 1 } else { 2 }) {
        let Some(errors) = errors("https", answer).await else { return };
        for error in errors {
            assert_eq!(error.kind(), ErrKind::Network, "{error}");
            let text = error.to_string();
            assert!(text.contains("`base_url` (DUST_BASE_URL)") && text.contains("`http://`"), "{text}");
        }
    }
}

#[tokio::test]
async fn http_to_port_of_tls_names_the_setting() {
    for answer in TLS_ANSWERS {
        for error in errors("http", answer).await.unwrap() {
            let text = error.to_string();
            assert!(text.contains("`base_url` (DUST_BASE_URL)") && text.contains("`https://`"), "{text}");
        }
    }
}

#[tokio::test]
async fn answer_404_of_another_server_names_the_setting() {
    for answer in [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot Found".as_slice(),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 25\r\n\r\n{\"error\":\"no such route\"}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{\"detail\":\"Not Found\"}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 31\r\n\r\n<html><h1>404</h1></html>      ",
        b"HTTP/1.1 301 Moved\r\nLocation: https://dust.test/\r\nContent-Length: 0\r\n\r\n",
    ] {
        for error in errors("http", answer).await.unwrap() {
            assert!(!matches!(error.kind(), ErrKind::NotFound), "{error}");
            assert!(error.to_string().contains("DUST_BASE_URL") && !error.is_retryable(), "{error}");
        }
    }
}
