//! The session: what a realtime client says and believes, without I/O and without a clock.
//!
//! Its driver tells it what happened ([`connected`](Session::connected), [`frame`](Session::frame),
//! [`lost`](Session::lost), [`command`](Session::command), [`wake`](Session::wake)) and then does what
//! [`next_output`](Session::next_output) says, in that order, until there is nothing left.
//!
//! # How the mirror stays exact
//!
//! A store gives its ops the numbers 1, 2, 3, … with no holes. The session hands on the next op and no other: later ones
//! wait, earlier ones are dropped. A server pushes what is written over WebSockets but not what is written over HTTP, so
//!
//! - a hole in what is pushed means that ops were missed: the session joins again from the last op it has, and the server
//!   sends the missing ones. It does so when everything that was sent is answered, as a join ends the channel with what the
//!   server has not read of it (`liveness.rs`);
//! - where nothing is pushed at all, `status` asks how far the store is: every 5 s, and soon after somebody has written past the
//!   socket.
//!
//! A snapshot replaces everything. A store that has fewer ops than the mirror was restored from a backup: everything is
//! fetched again, aside, and replaces the mirror when it is complete. So is one that was restored and has meanwhile grown beyond
//! the mirror: on a new connection a join begins one op early, and that op has to have the id of the mirror's last one.
//! (Where that op is in no log any more, the snapshot that comes in its place replaces the mirror. Only where the mirror itself
//! comes from a snapshot, and no op has come since, there is nothing to compare, and it is not noticed.)
//!
//! # How a write is answered
//!
//! By its event (which carries its `client_op_id`) or by its reply and an op of that number, whichever comes first: either
//! way the mirror has it by then. When the connection is lost in between, the catch-up of the next one tells: it contains
//! the op, or the outcome is unknown, which is [`Timeout`](DustErr::Timeout). No write is sent twice.
//!
//! # When a channel does not answer
//!
//! A join, each part of a catch-up, a `status` and what was sent all have deadlines ([`Timing`]). A store that misses one is
//! joined again, and the second time the connection is given up. Until it has answered a `status` it is
//! [`Offline`](StoreState::Offline): its mirror is not taken for one that follows it.

mod backoff;
mod catch_up;
mod cause;
mod channel;
mod command;
mod commands;
mod connection;
mod liveness;
mod output;
mod refusal;
#[cfg(test)]
pub(crate) mod tests;
mod timeout;
mod timing;
mod unanswered;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use command::{Command, CommandId, CommandKind};
use dust_protocol::channel::{Incoming, Message, Refusal, Request, Response};
pub use output::{Output, StoreId, StoreState};
pub use timing::Timing;

use crate::config::Token;
use crate::error::{DustErr, Reason};
use crate::realtime::MAX_MIRROR;
use backoff::Rng;
use cause::Cause;
use channel::{Channel, Phase};
use command::Pending;
use commands::Commands;
use connection::Socket;

/// How long a connection, or a channel on it, has to be of use before the next attempt is as prompt as the first. A server
/// that lets everybody in and then breaks off is not to be hammered.
const STEADY: Duration = Duration::from_secs(1);

/// A store of so many leaves takes a millisecond or more to be handed out as a whole.
const LARGE_COPY: usize = 10_000;

/// The state machine of one socket and its stores. See the [module](self).
///
/// Times are those of any clock that does not go back, counted from any moment.
///
/// ```
/// use std::time::Duration;
/// use dust_orm::realtime::session::{Output, Session, Timing};
///
/// let mut session = Session::new(Timing::default(), [("acme/main".to_owned(), 0)], 42);
/// session.start();
/// assert!(matches!(session.next_output(), Some(Output::Dial)));
/// session.connected(Duration::ZERO);
/// let Some(Output::Send(frame)) = session.next_output() else { panic!("it joins") };
/// assert_eq!(frame, r#"["1","1","store:acme/main","phx_join",{"last_store_seq":0}]"#);
/// ```
#[derive(Debug)]
pub struct Session {
    timing: Timing,
    max_mirror: usize,
    socket: Socket,
    /// Connections that failed since the last one that was of use.
    failures: u32,
    /// Since when this connection is of use: a store is up to date.
    useful_since: Option<Duration>,
    /// How many bytes have arrived on this connection.
    arrived: u64,
    /// Frames of this connection that could not be read.
    unreadable: u32,
    /// What no log and no error is to show, although a server may repeat it.
    secret: Option<Token>,
    channels: Vec<Channel>,
    commands: Commands,
    next_reference: u64,
    /// The number of the next op. With the prefix it is the op's id.
    next_op: u64,
    /// What the ids of this session's ops begin with: unlike any other session's.
    op_prefix: String,
    dice: Rng,
    outputs: VecDeque<Output>,
    /// Why there is no connection, if there was an attempt.
    why_lost: Option<Reason>,
}

