//! A minimal client: it sends prepared frames, and waits for their replies and events.

use dust_protocol::channel::{CAPVER, Request, SOCKET_PATH, VSN, topic};
use dust_protocol::{Mutation, Op, Path, RawJson};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Result;
use crate::entities::page::Model;
use crate::server::Server;

/// The reference of the join, which is the first frame.
const JOIN: u64 = 1;

pub struct Socket {
    socket: WebSocketStream<TcpStream>,
    topic: String,
    last: u64,
}

/// A prepared write, and the texts to find in its event and its reply.
pub struct Frame {
    text: String,
    in_event: String,
    in_reply: String,
}

impl Socket {
    /// Opens the channel of a store, and waits until it has caught up.
    pub async fn join(server: &Server, store: &str) -> Result<Socket> {
        let emulator = &server.emulator;
        let stream = TcpStream::connect(emulator.address()).await?;
        stream.set_nodelay(true)?;
        let (address, token) = (emulator.address(), emulator.token());
        let url = format!("ws://{address}{SOCKET_PATH}?token={token}&device_id=bare&capver={CAPVER}&vsn={VSN}");
        let (socket, _) = client_async(url, stream).await?;
        let mut socket = Socket { socket, topic: topic(store), last: JOIN };
        let join = Request::Join { last_store_seq: 0 }.encode(Some(JOIN), JOIN, &socket.topic)?;
        socket.socket.send(Message::text(join)).await?;
        while !socket.next().await?.contains("\"catch_up_complete\"") {}
        Ok(socket)
    }

    /// The frame that inserts a record.
    pub fn insert(&mut self, page: &Model) -> Result<Frame> {
        let fields = json!({"title": page.title, "url": page.url, "note": page.note, "visits": page.visits});
        self.frame(&format!("pages/{}", page.slug), Mutation::Merge(RawJson::from(fields)))
    }

    /// The frame that sets one field.
    pub fn set_title(&mut self, slug: &str, title: &str) -> Result<Frame> {
        self.frame(&format!("pages/{slug}/title"), Mutation::Set(RawJson::from(json!(title))))
    }

    fn frame(&mut self, path: &str, mutation: Mutation) -> Result<Frame> {
        self.last += 1;
        let client_op_id = format!("{:016x}-{}", u64::MAX, self.last);
        let op = Op::new(Path::parse(path)?, mutation);
        let request = Request::Write { op: &op, fence: None, client_op_id: &client_op_id };
        Ok(Frame {
            text: request.encode(Some(JOIN), self.last, &self.topic)?,
            in_event: format!("\"client_op_id\":\"{client_op_id}\""),
            in_reply: format!("[\"{JOIN}\",\"{}\",", self.last),
        })
    }

    /// Sends a frame, and waits for its reply and its event.
    pub async fn write(&mut self, frame: Frame) -> Result<()> {
        self.socket.send(Message::text(frame.text)).await?;
        let (mut is_acknowledged, mut is_back) = (false, false);
        while !(is_acknowledged && is_back) {
            let text = self.next().await?;
            if text.starts_with(&frame.in_reply) {
                if !text.contains("\"status\":\"ok\"") {
                    return Err(text.as_str().into());
                }
                is_acknowledged = true;
            } else if text.contains(&frame.in_event) {
                is_back = true;
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Utf8Bytes> {
        loop {
            if let Message::Text(text) = self.socket.next().await.ok_or("the socket was closed")?? {
                return Ok(text);
            }
        }
    }
}
