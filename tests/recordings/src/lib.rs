//! The HTTP exchanges that were recorded with a real Dust server (`tests/wire`), read for the tests of several crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

use std::path::{Path, PathBuf};

/// One recorded request over HTTP and its answer.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The name of the file.
    pub file: String,
    /// The line that begins with `$ curl`.
    pub command: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers of the answer that were recorded.
    pub headers: Vec<(String, String)>,
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

    /// A header of the answer, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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

/// Reads the exchanges of the recordings over HTTP.
pub fn exchanges() -> Vec<Exchange> {
    let mut exchanges = all_exchanges();
    // The recordings whose names begin with `g` are of WebSockets.
    exchanges.retain(|exchange| !exchange.file.starts_with('g'));
    assert!(exchanges.len() > 400, "only {} exchanges were found", exchanges.len());
    exchanges
}

/// Reads every exchange over HTTP, those beside recorded WebSockets too.
pub fn all_exchanges() -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for (file, text) in files() {
        let mut open = false;
        for line in text.lines() {
            if line.starts_with("$ curl") {
                open = true;
                exchanges.push(Exchange { file: file.clone(), command: line.to_owned(), ..Exchange::default() });
            } else if line.is_empty() {
                open = false;
            } else if let Some(exchange) = exchanges.last_mut().filter(|_| open) {
                let Some(head) = line.strip_prefix("< ") else {
                    exchange.body.push_str(line);
                    continue;
                };
                match (head.strip_prefix("HTTP/1.1 "), head.split_once(": ")) {
                    (Some(status), _) => exchange.status = status[..3].parse().unwrap(),
                    (None, Some((name, value))) => exchange.headers.push((name.to_owned(), value.to_owned())),
                    (None, None) => {}
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
    for (_, text) in files() {
        let received = text.lines().filter_map(|line| line.split_once("] <- text "));
        frames.extend(received.map(|(_, frame)| frame.trim().to_owned()));
    }
    assert!(frames.len() > 300, "only {} frames were found", frames.len());
    frames
}

/// The recordings, each with the name of its file, in the order of the names.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let read = |file: PathBuf| {
        (file.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&file).unwrap())
    };
    files.into_iter().map(read).collect()
}
