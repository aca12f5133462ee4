//! The realtime client's state machine, with mutated frames, and then with those of a working server.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::dice::Dice;
use dust_emulator::{Emulator, ReplyFault};
use dust_orm::internals::{Command, CommandId, CommandKind, Mirror, Output, Session, StoreId};
use dust_orm::realtime::Timing;
use dust_protocol::channel::{FileUpload, Frame};
use dust_protocol::{Mutation, Op, RawJson};
use dust_store::Origin;

use crate::mutate::{mutate_text, noise};
use crate::recordings::Recordings;

const STORE: &str = "acme/main";

/// Maximum number of outputs of a session for one input, far above the number that is needed.
const MOST_OUTPUTS: usize = 20_000;

struct World {
    session: Session,
    mirror: Mirror,
    now: Duration,
    is_dialling: bool,
    is_up: bool,
    is_live: bool,
    /// The references of sent messages, the last one last.
    sent: Vec<(String, String)>,
    asked: u64,
    open: BTreeSet<u64>,
    to_server: Vec<String>,
}

impl World {
    fn drain(&mut self) -> Result<(), String> {
        for count in 0.. {
            if count > MOST_OUTPUTS {
                return Err("it has outputs without end".to_owned());
            }
            let Some(output) = self.session.next_output() else { break };
            match output {
                Output::Connect => self.is_dialling = true,
                Output::Disconnect => (self.is_up, self.is_dialling) = (false, false),
                Output::Send(frame) => {
                    let parts = Frame::decode(&frame)
                        .map_err(|error| format!("it sends the malformed frame {frame}: {error}"))?;
                    let text =
                        |id: Option<std::borrow::Cow<'_, str>>| id.map_or("null".to_owned(), |id| format!("\"{id}\""));
                    self.sent.push((text(parts.join_ref), text(parts.reference)));
                    self.to_server.push(frame);
                }
                Output::Apply { ops, .. } => {
                    for op in ops {
                        if op.store_seq != self.mirror.seq() + 1 {
                            return Err(format!("op {} is returned after {}", op.store_seq, self.mirror.seq()));
                        }
                        self.mirror.apply(&op);
                    }
                }
                Output::Replace { seq, inexact_through, leaves, .. } => {
                    self.mirror.replace(seq, inexact_through, leaves)
                }
                Output::Answer { id, .. } if !self.open.remove(&id.0) => {
                    return Err(format!("{id:?} is answered twice"));
                }
                Output::State { state, .. } => self.is_live = state.is_live(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Advances the clock.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(next) = self.session.next_wake().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.session.wake(self.now);
            self.drain()?;
            wakes += 1;
            if wakes > 1_000 + time.as_millis() {
                return Err(format!("it is woken {wakes} times in {time:?}"));
            }
        }
        self.now = end;
        Ok(())
    }

    fn connect(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.is_dialling) {
            self.is_up = true;
            self.session.connected(self.now);
        }
        self.drain()
    }

    fn ask(&mut self, dice: &mut Dice) -> Result<(), String> {
        let at = super::path(["links/dust", "links/dust/title", "n", "LINKS"][dice.index(4)])?;
        let value = RawJson::parse("{\"title\":\"Dust\"}").map_err(|error| error.to_string())?;
        let kind = match dice.below(7) {
            0 => CommandKind::Refresh,
            1 => CommandKind::CatchUp(dice.below(30)),
            2 => CommandKind::PutFile(FileUpload::new(at, vec![1, 2, 3])),
            3 => CommandKind::Write { op: Op::delete(at), fence: None },
            4 => CommandKind::Write { op: Op::new(at, Mutation::Lease { holder: None, ttl_ms: 1_000 }), fence: None },
            5 => CommandKind::Write { op: Op::new(at, Mutation::Merge(value)), fence: None },
            _ => CommandKind::Write { op: Op::set(at, value), fence: None },
        };
        self.asked += 1;
        self.open.insert(self.asked);
        let wait = if dice.percent(50) { Duration::MAX } else { Duration::ZERO };
        self.session.command(self.now, CommandId(self.asked), Command { store: StoreId(0), kind, wait });
        self.drain()
    }

    /// Generates a frame that resembles one for this session.
    fn frame(&self, dice: &mut Dice, recordings: &Recordings) -> String {
        let frames = &recordings.frames;
        let (one, other) = (dice.index(frames.len()), dice.index(frames.len()));
        if dice.percent(5) {
            return String::from_utf8_lossy(&noise(dice, 100)).into_owned();
        }
        let Ok(recorded) = Frame::decode(&frames[one]) else { return frames[one].clone() };
        let last = self.sent.len().saturating_sub(1 + dice.index(3));
        let (join_ref, reference) = self.sent.get(last).cloned().unwrap_or_default();
        let payload = recorded.payload.get();
        let payload = if dice.percent(60) { self.fitting(dice, payload) } else { payload.to_owned() };
        let payload = if dice.percent(60) { mutate_text(dice, &payload, &frames[other]) } else { payload };
        let is_live = dice.percent(40) && recorded.event == "event";
        let (join_ref, reference) = match &*recorded.event {
            "phx_reply" => (join_ref, reference),
            _ if is_live => ("null".to_owned(), "null".to_owned()),
            _ => (join_ref, "null".to_owned()),
        };
        let text = format!(r#"[{join_ref},{reference},"store:{STORE}","{}",{payload}]"#, recorded.event);
        if dice.percent(10) { mutate_text(dice, &text, &frames[other]) } else { text }
    }

    /// Generates a payload whose numbers are near the op of the mirror.
    fn fitting(&self, dice: &mut Dice, payload: &str) -> String {
        let mut payload = payload.to_owned();
        for name in ["\"store_seq\":", "\"snapshot_seq\":", "\"current_seq\":"] {
            if let Some(at) = payload.find(name) {
                let from = at + name.len();
                let len = payload[from..].bytes().take_while(u8::is_ascii_digit).count();
                let seq = self.mirror.seq().saturating_add(dice.within(0, 4)).saturating_sub(1);
                payload.replace_range(from..from + len, &seq.to_string());
            }
        }
        payload
    }
}

pub(super) fn run(recordings: &Recordings, seed: u64) -> Result<(), String> {
    let dice = &mut Dice::new(seed);
    let mut world = World {
        session: Session::new(Timing::default(), [(STORE.to_owned(), 0)], seed),
        mirror: Mirror::default(),
        now: Duration::ZERO,
        is_dialling: false,
        is_up: false,
        is_live: false,
        sent: Vec::new(),
        asked: 0,
        open: BTreeSet::new(),
        to_server: Vec::new(),
    };
    world.session.start();
    world.drain()?;
    for _ in 0..dice.within(20, 150) {
        match dice.pick(&[(60, 'f'), (10, 'a'), (12, 't'), (3, 'l'), (3, 'k')]) {
            Some('a') => world.ask(dice)?,
            Some('t') => {
                let longest = [5, 200, 3_000, 40_000][dice.index(4)];
                let time = dice.time(0, longest);
                world.pass(time)?;
            }
            Some('l') => {
                world.is_up = false;
                world.session.lost(world.now, "cut");
                world.drain()?;
            }
            Some('k') => {
                world.session.advance_known_seq(world.now, StoreId(0), world.mirror.seq() + dice.below(3));
                world.drain()?;
            }
            _ => {
                world.connect()?;
                let frame = world.frame(dice, recordings);
                world.session.frame(world.now, &frame);
                world.drain()?;
            }
        }
    }
    get_well(world, dice)
}

/// Breaks the connection, and connects to a working server.
fn get_well(mut world: World, dice: &mut Dice) -> Result<(), String> {
    let server = Emulator::builder().store(STORE).unplugged().map_err(|error| error.to_string())?;
    let store = server.store_handle(STORE).map_err(|error| error.to_string())?;
    for number in 0..dice.within(1, 20) {
        let value = RawJson::parse(&number.to_string()).map_err(|error| error.to_string())?;
        let op = Op::set(super::path(&format!("well/{number}"))?, value);
        store.batch_write(vec![op], None, &Origin::new("other", "x")).map_err(|error| error.to_string())?;
    }
    world.session.lost(world.now, "cut");
    world.drain()?;
    world.to_server.clear();
    let end = world.now + Duration::from_secs(600);
    let mut line = None;
    let mut is_asked = false;
    loop {
        if world.is_dialling {
            world.to_server.clear();
            line = Some(server.connect("laptop"));
            world.connect()?;
        }
        let mut is_idle = true;
        if let Some(line) = &mut line {
            for frame in std::mem::take(&mut world.to_server) {
                is_idle = false;
                if !line.receive(&frame, ReplyFault::default()) {
                    return Err(format!("it sends a malformed frame: {frame}"));
                }
            }
            line.catch_up(1_000);
            while let Some(frame) = line.next_frame() {
                is_idle = false;
                world.session.frame(world.now, &frame);
                world.drain()?;
            }
        }
        if !is_idle {
            continue;
        }
        if world.is_live && world.mirror.seq() == store.current_seq() && world.open.is_empty() {
            if is_asked {
                return Ok(());
            }
            // A call from now on succeeds.
            is_asked = true;
            let before = store.current_seq();
            let write = Op::delete(super::path("well/0")?);
            world.asked += 1;
            world.open.insert(world.asked);
            let command = Command {
                store: StoreId(0),
                kind: CommandKind::Write { op: write, fence: None },
                wait: Duration::ZERO,
            };
            world.session.command(world.now, CommandId(world.asked), command);
            world.drain()?;
            if store.current_seq() != before {
                return Err("it was acknowledged before it was sent".to_owned());
            }
            continue;
        }
        if world.now >= end {
            let (at, of) = (world.mirror.seq(), store.current_seq());
            return Err(format!(
                "it does not recover: op {at} of {of}, {} calls open, live: {}",
                world.open.len(),
                world.is_live
            ));
        }
        let next = world.session.next_wake().unwrap_or(end).saturating_sub(world.now);
        world.pass(next.max(Duration::from_millis(1)))?;
        if !world.is_up && !world.is_dialling {
            line = None;
        }
    }
}
