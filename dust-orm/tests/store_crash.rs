//! Kills a process that writes to a file store, at random moments, and looks at what it left behind.
#![cfg(all(unix, feature = "embedded"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test is the failure we want to see")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path as FilePath;
use std::process::{Command, Stdio};

use dust_orm::protocol::apply::apply;
use dust_orm::protocol::{BatchOp, Entry, Glob, Leaf, ListItem, ListRequest, Op, Path, RawJson, Write};
use dust_orm::store::{Origin, Store};

/// The file to write to; set only in the process that is going to be killed.
const FILE: &str = "DUST_ORM_CRASH_TEST_FILE";

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

/// Small and repeatable; the moments of the kills are random enough by themselves.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Does something to the store, and answers the `store_seq` that was acknowledged, if it was a write.
fn do_something(store: &Store, dice: &mut Dice, round: u64) -> Option<u64> {
    let origin = Origin::new("child", round.to_string());
    let folder = if dice.roll(2) == 0 { "links" } else { "Links" };
    let at = path(&format!("{folder}/k{}", dice.roll(12)));
    let op = match dice.roll(10) {
        0..3 => Op::Set(raw(&format!(r#"{{"title":"t{round}","nested":{{"n":{round}}},"tags":["a"]}}"#))),
        3..5 => Op::Merge(raw(&format!(r#"{{"title":{round}}}"#))),
        5 => Op::Delete,
        6 => Op::Increment(raw("1")),
        7 => Op::Add(raw("\"x\"")),
        8 => {
            let ops = (0..=dice.roll(40)).map(|i| BatchOp::set(path(&format!("batch/{i}")), raw(&round.to_string())));
            let committed = store.batch_write(ops.collect(), None, &origin).unwrap();
            return committed.last().map(|op| op.store_seq);
        }
        _ => {
            if dice.roll(4) == 0 {
                store.compact().unwrap();
            }
            return None;
        }
    };
    // A counter may meet a set at its path, and is refused.
    store.write(Write::new(at, op), &origin).ok().flatten().map(|op| op.store_seq)
}

/// Writes until it is killed, and says what was acknowledged. Does nothing when it runs as a test.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(file) = std::env::var(FILE) else { return };
    let store = Store::open(file).unwrap();
    let mut dice = Dice(store.current_seq() + 1);
    let mut out = std::io::stdout();
    writeln!(out).unwrap();
    for round in 0.. {
        if let Some(seq) = do_something(&store, &mut dice, round) {
            writeln!(out, "ack {seq}").unwrap();
            out.flush().unwrap();
        }
    }
}

/// Lets the child write until it has acknowledged so many writes, kills it, and answers the last one it acknowledged.
fn write_and_kill(file: &FilePath, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seqs = lines.filter_map(|line| line.unwrap().strip_prefix("ack ").map(|seq| seq.parse::<u64>().unwrap()));
    let last = seqs.by_ref().take(count).last().expect("the child acknowledges nothing");
    child.kill().unwrap();
    // What it still said before it died counts, too.
    let last = seqs.last().unwrap_or(last);
    assert!(!child.wait().unwrap().success());
    last
}

fn to_leaves(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<Path, Leaf> {
    let leaf = |entry: Entry| (entry.path, Leaf { value: entry.value, kind: entry.kind, revision: entry.revision });
    entries.into_iter().map(leaf).collect()
}

fn listed(store: &Store) -> BTreeMap<Path, Leaf> {
    let mut request = ListRequest::pattern(Glob::parse("**").unwrap());
    let mut leaves = BTreeMap::new();
    loop {
        let page = store.list(&request).unwrap();
        leaves.extend(to_leaves(page.items.into_iter().filter_map(ListItem::into_entry)));
        match page.next_cursor {
            Some(next) => request.after = Some(next),
            None => return leaves,
        }
    }
}

fn replayed(store: &Store) -> BTreeMap<Path, Leaf> {
    let snapshot = store.snapshot().unwrap();
    let mut seq = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
    let mut leaves = to_leaves(snapshot.into_iter().flat_map(|snapshot| snapshot.leaves));
    for op in store.ops_since(seq, usize::MAX).unwrap() {
        seq += 1;
        assert_eq!(op.store_seq, seq, "the log has a hole");
        apply(&mut leaves, &op).unwrap();
    }
    assert_eq!(seq, store.current_seq());
    leaves
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.redb");
    let mut before = 0;
    for round in 0..40 {
        let acknowledged = write_and_kill(&file, 1 + (round * 7) % 23);
        let store = Store::open(&file).unwrap();
        assert!(acknowledged > before, "the child did not begin after {before}");
        assert!(store.current_seq() >= acknowledged, "{} is left of {acknowledged}", store.current_seq());
        assert_eq!(listed(&store), replayed(&store));
        before = store.current_seq();
    }
}
