//! One socket: its frames in, its queue out, and its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dust_orm::protocol::RawJson;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::channel::{self, Channel};
use super::frame::{Frame, Outgoing, Vsn};
use super::hub::Order;
use super::seat::{self, Crash, Failure, Refused, Seat, Twist};
use super::{put_file, rollback, status, write};
use crate::address::{self, Params};
use crate::auth::Token;
use crate::faults::{Effect, Fault, Met};
use crate::json::Object;
use crate::routes::Route;
use crate::state::State;

/// How long a socket may be silent, in milliseconds.
const SILENCE_MS: u64 = 60_000;
/// How often that is looked at. The emulator's clock decides, which a test moves without a word.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the end of a socket may take that its client does not read.
const GRACE: Duration = Duration::from_secs(1);
/// How long a client is waited for that has been told of the end. One that does not answer may not get to read that.
const LINGER: Duration = Duration::from_millis(100);

/// Who is at the other end.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) vsn: Vsn,
    pub(super) token: Arc<Token>,
    pub(super) device_id: Arc<str>,
}

/// How a socket hears that the server stops, and the server that the socket has.
#[derive(Clone)]
pub(crate) struct Stops {
    pub(crate) stopped: watch::Receiver<bool>,
    /// The server waits until the last of these is dropped.
    pub(crate) _alive: mpsc::Sender<()>,
}

/// Why a socket ends.
enum End {
    /// With a close frame.
    Close(CloseCode),
    /// Without a word.
    Drop,
}

