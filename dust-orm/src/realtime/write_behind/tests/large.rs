//! Saves that take more than one transaction.

use dust_protocol::LeafKind;

use super::super::save::MAX_LEAVES;
use super::*;

/// Number of leaves whose save takes three transactions.
const LEAVES: usize = 2 * MAX_LEAVES + 10;
/// The most leaves in a transaction that clears and writes.
const MAX: usize = 2 * MAX_LEAVES + 2 * 1024;

fn leaves(count: usize, value: &str) -> PackedLeaves {
    let entry = |number| {
        Entry::new(
            Path::parse(&format!("k/{number:06}")).unwrap(),
            RawJson::parse(value).unwrap(),
            LeafKind::Integer,
            1,
        )
    };
    (0..count).map(entry).collect::<Vec<_>>().into()
}

fn large(kept: &Arc<Kept>) -> (CacheTarget, StoreShared) {
    let (place, store) = followed(kept);
    store.replace(1, 0, leaves(LEAVES, "1"), false).unwrap();
    (place, store)
}

/// A client of the same cache whose mirror is the same.
fn another(kept: &Arc<Kept>) -> (CacheTarget, StoreShared) {
    let (_, store) = large(kept);
    (place(kept, "other"), store)
}

/// The value of every leaf of a mirror, by path.
fn mirrored(store: &StoreShared) -> BTreeMap<String, String> {
    store.mirror().clone().into_leaves().map(|leaf| (leaf.path.to_string(), leaf.value.to_string())).collect()
}

fn assert_exact(kept: &Kept, store: &StoreShared) {
    let inner = kept.inner();
    let cursor = inner.cursor.as_ref().unwrap();
    assert_eq!((cursor.seq, cursor.unfinished.as_deref()), (store.mirror().seq(), None));
    let there = inner.leaves.iter().map(|(path, leaf)| (path.clone(), leaf.value.to_string()));
    assert!(there.eq(mirrored(store)), "the cache is not the mirror");
}

fn transactions(kept: &Kept) -> usize {
    kept.inner().transactions.len()
}

