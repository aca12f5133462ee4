//! The task that owns the socket and drives the session.

mod alarm;
mod enable;
mod outputs;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dust_protocol::channel::FrameError;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::{self, Message};

use super::call::{Answer, Call};
use super::connect::{ConnectError, Endpoint, Socket};
use super::counted_stream::Counts;
use super::outgoing::Outgoing;
use super::session::{CommandId, Session, StoreId, StoreState, Timing};
use super::store::StoreShared;
use crate::error::{DustErr, Reason};
use alarm::Alarm;
use enable::Disabling;
use outputs::CLOSE_GRACE;

/// Time for which a shutdown or [`disable`](super::SyncClient::disable) waits for writes under way.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Number of calls that are accepted at once, before the socket is served.
const CALLS_AT_ONCE: usize = 64;

/// Length in bytes from which reading a frame takes a millisecond or more.
const LARGE_FRAME: usize = 256 << 10;
/// Length in bytes below which a frame may be the end of a catch-up.
const END_FRAME: usize = 256;

/// Number of pings without a frame in between at which a connection is given up. A server that works answers a
/// heartbeat every half minute.
const MAX_PINGS: u32 = 1_000;

/// A message of a handle to the task, other than a call.
pub(super) enum TaskMessage {
    /// The store is known to have the op `seq`.
    AdvanceKnownSeq {
        store: StoreId,
        seq: u64,
    },
    /// Connects, or makes the client dormant. `done` is answered when it has begun to connect, or has closed its
    /// socket.
    Enable {
        enabled: bool,
        done: oneshot::Sender<()>,
    },
    Shutdown,
}

/// The channels from the handles to the task.
pub(super) struct TaskInputs {
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) messages: mpsc::Receiver<TaskMessage>,
    /// Closed with the last handle.
    pub(super) handles: oneshot::Receiver<Infallible>,
}

type Connecting = BoxFuture<'static, Result<Socket, ConnectError>>;

pub(super) struct ConnectionTask {
    session: Session,
    endpoint: Endpoint,
    stores: Vec<Arc<StoreShared>>,
    inputs: TaskInputs,
    answers: HashMap<CommandId, Answer>,
    next_id: u64,
    /// Answered once, with the result of the first connection.
    started: Option<oneshot::Sender<Result<(), DustErr>>>,
    began: Instant,
    socket: Option<Socket>,
    outgoing: Outgoing,
    connecting: Option<Connecting>,
    /// Pings since the last frame.
    pings: u32,
    alarm: Alarm,
    is_enabled: bool,
    disabling: Option<Disabling>,
    /// The time at which a shutdown ends at the latest, once it has begun.
    ends_at: Option<Duration>,
}

/// An event for which the task waits.
enum Event {
    Message(TaskMessage),
    /// At least one call.
    Calls(Vec<Call>),
    /// Every handle is dropped.
    HandlesDropped,
    Connected(Box<Result<Socket, ConnectError>>),
    Received(Option<Result<Message, tungstenite::Error>>),
    SendingFailed(tungstenite::Error),
    Woke,
}

impl ConnectionTask {
    pub(super) fn new(
        session: Session,
        endpoint: Endpoint,
        stores: Vec<Arc<StoreShared>>,
        inputs: TaskInputs,
        started: oneshot::Sender<Result<(), DustErr>>,
        is_enabled: bool,
    ) -> ConnectionTask {
        ConnectionTask {
            session,
            endpoint,
            stores,
            inputs,
            answers: HashMap::new(),
            next_id: 0,
            started: Some(started),
            began: Instant::now(),
            socket: None,
            outgoing: Outgoing::default(),
            connecting: None,
            pings: 0,
            alarm: Alarm::default(),
            is_enabled,
            disabling: None,
            ends_at: None,
        }
    }