pub(super) struct Connection {
    state: Arc<State>,
    client: Client,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    stops: Stops,
    dropped: watch::Receiver<u64>,
    held: watch::Receiver<Option<usize>>,
    channels: HashMap<String, Channel>,
    queue: mpsc::UnboundedSender<Order>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// When the client was last heard, on the emulator's monotonic clock.
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
        let (queue, orders) = mpsc::unbounded_channel();
        Connection {
            client,
            socket,
            stops,
            dropped,
            held: state.hub.held(),
            channels: HashMap::new(),
            queue,
            orders,
            heard_ms: state.clock.monotonic_ms(),
            state,
        }
    }

    pub(super) async fn run(mut self) {
        // The server is about to stop, and this was accepted just before.
        if *self.stops.stopped.borrow() {
            return;
        }
        if let Err(End::Close(code)) = self.serve().await {
            let frame = CloseFrame { code, reason: "".into() };
            let _ = tokio::time::timeout(GRACE, self.socket.close(Some(frame))).await;
            // The client answers with its own close frame, and sees an orderly end.
            let _ = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let hold = *self.held.borrow_and_update();
            let catching_up =
                self.channels.values().find(|channel| channel.catch_up.is_some() && !channel.is_held(hold));
            let catching_up = catching_up.map(|channel| channel.topic.to_string());
            tokio::select! {
                biased;
                _ = self.dropped.changed() => return Err(End::Drop),
                _ = self.stops.stopped.changed() => return Err(End::Close(CloseCode::Away)),
                Some(order) = self.orders.recv() => self.send(order).await?,
                incoming = self.socket.next() => match incoming {
                    Some(Ok(message)) => {
                        self.heard_ms = self.state.clock.monotonic_ms();
                        self.receive(message).await?;
                    }
                    // How a connection ends is the client's business.
                    Some(Err(_)) | None => return Ok(()),
                },
                _ = look.tick() => {
                    if self.state.clock.monotonic_ms().saturating_sub(self.heard_ms) >= SILENCE_MS {
                        return Err(End::Close(CloseCode::Protocol));
                    }
                }
                _ = self.held.changed() => {}
                () = std::future::ready(()), if catching_up.is_some() => {
                    if let Some(topic) = catching_up {
                        self.catch_up(&topic, hold).await;
                    }
                }
            }
        }
    }

    /// Sends what stands in the queue.
    async fn send(&mut self, first: Order) -> Result<(), End> {
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Send(frame) => self.feed(&frame).await?,
                Order::Crash(id) => {
                    let topic = self.channels.values().find(|channel| channel.membership.id == id);
                    let topic = topic.map(|channel| channel.topic.to_string());
                    if let Some(topic) = topic {
                        self.crash(&topic, &Crash("on demand".to_owned()));
                    }
                }
            }
            next = self.orders.try_recv().ok();
        }
        let Connection { socket, dropped, stops, .. } = self;
        until_ended(dropped, stops, socket.flush()).await?.map_err(|_| End::Drop)
    }

    async fn feed(&mut self, frame: &Outgoing) -> Result<(), End> {
        match self.client.vsn.encode(frame) {
            Ok(message) => {
                let Connection { socket, dropped, stops, .. } = self;
                until_ended(dropped, stops, socket.feed(message)).await?.map_err(|_| End::Drop)
            }
            Err(error) => {
                tracing::error!(target: "dust_emulator", %error, "a frame cannot be written");
                Err(End::Close(CloseCode::Error))
            }
        }
    }

    /// Puts a frame at the end of the queue.
    fn queue(&self, frame: Outgoing) {
        // Cannot fail: the other end is this connection's own.
        let _ = self.queue.send(Order::Send(frame));
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let frame = match &message {
            Message::Text(text) => Vsn::decode_text(text),
            Message::Binary(bytes) => self.client.vsn.decode_binary(bytes),
            // The WebSocket layer answers these.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(()),
        };
        let frame = frame.ok_or(End::Close(CloseCode::Error))?;
        let met = Met { method: "WS", route: route(&frame), target: &target(&frame) };
        let fault = self.state.faults.meet(&met);
        if let Some(fault) = &fault {
            let Connection { dropped, stops, .. } = self;
            until_ended(dropped, stops, tokio::time::sleep(fault.wait())).await?;
        }
        let effect = fault.as_ref().map(Fault::effect);
        let done = fault.as_ref().is_none_or(Fault::lets_through);
        let twist = Twist {
            no_reply: done && matches!(effect, Some(Effect::SwallowReply | Effect::Close | Effect::Crash)),
            no_event: matches!(effect, Some(Effect::SwallowEvent)),
            event_twice: matches!(effect, Some(Effect::DuplicateEvent)),
            reply_first: matches!(effect, Some(Effect::ReplyFirst)),
        };
        if done {
            self.handle(&frame, twist).await;
        }
        match effect {
            Some(Effect::Close) => Err(End::Drop),
            Some(Effect::Crash) => {
                self.crash(&frame.topic, &Crash("a fault".to_owned()));
                Ok(())
            }
            Some(Effect::Refuse { response }) => {
                let join_ref = self.channels.get(&frame.topic).map(|channel| &channel.join_ref);
                self.answer(&frame, Some(join_ref.unwrap_or(&frame.join_ref).clone()), false, response);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn handle(&mut self, frame: &Frame, twist: Twist) {
        let topic = frame.topic.as_str();
        let is_store = topic.starts_with("store:");
        match (frame.event.as_str(), self.channels.get(topic)) {
            ("heartbeat", _) if topic == "phoenix" => {
                if !twist.no_reply {
                    self.answer(frame, None, true, "{}");
                }
            }
            ("phx_join", _) if is_store => self.join(frame, twist).await,
            ("phx_leave", None) => self.answer(frame, Some(frame.join_ref.clone()), true, "{}"),
            (_, None) => {
                let unmatched = Object::new().string("reason", "unmatched topic").end();
                self.answer(frame, None, false, &unmatched);
            }
            ("phx_leave", Some(channel)) if channel.join_ref == frame.join_ref => {
                if !twist.no_reply {
                    self.answer(frame, Some(channel.join_ref.clone()), true, "{}");
                }
                self.queue(channel.ended("phx_close"));
                self.channels.remove(topic);
            }
            // That of a join that is over already.
            ("phx_leave", Some(_)) => {}
            (_, Some(channel)) => {
                let seat = Seat {
                    state: Arc::clone(&self.state),
                    token: Arc::clone(&self.client.token),
                    device_id: Arc::clone(&self.client.device_id),
                    held: channel.held.clone(),
                    topic: Arc::clone(&channel.topic),
                    join_ref: channel.join_ref.clone(),
                    reference: frame.reference.clone(),
                    queue: self.queue.clone(),
                    twist,
                };
                let message = frame.clone();
                let crashed = off_thread(&self.state, move || dispatch(&seat, &message)).await;
                if let Err(crash) = crashed.unwrap_or_else(|| Err(Crash("a panic".to_owned()))) {
                    self.crash(topic, &crash);
                }
            }
        }
    }

    async fn join(&mut self, frame: &Frame, twist: Twist) {
        let (state, client) = (Arc::clone(&self.state), self.client.clone());
        let (queue, message) = (self.queue.clone(), frame.clone());
        let old = self.channels.remove(&frame.topic);
        let old_end = old.as_ref().map(|channel| channel.ended("phx_close"));
        // From here on nothing is pushed to it.
        drop(old);
        let joined =
            off_thread(&state.clone(), move || channel::join(&state, &client, &message, &queue, twist.no_reply)).await;
        match joined {
            Some(Ok(channel)) => {
                self.channels.insert(frame.topic.clone(), channel);
            }
            Some(Err(Refused(response))) => self.answer(frame, Some(frame.join_ref.clone()), false, &response),
            None => {}
        }
        if let Some(end) = old_end {
            self.queue(end);
        }
    }

    async fn catch_up(&mut self, topic: &str, hold: Option<usize>) {
        let Some(mut channel) = self.channels.remove(topic) else { return };
        let vsn = self.client.vsn;
        let stepped = off_thread(&self.state, move || {
            let mut frames = Vec::new();
            let stepped = channel.step(vsn, hold, &mut frames);
            (channel, frames, stepped)
        });
        let Some((channel, frames, stepped)) = stepped.await else { return };
        self.channels.insert(topic.to_owned(), channel);
        frames.into_iter().for_each(|frame| self.queue(frame));
        if let Err(crash) = stepped {
            self.crash(topic, &crash);
        }
    }

    /// Ends a channel as one that crashed.
    fn crash(&mut self, topic: &str, Crash(reason): &Crash) {
        if let Some(channel) = self.channels.remove(topic) {
            tracing::warn!(target: "dust_emulator", topic, reason, "the channel crashed");
            self.queue(channel.ended("phx_error"));
        }
    }

    fn answer(&self, frame: &Frame, join_ref: Option<RawJson>, ok: bool, response: &str) {
        self.queue(seat::reply(join_ref, frame.reference.clone(), &frame.topic.as_str().into(), ok, response));
    }
}

/// A message to a channel that is joined.
fn dispatch(seat: &Seat, frame: &Frame) -> Result<(), Crash> {
    let unknown = || Crash(format!("the event `{}` with this payload crashes the channel", frame.event));
    let payload = frame.payload.to::<Params>().map_err(|_| unknown());
    let done = match frame.event.as_str() {
        "write" => write::write(seat, &payload?, frame.not_utf8.as_deref()),
        "put_file" => put_file::put_file(seat, &payload?),
        "rollback" => rollback::rollback(seat, &payload?),
        "ack_seq" if payload?.contains_key("seq") => {
            seat.reply(true, "{}");
            Ok(())
        }
        "status" => match status::status(seat) {
            Ok(status) => {
                seat.reply(true, &status);
                Ok(())
            }
            Err(error) => Err(Crash(error.to_string()).into()),
        },
        _ => return Err(unknown()),
    };
    match done {
        Ok(()) => Ok(()),
        Err(Failure::Refused(Refused(response))) => {
            seat.reply(false, &response);
            Ok(())
        }
        Err(Failure::Crash(crash)) => Err(crash),
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

/// What a fault looks for a path in: the topic, and the path if there is one.
fn target(frame: &Frame) -> String {
    let payload = frame.payload.to::<Params>().unwrap_or_default();
    let segments = payload.get("path_segments").and_then(|segments| segments.to::<Vec<String>>().ok());
    let path = segments.map(|segments| segments.join("/")).or_else(|| address::text(&payload, "path"));
    path.map_or_else(|| frame.topic.clone(), |path| format!("{}/{path}", frame.topic))
}

/// Waits for something, unless the connection is to end first.
async fn until_ended<T>(
    dropped: &mut watch::Receiver<u64>,
    stops: &mut Stops,
    work: impl Future<Output = T>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        _ = dropped.changed() => Err(End::Drop),
        _ = stops.stopped.changed() => Err(End::Close(CloseCode::Away)),
    }
}

/// Does something where waiting for the disk holds nobody up. `None` if it panicked.
async fn off_thread<T: Send + 'static>(state: &State, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !state.stores.persistent() {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}
