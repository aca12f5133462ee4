//! The task that owns the socket: it does what the session says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dust_protocol::channel::FrameError;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::{self, Message};

use super::call::{Answer, Call};
use super::connect::{ConnectError, Endpoint, Socket};
use super::counted_stream::Counts;
use super::outgoing::Outgoing;
use super::session::{CommandId, Output, Session, StoreId, StoreState, Timing};
use super::store::StoreShared;
use crate::error::{DustErr, Reason};

/// How long writes that are under way are waited for when the client is shut down or disabled.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long a server may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);
/// How many calls are taken up at once, before the socket is served.
const CALLS_AT_ONCE: usize = 64;

/// A frame of so many bytes takes a millisecond or more to be read.
const LARGE_FRAME: usize = 256 << 10;
/// The end of a catch-up is a frame of fewer bytes.
const END_FRAME: usize = 256;
/// A snapshot of so many leaves takes a millisecond or more to be put into a mirror.
const LARGE_SNAPSHOT: usize = 2_000;

/// How many pings may come with nothing else in between. A server that works answers a heartbeat every half minute.
const MAX_PINGS: u32 = 1_000;

/// What else a handle asks of the task.
pub(super) enum TaskMessage {
    /// A store has this op.
    Know {
        store: StoreId,
        seq: u64,
    },
    /// Connect, or wind down and stay. `done` is told when it has begun, or ended.
    Enable {
        enabled: bool,
        done: oneshot::Sender<()>,
    },
    Shutdown,
}

/// The ways in which handles reach the task.
pub(super) struct Asked {
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) asks: mpsc::Receiver<TaskMessage>,
    /// Closed with the last handle.
    pub(super) handles: oneshot::Receiver<Infallible>,
}

type Connecting = BoxFuture<'static, Result<Socket, ConnectError>>;

pub(super) struct ConnectionTask {
    session: Session,
    address: Endpoint,
    stores: Vec<Arc<StoreShared>>,
    calls: mpsc::Receiver<Call>,
    asks: mpsc::Receiver<TaskMessage>,
    handles: oneshot::Receiver<Infallible>,
    answers: HashMap<CommandId, Answer>,
    next_id: u64,
    /// Told once how the first connection went.
    started: Option<oneshot::Sender<Result<(), DustErr>>>,
    began: Instant,
    socket: Option<Socket>,
    outgoing: Outgoing,
    dialling: Option<Connecting>,
    /// How many pings have come with nothing else in between.
    pings: u32,
    alarm: Alarm,
    is_enabled: bool,
    /// Once it is being disabled: by when, and who waits for it.
    rests_at: Option<(Duration, Vec<oneshot::Sender<()>>)>,
    /// Once it is being shut down: by when.
    ends_at: Option<Duration>,
}

/// What the task waits for.
enum Happened {
    Asked(Option<TaskMessage>),
    /// So many calls have come; none when every handle is gone.
    Called(Vec<Call>),
    Dialled(Box<Result<Socket, ConnectError>>),
    Received(Option<Result<Message, tungstenite::Error>>),
    SendingFailed(tungstenite::Error),
    Woke,
}

impl ConnectionTask {
    pub(super) fn new(
        session: Session,
        address: Endpoint,
        stores: Vec<Arc<StoreShared>>,
        Asked { calls, asks, handles }: Asked,
        started: oneshot::Sender<Result<(), DustErr>>,
        is_enabled: bool,
    ) -> ConnectionTask {
        ConnectionTask {
            session,
            address,
            stores,
            calls,
            asks,
            handles,
            answers: HashMap::new(),
            next_id: 0,
            started: Some(started),
            began: Instant::now(),
            socket: None,
            outgoing: Outgoing::default(),
            dialling: None,
            pings: 0,
            alarm: Alarm::default(),
            is_enabled,
            rests_at: None,
            ends_at: None,
        }
    }

