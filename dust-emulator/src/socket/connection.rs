//! One socket, with its incoming frames, its queue of outgoing ones, and its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::client_channels::{ClientChannels, Unread};
use super::frame::{Frame, Outgoing, Vsn};
use super::message_context::{Crash, ReplyFault};
use crate::auth::Token;
use crate::faults::{Effect, Fault, Met, Reply};
use crate::ids;
use crate::routes::Route;
use crate::state::State;
use crate::uri::{self, Params};

/// The time that a socket may be silent, in milliseconds.
const SILENCE_MS: u64 = 60_000;
/// The interval of checks for silence. The emulator's clock decides, which a test moves without notice.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The time for ending a socket whose client does not read.
const GRACE: Duration = Duration::from_secs(1);
/// The time to wait for a client's answer to the close frame. A client that does not answer may not receive it.
const LINGER: Duration = Duration::from_millis(100);

/// The number of unread messages of its channels at which a socket stops reading.
const MAX_UNREAD: usize = 1_000;

/// The client of the connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) vsn: Vsn,
    pub(super) token: Arc<Token>,
    pub(super) device_id: Arc<str>,
}

/// The signal of a stopping server to a socket, and of an ended socket to the server.
#[derive(Clone)]
pub(crate) struct Stops {
    pub(crate) stopped: watch::Receiver<bool>,
    /// The server waits until the last of these is dropped.
    pub(crate) _alive: mpsc::Sender<()>,
}

/// A message that a channel is reading, the fault that affects it, and the time of its end.
struct Reading {
    id: u64,
    fault: Option<Fault>,
    until: Instant,
}

/// The reason for the end of a socket.
enum End {
    /// The end with a close frame.
    Close(CloseCode),
    /// The end without a close frame.
    Drop,
}

pub(super) struct Connection {
    state: Arc<State>,
    vsn: Vsn,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    stops: Stops,
    dropped: watch::Receiver<u64>,
    overflown: watch::Receiver<bool>,
    held: watch::Receiver<Option<usize>>,
    channels: ClientChannels,
    /// The message that a channel is reading.
    reading: Option<Reading>,
    /// The time of the client's last frame, on the emulator's monotonic clock.
    heard_ms: u64,
}

impl Connection {
    pub(super) fn new(
        state: Arc<State>,
        client: Client,
        socket: WebSocketStream<TokioIo<Upgraded>>,
        dropped: watch::Receiver<u64>,
        stops: Stops,
    ) -> Connection {
        let threads = state.stores.persistent();
        let vsn = client.vsn;
        let channels = ClientChannels::new(Arc::clone(&state), client, threads);
        Connection {
            vsn,
            overflown: channels.overflown(),
            channels,
            socket,
            stops,
            dropped,
            held: state.hub.held(),
            reading: None,
            heard_ms: state.clock.monotonic_ms(),
            state,
        }
    }

    pub(super) async fn run(mut self) {
        // The server is stopping; this socket was accepted just before.
        if *self.stops.stopped.borrow() {
            return;
        }
        if let Err(End::Close(code)) = self.serve().await {
            let frame = CloseFrame { code, reason: "".into() };
            let _ = tokio::time::timeout(GRACE, self.socket.close(Some(frame))).await;
            // The client answers with its own close frame.
            let _ = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let hold = *self.held.borrow_and_update();
            let catching_up = self.channels.catching_up(hold);
            let read_at = self.begin_to_read();
            tokio::select! {
                biased;
                _ = self.dropped.changed() => return Err(End::Drop),
                // A client that does not read does not receive a close frame.
                _ = self.overflown.changed() => return Err(End::Drop),
                _ = self.stops.stopped.changed() => return Err(End::Close(CloseCode::Away)),
                frame = self.channels.next() => self.send(frame).await?,
                // As on a server, the socket continues to read while its channels are busy.
                incoming = self.socket.next(), if self.channels.unread() < MAX_UNREAD => match incoming {
                    Some(Ok(message)) => {
                        self.heard_ms = self.state.clock.monotonic_ms();
                        self.receive(message).await?;
                    }
                    // The client decides how a connection ends.
                    Some(Err(_)) | None => return Ok(()),
                },
                _ = look.tick() => {
                    if self.state.clock.monotonic_ms().saturating_sub(self.heard_ms) >= SILENCE_MS {
                        return Err(End::Close(CloseCode::Protocol));
                    }
                }
                _ = self.held.changed() => {}
                () = until(read_at) => self.read(None).await?,
                () = std::future::ready(()), if catching_up.is_some() => {
                    if let Some(topic) = catching_up {
                        self.channels.catch_up(&topic, hold).await;
                    }
                }
            }
        }
    }

    /// Sends the queued frames.
    async fn send(&mut self, first: Outgoing) -> Result<(), End> {
        let mut next = Some(first);
        while let Some(frame) = next {
            self.feed(&frame).await?;
            next = self.channels.try_next();
        }
        let Connection { socket, dropped, overflown, stops, .. } = self;
        until_ended(dropped, overflown, stops, socket.flush()).await?.map_err(|_| End::Drop)
    }

