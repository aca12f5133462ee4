//! A peer that answers from a script, over a real socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::TestWorld;

/// The reaction of the peer to the next request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Answers with these bytes and keeps the connection.
    Response(Vec<u8>),
    /// Lets this time pass and then answers with these bytes.
    AnswerAfter(Duration, Vec<u8>),
    /// Closes the connection as soon as it is open.
    CloseUnread,
    /// Reads the request, then closes the connection.
    CloseUnanswered,
    /// Reads the request, answers with these bytes, then closes the connection.
    AnswerAndClose(Vec<u8>),
    /// Reads the request, and sends the first bytes once and the others repeatedly, until the reader has gone.
    Endless(Vec<u8>, Vec<u8>),
    /// Reads the request and lets this time pass instead of answering.
    Stall(Duration),
    /// Reads nothing and lets this time pass: a handshake is never answered.
    StallUnread(Duration),
}

/// A request as the peer received it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A peer that answers requests of all connections in the order of a script, and closes connections after its end.
pub(super) struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    steps: Mutex<VecDeque<Step>>,
    received: Mutex<Vec<Received>>,
    /// The number of bytes that were sent of endless answers.
    sent_in_vain: AtomicUsize,
    world: Arc<TestWorld>,
}

impl Peer {
    pub(super) async fn start(world: &Arc<TestWorld>, steps: impl IntoIterator<Item = Step>) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            steps: Mutex::new(steps.into_iter().collect()),
            received: Mutex::default(),
            sent_in_vain: AtomicUsize::new(0),
            world: Arc::clone(world),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Peer { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn sent_in_vain(&self) -> usize {
        self.shared.sent_in_vain.load(Ordering::SeqCst)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.line).collect()
    }
}

impl Shared {
    fn peek_unread(&self) -> Option<Step> {
        let mut steps = self.steps.lock().unwrap();
        let unread = matches!(steps.front(), None | Some(Step::CloseUnread | Step::StallUnread(_)));
        unread.then(|| steps.pop_front().unwrap_or(Step::CloseUnread))
    }

    async fn serve(&self, mut stream: TcpStream) {
        loop {
            match self.peek_unread() {
                Some(Step::StallUnread(duration)) => {
                    let mut first = [0; 512];
                    let length = stream.read(&mut first).await.unwrap_or(0);
                    self.received.lock().unwrap().push(Received {
                        line: String::from_utf8_lossy(&first[..length]).into_owned(),
                        headers: Vec::new(),
                        body: String::new(),
                    });
                    self.world.advance(duration);
                    // The connection stays open until the other side gives up.
                    while stream.read(&mut first).await.is_ok_and(|length| length > 0) {}
                    return;
                }
                Some(_) => return,
                None => {}
            }
            let Some(request) = read_request(&mut stream).await else { return };
            self.received.lock().unwrap().push(request);
            let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::CloseUnread);
            match step {
                Step::Response(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::AnswerAfter(duration, bytes) => {
                    self.world.advance(duration);
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::AnswerAndClose(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    return;
                }
                Step::Endless(first, again) => {
                    let mut sent = first.len();
                    let mut open = stream.write_all(&first).await.is_ok();
                    while open {
                        open = stream.write_all(&again).await.is_ok();
                        sent += again.len();
                    }
                    self.sent_in_vain.fetch_add(sent, Ordering::SeqCst);
                    return;
                }
                Step::Stall(duration) => {
                    self.world.advance(duration);
                    let mut rest = [0; 512];
                    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
                    return;
                }
                Step::CloseUnanswered | Step::CloseUnread | Step::StallUnread(_) => return,
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { line, headers, body: String::from_utf8(body).unwrap() })
}

/// An answer in JSON.
pub(super) fn json(status: u16, body: &str) -> Step {
    answer(status, &[("content-type", "application/json; charset=utf-8")], body)
}

/// An answer with any headers and body.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Step {
    Step::Response(bytes(status, headers, body.as_bytes()))
}

pub(super) fn bytes(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Some Reason\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
