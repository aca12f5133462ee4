use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::gated::Gated;
use super::*;
use crate::tests_cfg::bookmark;
use crate::{BatchEntry, ErrKind};

/// Counts the calls of `wake`.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a subscription without events, so that it waits.
fn wait(links: &mut Links) -> Arc<Wakes> {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(links.next().boxed().poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    wakes
}

fn bookmark(owner: &str, id: i64) -> bookmark::Model {
    bookmark::Model { owner: owner.to_owned(), id, url: "u".to_owned() }
}

fn all_waiting<E: DustEntity>(changes: &mut Subscription<E>) -> Vec<Event<E::Model>> {
    std::iter::from_fn(|| changes.next().now_or_never().flatten()).collect()
}

#[tokio::test]
async fn subscription_to_a_key_is_woken_by_its_record_only() {
    let (repo, store) = memory();
    put(&store, "a", "one");
    let mut all = repo.subscribe::<link::Entity>().await.unwrap();
    let mut links = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    let mut within_text = repo.subscribe::<link::Entity>().starts_with("a-1").await.unwrap();
    let wakes = [wait(&mut links), wait(&mut within_text), wait(&mut all)];
    let counts = || wakes.each_ref().map(|wakes| wakes.0.load(Ordering::SeqCst));
    for slug in ["b", "a-", "b-a"] {
        put(&store, slug, "one");
    }
    set(&store, "links/b/a", json!(1));
    emit(&store, "links/none", Mutation::Delete);
    assert_eq!(counts(), [0, 0, 1]);
    put(&store, "a-1", "one");
    assert_eq!(counts(), [0, 1, 1]);
    put(&store, "a", "two");
    assert_eq!(counts(), [1, 1, 1]);
    // A set of a record removes those whose key differs in case.
    put(&store, "A", "other");
    assert_eq!(waiting(&mut links), [upserted("a", "two"), deleted("a")]);
    assert_eq!(waiting(&mut within_text), [upserted("a-1", "one")]);
}

#[tokio::test]
async fn each_of_many_keys_wakes_one_subscription_of_one_listener() {
    let (repo, store) = memory();
    let mut all = Vec::new();
    for number in 0..1000 {
        all.push(repo.subscribe::<link::Entity>().key(number.to_string()).await.unwrap());
    }
    assert_eq!(listeners(&repo).await, 1);
    let wakes: Vec<Arc<Wakes>> = all.iter_mut().map(wait).collect();
    put(&store, "7", "one");
    let woken = wakes.iter().map(|wakes| wakes.0.load(Ordering::SeqCst));
    assert!(woken.enumerate().all(|(number, count)| count == usize::from(number == 7)));
    assert_eq!(waiting(&mut all[7]), [upserted("7", "one")]);
    drop(all);
    assert_eq!(listeners(&repo).await, 0);
}

#[tokio::test]
async fn keys_with_odd_characters_are_received() {
    let (repo, store) = memory();
    let keys = ["a/b", "a~1b", "~", "*", "é ", ".", "a", "\u{10FFFF}"];
    let mut all = Vec::new();
    for key in keys {
        all.push((key, repo.subscribe::<link::Entity>().key(key).await.unwrap()));
        all.push((key, repo.broadcast::<link::Entity>().key(key).await.unwrap().receiver()));
        all.push((key, repo.subscribe::<link::Entity>().key(key).with_current().await.unwrap()));
    }
    for key in keys {
        repo.insert(draft(key, "one")).await.unwrap();
    }
    emit(&store, "LINKS", Mutation::Delete);
    for (key, mut links) in all {
        assert_eq!(waiting(&mut links), [upserted(key, "one"), deleted(key)]);
    }
}

#[tokio::test]
async fn only_the_record_of_the_key_is_read() {
    let store = Store::in_memory().unwrap();
    let gated = Gated::new(&store);
    let repo = DustRepo::with_transport(gated.clone());
    for slug in ["a", "a-1", "b", "c"] {
        put(&store, slug, "one");
    }
    let read = || std::mem::take(&mut *gated.read.lock().unwrap());
    let mut plain = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    assert_eq!(gated.lists.load(Ordering::SeqCst), 0, "it begins without a read");
    let mut current = repo.subscribe::<link::Entity>().key("a").with_current().await.unwrap();
    assert_eq!(read(), ["links/a/title", "links/a/url"]);
    assert!(!current.is_current() && current.begins_with_current());
    assert_eq!(current.next().await, Some(upserted("a", "one")));
    assert!(current.is_current());
    put(&store, "a", "two");
    assert_eq!(plain.next().await, Some(upserted("a", "two")));
    assert_eq!(read(), ["links/a/title", "links/a/url"]);
    assert_eq!(current.next().await, Some(upserted("a", "two")));
    assert_eq!(read(), [""; 0], "it knows the record that it has just delivered");
    let live = repo.live::<link::Entity>().key("a").await.unwrap();
    assert_eq!((live.len(), live.get("a").unwrap().title.as_str(), live.get("b")), (1, "two", None));
    repo.broadcast::<link::Entity>().starts_with("a-").await.unwrap();
    assert_eq!(read(), ["links/a/title", "links/a/url", "links/a-1/title", "links/a-1/url"]);
}

#[tokio::test]
async fn record_is_received_while_it_fits() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    set(&store, "links/a/title", json!("T"));
    assert_eq!(waiting(&mut links), []);
    set(&store, "links/a/url", json!("u"));
    set(&store, "links/a/title", json!(["$claim"]));
    emit(&store, "links/a/url", Mutation::Delete);
    emit(&store, "links/a", Mutation::Delete);
    assert_eq!(waiting(&mut links), [upserted("a", "T"), deleted("a")]);
}

