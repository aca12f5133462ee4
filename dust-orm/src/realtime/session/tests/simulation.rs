//! Whatever happens in whatever order: when it is quiet again the mirror is the store, every op has been handed on once
//! and in order, every command is answered once, and no answer is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use dust_protocol::channel::Written;
use dust_protocol::testing::{near_op, near_path};
use dust_protocol::{Op, Path, Precondition, RawJson, Write, read};
use proptest::prelude::*;
use serde_json::json;

use super::super::{Command, CommandId, CommandKind, Output, Session, StoreId, Timing};
use super::server::{Connection, Server};
use crate::error::{DustErr, ErrKind};
use crate::realtime::Mirror;

#[derive(Clone, Debug)]
enum Event {
    ToServer,
    /// The socket reads a frame, and leaves it to the channel; a join finds the channel after so many more.
    Arrive {
        kept: usize,
    },
    /// The channel reads nothing more, until it is joined again.
    Hang,
    /// The catch-up under way never comes.
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
    Pushed(Path, Op),
    Unpushed(Path, Op),
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
    /// Whether the event of a write comes before its reply.
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

struct Runtime {
    now: Duration,
    session: Session,
    server: Server,
    mirror: Mirror,
    dialling: bool,
    /// What each command that writes has in its value, and its answer.
    commands: BTreeMap<CommandId, (String, Option<Result<Written, DustErr>>)>,
    /// The values of all ops there ever were, and their numbers.
    history: Vec<(u64, String)>,
    /// Whether the store went back, so that numbers are no longer unique.
    restored: bool,
    /// Of a mirror that does not know its last op, a restored store does not grow before the client has heard of it:
    /// that could not be told.
    is_frozen: bool,
    /// How often the store was restored: what is written after that has other ids.
    restores: usize,
    /// Whether it was, and the client has not heard of it.
    is_secret: bool,
    is_live: bool,
    /// Whether something went wrong that may have left what was sent unread.
    is_faulty: bool,
}

impl Runtime {
    fn new(seed: u64) -> Runtime {
        Runtime {
            now: Duration::ZERO,
            session: Session::new(Timing::default(), [("acme/main".to_owned(), 0)], seed),
            server: Server::default(),
            mirror: Mirror::default(),
            dialling: false,
            commands: BTreeMap::new(),
            history: Vec::new(),
            restored: false,
            is_frozen: false,
            restores: 0,
            is_secret: false,
            is_live: false,
            is_faulty: false,
        }
    }

    fn remember(&mut self, before: usize) {
        self.history.extend(self.server.log.iter().skip(before).map(|op| (op.store_seq, op.value.to_string())));
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Connect => self.dialling = true,
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

    fn other_writes(&mut self, path: &Path, op: &Op, push: bool) {
        if self.is_frozen {
            return;
        }
        let before = self.server.log.len();
        // What is not pushed is in batches of three.
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

    fn happen(&mut self, event: Event) {
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
            Event::Accept if self.dialling => {
                self.dialling = false;
                self.server.connection = Some(Connection::default());
                self.session.connected(self.now);
            }
            Event::Refuse if self.dialling => {
                self.dialling = false;
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
                self.session.wake(self.now);
            }
            Event::Pushed(path, op) => self.other_writes(&path, &op, true),
            Event::Unpushed(path, op) => self.other_writes(&path, &op, false),
            Event::Write { path, shape, on, wait } => {
                let marker = format!("\"command {}\"", self.commands.len());
                let raw = |text: String| RawJson::parse(&text).unwrap();
                let op = match shape {
                    0 => Op::Set(raw(format!("{{\"a\":{marker}}}"))),
                    1 => Op::Merge(raw(format!("{{\"b\":{marker}}}"))),
                    _ => Op::Set(raw(marker.clone())),
                };
                let precondition = on.map(Precondition::IfMatch).filter(|_| shape > 1);
                let write = Write { precondition, ..Write::new(path, op) };
                self.command(CommandKind::Write(write), wait, marker);
            }
            Event::AwaitAll => self.command(CommandKind::CatchUp(self.server.seq()), true, String::new()),
            Event::Refresh => self.command(CommandKind::Refresh, false, format!("at least {}", self.server.seq())),
            // The op that would tell of the restore would be gone.
            Event::Compact if self.is_secret && self.server.seq() == self.mirror.seq() => {}
            Event::Compact => self.server.compact(),
            Event::Crash => self.server.crash(),
            Event::Restore(at) => {
                // To before what the mirror has, and all at once: the server was down meanwhile.
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

    /// Lets everything take its course, until the mirror has what the store has.
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

    fn check(self) {
        assert!(self.is_faulty || self.server.overtaken == 0, "a join has ended what was not answered");
        let entries = |mirror: &Mirror| {
            let leaves = mirror.clone().into_leaves();
            leaves
                .map(|leaf| {
                    let dust_protocol::Entry { path, value, kind, revision, .. } = leaf;
                    let entry = read::entry(path, dust_protocol::Leaf { value, kind, revision });
                    (entry.path, entry.value, entry.revision)
                })
                .collect::<Vec<_>>()
        };
        let inexact_through = self.mirror.inexact_through();
        let (mirrored, stored) = (entries(&self.mirror), entries(&self.server.leaves));
        assert_eq!(mirrored.len(), stored.len());
        for ((path, value, revision), (its_path, its_value, its_revision)) in mirrored.into_iter().zip(stored) {
            assert_eq!((path, value), (its_path, its_value));
            if its_revision > inexact_through {
                assert_eq!(revision, its_revision);
            } else {
                assert_eq!(revision.max(inexact_through), inexact_through);
                assert!(revision >= its_revision);
            }
        }
        for (marker, answer) in self.commands.into_values() {
            let answer = answer.expect("every command is answered");
            if marker.is_empty() {
                continue;
            }
            if let Some(least) = marker.strip_prefix("at least ") {
                if let (Ok(Written { store_seq: Some(seq), .. }), false) = (answer, self.restored) {
                    assert!(seq >= least.parse().unwrap(), "what was there when it was asked for is there");
                }
                continue;
            }
            let committed: Vec<u64> =
                self.history.iter().filter(|(_, value)| value.contains(&marker)).map(|(seq, _)| *seq).collect();
            assert!(committed.len() <= 1, "written once");
            match answer {
                Ok(written) => assert_eq!(written.store_seq, committed.first().copied()),
                Err(error) if error.kind() == ErrKind::Timeout => {}
                Err(error) => assert!(committed.is_empty(), "{error}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn the_mirror_is_exact_and_every_command_is_answered(
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = Runtime::new(seed);
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
fn a_quiet_start_reads_a_long_store() {
    let mut world = Runtime::new(1);
    for index in 0..2_500 {
        let path = Path::from_segments(["k", &index.to_string()]).unwrap();
        world.other_writes(&path, &Op::Set(RawJson::from(json!(index))), false);
    }
    world.session.start();
    world.drain();
    world.happen(Event::Accept);
    world.happen(Event::ToServer);
    // A live write in the middle of the catch-up, as it was recorded.
    world.happen(Event::Pushed(Path::parse("live").unwrap(), Op::Set(RawJson::null())));
    world.settle();
    assert_eq!(world.server.joins, 1);
    assert_eq!(world.mirror.seq(), 2_501);
    world.check();
}
