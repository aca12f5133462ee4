//! Random events in random order. Afterwards the mirror equals the store, every op was delivered once and in order,
//! every command is answered once, and no answer is wrong.

mod check;

use std::collections::BTreeMap;
use std::time::Duration;

use dust_protocol::channel::Written;
use dust_protocol::testing::{near_op, near_path};
use dust_protocol::{Mutation, Op, Path, Precondition, RawJson};
use proptest::prelude::*;
use serde_json::json;

use super::super::{Command, CommandId, CommandKind, Output, Session, StoreId, Timing};
use super::server::{Connection, Server};
use crate::error::DustErr;
use crate::realtime::Mirror;

#[derive(Clone, Debug)]
enum Event {
    ToServer,
    /// The socket reads a frame, and passes it to the channel. Before a join the channel reads `kept` more messages.
    Arrive {
        kept: usize,
    },
    /// The channel reads no more messages until it is joined again.
    Hang,
    /// The catch-up under way is never sent.
    Stall,
    /// Replies to `status` are lost.
    Swallow(usize),
    ToClient,
    CatchUp,
    Accept,
    Refuse,
    /// The connection breaks; the server may have read some of what was under way.
    Cut {
        read: usize,
    },
    Pass(u64),
    Pushed(Path, Mutation),
    Unpushed(Path, Mutation),
    Write {
        path: Path,
        shape: u8,
        on: Option<u64>,
        wait: bool,
    },
    AwaitAll,
    Refresh,
    Compact,
    Crash,
    Restore(prop::sample::Index),
    /// Sets if the event of a write is sent before its reply.
    RepliesLast(bool),
    /// Everything under way arrives.
    Flush,
}

fn event() -> impl Strategy<Value = Event> {
    let shape = (near_path(), 0..4_u8, prop::option::weighted(0.2, 0..20_u64), any::<bool>());
    prop_oneof![
        8 => Just(Event::ToServer),
        8 => (0..4_usize).prop_map(|kept| Event::Arrive { kept }),
        1 => Just(Event::Hang),
        1 => Just(Event::Stall),
        1 => (1..4_usize).prop_map(Event::Swallow),
        12 => Just(Event::ToClient),
        8 => Just(Event::CatchUp),
        4 => Just(Event::Accept),
        1 => Just(Event::Refuse),
        2 => (0..4_usize).prop_map(|read| Event::Cut { read }),
        4 => prop_oneof![1..300_u64, Just(1_000), Just(6_000), Just(31_000)].prop_map(Event::Pass),
        4 => (near_path(), near_op()).prop_map(|(path, op)| Event::Pushed(path, op)),
        4 => (near_path(), near_op()).prop_map(|(path, op)| Event::Unpushed(path, op)),
        8 => shape.prop_map(|(path, shape, on, wait)| Event::Write { path, shape, on, wait }),
        1 => Just(Event::AwaitAll),
        2 => Just(Event::Refresh),
        1 => Just(Event::Compact),
        1 => Just(Event::Crash),
        1 => any::<prop::sample::Index>().prop_map(Event::Restore),
        1 => any::<bool>().prop_map(Event::RepliesLast),
        3 => Just(Event::Flush),
    ]
}

