//! The session: the protocol of a realtime client, without I/O and without a clock.
//!
//! A driver calls the session with each event ([`connected`](Session::connected), [`frame`](Session::frame),
//! [`lost`](Session::lost), [`command`](Session::command), [`wake`](Session::wake)), and then carries out the outputs
//! of [`next_output`](Session::next_output), in their order, until there are none.
//!
//! # An exact mirror
//!
//! A store numbers its ops 1, 2, 3, … without holes. The session delivers the next op and no other: later ones wait,
//! earlier ones are dropped. A server pushes ops written over WebSockets but not ops written over HTTP. So:
//!
//! - A hole in the pushed ops means that ops were missed. The session joins again from the last op it has, and the
//!   server sends the missing ones. It first waits until everything that was sent is answered, as a join ends the
//!   channel with the messages that the server has not read (`liveness.rs`).
//! - While nothing is pushed, `status` requests the position of the store: every 5 s, and soon after another client has
//!   written over HTTP.
//!
//! A snapshot replaces everything. A store with fewer ops than the mirror was restored from a backup: a copy is fetched
//! from the beginning, and replaces the mirror when it is complete. A restored store that has grown beyond the mirror
//! is recognised on a new connection: the join begins one op early, and that op must have the id of the mirror's last
//! op. If that op is no longer in the log, the snapshot that arrives in its place replaces the mirror. If the mirror
//! itself comes from a snapshot without a later op, there is nothing to compare, and the restore is not recognised
//! ([`undetected_rewind_limit`](Session::undetected_rewind_limit)).
//!
//! # The answer of a write
//!
//! The answer is the write's event (which carries its `client_op_id`), or its reply and an op of the same number, if
//! these arrive earlier: the mirror has the op by then in both cases. After a lost connection the catch-up of the next
//! one decides: it contains the op, or the outcome is unknown, which is [`Timeout`](DustErr::Timeout). No write is sent
//! twice.
//!
//! # Phases of a channel
//!
//! ```text
//!   Closed ──► Joining ──► CatchingUp ──► Live ──────────┐
//!     ▲           ▲                         ▲  a hole    ▼
//!     │           └─────────────────────────┴──────── Draining
//!     └── crash, close, no answer           hole closes
//! ```
//!
//! `phase.rs` has the whole diagram. A join, each part of a catch-up, a `status` and every message have deadlines
//! ([`Timing`]). A store that misses one is joined again; the second time the connection is given up. Until the store
//! has answered a `status` it is [`Offline`](StoreState::Offline): its mirror does not count as current.

mod catch_up;
mod cause;
mod channel;
mod command;
mod commands;
mod connection;
mod early_ops;
mod join;
mod liveness;
mod output;
mod pending;
mod phase;
mod refusal;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod timeout;
mod timing;
mod unanswered;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use command::{Command, CommandId, CommandKind, StoreId};
use dust_protocol::channel::{Incoming, Message, Refusal, Request, Response};
pub use output::{Output, StoreState};
pub use timing::Timing;

use crate::config::Token;
use crate::error::{DustErr, Reason};
use crate::random::{Rng, backoff, share};
use crate::realtime::MAX_MIRROR;
use cause::Cause;
use channel::Channel;
use commands::Commands;
use connection::Socket;
use pending::PendingCommand;
use phase::Phase;

/// Time for which a connection, or a channel on it, has to be of use before its failure count is reset. A server that
/// accepts every connection and then closes it is retried with back-off.
const STEADY: Duration = Duration::from_secs(1);

/// Number of leaves above which delivering a copy of a store takes a millisecond or more.
const LARGE_COPY: usize = 10_000;

/// The state machine of one socket and its stores.
///
/// Times are durations since any fixed moment, of a clock that never goes back.
///
/// ```
/// use std::time::Duration;
/// use dust_orm::{internals::{Output, Session}, realtime::Timing};
///
/// let mut session = Session::new(Timing::default(), [("acme/main".to_owned(), 0)], 42);
/// session.start();
/// assert!(matches!(session.next_output(), Some(Output::Connect)));
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
    /// The time since which this connection is of use: a store is up to date.
    useful_since: Option<Duration>,
    /// Bytes that have arrived on this connection.
    arrived: u64,
    /// Frames of this connection that could not be read.
    unreadable: u32,
    /// The token, which is removed from logs and errors in case a server repeats it.
    secret: Option<Token>,
    channels: Vec<Channel>,
    commands: Commands,
    next_reference: u64,
    /// The number of the next op. With the prefix it is the op's id.
    next_op: u64,
    /// The prefix of the ids of this session's ops, which differs from that of any other session.
    op_prefix: String,
    rng: Rng,
    outputs: VecDeque<Output>,
    /// The reason for which the last connection was lost or not opened.
    lost_reason: Option<Reason>,
}

