//! Kills a process that keeps a mirror in SQLite, at random moments, and looks at what it left behind.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dust_emulator::Emulator;
use dust_orm::cache::SqlCache;
use dust_orm::protocol::{BatchOp, CommittedOp, Op, Write};
use dust_orm::store::{Origin, Store};
use dust_orm::sync::{Mirror, SyncClient, Timing};
use sea_orm::Database;

use crate::support::*;

/// Server, token, store and file; set only in the process that is going to be killed.
const CHILD: &str = "DUST_SQL_CACHE_CHILD";

/// How often a process is killed.
fn kills() -> u64 {
    std::env::var("DUST_TEST_KILLS").map_or(20, |count| count.parse().expect("DUST_TEST_KILLS is a number"))
}

/// Mirrors until it is killed, and says what is in the cache. Does nothing when it runs as a test.
#[tokio::test]
async fn child_mirrors_until_it_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let [url, token, store, file] = *arguments.split(' ').collect::<Vec<_>>() else { panic!("{arguments}") };
    let cache = SqlCache::new(Database::connect(file).await.unwrap());
    cache.create_if_missing().await.unwrap();
    let timing = Timing { status: Duration::from_millis(2), grace: Duration::ZERO, ..Timing::default() };
    let builder = SyncClient::builder().store(store).token(token).base_url(url).timing(timing);
    let mut out = std::io::stdout();
    writeln!(out, "\nbegins").unwrap();
    let client = builder.cache(cache).start().await.unwrap();
    loop {
        client.flush_cache().await.unwrap();
        writeln!(out, "kept {}", client.status()[0].cached_seq.unwrap()).unwrap();
        out.flush().unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Small and repeatable; the moments of the kills are random enough by themselves.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// The store, and what was ever done to it: the log itself is compacted.
struct World {
    store: Store,
    ops: Vec<CommittedOp>,
    replayed: Mirror,
    dice: Dice,
}

impl World {
    fn do_something(&mut self) {
        let dice = &mut self.dice;
        let origin = Origin::new("parent", "1");
        let at = path(&format!("{}/k{}", if dice.roll(2) == 0 { "links" } else { "Links" }, dice.roll(40)));
        let op = match dice.roll(12) {
            0..6 => Op::Set(raw(&format!(r#"{{"title":"t{}","tags":["a"],"n":{{"m":1}}}}"#, self.ops.len()))),
            6 => Op::Delete,
            7 => Op::Merge(raw(r#"{"title":null}"#)),
            8 => Op::Set(raw("1.5")),
            _ => {
                let count = 1 + dice.roll(800);
                let value = raw(&self.ops.len().to_string());
                let ops = (0..count).map(|number| BatchOp::set(path(&format!("batch/{number}")), value.clone()));
                self.ops.extend(self.store.batch_write(ops.collect(), None, &origin).unwrap());
                return;
            }
        };
        self.ops.extend(self.store.write(Write::new(at, op), &origin).unwrap());
    }

    /// Every leaf as of an op, which is not before those asked for so far.
    fn leaves(&mut self, seq: u64) -> Leaves {
        let next = self.ops.partition_point(|op| op.store_seq <= self.replayed.seq());
        for op in self.ops[next..].iter().take_while(|op| op.store_seq <= seq) {
            self.replayed.apply(op);
        }
        of_mirror(&self.replayed)
    }
}

fn spawn(emulator: &Emulator, file: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_mirrors_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{} {} {} {file}", emulator.url(), emulator.token(), emulator.store()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child mirror while something is done, kills it, and answers what it said last to be in the cache.
fn mirror_and_kill(world: &mut World, mut child: Child) -> Option<u64> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The earliest moment is that before it is connected.
    let wanted = usize::try_from(world.dice.roll(8)).unwrap();
    let mut last = None;
    let mut said = 0;
    while said <= wanted {
        let line = lines.next().expect("the child ended by itself").unwrap();
        last = line.strip_prefix("kept ").map(|seq| seq.parse().unwrap()).or(last);
        said += usize::from(line.starts_with("kept ") || line == "begins");
        world.do_something();
    }
    let end = Instant::now() + Duration::from_micros(world.dice.roll(30_000));
    while Instant::now() < end {
        world.do_something();
    }
    child.kill().unwrap();
    // What it still said before it died counts, too.
    let rest = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
    let last = rest.last().or(last);
    assert!(!child.wait().unwrap().success());
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_and_cursor_agree_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", dir.path().join("cache.db").display());
    let emulator = Emulator::start().await.unwrap();
    let store = emulator.store_handle(&emulator.store()).unwrap();
    let mut world = World { store, ops: Vec::new(), replayed: Mirror::default(), dice: Dice(7) };
    let mut before = 0;
    for round in 0..kills() {
        // Every other child begins with a catch-up, and the others with a snapshot.
        for _ in 0..world.dice.roll(10) {
            world.do_something();
        }
        if round % 2 == 1 {
            world.store.compact().unwrap();
        }
        let said = tokio::task::block_in_place(|| mirror_and_kill(&mut world, spawn(&emulator, &file)));
        let cache = SqlCache::new(Database::connect(&file).await.unwrap());
        cache.create_if_missing().await.unwrap();
        let inexact_through = try_kept(&cache, &emulator.store()).await.unwrap().0.map_or(0, |at| at.inexact_through);
        let (seq, leaves) = kept(&cache, &emulator.store()).await;
        assert!(seq >= said.unwrap_or(before), "round {round}: the cache is at {seq}, and was at {said:?}, {before}");
        let exact = |leaves: Leaves| -> Leaves {
            let blur = |(path, (value, kind, revision)): (String, (String, _, u64))| {
                (path, (value, kind, if revision <= inexact_through { 0 } else { revision }))
            };
            leaves.into_iter().map(blur).collect()
        };
        let (found, expected) = (exact(leaves), exact(world.leaves(seq)));
        for path in found.keys().chain(expected.keys()) {
            assert_eq!(found.get(path), expected.get(path), "round {round}, `{path}` as of {seq}");
        }
        before = seq;
    }
    assert!(before > 0);
}