impl Session {
    /// A session over stores, each with the `store_seq` that its mirror has already. `seed` has to differ between sessions:
    /// the ids of their ops come from it.
    pub fn new(timing: Timing, stores: impl IntoIterator<Item = (String, u64)>, seed: u64) -> Session {
        let mut dice = Rng::new(seed);
        let op_prefix = format!("{:016x}-", dice.roll());
        let channels: Vec<Channel> = stores.into_iter().map(|(name, seq)| Channel::new(name, seq)).collect();
        Session {
            timing,
            max_mirror: MAX_MIRROR,
            socket: Socket::Off,
            failures: 0,
            useful_since: None,
            arrived: 0,
            unreadable: 0,
            secret: None,
            commands: Commands::new(channels.len()),
            channels,
            next_reference: 1,
            next_op: 1,
            op_prefix,
            dice,
            outputs: VecDeque::new(),
            why_lost: None,
        }
    }

    /// Tells the `client_op_id` of a mirror's last op, where that is known: the first join compares it with the store's.
    pub fn with_last_op(mut self, store: StoreId, id: Option<Arc<str>>) -> Session {
        if let Some(channel) = self.channels.get_mut(store.0) {
            channel.last_id = id;
        }
        self
    }

    /// Sets how large a mirror may become, in bytes of its paths and values: [`MAX_MIRROR`] by default. The session looks at
    /// the mirrors that it makes itself; who owns the others [refuses](Session::refuse) what does not fit.
    pub fn with_max_mirror(mut self, bytes: usize) -> Session {
        self.max_mirror = bytes;
        self
    }

