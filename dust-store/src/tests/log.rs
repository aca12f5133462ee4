use std::sync::Mutex;

use dust_protocol::envelope;

use super::*;

#[test]
fn log_has_every_committed_op() {
    let store = Store::in_memory().unwrap();
    assert_eq!((store.current_seq(), store.earliest_op_seq().unwrap()), (0, None));
    store.set("a", r#"{"x":1}"#);
    store.run("c", Mutation::Increment(raw("2")));
    store.run("c", Mutation::Increment(raw("3")));
    store.write(op("c", Mutation::Delete), None, &Origin::new("phone", "77")).unwrap();
    let ops = store.ops_since(0, 100).unwrap();
    let seen: Vec<_> = ops.iter().map(|op| (op.store_seq, op.op.name(), op.path.as_str(), op.value.as_str())).collect();
    assert_eq!(
        seen,
        [
            (1, "set", "a", r#"{"x":1}"#),
            (2, "increment", "c", "2"),
            (3, "increment", "c", "5"),
            (4, "delete", "c", "null")
        ]
    );
    assert_eq!((&*ops[3].device_id, &*ops[3].client_op_id), ("phone", "77"));
    assert_eq!(store.ops_since(1, 2).unwrap().iter().map(|op| op.store_seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(store.ops_since(4, 10).unwrap(), []);
    assert_eq!(store.ops_since(u64::MAX, 10).unwrap(), []);
    assert_eq!(store.ops_since(0, 0).unwrap(), []);
    assert_eq!(store.earliest_op_seq().unwrap(), Some(1));
}

#[test]
fn log_has_the_time_of_each_commit() {
    let clock = std::sync::Arc::new(ManualClock::new(5_000));
    let store = Store::builder().clock(std::sync::Arc::clone(&clock) as _).in_memory().unwrap();
    store.set("a", "1");
    clock.advance(250);
    store.set("a", "2");
    let at = |seq| store.committed_at(seq).unwrap();
    assert_eq!([at(0), at(1), at(2), at(3)], [None, Some(5_000), Some(5_250), None]);
    store.compact().unwrap();
    assert_eq!(at(2), None);
}

#[test]
fn batch_ops_have_numbered_ids() {
    let store = Store::in_memory().unwrap();
    let ops = ["a", "b"].map(|at| Op::delete(path(at)));
    store.batch_write(ops.to_vec(), None, &Origin::new("phone", "77")).unwrap();
    let ids: Vec<_> = store.ops_since(0, 10).unwrap().iter().map(|op| op.client_op_id.to_string()).collect();
    assert_eq!(ids, ["77:0", "77:1"]);
}

#[test]
fn compaction_keeps_leaves_and_sequence() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.compact().unwrap(), None);
    assert_eq!(store.snapshot().unwrap(), None);
    store.set("a", "1");
    store.run("ctr", Mutation::Increment(raw("5")));
    store.set("d", r#"{"_type":"decimal","_typed":"1.20"}"#);
    store.set("m", r#"{"x":{"y":2},"z":[1]}"#);
    store.set("nul", "null");
    store.run("tags", Mutation::Add(raw("\"t1\"")));
    let before = leaves(&store);
    assert_eq!(store.compact().unwrap(), Some(6));
    assert_eq!((store.current_seq(), store.earliest_op_seq().unwrap()), (6, None));
    assert_eq!(store.ops_since(0, 10).unwrap(), []);
    assert_eq!(leaves(&store), before);

    let snapshot = store.snapshot().unwrap().unwrap();
    let wrapped: Vec<_> = snapshot
        .leaves
        .iter()
        .map(|e| format!("{} {} {}", e.path, e.kind.name(), envelope::to_snapshot_leaf(&e.value)))
        .collect();
    assert_eq!(snapshot.seq, 6);
    assert_eq!(
        wrapped,
        [
            r#"a integer {"_scalar":1}"#,
            r#"ctr counter {"_scalar":5}"#,
            r#"d map {"_type":"decimal","_typed":"1.20"}"#,
            r#"m/x/y integer {"_scalar":2}"#,
            r#"m/z string {"_scalar":[1]}"#,
            r#"nul null {"_scalar":null}"#,
            r#"tags set {"_scalar":["t1"]}"#
        ]
    );
    assert_eq!(snapshot.leaves[1].revision, 2);

    assert_eq!(store.set("after", "\"snap\""), 7);
    assert_eq!(store.snapshot().unwrap().unwrap(), snapshot);
    assert_eq!(store.ops_since(6, 10).unwrap().len(), 1);
    // A compaction without a log changes nothing; a later one replaces the snapshot.
    store.delete("m");
    assert_eq!(store.compact().unwrap(), Some(8));
    assert_eq!(store.compact().unwrap(), None);
    let snapshot = store.snapshot().unwrap().unwrap();
    assert_eq!((snapshot.seq, snapshot.leaves.len()), (8, 6));
}

/// Collects the ops of a listener.
fn hear(store: &Store) -> (Subscription, Arc<Mutex<Vec<u64>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    (store.on_each_op(move |op| into.lock().unwrap().push(op.store_seq)), heard)
}

#[test]
fn listener_receives_ops_until_dropped() {
    let store = Store::in_memory().unwrap();
    store.set("a", "1");
    let (first, heard_first) = hear(&store);
    let (second, heard_second) = hear(&store);
    assert_eq!(first.since(), 1);
    store.set("a", "2");
    store.refuse("a", Mutation::Increment(raw("null")));
    store.try_batch(vec![Op::delete(path("a")), Op::delete(path("b"))]).unwrap();
    drop(first);
    store.set("a", "3");
    assert_eq!(*heard_first.lock().unwrap(), [2, 3, 4]);
    assert_eq!(*heard_second.lock().unwrap(), [2, 3, 4, 5]);
    drop(second);
    store.set("a", "4");
    assert_eq!(heard_second.lock().unwrap().len(), 4);
}

#[test]
fn listener_may_read_and_write() {
    let store = Store::in_memory().unwrap();
    let inside = store.clone();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    let subscription = store.on_each_op(move |op| {
        // The listener can read the leaf.
        assert!(inside.current_seq() >= op.store_seq);
        into.lock().unwrap().push((op.store_seq, inside.value(op.path.as_str())));
        if op.path == path("a") {
            inside.set("echo", op.value.as_str());
        }
    });
    store.set("a", "1");
    store.set("b", "2");
    drop(subscription);
    let expected = [(1, "1"), (2, "1"), (3, "2")].map(|(seq, value)| (seq, value.to_owned()));
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[test]
fn panicking_listener_does_not_stop_the_feed() {
    let store = Store::in_memory().unwrap();
    let bad = store.on_each_op(|op| assert!(op.store_seq != 1, "on purpose"));
    let (_good, heard) = hear(&store);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.set("a", "1")));
    assert!(panicked.is_err());
    assert_eq!(store.value("a"), "1");
    store.set("a", "2");
    drop(bad);
    store.set("a", "3");
    assert_eq!(heard.lock().unwrap()[..], [1, 2, 3]);
}

#[test]
fn write_during_panic_is_delivered_without_abort() {
    struct Writes(Store);

    impl Drop for Writes {
        fn drop(&mut self) {
            self.0.set("a", "1");
        }
    }

    let store = Store::in_memory().unwrap();
    let bad = store.on_each_op(|_| panic!("on purpose"));
    let (_good, heard) = hear(&store);
    let writes = Writes(store.clone());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _writes = writes;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    drop(bad);
    assert_eq!(heard.lock().unwrap()[..], [1]);
}

#[test]
fn commit_listener_receives_batch_at_once() {
    let store = Store::in_memory().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    let subscription = store.on_changes(
        |_| false,
        move |ops, _| {
            into.lock().unwrap().push(ops.iter().map(|op| op.store_seq).collect::<Vec<_>>());
        },
    );
    store.set("a", "1");
    store.try_batch(vec![Op::delete(path("a")), Op::delete(path("b"))]).unwrap();
    store.set("a", "2");
    drop(subscription);
    store.set("a", "3");
    assert_eq!(*heard.lock().unwrap(), [vec![1], vec![2, 3], vec![4]]);
}

#[test]
fn ops_of_many_writers_arrive_in_order_and_once() {
    let store = Store::in_memory().unwrap();
    let (subscription, heard) = hear(&store);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for _ in 0..50 {
                    store.run("n", Mutation::Increment(raw("1")));
                    store.set(&format!("w/{writer}"), "1");
                }
            });
        }
    });
    drop(subscription);
    assert_eq!(*heard.lock().unwrap(), (1..=400).collect::<Vec<u64>>());
    assert_eq!(store.value("n"), "200");
}

#[test]
fn concurrent_guarded_writes_succeed_once_per_revision() {
    let store = Store::in_memory().unwrap();
    let first = store.set("leaf", "0");
    for revision in first..first + 25 {
        let wins: Vec<u64> = std::thread::scope(|scope| {
            let attempts: Vec<_> = (0..4)
                .map(|value| {
                    let store = store.clone();
                    scope.spawn(move || store.set_on("leaf", &value.to_string(), Precondition::IfMatch(revision)))
                })
                .collect();
            attempts.into_iter().filter_map(|attempt| attempt.join().unwrap().ok()).collect()
        });
        assert_eq!(wins, [revision + 1]);
    }
}