    async fn feed(&mut self, frame: &Outgoing) -> Result<(), End> {
        match self.vsn.encode(frame) {
            Ok(message) => {
                let Connection { socket, dropped, overflown, stops, .. } = self;
                until_ended(dropped, overflown, stops, socket.feed(message)).await?.map_err(|_| End::Drop)
            }
            // A server fails to push it too, so that listeners do not receive it.
            Err(error) => {
                tracing::warn!(target: "dust_emulator", %error, event = frame.event, "a frame cannot be written");
                Ok(())
            }
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let frame = match &message {
            Message::Text(text) => Vsn::decode_text(text),
            Message::Binary(bytes) => self.vsn.decode_binary(bytes),
            // The WebSocket layer answers these.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(()),
        };
        let frame = frame.ok_or(End::Close(CloseCode::Error))?;
        if self.channels.is_for_channel(&frame) {
            self.channels.leave_unread(frame, ReplyFault::default());
            return Ok(());
        }
        if frame.event == "phx_join" {
            // The channel of the earlier join may have read some of its messages.
            let readable = self.channels.readable(&frame.topic) as u64;
            for _ in 0..ids::random() % (readable + 1) {
                self.read(Some(&frame.topic)).await?;
            }
        }
        let fault = meet(&self.state, &frame);
        if let Some(fault) = &fault {
            let Connection { dropped, overflown, stops, .. } = self;
            until_ended(dropped, overflown, stops, tokio::time::sleep(fault.wait())).await?;
        }
        self.act(&frame, fault.as_ref()).await
    }

    /// Starts reading the next message of a channel. Returns the time at which it is read.
    fn begin_to_read(&mut self) -> Option<Instant> {
        let Unread { id, frame, .. } = self.channels.next_unread()?;
        if let Some(reading) = self.reading.as_ref().filter(|reading| reading.id == *id) {
            return Some(reading.until);
        }
        let fault = meet(&self.state, frame);
        let until = Instant::now() + fault.as_ref().map_or(Duration::ZERO, Fault::wait);
        self.reading = Some(Reading { id: *id, fault, until });
        Some(until)
    }

    /// Reads and handles the next message of a channel, of one topic or any.
    async fn read(&mut self, topic: Option<&str>) -> Result<(), End> {
        let Some(Unread { id, frame, .. }) = self.channels.take_unread(topic) else { return Ok(()) };
        let fault = match self.reading.take_if(|reading| reading.id == id) {
            Some(reading) => reading.fault,
            None => meet(&self.state, &frame),
        };
        self.act(&frame, fault.as_ref()).await
    }

    /// Handles a frame, with its fault.
    async fn act(&mut self, frame: &Frame, fault: Option<&Fault>) -> Result<(), End> {
        let effect = fault.map(Fault::effect);
        let done = fault.is_none_or(Fault::lets_through);
        let reply_fault = ReplyFault {
            no_reply: done && matches!(effect, Some(Effect::SwallowReply | Effect::Close | Effect::Crash)),
            no_event: matches!(effect, Some(Effect::SwallowEvent)),
            event_twice: matches!(effect, Some(Effect::DuplicateEvent)),
            reply_first: matches!(effect, Some(Effect::ReplyFirst)),
            no_catch_up: matches!(effect, Some(Effect::StallCatchUp)),
            one_file: matches!(effect, Some(Effect::OneFile)),
        };
        if done {
            self.channels.handle(frame, reply_fault).await;
        }
        match effect {
            Some(Effect::Close) => Err(End::Drop),
            Some(Effect::Crash) => {
                self.channels.crash(&frame.topic, &Crash("a fault".to_owned()));
                Ok(())
            }
            Some(Effect::Hang) => {
                self.channels.hang(&frame.topic);
                Ok(())
            }
            Some(Effect::Refuse(Reply { response })) => {
                let join_ref = self.channels.join_ref(&frame.topic);
                self.channels.answer(frame, Some(join_ref.unwrap_or(&frame.join_ref).clone()), false, response);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn route(frame: &Frame) -> Route {
    match (frame.topic.as_str(), frame.event.as_str()) {
        ("phoenix", "heartbeat") => Route::SocketHeartbeat,
        (_, "phx_join") => Route::SocketJoin,
        (_, "phx_leave") => Route::SocketLeave,
        (_, "write") => Route::SocketWrite,
        (_, "put_file") => Route::SocketPutFile,
        (_, "rollback") => Route::SocketRollback,
        (_, "status") => Route::SocketStatus,
        _ => Route::SocketOther,
    }
}

/// The text that a fault compares with a path: the topic, and the path if there is one.
fn target(frame: &Frame) -> String {
    let payload = frame.payload.to::<Params>().unwrap_or_default();
    let segments = payload.get("path_segments").and_then(|segments| segments.to::<Vec<String>>().ok());
    let path = segments.map(|segments| segments.join("/")).or_else(|| uri::text(&payload, "path"));
    path.map_or_else(|| frame.topic.clone(), |path| format!("{}/{path}", frame.topic))
}

fn meet(state: &State, frame: &Frame) -> Option<Fault> {
    state.faults.meet(&Met { method: "WS", route: route(frame), target: &target(frame) })
}

/// Waits until a time, or forever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for a future, unless the connection has to end first.
async fn until_ended<T>(
    dropped: &mut watch::Receiver<u64>,
    overflown: &mut watch::Receiver<bool>,
    stops: &mut Stops,
    work: impl Future<Output = T>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        _ = dropped.changed() => Err(End::Drop),
        _ = overflown.changed() => Err(End::Drop),
        _ = stops.stopped.changed() => Err(End::Close(CloseCode::Away)),
    }
}
