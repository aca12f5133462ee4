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
//!   sends the missing ones;
//! - where nothing is pushed at all, `status` asks every few seconds how far the store is.
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

mod backoff;
mod channel;
mod command;
mod follow;
mod output;
#[cfg(test)]
pub(crate) mod tests;
mod wait;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use command::{Command, CommandId, Work};
pub use output::{Output, StoreId, StoreState};

use crate::config::Token;
use crate::error::DustErr;
use crate::protocol::channel::{FrameError, Frames, Incoming, Message, Refusal, Request, Response};
use crate::sync::MAX_MIRROR;
use backoff::Dice;
use channel::{Channel, Phase};
use command::{Pending, Stage};
use wait::Wait;

/// How long a connection, or a channel on it, has to be of use before the next attempt is as prompt as the first. A server
/// that lets everybody in and then breaks off is not to be hammered.
const STEADY: Duration = Duration::from_secs(1);
/// How many frames of one connection may be such that they cannot be read.
const MAX_UNREADABLE: u32 = 1_000;

/// How often the pause is doubled before a store is asked again whose mirror is too large: up to eight times as long.
const MAX_DOUBLINGS: u32 = 3;

/// How patient a session is. The defaults are right for a Dust server.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How often a sign of life is sent: 30 s. A server closes a socket that is silent for 60 s.
    pub heartbeat: Duration,
    /// How long the server may be silent after it: 10 s.
    pub silence: Duration,
    /// How often a store is asked how far it is: 5 s.
    pub status: Duration,
    /// The pause before the first reconnection, doubled for each further one: 10 ms.
    pub min_pause: Duration,
    /// The longest pause: 5 s.
    pub max_pause: Duration,
    /// How long a command may take: 30 s.
    pub deadline: Duration,
    /// How long a store may be known to be ahead before it is joined again: 250 ms.
    pub grace: Duration,
    /// How long a write that was cut off may still turn up after the next catch-up: 2 s.
    pub lost_grace: Duration,
    /// How long the answer to a join may take: 10 s.
    pub join: Duration,
    /// How long a refused store is left alone before it is tried again: 30 s.
    pub refused: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_secs(30),
            silence: Duration::from_secs(10),
            status: Duration::from_secs(5),
            min_pause: Duration::from_millis(10),
            max_pause: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            grace: Duration::from_millis(250),
            lost_grace: Duration::from_secs(2),
            join: Duration::from_secs(10),
            refused: Duration::from_secs(30),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Socket {
    /// Not asked for.
    Off,
    Down {
        retry_at: Duration,
    },
    Dialling,
    Up {
        heartbeat_at: Duration,
        /// Since a heartbeat that nothing was heard after.
        unheard: Option<Wait>,
    },
}

/// The state machine of one socket and its stores. See the [module](self).
///
/// Times are those of any clock that does not go back, counted from any moment.
///
/// ```
/// use std::time::Duration;
/// use dust_orm::sync::session::{Output, Session, Timing};
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
    frames: Frames,
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
    pending: BTreeMap<CommandId, Pending>,
    by_reference: HashMap<u64, CommandId>,
    by_op: HashMap<u64, CommandId>,
    next_reference: u64,
    /// The number of the next op. With the prefix it is the op's id.
    next_op: u64,
    /// What the ids of this session's ops begin with: unlike any other session's.
    op_prefix: String,
    dice: Dice,
    outputs: VecDeque<Output>,
    /// Why there is no connection, if there was an attempt.
    why_lost: String,
}

