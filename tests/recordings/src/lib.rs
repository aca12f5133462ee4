//! The HTTP exchanges that were recorded with a real Dust server (`tests/wire`), read for the tests of several crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

use std::path::{Path, PathBuf};

/// One recorded request over HTTP and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The name of the file.
    pub file: String,
    /// The line that begins with `$ curl`.
    pub command: String,
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body of the answer, without its line breaks.
    pub body: String,
}

/// The call of the HTTP interface that an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET entries?…`
    List,
    /// `GET entries/…`
    Get,
    /// `POST entries/batch`
    GetMany,
    /// `POST entries/batch_write`
    BatchWrite,
    /// `PUT entries/…` and `POST entries`
    Set,
    /// `DELETE entries/…`
    Delete,
}

impl Exchange {
    /// The HTTP method.
    pub fn method(&self) -> &str {
        if self.command.contains("curl -I ") {
            return "HEAD";
        }
        let named = self.command.split_once("-X ").map(|(_, rest)| rest);
        ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"]
            .into_iter()
            .find(|method| named.is_some_and(|named| named.starts_with(method)))
            .unwrap_or("GET")
    }

    /// The part of the URL behind `/entries`, or `None` for another route.
    pub fn target(&self) -> Option<&str> {
        let (_, url) = self.command.rsplit_once("/api/stores/")?;
        let (_, target) = url.split_once("/entries")?;
        Some(target.trim_end_matches('\''))
    }

    /// The call, or `None` for a route outside of the entries.
    pub fn call(&self) -> Option<Call> {
        Some(match (self.method(), self.target()?) {
            ("GET", "" | "/") => Call::List,
            ("GET", target) if target.starts_with('?') => Call::List,
            ("GET", _) => Call::Get,
            ("POST", "/batch") => Call::GetMany,
            ("POST", "/batch_write") => Call::BatchWrite,
            ("PUT", _) | ("POST", "") => Call::Set,
            ("DELETE", _) => Call::Delete,
            _ => return None,
        })
    }

    /// Tests if the recording has the beginning only, of the answer or of the request.
    pub fn is_cut(&self) -> bool {
        self.body.ends_with(" chars)") || self.command.ends_with(" chars)'")
    }
}

/// The folder of the recordings.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire")
}

/// Reads every recorded exchange over HTTP.
pub fn exchanges() -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // The files of `g` are about WebSockets.
        if name.starts_with('g') || !name.ends_with(".txt") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let mut open = false;
        for line in text.lines() {
            if line.starts_with("$ curl") {
                open = true;
                exchanges.push(Exchange {
                    file: name.clone(),
                    command: line.to_owned(),
                    status: 0,
                    retry_after: None,
                    body: String::new(),
                });
            } else if line.is_empty() {
                open = false;
            } else if let Some(exchange) = exchanges.last_mut().filter(|_| open) {
                match line.strip_prefix("< ") {
                    Some(head) => match (head.strip_prefix("HTTP/1.1 "), head.strip_prefix("retry-after: ")) {
                        (Some(status), _) => exchange.status = status[..3].parse().unwrap(),
                        (_, Some(seconds)) => exchange.retry_after = Some(seconds.to_owned()),
                        _ => {}
                    },
                    None => exchange.body.push_str(line),
                }
            }
        }
    }
    assert!(exchanges.len() > 400, "only {} exchanges were found", exchanges.len());
    exchanges
}

/// Reads every recorded JSON frame that a client received.
pub fn received_frames() -> Vec<String> {
    let mut frames = Vec::new();
    for file in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let received = text.lines().filter_map(|line| line.split_once("] <- text "));
        frames.extend(received.map(|(_, frame)| frame.trim().to_owned()));
    }
    assert!(frames.len() > 300, "only {} frames were found", frames.len());
    frames
}