    /// Runs until it is shut down, or every handle is dropped.
    pub(super) async fn run(mut self) {
        if self.is_enabled {
            self.session.start();
        } else {
            self.announce(&StoreState::Dormant);
            self.start_result(Ok(()));
        }
        loop {
            self.run_outputs().await;
            self.tell_start();
            if self.ends_at.is_some_and(|at| self.session.is_quiet() || at <= self.now()) {
                break;
            }
            self.rest().await;
            // A server that says more and more does not keep others of this runtime from running.
            consume_budget().await;
            match self.wait().await {
                Happened::Called(calls) if !calls.is_empty() => calls.into_iter().for_each(|call| self.command(call)),
                Happened::Asked(Some(TaskMessage::Shutdown) | None) | Happened::Called(_) => {
                    self.ends_at.get_or_insert(self.began.elapsed() + SHUTDOWN_GRACE);
                    self.refuse_calls();
                }
                Happened::Asked(Some(TaskMessage::Know { store, seq })) => {
                    let now = self.now();
                    self.session.advance_known_seq(now, store, seq);
                }
                Happened::Asked(Some(TaskMessage::Enable { enabled, done })) => self.set_enabled(enabled, done).await,
                Happened::Dialled(result) => self.dialled(*result),
                Happened::Received(Some(Err(error))) => self.broken(error).await,
                Happened::Received(Some(Ok(message))) if self.takes_long(&message) => {
                    self.received_apart(message).await
                }
                Happened::Received(message) => self.received(message),
                Happened::SendingFailed(error) => self.lost(Reason::of(error)),
                Happened::Woke => self.wake(),
            }
        }
        self.session.stop();
        self.run_outputs().await;
        // Callers that had a place in the queue when it was closed.
        let late = async { while self.calls.recv().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE, late).await;
    }

    /// Takes no more calls, and answers those that nobody has looked at yet.
    fn refuse_calls(&mut self) {
        self.asks.close();
        self.calls.close();
        while self.calls.try_recv().is_ok() {}
    }

    fn wake(&mut self) {
        let now = self.now();
        if let Some(socket) = &self.socket {
            let Counts { arrived, taken } = socket.get_ref().counts();
            if self.outgoing.is_stalled(now, taken) {
                self.lost("the server does not take what is sent");
            } else {
                self.session.arrived(arrived + taken);
            }
        }
        self.session.wake(now);
    }

    async fn set_enabled(&mut self, enabled: bool, done: oneshot::Sender<()>) {
        if !enabled && self.is_enabled {
            self.is_enabled = false;
            // From now on repos go elsewhere; writes that are under way are waited for.
            self.announce(&StoreState::Dormant);
            self.rests_at = Some((self.now() + SHUTDOWN_GRACE, vec![done]));
            return;
        }
        if let (false, Some((_, waiting))) = (enabled, &mut self.rests_at) {
            waiting.push(done);
            return;
        }
        if enabled && !self.is_enabled {
            // Whatever is left of the connection before ends here.
            self.session.stop();
            self.run_outputs().await;
            self.rested();
            self.is_enabled = true;
            self.announce(&StoreState::Offline);
            self.session.start();
        }
        let _ = done.send(());
    }

    /// Closes the socket of a client that is being disabled, as soon as its writes have been answered.
    async fn rest(&mut self) {
        let is_due = |at: Duration| self.session.is_quiet() || at <= self.began.elapsed();
        if !self.rests_at.as_ref().is_some_and(|(at, _)| is_due(*at)) {
            return;
        }
        self.session.stop();
        self.run_outputs().await;
        self.rested();
    }

    /// Tells those who wait for it that the client is not being disabled any more.
    fn rested(&mut self) {
        for done in self.rests_at.take().map(|(_, waiting)| waiting).into_iter().flatten() {
            let _ = done.send(());
        }
    }

