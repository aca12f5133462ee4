//! A WebSocket client for raw frames.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

/// Time limit for an expected frame. No test waits for it to elapse.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Socket {
    inner: WebSocket<TcpStream>,
    next_ref: u64,
}

/// The end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed(u16),
    Dropped,
}

impl Socket {
    /// Connects with these parameters; the error is the status of a refusal, 0 without an answer.
    pub(crate) fn open(address: SocketAddr, query: &str) -> Result<Socket, u16> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{address}/ws/sync/websocket?{query}");
        match client(url, stream) {
            Ok((inner, answer)) => {
                assert_eq!(answer.headers()["cache-control"], "max-age=0, private, must-revalidate");
                Ok(Socket { inner, next_ref: 1 })
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Connects with JSON frames.
    pub(crate) fn json(address: SocketAddr, token: &str, device: &str) -> Socket {
        Socket::open(address, &format!("token={token}&device_id={device}&capver=3&vsn=2.0.0")).unwrap()
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.inner.send(Message::text(text)).unwrap();
    }

    pub(crate) fn send_binary(&mut self, bytes: Vec<u8>) {
        self.inner.send(Message::binary(bytes)).unwrap();
    }

    /// Returns the next frame of either kind.
    pub(crate) fn message(&mut self) -> Result<Message, Ended> {
        loop {
            match self.inner.read() {
                Ok(Message::Close(frame)) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    // Answers the close frame.
                    while self.inner.read().is_ok() {}
                    return Err(Ended::Closed(code));
                }
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => return Ok(message),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no frame came"),
                Err(_) => return Err(Ended::Dropped),
            }
        }
    }

    /// Returns the next frame, which has to be text.
    pub(crate) fn text(&mut self) -> String {
        match self.message() {
            Ok(Message::Text(text)) => text.to_string(),
            other => panic!("expected a text frame, got {other:?}"),
        }
    }

    pub(crate) fn frame(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Waits for the end of the socket; skips frames before it.
    pub(crate) fn ended(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.message() {
                return ended;
            }
        }
    }

    /// Sends a message with the next reference, and returns the reference.
    pub(crate) fn send(&mut self, topic: &str, event: &str, payload: Value) -> String {
        let reference = self.next_ref.to_string();
        self.next_ref += 1;
        self.send_text(&json!(["1", reference, topic, event, payload]).to_string());
        reference
    }

    /// Joins with the `join_ref` 1 and returns the frames up to the end of the catch-up, the reply first.
    pub(crate) fn join(&mut self, topic: &str, last: u64) -> Vec<Value> {
        self.send(topic, "phx_join", json!({ "last_store_seq": last }));
        let mut frames = vec![self.frame()];
        while frames.last().unwrap()[3] != "catch_up_complete" {
            assert_ne!(frames.last().unwrap()[4]["status"], "error", "{frames:?}");
            frames.push(self.frame());
        }
        frames
    }

    /// True if no other frame arrived before the answer to a heartbeat.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.send_text(r#"[null,"quiet","phoenix","heartbeat",{}]"#);
        self.text() == r#"[null,"quiet","phoenix","phx_reply",{"response":{},"status":"ok"}]"#
    }
}
