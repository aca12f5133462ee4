//! Kills a process that writes to a file store at random moments, and checks its file.
//!
//! The number of a round determines its writes. A store in memory applies the acknowledged rounds of the child, and the
//! file has to equal this store, or the store after one more round, which the child had no time to acknowledge.
//! `DUST_TEST_KILLS` is the number of kills.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test is the failure we want to see")]
#![allow(clippy::print_stdout, reason = "a test says how much it has done")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos::child::{self, Child};
use chaos::dice::Dice;
use chaos::ledger::{self, Shown};
use dust_protocol::{
    CommittedOp, Entry, Fence, FileUpload, LeafKind, ListItem, ListRequest, Mutation, Op, Path, Pattern, Precondition,
    RawJson, content_hash,
};
use dust_store::{Compaction, ManualClock, Origin, Snapshot, Store, StoreBuilder, StoreError};

/// The first round, the size of a log that is compacted, and the file; set only in the child process.
const CHILD: &str = "DUST_KILLED_STORE";

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

/// A stopped clock: a round has the same effect at any time.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_790_000_000_000))
}

/// A store that compacts itself once its log has `log_bytes` bytes, or never.
fn builder(log_bytes: Option<u64>) -> StoreBuilder {
    let compaction = match log_bytes {
        Some(bytes) => Compaction::default().min_log_bytes(bytes).log_per_live(0),
        None => Compaction::never(),
    };
    Store::builder().clock(clock()).compaction(compaction)
}