impl Session {
    /// A session over stores, each with the `store_seq` that its mirror has already. `seed` has to differ between sessions:
    /// the ids of their ops come from it.
    pub fn new(timing: Timing, stores: impl IntoIterator<Item = (String, u64)>, seed: u64) -> Session {
        let mut dice = Dice::new(seed);
        let op_prefix = format!("{:016x}-", dice.roll());
        Session {
            timing,
            frames: Frames::Json,
            max_mirror: MAX_MIRROR,
            socket: Socket::Off,
            failures: 0,
            useful_since: None,
            arrived: 0,
            unreadable: 0,
            secret: None,
            channels: stores.into_iter().map(|(name, seq)| Channel::new(name, seq)).collect(),
            pending: BTreeMap::new(),
            by_reference: HashMap::new(),
            by_op: HashMap::new(),
            next_reference: 1,
            next_op: 1,
            op_prefix,
            dice,
            outputs: VecDeque::new(),
            why_lost: String::new(),
        }
    }

    /// Tells the `client_op_id` of a mirror's last op, where that is known: the first join compares it with the store's.
    pub fn with_last_op(mut self, store: StoreId, id: Option<Arc<str>>) -> Session {
        if let Some(channel) = self.channels.get_mut(store.0) {
            channel.last_id = id;
        }
        self
    }

    /// Tells the form of the frames on the socket, of which only errors speak: the session itself takes and gives text.
    pub fn with_frames(mut self, frames: Frames) -> Session {
        self.frames = frames;
        self
    }

    /// Sets how large a mirror may become, in bytes of its paths and values: [`MAX_MIRROR`] by default. The session looks at
    /// the mirrors that it makes itself; who owns the others [refuses](Session::refuse) what does not fit.
    pub fn with_max_mirror(mut self, bytes: usize) -> Session {
        self.max_mirror = bytes;
        self
    }

    /// Begins to connect.
    pub fn start(&mut self) {
        if self.socket == Socket::Off {
            self.dial();
        }
    }

    /// Stops: whatever is not answered yet is answered now, and the socket is closed. [`start`](Session::start) begins
    /// again.
    pub fn stop(&mut self) {
        if self.socket != Socket::Off {
            self.outputs.push_back(Output::HangUp);
        }
        self.disconnect("the client was stopped");
        self.socket = Socket::Off;
        for id in self.pending.keys().copied().collect::<Vec<_>>() {
            self.give_up(id, "the client was stopped");
        }
    }