struct World {
    now: Duration,
    session: Session,
    server: Server,
    mirror: Mirror,
    is_connecting: bool,
    /// A marker in the value of each command that writes, and its answer.
    commands: BTreeMap<CommandId, (String, Option<Result<Written, DustErr>>)>,
    /// The values of all ops there ever were, and their numbers.
    history: Vec<(u64, String)>,
    /// True if the store was restored, so that numbers are not unique.
    restored: bool,
    /// True while a restored store must not grow, as its mirror lacks the id of its last op: the restore would not be
    /// recognised.
    is_frozen: bool,
    /// The number of restores. Ops after a restore have other ids.
    restores: usize,
    /// True if it was restored and the client has not fetched it again.
    is_secret: bool,
    is_live: bool,
    /// True after a fault that may have left messages unread.
    is_faulty: bool,
    /// The time since which a message is on its way or unread, without a moment in which none is.
    pending_since: Option<Duration>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            now: Duration::ZERO,
            session: Session::new(Timing::default(), [("acme/main".to_owned(), 0)], seed),
            server: Server::default(),
            mirror: Mirror::default(),
            is_connecting: false,
            commands: BTreeMap::new(),
            history: Vec::new(),
            restored: false,
            is_frozen: false,
            restores: 0,
            is_secret: false,
            is_live: false,
            is_faulty: false,
            pending_since: None,
        }
    }

    fn remember(&mut self, before: usize) {
        self.history.extend(self.server.log.iter().skip(before).map(|op| (op.store_seq, op.value.to_string())));
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Connect => self.is_connecting = true,
                Output::Disconnect => self.server.connection = None,
                Output::Send(text) => {
                    self.is_frozen &= !text.contains("\"last_store_seq\":0}");
                    self.is_secret &= !text.contains("\"last_store_seq\":0}");
                    if let Some(connection) = &mut self.server.connection {
                        connection.to_server.push_back(text);
                    }
                }
                Output::Apply { ops, .. } => {
                    assert!(!ops.is_empty());
                    for op in ops {
                        assert_eq!(op.store_seq, self.mirror.seq() + 1, "in order and without a hole");
                        self.mirror.apply(&op);
                        let original = &self.server.log[op.store_seq as usize - 1];
                        assert_eq!(
                            (&op.path, op.op, &op.client_op_id),
                            (&original.path, original.op, &original.client_op_id)
                        );
                    }
                }
                Output::Replace { seq, inexact_through, leaves, is_rewound, .. } => {
                    let least = self.mirror.seq() + u64::from(!is_rewound);
                    assert!(self.restored || seq >= least, "a snapshot goes forward");
                    self.mirror.replace(seq, inexact_through, leaves);
                }
                Output::Answer { id, result } => {
                    if let (Ok(Written { store_seq: Some(seq), .. }), false) = (&result, self.restored) {
                        assert!(self.mirror.seq() >= *seq, "what was acknowledged is readable");
                    }
                    let answer = &mut self.commands.get_mut(&id).unwrap().1;
                    assert!(answer.is_none(), "answered once");
                    *answer = Some(result);
                }
                Output::State { state, .. } => self.is_live = state.is_live(),
                Output::Position { .. } => {}
            }
        }
    }

    fn other_writes(&mut self, path: &Path, op: &Mutation, push: bool) {
        if self.is_frozen {
            return;
        }
        let before = self.server.log.len();
        // Ops that are not pushed are in batches of three.
        let restores = self.restores;
        let id = if push {
            format!("one-{restores}-{before}")
        } else {
            format!("other-{restores}-{}:{}", before / 3, before % 3)
        };
        if self.server.commit(path, op, None, &id).is_ok() && push {
            self.server.push_last();
        }
        self.remember(before);
    }

    fn read(&mut self) {
        let before = self.server.log.len();
        self.server.read();
        self.remember(before);
    }

    fn deliver(&mut self) {
        let text = self.server.connection.as_mut().and_then(|connection| connection.to_client.pop_front());
        if let Some(text) = text {
            self.session.frame(self.now, &text);
        }
    }

    fn command(&mut self, kind: CommandKind, wait: bool, marker: String) {
        let wait = if wait { Duration::MAX } else { Duration::ZERO };
        let id = CommandId(self.commands.len() as u64);
        self.commands.insert(id, (marker, None));
        self.session.command(self.now, id, Command { store: StoreId(0), kind, wait });
    }

    fn cut(&mut self) {
        self.server.connection = None;
        self.session.lost(self.now, "cut");
    }

    /// Notes a message that is pending for longer than the session waits for an answer. Then the session may join again
    /// although the server has not read everything.
    fn note_pending(&mut self) {
        let is_pending = self.server.connection.as_ref().is_some_and(Connection::has_pending);
        self.pending_since = is_pending.then(|| self.pending_since.unwrap_or(self.now));
        let pending = self.pending_since.map_or(Duration::ZERO, |since| self.now - since);
        self.is_faulty |= pending >= Timing::default().answer;
    }

    fn happen(&mut self, event: Event) {
        self.note_pending();
        match event {
            Event::ToServer => self.read(),
            Event::Arrive { kept } => {
                let before = self.server.log.len();
                self.server.arrive(kept);
                self.remember(before);
            }
            Event::Hang | Event::Stall => {
                let is_hang = matches!(event, Event::Hang);
                if let Some(connection) = &mut self.server.connection {
                    connection.hangs |= is_hang;
                    connection.is_stalled |= !is_hang;
                    self.is_faulty = true;
                }
            }
            Event::Swallow(times) => {
                self.server.swallows += times;
                self.is_faulty = true;
            }
            Event::ToClient => self.deliver(),
            Event::CatchUp => self.server.catch_up(),
            Event::Accept if self.is_connecting => {
                self.is_connecting = false;
                self.server.connection = Some(Connection::default());
                self.session.connected(self.now);
            }
            Event::Refuse if self.is_connecting => {
                self.is_connecting = false;
                self.session.lost(self.now, "refused");
            }
            Event::Accept | Event::Refuse => {}
            Event::Cut { read } if self.server.connection.is_some() => {
                for _ in 0..read {
                    self.read();
                }
                self.cut();
            }
            Event::Cut { .. } => {}
            Event::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.note_pending();
                self.session.wake(self.now);
            }
            Event::Pushed(path, op) => self.other_writes(&path, &op, true),
            Event::Unpushed(path, op) => self.other_writes(&path, &op, false),
            Event::Write { path, shape, on, wait } => {
                let marker = format!("\"command {}\"", self.commands.len());
                let raw = |text: String| RawJson::parse(&text).unwrap();
                let op = match shape {
                    0 => Mutation::Set(raw(format!("{{\"a\":{marker}}}"))),
                    1 => Mutation::Merge(raw(format!("{{\"b\":{marker}}}"))),
                    _ => Mutation::Set(raw(marker.clone())),
                };
                let precondition = on.map(Precondition::IfMatch).filter(|_| shape > 1);
                let write = Op::new(path, op).on(precondition);
                self.command(CommandKind::Write { op: write, fence: None }, wait, marker);
            }
            Event::AwaitAll => self.command(CommandKind::CatchUp(self.server.seq()), true, String::new()),
            Event::Refresh => self.command(CommandKind::Refresh, false, format!("at least {}", self.server.seq())),
            // The op that reveals the restore would be missing.
            Event::Compact if self.is_secret && self.server.seq() == self.mirror.seq() => {}
            Event::Compact => self.server.compact(),
            Event::Crash => self.server.crash(),
            Event::Restore(at) => {
                // To an op before the mirror's last one, in one step: the server was down meanwhile.
                let seq = at.index(self.mirror.seq() as usize + 1) as u64;
                if seq < self.mirror.seq() && !self.is_frozen && self.server.seq() == self.mirror.seq() {
                    let connected = self.server.connection.is_some();
                    self.server.restore(seq);
                    self.restored = true;
                    self.restores += 1;
                    self.is_secret = true;
                    self.is_frozen = self.session.undetected_rewind_limit(StoreId(0)) > 0;
                    if connected {
                        self.session.lost(self.now, "restart");
                    }
                }
            }
            Event::RepliesLast(first) => self.server.event_first = first,
            Event::Flush => {
                for _ in 0..40 {
                    self.read();
                    self.server.catch_up();
                    self.deliver();
                    self.drain();
                }
            }
        }
        self.drain();
    }

    /// Runs without faults until the mirror equals the store.
    fn settle(&mut self) {
        self.server.event_first = true;
        let end = self.now + Duration::from_secs(240);
        while self.now < end {
            self.happen(Event::Accept);
            while self.server.is_behind()
                || self.server.connection.as_ref().is_some_and(|connection| !connection.to_client.is_empty())
            {
                self.happen(Event::Flush);
            }
            self.happen(Event::Flush);
            if self.session.is_quiet() && self.is_exact() {
                return;
            }
            let next = self.session.next_wake().unwrap_or(self.now).max(self.now + Duration::from_millis(1));
            self.happen(Event::Pass((next - self.now).as_millis() as u64 + 1));
        }
        panic!(
            "it never comes to rest: {:#?}\nserver at {}, mirror at {}",
            self.session,
            self.server.seq(),
            self.mirror.seq()
        );
    }

    fn is_exact(&self) -> bool {
        self.is_live && self.server.seq() == self.mirror.seq()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn mirror_is_exact_and_every_command_is_answered(
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = World::new(seed);
        world.session.start();
        world.drain();
        world.happen(Event::Accept);
        for event in events {
            world.happen(event);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn session_reads_a_long_store_with_one_join() {
    let mut world = World::new(1);
    for index in 0..2_500 {
        let path = Path::from_segments(["k", &index.to_string()]).unwrap();
        world.other_writes(&path, &Mutation::Set(RawJson::from(json!(index))), false);
    }
    world.session.start();
    world.drain();
    world.happen(Event::Accept);
    world.happen(Event::ToServer);
    // A live write in the middle of the catch-up, as it was recorded.
    world.happen(Event::Pushed(Path::parse("live").unwrap(), Mutation::Set(RawJson::null())));
    world.settle();
    assert_eq!(world.server.joins, 1);
    assert_eq!(world.mirror.seq(), 2_501);
    world.check();
}