    /// Tells of a state that is not the session's.
    fn announce(&self, state: &StoreState) {
        for store in &self.stores {
            store.set_state(state.clone());
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn wait(&mut self) -> Happened {
        let rests_at = self.rests_at.as_ref().map(|(at, _)| *at);
        let stalled_at = self.outgoing.look_at();
        let wake = self.session.next_wake().into_iter().chain(self.ends_at).chain(rests_at).chain(stalled_at).min();
        let wake_at = wake.map(|at| tokio::time::Instant::from_std(self.began + at));
        let is_asked = self.ends_at.is_none();
        let is_called = is_asked && self.session.has_room();
        let mut calls = Vec::new();
        tokio::select! {
            ask = self.asks.recv(), if is_asked => Happened::Asked(ask),
            // Nothing is ever sent on it.
            _ = &mut self.handles, if is_asked => Happened::Asked(None),
            _ = self.calls.recv_many(&mut calls, CALLS_AT_ONCE), if is_called => Happened::Called(calls),
            result = dialled(self.dialling.as_mut()) => Happened::Dialled(Box::new(result)),
            happened = serve(self.socket.as_mut(), &mut self.outgoing) => happened,
            () = self.alarm.ring(wake_at) => Happened::Woke,
        }
    }

    fn command(&mut self, Call { command, begun, unsent }: Call) {
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.answers.extend(unsent.take().map(|answer| (id, answer)));
        let (now, since) = (self.now(), begun.saturating_duration_since(self.began));
        self.session.command_since(now, since, id, command);
    }

    fn dialled(&mut self, result: Result<Socket, ConnectError>) {
        self.dialling = None;
        let now = self.now();
        match result {
            Ok(socket) => {
                (self.socket, self.outgoing, self.pings) = (Some(socket), Outgoing::default(), 0);
                self.session.connected(now);
            }
            Err(ConnectError::Unreachable(why)) => {
                tracing::debug!(why = why.text(), "the Dust server is not reached");
                self.stores.iter().for_each(|store| store.set_trouble(&why));
                self.session.lost(now, why);
                self.start_result(Ok(()));
            }
            Err(ConnectError::Refused(error)) => {
                tracing::warn!(%error, "the Dust server refuses the connection; it is asked again now and then");
                self.session.refused(now, &error);
                self.start_result(Err(error));
            }
        }
    }

    fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) {
        let now = self.now();
        let is_frame = matches!(message, Some(Ok(Message::Text(_) | Message::Binary(_))));
        self.pings = if is_frame { 0 } else { self.pings + 1 };
        match message {
            Some(Ok(message)) if is_frame => read(&mut self.session, now, &message),
            Some(Ok(Message::Close(_))) | None => self.lost("the server closed the connection"),
            // Pings are answered by the socket itself.
            Some(Ok(_)) if self.pings > MAX_PINGS => {
                tracing::warn!("the server sends nothing but pings: the connection is given up");
                self.lost("the server sends nothing but pings");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => self.lost(Reason::of(error)),
        }
    }

    /// Whether a message takes so long to be read that it would keep other tasks of this runtime from running.
    fn takes_long(&self, message: &Message) -> bool {
        let is_message = matches!(message, Message::Text(_) | Message::Binary(_));
        let ends_copy = || self.session.has_large_copy() && message.len() < END_FRAME;
        is_message && (message.len() >= LARGE_FRAME || ends_copy())
    }

    /// Takes a large message on a thread where it holds up nobody.
    async fn received_apart(&mut self, message: Message) {
        self.pings = 0;
        let now = self.now();
        let mut session = std::mem::replace(&mut self.session, Session::new(Timing::default(), [], 0));
        self.session = apart(move || {
            read(&mut session, now, &message);
            session
        })
        .await;
    }

    /// The socket has failed. Where it was by a message that is too long, that is a matter of one store.
    async fn broken(&mut self, error: tungstenite::Error) {
        if let (tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }), Some(socket)) =
            (&error, &mut self.socket)
        {
            let beginning = socket.get_mut().beginning_of_message().await;
            let now = self.now();
            self.session.oversized(now, &beginning, *size, *max_size);
        }
        self.lost(Reason::of(error));
    }

    fn lost(&mut self, why: impl Into<Reason>) {
        let why = why.into();
        tracing::debug!(why = why.text(), "the connection to the Dust server is lost");
        (self.socket, self.outgoing) = (None, Outgoing::default());
        self.stores.iter().for_each(|store| store.set_trouble(&why));
        let now = self.now();
        self.session.lost(now, why);
        self.start_result(Ok(()));
    }

