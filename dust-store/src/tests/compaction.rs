//! Tests of compaction.

use super::disk::FakeDisk;
use super::*;

/// Compacts a log of `bytes` bytes.
fn at(bytes: u64) -> StoreBuilder {
    Store::builder().compaction(Compaction::default().min_log_bytes(bytes).log_per_live(1))
}

/// Waits until no compaction is running.
fn settled(store: &Store) {
    while store.inner.writer().is_compacting {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn store_with_updates_does_not_grow() {
    for store in [at(20_000).in_memory().unwrap(), FakeDisk::default().store_with(at(20_000)).unwrap()] {
        for number in 0..3_000 {
            store.set("links/dust/count", &number.to_string());
            // A compaction that is slower than the writes is no failure of this test.
            if number % 100 == 0 {
                settled(&store);
            }
        }
        settled(&store);
        let log = store.ops_since(0, usize::MAX).unwrap();
        assert!(log.len() < 1_000, "{} ops are in the log", log.len());
        let snapshot = store.snapshot().unwrap().unwrap();
        // The last compaction may have begun after the last write.
        assert!(log.first().is_none_or(|op| op.store_seq == snapshot.seq + 1), "{:?} {log:?}", snapshot.seq);
        assert_eq!((store.current_seq(), store.value("links/dust/count")), (3_000, "2999".to_owned()));
        let sizes = store.inner.writer().sizes;
        assert_eq!(sizes, compact::sizes(&store.inner.storage.view().unwrap()).unwrap());
    }
}

#[test]
fn store_without_compaction_keeps_its_log() {
    let store = Store::builder().compaction(Compaction::never()).in_memory().unwrap();
    for number in 0..500 {
        store.set("a", &format!("\"{number}{}\"", "x".repeat(10_000)));
    }
    settled(&store);
    assert_eq!((store.snapshot().unwrap(), store.ops_since(0, usize::MAX).unwrap().len()), (None, 500));
}

#[test]
fn write_during_compaction_comes_after_its_snapshot() {
    let store = at(10_000).in_memory().unwrap();
    let plain = Store::builder().compaction(Compaction::never()).in_memory().unwrap();
    // More leaves than one step copies, some of them in upper case.
    for number in 0..4_000 {
        let at = format!("{}/{number}", if number % 3 == 0 { "Links" } else { "links" });
        for store in [&store, &plain] {
            store.set(&at, &number.to_string());
            if number % 50 == 0 {
                store.delete(&format!("LINKS/{}", number / 2));
            }
        }
    }
    settled(&store);
    let snapshot = store.snapshot().unwrap().unwrap();
    let then = plain.copy_as_of(snapshot.seq).unwrap().unwrap();
    let seen: Vec<_> = snapshot.leaves.iter().map(|leaf| (leaf.path.to_string(), leaf.value.to_string())).collect();
    let expected: Vec<_> = leaves(&then).into_iter().map(|(path, value, ..)| (path, value)).collect();
    assert_eq!(seen, expected);
    assert_eq!(leaves(&store), leaves(&plain));
    assert_eq!(store.ops_since(snapshot.seq, usize::MAX), plain.ops_since(snapshot.seq, usize::MAX));
    assert_eq!(store.ops_since(0, usize::MAX), plain.ops_since(snapshot.seq, usize::MAX));
    assert_eq!(
        store.earliest_op_seq().unwrap(),
        plain.ops_since(snapshot.seq, 1).unwrap().first().map(|op| op.store_seq)
    );
    assert_eq!(store.committed_at(snapshot.seq).unwrap(), None);
}

#[test]
fn loss_of_power_during_compaction_keeps_the_store() {
    let disk = FakeDisk::default();
    let store = disk.store_with(at(20_000)).unwrap();
    let plain = Store::in_memory().unwrap();
    for number in 0..1_500 {
        for store in [&store, &plain] {
            store.set(&format!("links/{}", number % 700), &number.to_string());
        }
        if number % 25 != 0 {
            continue;
        }
        let after = disk.without_power().store_with(at(20_000)).unwrap();
        assert_eq!((after.current_seq(), leaves(&after)), (number + 1, leaves(&plain)));
        let log = after.ops_since(0, usize::MAX).unwrap();
        let since = after.snapshot().unwrap().map_or(0, |snapshot| snapshot.seq);
        assert_eq!(log, plain.ops_since(since, usize::MAX).unwrap());
        // A new compaction succeeds with the rest of the unfinished one.
        after.set("more", "1");
        settled(&after);
        assert_eq!(after.entry_count().unwrap(), plain.entry_count().unwrap() + 1);
    }
}

#[test]
fn compaction_shrinks_the_file() {
    let disk = FakeDisk::default();
    let never = Store::builder().compaction(Compaction::never());
    {
        let store = disk.store_with(never).unwrap();
        for number in 0..40 {
            let ops = (0..1_000).map(|n| Op::set(path("count"), raw(&(number * 1_000 + n).to_string())));
            store.try_batch(ops.collect()).unwrap();
        }
    }
    let before = disk.len();
    let store = disk.store_with(at(50_000)).unwrap();
    store.set("count", "1");
    settled(&store);
    assert!(disk.len() * 4 < before, "{} bytes of {before} are left", disk.len());
    assert_eq!((store.value("count"), store.current_seq()), ("1".to_owned(), 40_001));
    drop(store);
    assert_eq!(disk.store().unwrap().value("count"), "1");
}

#[test]
fn deleted_leaf_is_not_in_next_snapshot() {
    let store = at(20_000).in_memory().unwrap();
    let ops = (0..1_000).map(|n| Op::set(path(&format!("r/{n}")), raw("\"a value\"")));
    store.try_batch(ops.collect()).unwrap();
    settled(&store);
    store.compact().unwrap();
    store.delete("r");
    settled(&store);
    assert_eq!(store.snapshot().unwrap().unwrap().leaves, []);
}

#[test]
fn store_dropped_during_compaction_closes_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    for round in 0..20 {
        let store = at(1_000).open(&file).unwrap();
        let ops = (0..1_000).map(|n| Op::set(path(&format!("r/{n}")), raw(&round.to_string())));
        store.try_batch(ops.collect()).unwrap();
    }
    assert_eq!(Store::open(&file).unwrap().current_seq(), 20_000);
}