#[tokio::test]
async fn full_queue_keeps_the_newest_state() {
    let (repo, store) = memory();
    put(&store, "a", "one");
    let mut links = repo.subscribe::<link::Entity>().key("a").queue(1).await.unwrap();
    for number in 0..5 {
        put(&store, "a", &number.to_string());
        put(&store, "b", "x");
    }
    let last = set(&store, "links/a/note", json!(null));
    assert_eq!(waiting(&mut links), [upserted("a", "4")]);
    assert_eq!(links.store_seq(), last);
    emit(&store, "links/a", Mutation::Delete);
    put(&store, "a", "back");
    emit(&store, "links/a", Mutation::Delete);
    assert_eq!(waiting(&mut links), [deleted("a")]);
}

#[tokio::test]
async fn resync_and_the_end_reach_subscriptions_to_a_part() {
    let (repo, store) = memory();
    put(&store, "a", "one");
    let hub = repo.transport().op_hub().await.unwrap();
    let mut links = [
        repo.subscribe::<link::Entity>().key("a").await.unwrap(),
        repo.subscribe::<link::Entity>().starts_with("a").await.unwrap(),
    ];
    for links in &mut links {
        drop(waiting(links));
        let wakes = wait(links);
        hub.resync(hub.seq());
        assert!(wakes.0.load(Ordering::SeqCst) > 0);
        assert_eq!(links.next().await, Some(Event::Resync));
        put(&store, "b", "x");
        let last = put(&store, "a", "three");
        assert_eq!((links.next().await, links.store_seq()), (Some(upserted("a", "three")), last));
    }
    drop(waiting(&mut links[0]));
    hub.close();
    for links in &mut links {
        assert_eq!(links.next().await, None);
    }
    assert_eq!(repo.subscribe::<link::Entity>().key("b").await.unwrap().next().await, None);
}

#[tokio::test]
async fn record_that_cannot_be_read_is_a_resync() {
    let store = Store::in_memory().unwrap();
    let gated = Gated::new(&store);
    let repo = DustRepo::with_transport(gated.clone());
    let mut links = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    gated.fails.store(true, Ordering::SeqCst);
    put(&store, "a", "one");
    assert_eq!(links.next().await, Some(Event::Resync));
    gated.fails.store(false, Ordering::SeqCst);
    put(&store, "a", "two");
    assert_eq!(links.next().await, Some(upserted("a", "two")));
}

#[tokio::test]
async fn mass_delete_is_one_event_per_record_of_the_part() {
    let (repo, _store) = memory();
    for (owner, id) in [("ada", 1), ("ada", 2), ("adam", 1), ("bob", 1)] {
        repo.put(bookmark(owner, id)).await.unwrap();
    }
    let mut of_ada = repo.subscribe::<bookmark::Entity>().within("ada").await.unwrap();
    let mut first = repo.subscribe::<bookmark::Entity>().key(("ada", 1)).with_current().await.unwrap();
    let mut ones = repo.subscribe::<bookmark::Entity>().within("ada").starts_with("1").await.unwrap();
    let mut names = repo.subscribe::<bookmark::Entity>().starts_with("ada").await.unwrap();
    let gone = |owner: &str, id| Event::Deleted((owner.to_owned(), id));
    repo.delete_all::<bookmark::Entity>().within("ada").await.unwrap();
    repo.delete_all::<bookmark::Entity>().await.unwrap();
    assert_eq!(all_waiting(&mut of_ada), [gone("ada", 1), gone("ada", 2)]);
    assert_eq!(all_waiting(&mut first), [Event::Upserted(bookmark("ada", 1)), gone("ada", 1)]);
    assert_eq!(all_waiting(&mut ones), [gone("ada", 1)]);
    assert_eq!(all_waiting(&mut names), [gone("ada", 1), gone("ada", 2), gone("adam", 1)]);
}