/// Makes the writes of a round, some of which the store refuses.
fn do_round(store: &Store, round: u64) -> Result<(), StoreError> {
    let dice = &mut Dice::new(round);
    let origin = Origin::new("child", round.to_string());
    // Paths that overlap, in other case too.
    let folder = ["links", "Links", "LINKS", "other"][dice.index(4)];
    let at = path(&format!("{folder}/k{}", dice.below(12)));
    let write = |op| Op::new(at.clone(), op);
    let write = match dice.pick(&[
        (20, 'o'),
        (10, 's'),
        (8, 'm'),
        (8, 'd'),
        (8, 'i'),
        (6, 'a'),
        (4, 'l'),
        (20, 'b'),
        (10, 'f'),
        (4, 'c'),
    ]) {
        Some('s') => write(Mutation::Set(raw(&format!("\"v{round}\"")))),
        Some('m') => write(Mutation::Merge(raw(&format!(r#"{{"title":{round},"Nested":{{"m":{round}}}}}"#)))),
        Some('d') => match dice.below(4) {
            0 => Op::delete(path(folder)),
            _ => write(Mutation::Delete),
        },
        Some('i') => Op::new(path(&format!("counters/{}", dice.below(3))), Mutation::Increment(raw("3"))),
        Some('a') => {
            let member = raw(&dice.below(5).to_string());
            let op = if dice.percent(60) { Mutation::Add(member) } else { Mutation::Remove(member) };
            Op::new(path("sets/s"), op)
        }
        Some('l') => {
            let op = Mutation::Lease { holder: Some(format!("h{round}")), ttl_ms: 1_000 };
            Op::new(path(&format!("leases/{}", dice.below(4))), op)
        }
        Some('b') => {
            let count = 1 + dice.below(300);
            let mut ops: Vec<Op> =
                (0..count).map(|number| Op::set(path(&format!("Batch/{number}/n")), raw(&round.to_string()))).collect();
            // Some are refused at their last op.
            if dice.percent(20) {
                ops.push(Op::set(at, raw("1")).on(Some(Precondition::IfMatch(u64::MAX))));
            }
            let fence = dice.percent(5).then(|| Fence { key: path("leases/1"), token: 1 });
            return store.batch_write(ops, fence, &origin).map(|_| ());
        }
        Some('f') => {
            let content = format!("file {}", round % 7).repeat(1 + dice.index(20_000)).into_bytes();
            let at = path(&format!("files/{}", dice.below(6)));
            let file = FileUpload::new(at, content);
            return store.put_file(file, None, &origin).map(|_| ());
        }
        Some('c') => return store.compact().map(|_| ()),
        _ => {
            write(Mutation::Set(raw(&format!(r#"{{"title":"t{round}","Nested":{{"n":{round},"N":1}},"tags":["a"]}}"#))))
        }
    };
    store.write(write, None, &origin).map(|_| ())
}

/// The whole content of a store.
#[derive(Debug, PartialEq)]
struct State {
    seq: u64,
    leaves: Vec<Shown>,
    log: Vec<CommittedOp>,
    earliest: Option<u64>,
    snapshot: Option<Snapshot>,
    /// Objects by a path in any case, which the index of lower-case paths has to find.
    objects: Vec<Option<Entry>>,
    /// The hashes of the leaves that are files, and those of the bytes.
    files: Vec<(String, Option<String>)>,
}

impl State {
    fn of(store: &Store) -> State {
        let snapshot = store.snapshot().unwrap();
        let since = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        let objects = ["links", "LINKS", "links/k1", "LINKS/K1/nested", "batch", "BATCH/7", "other", "files", "sets"];
        let page = store.list(&ListRequest::pattern(Pattern::parse("files/*").unwrap()).limit(1000));
        let files = page.unwrap().items.into_iter().filter_map(ListItem::into_entry);
        let hash = |entry: Entry| {
            assert_eq!(entry.kind, LeafKind::File);
            let hash = entry.value.to::<dust_orm::entity::FileRef>().unwrap().hash;
            let kept = store.file_content(&hash).unwrap().map(|content| content_hash(&content));
            (hash, kept)
        };
        State {
            seq: store.current_seq(),
            leaves: ledger::stored(store, &Pattern::parse("**").unwrap()).unwrap(),
            log: store.ops_since(since, usize::MAX).unwrap(),
            earliest: store.earliest_op_seq().unwrap(),
            objects: objects.map(|at| store.get(&path(at)).unwrap()).into(),
            files: files.map(hash).collect(),
            snapshot,
        }
    }

    /// Returns an inconsistency of the content, for any writes.
    fn check(&self) {
        for (hash, kept) in &self.files {
            assert_eq!(Some(hash), kept.as_ref(), "the bytes of a file are not there");
        }
        let since = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        let numbers: Vec<u64> = self.log.iter().map(|op| op.store_seq).collect();
        assert_eq!(numbers, (since + 1..=self.seq).collect::<Vec<_>>(), "the log has a hole, or another end");
    }
}

/// Writes until it is killed, and prints the completed rounds. Does nothing when it runs as a test.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let [first, log_bytes, file] = arguments.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let store = builder(log_bytes.parse().ok()).open(file).unwrap();
    for round in first.parse().unwrap().. {
        // A refused write changes nothing, in both stores.
        let _ = do_round(&store, round);
        child::say(&format!("did {round}")).unwrap();
    }
}

/// Lets a child write, kills it, and returns the last round that it printed.
fn write_and_kill(dice: &mut Dice, first: u64, log_bytes: Option<u64>, file: &str) -> Option<u64> {
    let log_bytes = log_bytes.map_or_else(|| "never".to_owned(), |bytes| bytes.to_string());
    let arguments = format!("{first} {log_bytes} {file}");
    let mut child = Child::start("child_writes_until_it_is_killed", CHILD, &arguments).unwrap();
    let round = |line: &str| line.strip_prefix("did ").unwrap().parse::<u64>().unwrap();
    let mut last = None;
    // Sometimes the kill is before it opens the file, or while redb repairs it.
    let most_us = if dice.percent(20) {
        40_000
    } else {
        for _ in 0..dice.within(1, 30) {
            last = Some(round(&child.line().unwrap()));
        }
        4_000
    };
    let end = Instant::now() + Duration::from_micros(dice.below(most_us));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    child.kill().unwrap().last().map(|line| round(line)).or(last)
}

/// Lets children write and kills them. After each kill, `compare` checks the reopened file against a store in memory
/// with the acknowledged rounds, or with one more.
fn kill_children(seed: u64, log_bytes: Option<u64>, compare: impl Fn(&Store, &Store) -> Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.redb");
    let file = file.to_str().unwrap();
    let expected = builder(None).in_memory().unwrap();
    let (mut dice, mut next, mut unacknowledged) = (Dice::new(seed), 0, 0);
    for kill in 0..child::kills(20) {
        let acknowledged = write_and_kill(&mut dice, next, log_bytes, file).map_or(next, |last| last + 1);
        for round in next..acknowledged {
            let _ = do_round(&expected, round);
        }
        next = acknowledged;
        let found = builder(None).open(file).unwrap();
        State::of(&found).check();
        if compare(&found, &expected).is_some() {
            let _ = do_round(&expected, next);
            next += 1;
            unacknowledged += 1;
        }
        assert_eq!(compare(&found, &expected), None, "kill {kill}: after {acknowledged} rounds");
    }
    println!("{next} rounds, {} ops; {unacknowledged} were done and not acknowledged", expected.current_seq());
    assert!(next > 0);
}

#[test]
fn file_after_kill_has_acknowledged_rounds_whole() {
    kill_children(11, None, |found, expected| {
        let (found, expected) = (State::of(found), State::of(expected));
        (found != expected).then(|| format!("found {found:?}, expected {expected:?}"))
    });
}

#[test]
fn compacting_store_after_kill_has_all_rounds() {
    let compacted = std::cell::Cell::new(0);
    kill_children(12, Some(20_000), |found, expected| {
        let (found_state, expected_state) = (State::of(found), State::of(expected));
        if (found_state.seq, &found_state.leaves) != (expected_state.seq, &expected_state.leaves)
            || (&found_state.objects, &found_state.files) != (&expected_state.objects, &expected_state.files)
        {
            return Some(format!("found {found_state:?}, expected {expected_state:?}"));
        }
        // The snapshots are of different ops, so each is compared with the store as of its op where the other has that.
        let snapshot = found_state.snapshot?;
        let since = expected_state.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        // A snapshot of a compaction outside of the rounds.
        compacted.set(compacted.get() + u32::from(snapshot.seq > since));
        if snapshot.seq >= since {
            let then = expected.copy_as_of(snapshot.seq).unwrap().unwrap();
            then.compact().unwrap();
            let as_of = then.snapshot().unwrap();
            if as_of.as_ref() != Some(&snapshot) {
                return Some(format!("the snapshot {snapshot:?} is not {as_of:?}"));
            }
            let log = expected.ops_since(snapshot.seq, usize::MAX).unwrap();
            return (found_state.log != log).then(|| format!("the log {:?} is not {log:?}", found_state.log));
        }
        let log = found.ops_since(since, usize::MAX).unwrap();
        (log != expected_state.log).then(|| format!("the log {log:?} is not {:?}", expected_state.log))
    });
    assert!(compacted.get() > 0, "no store compacted itself");
}