/// Polls a flush until its cache has had a number of commits, and drops it then.
async fn flush_and_die(place: &CacheTarget, store: &StoreShared, kept: &Kept, commits: usize) {
    let died = async {
        while transactions(kept) < commits {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        flushed = place.flush(store) => panic!("{flushed:?}"),
        () = died => {}
    }
}

#[tokio::test(start_paused = true)]
async fn large_mirror_is_saved_in_transactions_of_bounded_size() {
    let kept = Arc::new(Kept::default());
    let (place, store) = large(&kept);
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert_eq!(store.saved(), Some(1));
    assert_eq!(kept.inner().transactions, [MAX_LEAVES, MAX_LEAVES, 10]);

    // The leaves that are there are removed in parts, too.
    store.replace(2, 0, leaves(LEAVES, "2"), false).unwrap();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert!(kept.inner().transactions.iter().all(|count| *count <= MAX), "{:?}", kept.inner().transactions);
}

#[tokio::test(start_paused = true)]
async fn pauses_between_transactions_let_another_writer_begin() {
    // The time of a transaction, and the longest time between two tries of a connection that waited for all of it.
    for (took, retry) in [(0, 25), (50, 25), (128, 25), (129, 50), (200, 50), (228, 50), (229, 100), (5_000, 100)] {
        let kept = Arc::new(Kept::default());
        let (place, store) = large(&kept);
        kept.inner().commit_time = Duration::from_millis(took);
        let began = Instant::now();
        place.flush(&store).await.unwrap();
        let pauses = began.elapsed() - 3 * Duration::from_millis(took);
        assert!(pauses >= 2 * Duration::from_millis(retry), "{pauses:?} after transactions of {took} ms");
        assert!(pauses <= Duration::from_millis(2 * 125), "{pauses:?} after transactions of {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn large_leaves_fill_a_transaction_by_their_bytes() {
    let kept = Arc::new(Kept::default());
    let (place, store) = followed(&kept);
    let store = StoreShared::new("acme/main".to_owned(), store.mirror().clone(), false, Arc::default(), 1 << 30);
    let text = format!("\"{}\"", "x".repeat(600_000));
    store.replace(1, 0, leaves(20, &text), false).unwrap();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert!(kept.inner().transactions.iter().all(|count| *count <= 10), "{:?}", kept.inner().transactions);
}

#[tokio::test(start_paused = true)]
async fn small_mirror_is_replaced_in_one_transaction() {
    let kept = Arc::new(Kept::default());
    let (place, store) = followed(&kept);
    store.replace(1, 0, leaves(MAX_LEAVES, "1"), false).unwrap();
    place.flush(&store).await.unwrap();
    store.replace(2, 0, leaves(MAX_LEAVES, "2"), false).unwrap();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert_eq!(transactions(&kept), 2);
}

#[tokio::test(start_paused = true)]
async fn crash_between_two_transactions_leaves_an_unused_cache() {
    for commits in 1..=2 {
        let kept = Arc::new(Kept::default());
        let (dying, store) = large(&kept);
        flush_and_die(&dying, &store, &kept, commits).await;
        assert_eq!(store.saved(), None);
        let restarted = place(&kept, "restarted");
        let (mirror, is_kept) = restarted.load("acme/main").await.unwrap();
        assert_eq!((mirror.seq(), mirror.len(), is_kept), (0, 0, false), "after {commits} commits");
        let again = StoreShared::new("acme/main".to_owned(), mirror, is_kept, Arc::default(), 1 << 20);
        again.replace(3, 0, leaves(LEAVES - 5, "3"), false).unwrap();
        restarted.flush(&again).await.unwrap();
        assert_exact(&kept, &again);
    }
}

#[tokio::test(start_paused = true)]
async fn crash_during_a_rewrite_leaves_an_unused_cache() {
    for commits in 1..5 {
        let kept = Arc::new(Kept::default());
        let (place, store) = large(&kept);
        place.flush(&store).await.unwrap();
        kept.inner().transactions.clear();
        store.replace(2, 0, leaves(LEAVES, "2"), false).unwrap();
        flush_and_die(&place, &store, &kept, commits).await;
        let (mirror, is_kept) = place.load("acme/main").await.unwrap();
        assert_eq!((mirror.len(), is_kept), (0, false), "after {commits} commits");
    }
}

#[tokio::test(start_paused = true)]
async fn failure_between_two_transactions_is_repaired_by_the_next_flush() {
    let kept = Arc::new(Kept::default());
    let (place, store) = large(&kept);
    kept.inner().commit_time = Duration::from_millis(10);
    let fail = async {
        while transactions(&kept) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        kept.inner().failing_commits = 1;
    };
    let (flushed, ()) = tokio::join!(place.flush(&store), fail);
    flushed.unwrap_err();
    store.apply(vec![op(2, OpKind::Delete, "k/000001"), op(3, OpKind::Set, "k/new")]).unwrap();
    let began = Instant::now();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    // It does not wait for its own mark to change.
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn writes_between_the_transactions_are_in_the_cache_at_the_end() {
    let kept = Arc::new(Kept::default());
    let (place, store) = large(&kept);
    let write = async {
        let mut seq = 1;
        for round in 0..3 {
            while transactions(&kept) <= round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // Before, at and behind what is written so far, and more than one transaction holds.
            for number in (round..LEAVES).step_by(2) {
                seq += 1;
                let kind = if number % 3 == 0 { OpKind::Delete } else { OpKind::Set };
                store.apply(vec![op(seq, kind, &format!("k/{number:06}"))]).unwrap();
            }
        }
    };
    let (flushed, ()) = tokio::join!(place.flush(&store), write);
    flushed.unwrap();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert!(kept.inner().transactions.iter().all(|count| *count <= MAX), "{:?}", kept.inner().transactions);
}

#[tokio::test(start_paused = true)]
async fn many_changes_are_saved_in_transactions_of_bounded_size() {
    let kept = Arc::new(Kept::default());
    let (place, store) = large(&kept);
    place.flush(&store).await.unwrap();
    let ops = (0..LEAVES).map(|number| op(number as u64 + 2, OpKind::Set, &format!("k/{number:06}")));
    store.apply(ops.collect()).unwrap();
    let before = transactions(&kept);
    flush_and_die(&place, &store, &kept, before + 1).await;
    let (mirror, is_kept) = place.load("acme/main").await.unwrap();
    assert_eq!((mirror.len(), is_kept), (0, false), "half of the changes are no state");
    let (place, store) = large(&kept);
    place.flush(&store).await.unwrap();
    let ops = (0..LEAVES).map(|number| op(number as u64 + 2, OpKind::Set, &format!("k/{number:06}")));
    store.apply(ops.collect()).unwrap();
    place.flush(&store).await.unwrap();
    assert_exact(&kept, &store);
    assert!(kept.inner().transactions.iter().all(|count| *count <= MAX), "{:?}", kept.inner().transactions);
}

#[tokio::test(start_paused = true)]
async fn second_client_waits_for_one_that_writes() {
    let kept = Arc::new(Kept::default());
    let ((place, store), (second, mirror)) = (large(&kept), another(&kept));
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        second.flush(&mirror).await
    };
    let (first, late) = tokio::join!(place.flush(&store), late);
    first.and(late).unwrap();
    assert_exact(&kept, &store);
    assert_eq!(transactions(&kept), 3, "one of them wrote");
    assert_eq!(mirror.saved(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn two_slow_clients_take_over_from_each_other_and_finish() {
    let kept = Arc::new(Kept::default());
    let ((place, store), (second, mirror)) = (large(&kept), another(&kept));
    // Longer than either waits for a mark at first.
    kept.inner().commit_time = Duration::from_millis(9_100);
    let write = async {
        for seq in 2..40 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            let kind = if seq % 3 == 0 { OpKind::Delete } else { OpKind::Set };
            for store in [&store, &mirror] {
                store.apply(vec![op(seq, kind, &format!("k/{:06}", seq * 397 % LEAVES as u64))]).unwrap();
            }
        }
    };
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        second.flush(&mirror).await
    };
    let (first, late, ()) = tokio::join!(place.flush(&store), late, write);
    first.and(late).unwrap();
    assert!(transactions(&kept) > 5, "{:?}", kept.inner().transactions);
    for (place, store) in [(&place, &store), (&second, &mirror), (&place, &store)] {
        place.flush(store).await.unwrap();
        assert_exact(&kept, store);
    }
}

#[tokio::test(start_paused = true)]
async fn rewind_is_kept_when_the_mirror_is_replaced_during_a_save() {
    let kept = Arc::new(Kept::default());
    let (place, store) = large(&kept);
    store.replace(900, 0, leaves(10, "1"), false).unwrap();
    place.flush(&store).await.unwrap();
    // The numbers of ops begin again; and before that is saved a snapshot comes.
    for count in [10, LEAVES] {
        store.replace(3, 0, leaves(count, "2"), true).unwrap();
        kept.inner().change_time = Duration::from_millis(10);
        let replace = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            store.replace(5, 0, leaves(count, "3"), false).unwrap();
        };
        let (flushed, ()) = tokio::join!(place.flush(&store), replace);
        flushed.unwrap();
        assert_exact(&kept, &store);
        store.replace(900, 0, leaves(10, "1"), false).unwrap();
        place.flush(&store).await.unwrap();
    }
}