    /// Runs until a shutdown, or until every handle is dropped.
    pub(super) async fn run(mut self) {
        if self.is_enabled {
            self.session.start();
        } else {
            self.set_states(&StoreState::Dormant);
            self.report_start(Ok(()));
        }
        loop {
            self.run_outputs().await;
            self.report_start_if_settled();
            if self.ends_at.is_some_and(|at| self.session.is_quiet() || at <= self.now()) {
                break;
            }
            self.finish_disabling().await;
            // A server that sends without pause does not keep other tasks of this runtime from running.
            consume_budget().await;
            let event = self.wait().await;
            self.process(event).await;
        }
        self.session.stop();
        self.run_outputs().await;
        // Calls whose callers had a place in the queue when it was closed.
        let late = async { while self.inputs.calls.recv().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_GRACE, late).await;
    }

    async fn process(&mut self, event: Event) {
        match event {
            Event::Calls(calls) => calls.into_iter().for_each(|call| self.command(call)),
            Event::Message(TaskMessage::Shutdown) | Event::HandlesDropped => self.shut_down(),
            Event::Message(TaskMessage::AdvanceKnownSeq { store, seq }) => {
                let now = self.now();
                self.session.advance_known_seq(now, store, seq);
            }
            Event::Message(TaskMessage::Enable { enabled, done }) => self.set_enabled(enabled, done).await,
            Event::Connected(result) => self.connected(*result),
            Event::Received(Some(Err(error))) => self.broken(error).await,
            Event::Received(Some(Ok(message))) if self.is_slow(&message) => self.receive_large(message).await,
            Event::Received(message) => self.received(message),
            Event::SendingFailed(error) => self.lost(Reason::of(error)),
            Event::Woke => self.wake(),
        }
    }

    /// Begins a shutdown: accepts no more calls, and drops those that the session does not have, which answers them.
    fn shut_down(&mut self) {
        self.ends_at.get_or_insert(self.began.elapsed() + SHUTDOWN_GRACE);
        self.inputs.messages.close();
        self.inputs.calls.close();
        while self.inputs.calls.try_recv().is_ok() {}
    }

    fn wake(&mut self) {
        let now = self.now();
        if let Some(socket) = &self.socket {
            let Counts { read, written } = socket.get_ref().counts();
            if self.outgoing.is_stalled(now, written) {
                self.lost("the server does not take what is sent");
            } else {
                // Written bytes are a sign of life as well.
                self.session.arrived(read + written);
            }
        }
        self.session.wake(now);
    }