    /// Does what the session wants done, in its order.
    async fn run_outputs(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Connect => {
                    let address = self.address.clone();
                    self.dialling = Some(async move { address.connect().await }.boxed());
                }
                Output::Disconnect => {
                    self.dialling = None;
                    if let Some(mut socket) = self.socket.take() {
                        // Politeness; the server notices a socket that is gone as well.
                        let _ = tokio::time::timeout(GOODBYE, socket.close(None)).await;
                    }
                    // What the start waits for will not come by this connection.
                    self.start_result(Ok(()));
                }
                Output::Send(frame) => self.send(frame),
                Output::Apply { store, ops } => {
                    let applied = self.stores[store.0].apply(ops);
                    self.refuse_if(store, applied);
                }
                Output::Replace { store, seq, inexact_through, leaves, is_rewound } => {
                    let shared = Arc::clone(&self.stores[store.0]);
                    let count = leaves.len();
                    let replace = move || shared.replace(seq, inexact_through, leaves, is_rewound);
                    let replaced = if count < LARGE_SNAPSHOT { replace() } else { apart(replace).await };
                    self.refuse_if(store, replaced);
                }
                Output::Answer { id, result } => {
                    if let Some(answer) = self.answers.remove(&id) {
                        // Whoever asked may have gone; what was done is done.
                        let _ = answer.send(result);
                    }
                }
                Output::Position { store, seq, requested_at } => {
                    self.stores[store.0].stands(self.began + requested_at, seq)
                }
                // Of a client that is being disabled nobody is to hear that it is up.
                Output::State { store, state } if self.is_enabled => self.stores[store.0].set_state(state),
                Output::State { .. } => {}
            }
        }
        self.send_now().await;
    }

    /// Has a store not followed any further that does not fit into its mirror.
    fn refuse_if(&mut self, store: StoreId, taken: Result<(), DustErr>) {
        if let Err(error) = taken {
            let (now, seq) = (self.now(), self.stores[store.0].mirror().seq());
            self.session.refuse(now, store, seq, error);
        }
    }

    /// Puts a frame behind those that wait to be sent.
    fn send(&mut self, frame: String) {
        if self.socket.is_none() {
            return;
        }
        self.outgoing.push(Message::text(frame));
    }

    /// Sends what the system takes at once, which is nearly always everything.
    async fn send_now(&mut self) {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.outgoing.is_empty()) else { return };
        let outgoing = &mut self.outgoing;
        let sent = poll_fn(|context| Poll::Ready(outgoing.poll_send(socket, context))).await;
        let taken = socket.get_ref().counts().taken;
        match sent {
            Poll::Ready(Ok(())) | Poll::Pending => _ = self.outgoing.is_stalled(self.began.elapsed(), taken),
            Poll::Ready(Err(error)) => {
                self.lost(Reason::of(error));
                // What follows from it.
                Box::pin(self.run_outputs()).await;
            }
        }
    }

    /// Tells [`start`](super::SyncClientBuilder::start) when every store is up to date or refused.
    fn tell_start(&mut self) {
        if self.started.is_none() {
            return;
        }
        let (mut refused, mut own_fault, mut is_live) = (None, None, false);
        for store in &self.stores {
            match &*store.state() {
                StoreState::Live { .. } => is_live = true,
                // What a store holds is no matter of the configuration, nor of the other stores.
                StoreState::Refused(error @ (DustErr::TooLarge { .. } | DustErr::NotSupported { .. })) => {
                    own_fault = own_fault.or_else(|| Some(error.clone()));
                }
                StoreState::Refused(error) => refused = refused.or_else(|| Some(error.clone())),
                StoreState::Dormant | StoreState::Offline | StoreState::CatchingUp => return,
            }
        }
        self.start_result(refused.or(own_fault.filter(|_| !is_live)).map_or(Ok(()), Err));
    }

    fn start_result(&mut self, result: Result<(), DustErr>) {
        if let Some(started) = self.started.take() {
            // Whoever started it may have gone.
            let _ = started.send(result);
        }
    }
}

/// However it ends, with its runtime too, nobody shall take the mirrors for ones that are kept up to date.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        for store in &self.stores {
            if self.is_enabled {
                store.set_state(StoreState::Offline);
            }
            store.hub.close();
        }
    }
}

/// Gives a session a message.
fn read(session: &mut Session, now: Duration, message: &Message) {
    match message {
        Message::Text(text) => session.frame(now, text.as_str()),
        Message::Binary(bytes) => session.unreadable_frame(now, bytes, FrameError::new("bytes in place of text")),
        _ => {}
    }
}

/// Does something that takes long on a thread for that, so that other tasks of this runtime run meanwhile.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn dialled(dialling: Option<&mut Connecting>) -> Result<Socket, ConnectError> {
    match dialling {
        Some(dialling) => dialling.await,
        None => std::future::pending().await,
    }
}

/// Sends what waits and receives the next message, whichever is possible: a server may take the one only after the other.
async fn serve(socket: Option<&mut Socket>, outgoing: &mut Outgoing) -> Happened {
    let Some(socket) = socket else { return std::future::pending().await };
    poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(Err(error)) = outgoing.poll_send(socket, context) {
            return Poll::Ready(Happened::SendingFailed(error));
        }
        socket.poll_next_unpin(context).map(Happened::Received)
    })
    .await
}

/// The timer of a task that waits again and again, nearly always for a moment that is as far off as before or farther. It is
/// set anew for an earlier one only, and so may ring too early, which does no harm: it is asked again then.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Returns at a moment, or before; never where there is none.
    async fn ring(&mut self, at: Option<tokio::time::Instant>) {
        let Some(at) = at else { return std::future::pending().await };
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        sleep.await;
    }
}