    /// What is to be done next; `None` until the next input.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether every write that was sent has been answered.
    pub fn is_quiet(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether the session is ready for more [commands](Session::command). It takes those that it is given all the same; but
    /// a driver that leaves them where they come from, until this is true again, makes the callers wait and not the memory grow.
    ///
    /// Of one store at most 64 commands, or 4 MiB of frames, are sent and not answered. The next ones wait in the order they
    /// were given, and there is room until 1,024 of them wait. Without a connection there is always room, as what does not wait
    /// for one is answered at once.
    pub fn has_room(&self) -> bool {
        !self.is_up() || self.commands.has_room()
    }

    /// A text frame has arrived.
    pub fn frame(&mut self, now: Duration, text: &str) {
        if !self.hear() {
            return;
        }
        let incoming = match Incoming::decode(text) {
            Ok(incoming) => incoming,
            Err(error) => return self.unreadable_frame(now, text.as_bytes(), error),
        };
        let Some(store) = self.channels.iter().position(|channel| channel.topic == incoming.topic) else { return };
        let join_ref = incoming.join_ref.as_deref();
        // What belongs to an earlier join says nothing about this one; live events belong to none.
        let is_current = join_ref.is_some_and(|join_ref| self.channels[store].join_ref_is(join_ref));
        if is_current && matches!(incoming.message, Message::Event(_) | Message::Snapshot(_)) {
            self.catch_up_goes_on(store, now);
        }
        match incoming.message {
            Message::Reply { reference, outcome } => {
                if let Some(reference) = reference.and_then(|reference| reference.parse().ok()) {
                    self.reply(store, now, reference, outcome);
                }
            }
            // What is refused is fetched when it is not refused any more.
            Message::Event(_) if matches!(self.channels[store].phase, Phase::Refused { .. }) => {}
            Message::Event(op) if join_ref.is_none() || is_current => self.receive(store, now, op),
            Message::Snapshot(snapshot) if is_current => self.replace(store, now, snapshot),
            Message::CaughtUp if is_current => self.caught_up(store, now),
            Message::Crashed if is_current => self.channel_crashed(store, now),
            Message::Closed if is_current => self.channel_closed(store, now, Cause::Closed),
            _ => {}
        }
    }

    /// Whether a store is being fetched again, aside, and has become so large that the end of it takes a while.
    pub(in crate::realtime) fn has_large_copy(&self) -> bool {
        self.channels.iter().any(|channel| channel.resync.as_ref().is_some_and(|copy| copy.len() > LARGE_COPY))
    }

    /// Keeps a token out of logs and errors, should a server repeat it.
    pub(in crate::realtime) fn keep_secret(&mut self, token: Token) {
        self.secret = Some(token);
    }

    /// Up to which op a store can be restored from a backup, and grow again beyond its mirror, without this session noticing:
    /// that of a mirror whose last op has no id to compare, because it came with a snapshot. 0 where everything is noticed.
    pub fn undetected_rewind_limit(&self, store: StoreId) -> u64 {
        self.channels.get(store.0).map_or(0, Channel::undetected_rewind_limit)
    }

    #[cfg(test)]
    fn early_bytes(&self) -> usize {
        self.channels.iter().map(Channel::waiting_bytes).sum()
    }

    fn hide(&self, text: String) -> String {
        match &self.secret {
            Some(secret) => secret.redact(text),
            None => text,
        }
    }

    /// Asks for something. It is answered by an [`Output::Answer`] with the same id, before its deadline has passed.
    pub fn command(&mut self, now: Duration, id: CommandId, command: Command) {
        self.command_since(now, now, id, command);
    }

    /// As [`command`](Session::command), for a caller that has waited since an earlier time, from which the deadline counts.
    pub fn command_since(&mut self, now: Duration, since: Duration, id: CommandId, command: Command) {
        let Command { store, work, wait } = command;
        let wait_until = (!wait.is_zero()).then(|| since.saturating_add(wait));
        if store.0 >= self.channels.len() {
            let unknown = DustErr::NotFound { what: format!("the store number {} of this client", store.0) };
            self.outputs.push_back(Output::Answer { id, result: Err(unknown) });
            return;
        }
        let op = self.next_op;
        self.next_op += 1;
        if let CommandKind::CatchUp(through) = work {
            self.channels[store.0].know(through, now);
        }
        let (stage, deadline) = (work.first_stage(), since.saturating_add(self.timing.deadline));
        let pending = Pending { store: store.0, work, wait_until, op, deadline, stage };
        if deadline < now {
            return self.give_up_unsent(id, pending);
        }
        self.admit(id, pending, now);
        self.fill_gaps(store.0, now);
    }

    /// A store is known to have this op, by a way that the server does not tell of.
    pub fn know(&mut self, now: Duration, store: StoreId, seq: u64) {
        if store.0 < self.channels.len() {
            self.channels[store.0].know(seq, now);
            self.fill_gaps(store.0, now);
        }
    }

    /// Time has passed: due at [`next_wake`](Session::next_wake), harmless at any other time.
    pub fn wake(&mut self, now: Duration) {
        self.wake_socket(now);
        for store in 0..self.channels.len() {
            self.wake_channel(store, now);
        }
        self.give_up_late(now);
    }

    /// When [`wake`](Session::wake) is due; `None` when only something from outside can change anything.
    pub fn next_wake(&self) -> Option<Duration> {
        let socket = match self.socket {
            Socket::Down { retry_at } => Some(retry_at),
            Socket::Up { heartbeat_at, unheard } => {
                Some(unheard.map_or(heartbeat_at, |wait| wait.look_at().min(heartbeat_at)))
            }
            Socket::Off | Socket::Connecting => None,
        };
        let up = matches!(self.socket, Socket::Up { .. });
        let channels = self.channels.iter().filter(|_| up).filter_map(|channel| channel.next_wake(self.timing.grace));
        socket.into_iter().chain(channels).chain(self.commands.next_due()).min()
    }

    /// Sends a request on the channel of a store; its reference.
    fn send(&mut self, request: &Request<'_>, join_ref: Option<u64>, store: usize) -> Option<u64> {
        let reference = self.next_reference;
        let topic = self.channels.get(store).map_or("phoenix", |channel| channel.topic.as_str());
        match request.encode(join_ref, reference, topic) {
            Ok(frame) => {
                self.next_reference += 1;
                self.outputs.push_back(Output::Send(frame));
                Some(reference)
            }
            // Only writes can be refused, and they are checked where they are sent.
            Err(_) => None,
        }
    }

    fn reply(&mut self, store: usize, now: Duration, reference: u64, outcome: Result<Response<'_>, Refusal>) {
        let outcome = outcome.map_err(|refusal| refusal.map(|text| self.hide(text)));
        let channel = &self.channels[store];
        if matches!(channel.phase, Phase::Joining { join_ref, .. } if join_ref == reference) {
            self.join_answered(store, now, outcome);
            return;
        }
        let mut unanswered = std::mem::take(&mut self.channels[store].unanswered);
        unanswered.answered(reference, |bytes| self.answer_wait(now, bytes));
        let channel = &mut self.channels[store];
        channel.unanswered = unanswered;
        if channel.status_sent.as_ref().is_some_and(|asked| asked.reference == reference) {
            self.status_answered(store, now, outcome);
        } else if let Some(id) = self.commands.by_reference(reference) {
            self.write_answered(store, now, id, outcome);
        }
        self.drain(store, now);
        self.advance_all(store, now);
    }
}