#[tokio::test]
async fn subscriptions_to_the_same_part_share_its_records() {
    let (repo, _store) = memory();
    let of_ada = || repo.broadcast::<bookmark::Entity>().within("ada");
    let (one, other) = (of_ada().await.unwrap(), of_ada().await.unwrap());
    let of_bob = repo.broadcast::<bookmark::Entity>().within("bob").await.unwrap();
    assert!(Arc::ptr_eq(&one.view, &other.view) && !Arc::ptr_eq(&one.view, &of_bob.view));
    let place = one.receiver().store_seq();
    repo.put(bookmark("bob", 1)).await.unwrap();
    assert!(!other.receiver_after(place.max(1)).await.unwrap().begins_with_current() || place == 0);
    let mut receiver = one.receiver();
    repo.put(bookmark("ada", 1)).await.unwrap();
    assert_eq!(all_waiting(&mut receiver), [Event::Upserted(bookmark("ada", 1))]);
    assert!(!of_ada().await.unwrap().receiver_after(receiver.store_seq()).await.unwrap().begins_with_current());
    let live = repo.live::<bookmark::Entity>().within("ada").await.unwrap();
    assert_eq!((live.len(), live.get(("ada", 1)).is_some(), live.get(("bob", 1))), (1, true, None));
}

#[tokio::test]
async fn raw_ops_of_a_part_are_those_that_may_change_it() {
    let (repo, store) = memory();
    let mut of_key = repo.subscribe::<link::Entity>().key("rust").raw().await.unwrap();
    let mut of_text = repo.subscribe::<link::Entity>().starts_with("ru").raw().await.unwrap();
    set(&store, "links/go/title", json!(1));
    set(&store, "links/r", json!(1));
    let ruby = set(&store, "links/ruby/title", json!(1));
    let rust = set(&store, "links/rust/title", json!(1));
    let other_case = emit(&store, "links/RUST", Mutation::Delete);
    let in_other_case = set(&store, "links/RUST/title", json!(1));
    let merged = emit(&store, "links", Mutation::Merge(json!({"go": {"a": 1}, "rust": {"a": 1}}).into()));
    emit(&store, "links", Mutation::Merge(json!({"go": {"a": 1}}).into()));
    let all = emit(&store, "LINKS", Mutation::Delete);
    let seqs = |ops: &mut RawSubscription| -> Vec<u64> {
        std::iter::from_fn(|| match ops.next().now_or_never()? {
            Some(RawEvent::Op(op)) => Some(op.committed.store_seq),
            other => panic!("{other:?}"),
        })
        .collect()
    };
    assert_eq!(seqs(&mut of_key), [rust, other_case, in_other_case, merged, all]);
    assert_eq!(seqs(&mut of_text), [ruby, rust, other_case, in_other_case, merged, all]);
}

#[tokio::test]
async fn part_that_no_record_can_be_in_is_refused() {
    let (repo, _store) = memory();
    for key in ["", "\\*", "\\**"] {
        let answers = [
            repo.subscribe::<link::Entity>().key(key).await.err(),
            repo.subscribe::<link::Entity>().key(key).raw().await.err(),
            repo.broadcast::<link::Entity>().key(key).await.err(),
            repo.live::<link::Entity>().key(key).await.err(),
            repo.subscribe::<bookmark::Entity>().within(key).await.err(),
            repo.subscribe::<bookmark::Entity>().key((key, 1)).await.err(),
        ];
        for error in answers.map(Option::unwrap) {
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains("without `key` and `within`"), "{error}");
        }
    }
    let nul = [
        repo.subscribe::<link::Entity>().key("a\0").await.err(),
        repo.subscribe::<bookmark::Entity>().within("a\0").await.err(),
        repo.subscribe::<link::Entity>().starts_with("a\0").await.err(),
        repo.subscribe::<link::Entity>().key("a").starts_with("a").await.err(),
        repo.subscribe::<bookmark::Entity>().within("a").key(("a", 1)).await.err(),
    ];
    assert!(nul.into_iter().all(|error| error.unwrap().kind() == ErrKind::InvalidParams));
}

#[tokio::test]
async fn dropped_subscription_to_a_key_leaves_the_others() {
    let (repo, store) = memory();
    let mut one = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    let other = repo.subscribe::<link::Entity>().key("a").await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let callback = repo
        .subscribe::<link::Entity>()
        .key("a")
        .on_change(move |event| {
            sender.send(event).unwrap();
            std::future::ready(())
        })
        .await
        .unwrap();
    drop(other);
    put(&store, "a", "one");
    assert_eq!(receiver.recv().await, Some(upserted("a", "one")));
    drop(callback);
    assert_eq!(receiver.recv().await, None);
    assert_eq!(waiting(&mut one), [upserted("a", "one")]);
    let batch = ["a", "b"].map(|slug| BatchEntry::insert(draft(slug, "two")));
    repo.batch_write(batch).await.unwrap();
    assert_eq!(waiting(&mut one), [upserted("a", "two")]);
    drop(one);
    assert_eq!(listeners(&repo).await, 0);
}