    /// Sets the state of every store.
    fn set_states(&self, state: &StoreState) {
        for store in &self.stores {
            store.set_state(state.clone());
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn wait(&mut self) -> Event {
        let disabled_at = self.disabling.as_ref().map(|disabling| disabling.ends_at);
        let stalled_at = self.outgoing.check_at();
        let wake = self.session.next_wake().into_iter().chain(self.ends_at).chain(disabled_at).chain(stalled_at).min();
        let wake_at = wake.map(|at| tokio::time::Instant::from_std(self.began + at));
        let is_open = self.ends_at.is_none();
        let accepts_calls = is_open && self.session.has_room();
        let TaskInputs { calls, messages, handles } = &mut self.inputs;
        let mut received = Vec::new();
        tokio::select! {
            message = messages.recv(), if is_open => message.map_or(Event::HandlesDropped, Event::Message),
            // Nothing is ever sent on it.
            _ = handles, if is_open => Event::HandlesDropped,
            count = calls.recv_many(&mut received, CALLS_AT_ONCE), if accepts_calls => match count {
                0 => Event::HandlesDropped,
                _ => Event::Calls(received),
            },
            result = connect(self.connecting.as_mut()) => Event::Connected(Box::new(result)),
            event = serve(self.socket.as_mut(), &mut self.outgoing) => event,
            () = self.alarm.wait_until(wake_at) => Event::Woke,
        }
    }

    fn command(&mut self, Call { command, begun, unsent }: Call) {
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.answers.extend(unsent.take().map(|answer| (id, answer)));
        let since = begun.saturating_duration_since(self.began);
        self.session.command_since(self.began.elapsed(), since, id, command);
    }

    fn connected(&mut self, result: Result<Socket, ConnectError>) {
        self.connecting = None;
        let now = self.now();
        match result {
            Ok(socket) => {
                self.socket = Some(socket);
                self.outgoing = Outgoing::default();
                self.pings = 0;
                self.session.connected(now);
            }
            Err(ConnectError::Unreachable(reason)) => {
                tracing::debug!(why = reason.text(), "the Dust server is not reached");
                self.stores.iter().for_each(|store| store.set_trouble(&reason));
                self.session.lost_because(now, reason);
                self.report_start(Ok(()));
            }
            Err(ConnectError::Refused(error)) => {
                tracing::warn!(%error, "the Dust server refuses the connection; it is tried again every 30 s");
                self.session.refused(now, &error);
                self.report_start(Err(error));
            }
        }
    }

    fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) {
        let is_frame = matches!(message, Some(Ok(Message::Text(_) | Message::Binary(_))));
        self.pings = if is_frame { 0 } else { self.pings + 1 };
        match message {
            Some(Ok(message)) if is_frame => read(&mut self.session, self.began.elapsed(), &message),
            Some(Ok(Message::Close(_))) | None => self.lost("the server closed the connection"),
            // The socket itself answers pings.
            Some(Ok(_)) if self.pings > MAX_PINGS => {
                tracing::warn!("the server sends nothing but pings: the connection is given up");
                self.lost("the server sends nothing but pings");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => self.lost(Reason::of(error)),
        }
    }

    /// True if reading a message takes so long that it would keep other tasks of this runtime from running.
    fn is_slow(&self, message: &Message) -> bool {
        let is_frame = matches!(message, Message::Text(_) | Message::Binary(_));
        let may_end_copy = || self.session.has_large_copy() && message.len() < END_FRAME;
        is_frame && (message.len() >= LARGE_FRAME || may_end_copy())
    }

    /// Processes a large message on a thread of its own.
    async fn receive_large(&mut self, message: Message) {
        self.pings = 0;
        let now = self.now();
        let mut session = std::mem::replace(&mut self.session, Session::new(Timing::default(), [], 0));
        self.session = on_blocking_thread(move || {
            read(&mut session, now, &message);
            session
        })
        .await;
    }

    /// The socket has failed. If a message is too long, only its store is refused.
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

    fn lost(&mut self, reason: impl Into<Reason>) {
        let reason = reason.into();
        tracing::debug!(why = reason.text(), "the connection to the Dust server is lost");
        self.socket = None;
        self.outgoing = Outgoing::default();
        self.stores.iter().for_each(|store| store.set_trouble(&reason));
        self.session.lost_because(self.began.elapsed(), reason);
        self.report_start(Ok(()));
    }
}

/// After any end of the task, with its runtime too, no mirror counts as current.
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

/// Passes a message to a session.
fn read(session: &mut Session, now: Duration, message: &Message) {
    match message {
        Message::Text(text) => session.frame(now, text.as_str()),
        Message::Binary(bytes) => session.unreadable_frame(now, bytes, FrameError::new("bytes in place of text")),
        _ => {}
    }
}

/// Runs long work on a thread for blocking work, so that other tasks of this runtime run meanwhile.
async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => pending().await,
        },
    }
}

async fn connect(connecting: Option<&mut Connecting>) -> Result<Socket, ConnectError> {
    match connecting {
        Some(connecting) => connecting.await,
        None => pending().await,
    }
}

/// Sends waiting frames and receives the next message. Both at the same time: a server may stop reading until its own
/// frames are read.
async fn serve(socket: Option<&mut Socket>, outgoing: &mut Outgoing) -> Event {
    let Some(socket) = socket else { return pending().await };
    poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(Err(error)) = outgoing.poll_send(socket, context) {
            return Poll::Ready(Event::SendingFailed(error));
        }
        socket.poll_next_unpin(context).map(Event::Received)
    })
    .await
}