    /// What is to be done next; `None` until the next input.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether every write that was sent has been answered.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty()
    }

    /// The socket is open.
    pub fn connected(&mut self, now: Duration) {
        if self.socket == Socket::Off {
            self.outputs.push_back(Output::HangUp);
            return;
        }
        self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, unheard: None };
        (self.arrived, self.unreadable) = (0, 0);
        for store in 0..self.channels.len() {
            self.join(store, now);
        }
    }

    /// The socket is closed, or could not be opened.
    pub fn lost(&mut self, now: Duration, why: &str) {
        if self.socket == Socket::Off {
            return;
        }
        self.disconnect(why);
        self.why_lost = format!(" ({why})");
        // One that ends as soon as it is of use proves nothing: the next may do the same.
        if self.useful_since.take().is_some_and(|since| since + STEADY <= now) {
            self.failures = 0;
        }
        let pause = self.dice.pause(self.failures, self.timing.min_pause, self.timing.max_pause);
        self.failures = self.failures.saturating_add(1);
        self.socket = Socket::Down { retry_at: now + pause };
    }

    /// The server does not let this token in. It is tried again as seldom as a store that is refused, which all of them are.
    pub fn refused(&mut self, now: Duration, error: &DustErr) {
        if self.socket == Socket::Off {
            return;
        }
        for store in 0..self.channels.len() {
            self.channels[store].disconnect();
            self.leave_alone(store, now, self.timing.refused, error.clone());
        }
        self.by_reference.clear();
        self.useful_since = None;
        self.failures = self.failures.saturating_add(1);
        self.socket = Socket::Down { retry_at: now + self.timing.refused };
    }

    /// What was handed out for a store was not taken, for this reason: its mirror stays as of the op `seq`. It is asked for
    /// again as late as a store that is refused by the server, and each time that is in vain twice as late, up to eight times.
    pub fn refuse(&mut self, now: Duration, store: StoreId, seq: u64, error: DustErr) {
        let Some(channel) = self.channels.get_mut(store.0) else { return };
        // One that was followed meanwhile is another story.
        if channel.useful_since.is_some_and(|since| since + STEADY <= now) {
            channel.overflows = 0;
        }
        if channel.overflows == 0 {
            tracing::warn!(store = %channel.name, %error, "a mirror stays as it was; its store is asked again more and more seldom");
        }
        let pause = self.timing.refused.saturating_mul(1 << channel.overflows.min(MAX_DOUBLINGS));
        channel.overflows = channel.overflows.saturating_add(1);
        channel.stay_at(seq);
        self.leave_alone(store.0, now, pause, error);
    }

    /// A text frame has arrived.
    pub fn frame(&mut self, now: Duration, text: &str) {
        if !self.hear() {
            return;
        }
        let incoming = match Incoming::decode(text) {
            Ok(incoming) => incoming,
            Err(error) => return self.unreadable(now, error),
        };
        let Some(store) = self.channels.iter().position(|channel| channel.topic == incoming.topic) else { return };
        let join_ref = incoming.join_ref.as_deref();
        // What belongs to an earlier join says nothing about this one; live events belong to none.
        let is_current = join_ref.is_some_and(|join_ref| self.channels[store].join_ref_is(join_ref));
        match incoming.message {
            Message::Reply { reference, outcome } => {
                if let Some(reference) = reference.and_then(|reference| reference.parse().ok()) {
                    self.reply(store, now, reference, outcome);
                }
            }
            Message::Event(op) if join_ref.is_none() || is_current => self.receive(store, now, op),
            Message::Snapshot(snapshot) if is_current => self.replace(store, snapshot),
            Message::CaughtUp if is_current => self.caught_up(store, now),
            Message::Crashed if is_current => self.channel_crashed(store, now),
            Message::Closed if is_current => self.channel_closed(store, now),
            _ => {}
        }
    }

    /// A frame has arrived that is none, for this reason. It is ignored; if it was an op, the hole it leaves is found, and the
    /// op asked for again. A connection that brings nothing else is given up.
    pub fn unreadable(&mut self, now: Duration, error: FrameError) {
        if !self.hear() {
            return;
        }
        self.unreadable += 1;
        if self.unreadable == 1 {
            let error = error.map(|text| self.hide(text));
            tracing::warn!(%error, "a frame of the Dust server cannot be read and is ignored, as are others like it");
        }
        if self.unreadable == MAX_UNREADABLE {
            tracing::warn!("the server sends nothing but frames that cannot be read: the connection is given up");
            self.outputs.push_back(Output::HangUp);
            self.lost(now, "the server sends frames that cannot be read");
        }
    }

    /// Notes that the server has given a sign of life. Without a socket there is nobody to give one.
    fn hear(&mut self) -> bool {
        let Socket::Up { unheard, .. } = &mut self.socket else { return false };
        *unheard = None;
        true
    }

    /// So many bytes have arrived since the socket was opened, with those of a frame that is not complete. Who tells this before
    /// each [`wake`](Session::wake) does not lose a connection over a frame that takes longer than the server may be silent.
    pub fn arrived(&mut self, bytes: u64) {
        self.arrived = bytes;
    }

    /// Keeps a token out of logs and errors, should a server repeat it.
    pub(in crate::sync) fn keep_secret(&mut self, token: Token) {
        self.secret = Some(token);
    }

    /// Up to which op a store can be restored from a backup, and grow again beyond its mirror, without this session noticing:
    /// that of a mirror whose last op has no id to compare, because it came with a snapshot. 0 where everything is noticed.
    pub fn blind_through(&self, store: StoreId) -> u64 {
        self.channels.get(store.0).map_or(0, Channel::blind_through)
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
        let Command { store, work, wait } = command;
        let wait_until = (!wait.is_zero()).then(|| now.saturating_add(wait));
        if store.0 >= self.channels.len() {
            let unknown = DustErr::NotFound { what: format!("the store number {} of this client", store.0) };
            self.outputs.push_back(Output::Answer { id, result: Err(unknown) });
            return;
        }
        let op = self.next_op;
        self.next_op += 1;
        let deadline = now + self.timing.deadline;
        let pending = Pending { store: store.0, work, wait_until, op, deadline, stage: Stage::Queued };
        if let Some(through) = pending.through() {
            self.channels[store.0].know(through, now);
        } else if pending.target().is_some() {
            self.by_op.insert(op, id);
        }
        self.pending.insert(id, pending);
        self.advance(id);
        self.close_holes(store.0, now);
    }

    /// A store is known to have this op, by a way that the server does not tell of.
    pub fn know(&mut self, now: Duration, store: StoreId, seq: u64) {
        if store.0 < self.channels.len() {
            self.channels[store.0].know(seq, now);
            self.close_holes(store.0, now);
        }
    }

    /// Time has passed: due at [`next_wake`](Session::next_wake), harmless at any other time.
    pub fn wake(&mut self, now: Duration) {
        match self.socket {
            Socket::Down { retry_at } if retry_at <= now => self.dial(),
            Socket::Up { heartbeat_at, mut unheard } => {
                let silence = self.timing.silence;
                if unheard.as_mut().is_some_and(|wait| wait.is_over(now, silence, self.arrived)) {
                    self.outputs.push_back(Output::HangUp);
                    self.lost(now, "the server has gone silent");
                } else if heartbeat_at <= now {
                    let unheard = unheard.or(Some(Wait::new(now, silence, self.arrived)));
                    self.socket = Socket::Up { heartbeat_at: now + self.timing.heartbeat, unheard };
                    self.send(&Request::Heartbeat, None, 0);
                } else {
                    self.socket = Socket::Up { heartbeat_at, unheard };
                }
            }
            _ => {}
        }
        for store in 0..self.channels.len() {
            self.wake_channel(store, now);
        }
        let due = |pending: &Pending| pending.due() <= now;
        let late: Vec<CommandId> = self.pending.iter().filter(|(_, pending)| due(pending)).map(|(id, _)| *id).collect();
        for id in late {
            self.give_up(id, "no answer in time");
        }
    }

    /// When [`wake`](Session::wake) is due; `None` when only something from outside can change anything.
    pub fn next_wake(&self) -> Option<Duration> {
        let socket = match self.socket {
            Socket::Down { retry_at } => Some(retry_at),
            Socket::Up { heartbeat_at, unheard } => {
                Some(unheard.map_or(heartbeat_at, |wait| wait.look_at().min(heartbeat_at)))
            }
            Socket::Off | Socket::Dialling => None,
        };
        let up = matches!(self.socket, Socket::Up { .. });
        let channels = self.channels.iter().filter(|_| up).filter_map(|channel| channel.next_wake());
        let deadlines = self.pending.values().map(Pending::due);
        socket.into_iter().chain(channels).chain(deadlines).min()
    }

    fn dial(&mut self) {
        self.socket = Socket::Dialling;
        self.outputs.push_back(Output::Dial);
    }

    fn is_up(&self) -> bool {
        matches!(self.socket, Socket::Up { .. })
    }

    /// Forgets the connection: what was sent and not answered is unknown, what waits to be sent will not be.
    fn disconnect(&mut self, why: &str) {
        self.by_reference.clear();
        for store in 0..self.channels.len() {
            self.channels[store].disconnect();
            self.announce(store);
        }
        let ids: Vec<CommandId> = self.pending.keys().copied().collect();
        for id in ids {
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            match pending.stage {
                Stage::Queued if pending.wait_until.is_none() && pending.through().is_none() => self.give_up(id, why),
                Stage::Sent { .. } => pending.cut_off(),
                _ => {}
            }
        }
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
        } else if channel.status_sent.is_some_and(|(sent, _)| sent == reference) {
            self.status_answered(store, now, outcome);
        } else if let Some(id) = self.by_reference.remove(&reference) {
            self.write_answered(store, now, id, outcome);
        }
    }
}
