use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use dust_protocol::apply::{Stamp, apply, outcome};
use dust_protocol::testing::{near_op, near_path};
use dust_protocol::{Leaf, OpKind, Path, RawJson};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::super::{Delivery as Delivered, Ops};
use super::*;

fn parsed(pattern: &str) -> Pattern {
    Pattern::parse(pattern).unwrap()
}

fn op(seq: u64, kind: OpKind, path: &str, value: &str) -> CommittedOp {
    CommittedOp::new(seq, kind, Path::parse(path).unwrap(), RawJson::parse(value).unwrap())
        .written_by("laptop".into(), "1".into())
}

fn set(seq: u64, path: &str) -> CommittedOp {
    op(seq, OpKind::Set, path, "1")
}

/// The numbers of the ops that wait in a subscription: 0 is a Resync.
fn seqs(ops: &mut Ops) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(Some(next)) = ops.next().now_or_never() {
        seqs.push(match next {
            Delivered::Op(op) => op.store_seq,
            Delivered::Resync => 0,
        });
    }
    seqs
}

#[test]
fn subscribers_get_what_concerns_them_in_order() {
    let hub = Hub::new(0);
    let mut links = hub.subscribe(&parsed("links/**"), 10);
    let mut titles = hub.subscribe(&parsed("links/*/title"), 10);
    let mut tags = hub.subscribe(&parsed("tags/*"), 10);
    hub.publish(&[set(1, "links/a/title"), set(2, "links/b/url"), set(3, "tags/x"), set(4, "other")], None);
    // A set or a delete above a pattern concerns it, in any case of letters; one beside it does not.
    hub.publish(
        &[op(5, OpKind::Delete, "links", "null"), op(6, OpKind::Delete, "LINKS/A", "null"), set(7, "linksx")],
        None,
    );
    // A merge concerns the fields that it names.
    hub.publish(&[op(8, OpKind::Merge, "links/a", r#"{"url":1,"note":2}"#)], None);
    hub.publish(&[op(9, OpKind::Merge, "links", r#"{"a":{"title":1},"b":1}"#)], None);
    // An increment changes one leaf.
    hub.publish(&[op(10, OpKind::Increment, "links", "1"), op(11, OpKind::Increment, "tags/x", "1")], None);
    assert_eq!(seqs(&mut links), [1, 2, 5, 6, 8, 9]);
    assert_eq!(seqs(&mut titles), [1, 5, 6, 9]);
    assert_eq!(seqs(&mut tags), [3, 11]);
    assert_eq!(hub.seq(), 11);
}

#[test]
fn a_batch_is_one_commit() {
    let hub = Hub::new(0);
    let commits = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&commits);
    let _listener = hub.listen(&parsed("links/**"), move |news| {
        if let HubEvent::Commit { ops, .. } = news {
            into.lock().unwrap().push(ops.iter().map(|op| op.store_seq).collect::<Vec<_>>());
        }
    });
    let batch = |seq: u64, id: &str, path: &str| set(seq, path).written_by("laptop".into(), id.into());
    hub.publish(
        &[
            batch(1, "x:0", "links/a/title"),
            batch(2, "x:1", "other"),
            batch(3, "x:2", "links/a/url"),
            // The same id again, another id, no number, and a gap.
            batch(4, "x:0", "links/b"),
            batch(5, "y:1", "links/b"),
            batch(6, "y", "links/b"),
            batch(7, "z:0", "links/b"),
            batch(9, "z:1", "links/b"),
        ],
        None,
    );
    assert_eq!(*commits.lock().unwrap(), [vec![1, 3], vec![4], vec![5], vec![6], vec![7], vec![9]]);
}

#[test]
fn dropping_a_subscription_removes_every_trace_of_it() {
    let hub = Hub::new(0);
    let first = hub.subscribe(&parsed("links/*/title"), 10);
    let second = hub.subscribe(&parsed("links/*/title"), 10);
    let third = hub.subscribe(&parsed("**"), 10);
    assert_eq!(hub.listeners(), 3);
    drop(first);
    assert_eq!(hub.listeners(), 2);
    drop((second, third));
    assert_eq!(hub.listeners(), 0);
    assert_eq!(hub.work(&set(1, "links/a/title")), 0);
}

#[test]
fn a_listener_may_subscribe_publish_nothing_and_drop_itself() {
    let hub = Hub::new(0);
    let own: Arc<Mutex<Option<Listener>>> = Arc::default();
    let (slot, inside, calls) = (Arc::clone(&own), Arc::clone(&hub), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    *own.lock().unwrap() = Some(hub.listen(&parsed("**"), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        drop(inside.subscribe(&parsed("a/**"), 1));
        slot.lock().unwrap().take();
    }));
    hub.publish(&[set(1, "a"), set(2, "a")], None);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(hub.listeners(), 0);
}

#[test]
fn a_slow_subscriber_costs_itself_and_nobody_else() {
    let hub = Hub::new(0);
    let mut slow = hub.subscribe(&parsed("**"), 3);
    let mut quick = hub.subscribe(&parsed("**"), 3);
    for seq in 1..=3 {
        hub.publish(&[set(seq, "links/a")], None);
        hub.publish(&[op(seq, OpKind::Increment, "counter", "1")], None);
        assert_eq!(seqs(&mut quick), [seq, seq]);
    }
    assert_eq!(seqs(&mut slow), [3, 3]);
    for seq in 1..=4 {
        hub.publish(&[set(seq, &format!("links/{seq}"))], None);
        assert_eq!(seqs(&mut quick), [seq]);
    }
    hub.publish(&[set(5, "links/5")], None);
    assert_eq!(seqs(&mut slow), [0, 5]);
}

#[test]
fn an_op_is_replaced_only_by_one_that_undoes_all_of_it() {
    let hub = Hub::new(0);
    for (older, newer, replaced) in [
        (OpKind::Set, OpKind::Set, true),
        (OpKind::Merge, OpKind::Delete, true),
        (OpKind::Increment, OpKind::Increment, true),
        (OpKind::Set, OpKind::Increment, false),
        (OpKind::Delete, OpKind::Add, false),
        (OpKind::Merge, OpKind::Merge, false),
        (OpKind::Set, OpKind::Merge, false),
    ] {
        let mut ops = hub.subscribe(&parsed("**"), 1);
        let value = if older == OpKind::Merge || newer == OpKind::Merge { r#"{"a":1}"# } else { "1" };
        hub.publish(&[op(1, older, "x", value)], None);
        hub.publish(&[op(2, newer, "x", value)], None);
        assert_eq!(seqs(&mut ops), if replaced { vec![2] } else { vec![0] }, "{older:?} {newer:?}");
    }
}

#[test]
fn resync_and_the_end_reach_everybody() {
    let hub = Hub::new(4);
    let mut links = hub.subscribe(&parsed("links/**"), 3);
    hub.resync(9);
    assert_eq!(hub.seq(), 9);
    hub.publish(&[set(10, "links/a")], None);
    assert_eq!(seqs(&mut links), [0, 10]);
    hub.publish(&[set(11, "links/a")], None);
    hub.close();
    assert_eq!(seqs(&mut links), [11]);
    assert_eq!(links.next().now_or_never(), Some(None));
    // A subscription after the close ends at once.
    assert_eq!(hub.subscribe(&parsed("**"), 1).next().now_or_never(), Some(None));
    assert_eq!(hub.caught_up(|| 100).now_or_never(), Some(()));
}

#[test]
fn an_op_can_be_waited_for() {
    let hub = Hub::new(4);
    assert_eq!(hub.caught_up(|| 4).now_or_never(), Some(()));
    let mut caught_up = Box::pin(hub.caught_up(|| 6));
    assert_eq!((&mut caught_up).now_or_never(), None);
    hub.publish(&[set(5, "a")], None);
    assert_eq!((&mut caught_up).now_or_never(), None);
    hub.publish(&[set(6, "a")], None);
    assert_eq!(caught_up.now_or_never(), Some(()));
}

#[test]
fn an_op_that_a_restored_store_does_not_have_is_not_waited_for() {
    let hub = Hub::new(99);
    let readable = Cell::new(100);
    let mut caught_up = Box::pin(hub.caught_up(|| readable.get()));
    assert_eq!((&mut caught_up).now_or_never(), None);
    readable.set(4);
    hub.resync(3);
    assert_eq!((&mut caught_up).now_or_never(), None, "what came after the restore is");
    hub.publish(&[set(4, "a")], None);
    assert_eq!(caught_up.now_or_never(), Some(()));
}

#[test]
fn ten_thousand_subscribers_cost_what_concerns_them() {
    let hub = Hub::new(0);
    let same: Vec<Ops> = (0..10_000).map(|_| hub.subscribe(&parsed("links/**"), 10)).collect();
    let one = hub.work(&set(1, "links/a/title"));
    assert!(one < 10, "the pattern of all is looked at once, not {one} times");
    let others: Vec<Ops> = (0..10_000).map(|n| hub.subscribe(&parsed(&format!("other-{n}/**")), 10)).collect();
    assert_eq!(hub.work(&set(1, "links/a/title")), one, "those whom an op does not concern cost nothing");

    hub.publish(&[set(1, "links/a/title")], None);
    let ops: Vec<Arc<CommittedOp>> = same
        .into_iter()
        .map(|mut ops| match ops.next().now_or_never() {
            Some(Some(Delivered::Op(op))) => op,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ops.iter().all(|op| Arc::ptr_eq(op, &ops[0])), "all get the same op, not a copy");
    assert_eq!(others.into_iter().map(|mut ops| seqs(&mut ops).len()).sum::<usize>(), 0);
}

fn leaves_that_match(leaves: &BTreeMap<Path, Leaf>, pattern: &Pattern) -> Vec<(Path, Leaf)> {
    let matching = leaves.iter().filter(|(path, _)| pattern.matches(path));
    matching.map(|(path, leaf)| (path.clone(), leaf.clone())).collect()
}

fn patch(leaves: &mut BTreeMap<Path, Leaf>, changes: &[LeafChange]) {
    for LeafChange { path, after, .. } in changes.iter().cloned() {
        match after {
            Some(leaf) => drop(leaves.insert(path, leaf)),
            None => drop(leaves.remove(&path)),
        }
    }
}

#[test]
fn changes_are_wanted_where_a_listener_reads_them() {
    let hub = Hub::new(0);
    let ops = hub.subscribe(&parsed("links/**"), 10);
    let wants = |path: &str| hub.wants_changes(&Path::parse(path).unwrap());
    assert!(!wants("links/a"), "a subscriber to ops needs no changes");
    let listener = hub.listen(&parsed("links/**"), |_| ());
    assert_eq!(hub.listeners(), 2);
    assert_eq!(["links/a", "LINKS", "links/a/b", "linksx", "tags"].map(wants), [true, true, true, false, false]);
    drop(listener);
    assert!(!wants("links/a"));
    drop(ops);
    assert_eq!(hub.listeners(), 0);
}

#[test]
fn listeners_of_one_pattern_are_called_in_the_order_they_joined() {
    for _ in 0..20 {
        let hub = Hub::new(0);
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let _first = hub.listen(&parsed("**"), move |_| count.store(1, Ordering::SeqCst));
        let before = Arc::clone(&heard);
        let _second = hub.listen_to_ops(&parsed("**"), move |_| assert_eq!(before.load(Ordering::SeqCst), 1));
        hub.resync(1);
    }
}

#[test]
fn commit_carries_its_own_changes() {
    let hub = Hub::new(0);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    let _listener = hub.listen(&parsed("a/**"), move |news| {
        let HubEvent::Commit { ops, changes } = news else { panic!("{news:?}") };
        let seqs = |changes: &[LeafChange]| changes.iter().map(|change| change.store_seq).collect::<Vec<_>>();
        into.lock().unwrap().push((ops[0].store_seq, changes.map(seqs)));
    });
    let (ops, mut leaves, mut changes) = ([set(1, "a/x"), set(2, "b/x"), set(3, "a/y")], BTreeMap::new(), Vec::new());
    ops.iter().for_each(|op| apply(&mut leaves, op, Some(&mut changes)).unwrap());
    hub.publish(&ops, Some(&changes));
    hub.publish(&[set(4, "a/x")], None);
    assert_eq!(*heard.lock().unwrap(), [(1, Some(vec![1])), (3, Some(vec![3])), (4, None)]);
}

proptest! {
    /// For any op, the subscribers to a leaf that it has changed receive it.
    #[test]
    fn every_change_reaches_those_it_concerns(
        steps in prop::collection::vec((near_path(), near_op()), 1..20),
        patterns in prop::collection::vec("(a|A|b|aB|\\*)(/(a|A|b|aB|\\*)){0,2}(/\\*\\*)?", 1..5),
    ) {
        let hub = Hub::new(0);
        let patterns: Vec<Pattern> = patterns.iter().map(|pattern| parsed(pattern)).collect();
        let mut subscriptions: Vec<Ops> = patterns.iter().map(|pattern| hub.subscribe(pattern, 100)).collect();
        let followed: Vec<Arc<Mutex<BTreeMap<Path, Leaf>>>> = patterns.iter().map(|_| Arc::default()).collect();
        let following = patterns.iter().zip(&followed).map(|(pattern, leaves)| {
            let leaves = Arc::clone(leaves);
            hub.listen(pattern, move |news| {
                let HubEvent::Commit { changes: Some(changes), .. } = news else { panic!("{news:?}") };
                patch(&mut leaves.lock().unwrap(), changes);
            })
        });
        let _following: Vec<Listener> = following.collect();
        let mut leaves: BTreeMap<Path, Leaf> = BTreeMap::new();
        for (seq, (path, change)) in (1..).zip(steps) {
            let Ok(value) = outcome(&leaves, &path, &change, Stamp { store_seq: seq, wall_ms: 0 }) else { continue };
            let committed = CommittedOp::new(seq, change.kind(), path, value).written_by("laptop".into(), "1".into());
            let before = leaves.clone();
            let mut changes = hub.wants_changes(&committed.path).then(Vec::new);
            if apply(&mut leaves, &committed, changes.as_mut()).is_err() {
                continue;
            }
            hub.publish(std::slice::from_ref(&committed), changes.as_deref());
            for (pattern, subscription) in patterns.iter().zip(&mut subscriptions) {
                let heard = seqs(subscription);
                if leaves_that_match(&before, pattern) != leaves_that_match(&leaves, pattern) {
                    prop_assert_eq!(&heard, &[seq], "{} {:?}", pattern, committed);
                }
                prop_assert!(heard.is_empty() || heard == [seq]);
            }
            for (pattern, patched) in patterns.iter().zip(&followed) {
                let patched = patched.lock().unwrap();
                prop_assert_eq!(leaves_that_match(&patched, pattern), leaves_that_match(&leaves, pattern));
            }
        }
    }
}
