//! Kills a process with a mirror in SQLite at random moments, and checks its database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chaos::child::{self, Child};
use chaos::dice::Dice;
use dust_emulator::Emulator;
use dust_orm::internals::Mirror;
use dust_orm::realtime::cache::SqlCache;
use dust_orm::realtime::{SyncClient, Timing};
use dust_protocol::{CommittedOp, Mutation, Op};
use dust_store::{Origin, Store};
use sea_orm::Database;

use crate::support::*;

/// Server, token, store and file; set only in the child process.
const CHILD: &str = "DUST_SQL_CACHE_CHILD";

/// Mirrors until it is killed, and prints the op of the cache. Does nothing when it runs as a test.
#[tokio::test]
async fn child_mirrors_until_it_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let [url, token, store, file] = *arguments.split(' ').collect::<Vec<_>>() else { panic!("{arguments}") };
    let cache = SqlCache::new(Database::connect(file).await.unwrap());
    cache.create_if_missing().await.unwrap();
    let mut timing = Timing::default();
    timing.status = Duration::from_millis(2);
    timing.grace = Duration::ZERO;
    let builder = SyncClient::builder().store(store).token(token).base_url(url).timing(timing);
    child::say("begins").unwrap();
    let client = builder.cache(cache).start().await.unwrap();
    child::say("caught up").unwrap();
    loop {
        client.flush_cache().await.unwrap();
        child::say(&format!("kept {}", client.status()[0].cached_seq.unwrap())).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The store and all of its ops: the log itself is compacted.
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
        let at = path(&format!("{}/k{}", if dice.below(2) == 0 { "links" } else { "Links" }, dice.below(40)));
        let op = match dice.below(12) {
            0..6 => Mutation::Set(raw(&format!(r#"{{"title":"t{}","tags":["a"],"n":{{"m":1}}}}"#, self.ops.len()))),
            6 => Mutation::Delete,
            7 => Mutation::Merge(raw(r#"{"title":null}"#)),
            8 => Mutation::Set(raw("1.5")),
            _ => {
                let count = 1 + dice.below(800);
                let value = raw(&self.ops.len().to_string());
                let ops = (0..count).map(|number| Op::set(path(&format!("batch/{number}")), value.clone()));
                self.ops.extend(self.store.batch_write(ops.collect(), None, &origin).unwrap());
                return;
            }
        };
        self.ops.extend(self.store.write(Op::new(at, op), None, &origin).unwrap());
    }

    /// Every leaf as of an op, which must not be before the op of an earlier call.
    fn leaves(&mut self, seq: u64) -> Leaves {
        let next = self.ops.partition_point(|op| op.store_seq <= self.replayed.seq());
        for op in self.ops[next..].iter().take_while(|op| op.store_seq <= seq) {
            self.replayed.apply(op);
        }
        of_mirror(&self.replayed)
    }
}

fn spawn(emulator: &Emulator, file: &str) -> Child {
    let arguments = format!("{} {} {} {file}", emulator.url(), emulator.token(), emulator.store());
    Child::start("kill::child_mirrors_until_it_is_killed", CHILD, &arguments).unwrap()
}

/// The stage of a child at its kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// It fetched the missing ops.
    Fetching,
    /// It wrote them to the cache for the first time.
    FirstSave,
    /// It followed the store.
    Following,
}

/// Lets a child mirror during writes, kills it, and returns the op of the cache that it printed last, and its stage.
fn mirror_and_kill(world: &mut World, mut child: Child) -> (Option<u64>, Moment) {
    let kept = |line: &str| line.strip_prefix("kept ").map(|seq| seq.parse::<u64>().unwrap());
    let wanted = world.dice.pick(&[(4, 1), (3, 2), (1, 3), (1, 5), (1, 9)]).unwrap();
    let mut said = Vec::new();
    for _ in 0..wanted {
        said.push(child.line().unwrap());
        // No write while it fetches: writes would delay its first catch-up.
        if said.len() > 1 {
            world.do_something();
        }
    }
    let end = Instant::now() + Duration::from_micros(world.dice.below(if wanted == 2 { 8_000 } else { 30_000 }));
    while Instant::now() < end {
        world.do_something();
    }
    // Lines that it printed before the kill count, too.
    said.extend(child.kill().unwrap());
    let last = said.iter().rev().find_map(|line| kept(line));
    let moment = match (last, said.iter().any(|line| line == "caught up")) {
        (Some(_), _) => Moment::Following,
        (None, true) => Moment::FirstSave,
        (None, false) => Moment::Fetching,
    };
    (last, moment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_and_cursor_agree_after_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", dir.path().join("cache.db").display());
    let emulator = Emulator::start().await.unwrap();
    let store = emulator.store_handle(&emulator.store()).unwrap();
    let mut world = World { store, ops: Vec::new(), replayed: Mirror::default(), dice: Dice::new(7) };
    let mut before = 0;
    let mut moments = BTreeMap::new();
    let kills = child::kills(20);
    for round in 0..kills {
        // Children begin with a catch-up and with a snapshot in turn.
        for _ in 0..world.dice.below(10) {
            world.do_something();
        }
        let is_compacted = round % 2 == 1;
        if is_compacted {
            world.store.compact().unwrap();
        }
        let (said, moment) = tokio::task::block_in_place(|| mirror_and_kill(&mut world, spawn(&emulator, &file)));
        *moments.entry((if is_compacted { "snapshot" } else { "catch-up" }, moment)).or_insert(0) += 1;
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
    println!("{moments:?}");
    assert!(before > 0);
    // Each kind of start was cut off at each stage; only certain with many children.
    assert!(kills < 100 || moments.len() == 6, "{moments:?}");
}