impl Session {
    /// Creates a session over stores, each with the `store_seq` of its mirror. `seed` has to differ between sessions:
    /// the ids of their ops come from it.
    pub fn new(timing: Timing, stores: impl IntoIterator<Item = (String, u64)>, seed: u64) -> Session {
        let rng = Rng::new(seed);
        let op_prefix = format!("{:016x}-", rng.next_u64());
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
            rng,
            outputs: VecDeque::new(),
            lost_reason: None,
        }
    }

    /// Sets the `client_op_id` of a mirror's last op, if it is known. The first join compares it with the store's.
    pub fn with_last_op(mut self, store: StoreId, id: Option<Arc<str>>) -> Session {
        if let Some(channel) = self.channels.get_mut(store.0) {
            channel.last_id = id;
        }
        self
    }

    /// Sets the maximum size of a mirror, in bytes of its paths and values (default: [`MAX_MIRROR`]). The session
    /// checks the copies that it makes itself; the owner of the other mirrors [refuses](Session::refuse) what does not
    /// fit.
    pub fn with_max_mirror(mut self, bytes: usize) -> Session {
        self.max_mirror = bytes;
        self
    }

    /// The next action for the driver; `None` until the next input.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// True if every command is answered.
    pub fn is_quiet(&self) -> bool {
        self.commands.is_empty()
    }

    /// True if the session has room for more [commands](Session::command). It accepts commands without room as well; a
    /// driver that leaves them in their queue until there is room bounds the memory.
    ///
    /// At most 64 commands of a store, or 4 MiB of frames, are sent and not answered. Further ones wait in their order,
    /// and there is room until 1,024 of them wait. Without a connection there is always room, as a command that does
    /// not wait for one is answered at once.
    pub fn has_room(&self) -> bool {
        !self.is_up() || self.commands.has_room()
    }

    /// Processes a text frame that has arrived.
    pub fn frame(&mut self, now: Duration, text: &str) {
        if !self.note_arrival() {
            return;
        }
        let incoming = match Incoming::decode(text) {
            Ok(incoming) => incoming,
            Err(error) => return self.unreadable_frame(now, text.as_bytes(), error),
        };
        let Some(store) = self.channels.iter().position(|channel| channel.topic == incoming.topic) else { return };
        let phase = &self.channels[store].phase;
        // Frames of an earlier join are ignored; live events have no join.
        let join_ref = incoming.join_ref.as_deref();
        let is_current =
            join_ref.is_some_and(|text| phase.join_ref().is_some_and(|current| text.parse() == Ok(current)));
        let is_refused = matches!(phase, Phase::Refused { .. });
        if is_current && matches!(incoming.message, Message::Event(_) | Message::Snapshot(_)) {
            self.catch_up_progressed(store, now);
        }
        match incoming.message {
            Message::Reply { reference, outcome } => {
                if let Some(reference) = reference.and_then(|reference| reference.parse().ok()) {
                    self.reply(store, now, reference, outcome);
                }
            }
            // The ops of a refused store are fetched when it is joined again.
            Message::Event(_) if is_refused => {}
            Message::Event(op) if join_ref.is_none() || is_current => self.receive(store, now, op),
            Message::Snapshot(snapshot) if is_current => self.replace(store, now, snapshot),
            Message::CaughtUp if is_current => self.caught_up(store, now),
            Message::Crashed if is_current => self.channel_crashed(store, now),
            Message::Closed if is_current => self.channel_closed(store, now, Cause::Closed),
            _ => {}
        }
    }

    /// True if the copy of a store that is fetched again is so large that its delivery takes a millisecond or more.
    pub(in crate::realtime) fn has_large_copy(&self) -> bool {
        self.channels.iter().any(|channel| channel.resync.as_ref().is_some_and(|copy| copy.len() > LARGE_COPY))
    }

    /// Sets the token that is removed from logs and errors, in case a server repeats it.
    pub(in crate::realtime) fn keep_secret(&mut self, token: Token) {
        self.secret = Some(token);
    }

    /// The last op through which a store can be restored from a backup, and grow beyond its mirror, without being
    /// recognised: the last op of a mirror that came with a snapshot and so has no id to compare. 0 if every restore is
    /// recognised.
    pub fn undetected_rewind_limit(&self, store: StoreId) -> u64 {
        self.channels.get(store.0).map_or(0, Channel::undetected_rewind_limit)
    }

    #[cfg(test)]
    fn early_bytes(&self) -> usize {
        self.channels.iter().map(|channel| channel.early.counted_bytes()).sum()
    }

    fn hide(&self, text: String) -> String {
        match &self.secret {
            Some(secret) => secret.redact(text),
            None => text,
        }
    }

    /// Accepts a command. It is answered by an [`Output::Answer`] with the same id, before its deadline has passed.
    pub fn command(&mut self, now: Duration, id: CommandId, command: Command) {
        self.command_since(now, now, id, command);
    }

    /// As [`command`](Session::command), with a deadline that counts from the earlier time `since`.
    pub fn command_since(&mut self, now: Duration, since: Duration, id: CommandId, command: Command) {
        let Command { store, kind, wait } = command;
        let wait_until = (!wait.is_zero()).then(|| since.saturating_add(wait));
        if store.0 >= self.channels.len() {
            let unknown = DustErr::NotFound { what: format!("the store number {} of this client", store.0) };
            self.outputs.push_back(Output::Answer { id, result: Err(unknown) });
            return;
        }
        let op = self.next_op;
        self.next_op += 1;
        if let CommandKind::CatchUp(through) = kind {
            self.channels[store.0].expect_op(through, now);
        }
        let state = kind.initial_state();
        let deadline = since.saturating_add(self.timing.deadline);
        let pending = PendingCommand { store: store.0, kind, wait_until, op, deadline, state };
        if deadline < now {
            return self.give_up_unsent(id, pending);
        }
        self.admit(id, pending, now);
        self.fill_gaps(store.0, now);
    }

    /// Notes that a store has the op `seq`, which the server does not push.
    pub fn advance_known_seq(&mut self, now: Duration, store: StoreId, seq: u64) {
        if store.0 < self.channels.len() {
            self.channels[store.0].expect_op(seq, now);
            self.fill_gaps(store.0, now);
        }
    }

    /// Does what is due by time. Called at [`next_wake`](Session::next_wake); harmless at any other time.
    pub fn wake(&mut self, now: Duration) {
        self.wake_socket(now);
        for store in 0..self.channels.len() {
            self.wake_channel(store, now);
        }
        self.give_up_late(now);
    }

    /// The time at which [`wake`](Session::wake) is due; `None` if only another input changes anything.
    pub fn next_wake(&self) -> Option<Duration> {
        let socket = match self.socket {
            Socket::Down { retry_at } => Some(retry_at),
            Socket::Up { heartbeat_at, silence } => {
                Some(silence.map_or(heartbeat_at, |timeout| timeout.check_at().min(heartbeat_at)))
            }
            Socket::Off | Socket::Connecting => None,
        };
        let is_up = self.is_up();
        let channels =
            self.channels.iter().filter(|_| is_up).filter_map(|channel| channel.next_wake(self.timing.grace));
        socket.into_iter().chain(channels).chain(self.commands.next_due()).min()
    }

    /// Sends a request on the channel of a store, and returns its reference.
    fn send(&mut self, request: &Request<'_>, join_ref: Option<u64>, store: usize) -> Option<u64> {
        let reference = self.next_reference;
        let topic = self.channels.get(store).map_or("phoenix", |channel| channel.topic.as_str());
        match request.encode(join_ref, reference, topic) {
            Ok(frame) => {
                self.next_reference += 1;
                self.outputs.push_back(Output::Send(frame));
                Some(reference)
            }
            // Only the encoding of a write can fail, and `command.rs` encodes writes.
            Err(_) => None,
        }
    }

    fn reply(&mut self, store: usize, now: Duration, reference: u64, outcome: Result<Response<'_>, Refusal>) {
        let outcome = outcome.map_err(|refusal| refusal.map(|text| self.hide(text)));
        let mut is_status = false;
        match &mut self.channels[store].phase {
            Phase::Joining { join_ref, .. } if *join_ref == reference => {
                return self.join_answered(store, now, outcome);
            }
            Phase::Open(open) => {
                open.unanswered.answered(reference, |bytes| self.timing.answer_timeout(now, bytes, self.arrived));
                is_status = open.status_request.as_ref().is_some_and(|request| request.reference == reference);
            }
            Phase::Closed { .. } | Phase::Joining { .. } | Phase::Refused { .. } => {}
        }
        if is_status {
            self.status_answered(store, now, outcome);
        } else if let Some(id) = self.commands.by_reference(reference) {
            self.command_answered(store, now, id, outcome);
        }
        self.drain(store, now);
        self.advance_all(store, now);
    }
}

impl Rng {
    /// A pause after this number of failures: the back-off from `min` to `max`, of which the second half is random, so
    /// that clients do not return at the same moment.
    fn pause(&self, failures: u32, min: Duration, max: Duration) -> Duration {
        let half = backoff(failures, min, max) / 2;
        half + share(self.next_u64(), half)
    }
}
