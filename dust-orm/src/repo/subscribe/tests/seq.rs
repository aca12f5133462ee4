use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::repo::BatchEntry;

#[tokio::test]
async fn a_commit_is_reached_with_its_last_event() {
    let (repo, store) = memory();
    let first = put(&store, "a", "one");
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    assert_eq!(links.store_seq(), first);
    let batch = repo.batch_write(["b", "c"].map(|slug| BatchEntry::insert(draft(slug, "one")))).await.unwrap();
    assert_eq!((links.next().await, links.store_seq()), (Some(upserted("b", "one")), first));
    assert_eq!((links.next().await, links.store_seq()), (Some(upserted("c", "one")), batch.store_seq.unwrap()));
}

#[tokio::test]
async fn who_has_missed_nothing_goes_on() {
    let (repo, store) = memory();
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    let mut old = links.receiver();
    put(&store, "a", "one");
    set(&store, "elsewhere", json!(1));
    assert_eq!(waiting(&mut old), [upserted("a", "one")]);
    let mut replay = links.receiver_with_current().await.unwrap();
    assert_eq!(waiting(&mut replay), [upserted("a", "one")]);
    let resumed = links.receiver_after(old.store_seq()).await.unwrap();
    assert!(!resumed.begins_with_current() && resumed.is_current());
    for new in [links.receiver(), replay, resumed] {
        assert_eq!(new.store_seq(), old.store_seq());
    }
    let second = put(&store, "a", "two");
    assert_eq!(links.receiver().store_seq(), second);
    assert!(old.store_seq() < second, "it was not told yet");
}

#[tokio::test]
async fn a_resync_is_reached_when_the_next_event_is_asked_for() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().queue(1).await.unwrap();
    put(&store, "a", "one");
    let second = put(&store, "b", "one");
    assert_eq!(links.next().await, Some(Event::Resync));
    assert_eq!(links.store_seq(), 0, "nothing was handed out in its place");
    assert_eq!(waiting(&mut links), []);
    assert_eq!(links.store_seq(), second);
}

#[tokio::test]
async fn a_replayed_record_is_not_past_what_was_handed_out() {
    let (repo, store) = memory();
    for slug in ["a", "b", "c"] {
        put(&store, slug, "one");
    }
    // The last record does not fit the entity, so it is not delivered.
    let last = set(&store, "links/half/title", json!("x"));
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    for mut replay in
        [repo.subscribe::<link::Entity>().with_current().await.unwrap(), links.receiver_with_current().await.unwrap()]
    {
        let mut seqs = vec![replay.store_seq()];
        for slug in ["a", "b", "c"] {
            assert_eq!(replay.next().await, Some(upserted(slug, "one")));
            seqs.push(replay.store_seq());
        }
        assert_eq!(seqs, [0, 0, 0, last]);
    }
}

/// Another process, which is behind this one, may have the state of the number that the reader came with, or reach it
/// later: it must not continue from there with a part of the records.
#[tokio::test]
async fn reader_cut_off_in_a_replay_begins_again_at_any_process() {
    let (repo, store) = memory();
    let first = put(&store, "a", "one");
    put(&store, "b", "one");
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    for before in [1, first, store.current_seq() + 1, u64::MAX] {
        let mut replay = links.receiver_after(before).await.unwrap();
        assert_eq!(replay.store_seq(), 0, "{before}");
        assert_eq!(replay.next().await, Some(upserted("a", "one")));
        assert_eq!(replay.store_seq(), 0, "{before}");
        assert_eq!(replay.next().await, Some(upserted("b", "one")));
        assert_eq!(replay.store_seq(), store.current_seq(), "{before}");
    }
}

#[tokio::test]
async fn an_event_that_overtakes_a_dropped_one_is_not_past_it() {
    let (repo, store) = memory();
    let first = put(&store, "z", "one");
    let mut links = repo.subscribe::<link::Entity>().queue(2).await.unwrap();
    put(&store, "a", "one");
    put(&store, "b", "one");
    let last = put(&store, "a", "two");
    // `a` as of its first commit was dropped, and `b` is delivered without it.
    assert_eq!((links.next().await, links.store_seq()), (Some(upserted("b", "one")), first));
    assert_eq!((links.next().await, links.store_seq()), (Some(upserted("a", "two")), last));
}

#[tokio::test]
async fn the_current_state_ends_with_its_last_record() {
    let (repo, store) = memory();
    for slug in ["a", "b"] {
        put(&store, slug, "one");
    }
    set(&store, "links/half/title", json!("x"));
    let mut links = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    put(&store, "a", "two");
    let mut current = Vec::new();
    while !links.is_current() {
        current.extend(links.next().await);
    }
    assert_eq!(current, [upserted("a", "one"), upserted("b", "one")]);
    assert_eq!(waiting(&mut links), [upserted("a", "two")]);
    emit(&store, "links", Mutation::Delete);
    let empty = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    assert!(empty.is_current() && empty.begins_with_current());
    assert_eq!(empty.store_seq(), store.current_seq());
    assert!(!repo.subscribe::<link::Entity>().await.unwrap().begins_with_current());
}

#[tokio::test]
async fn who_comes_back_to_an_empty_store_lets_go_of_what_it_had() {
    let (repo, store) = memory();
    let first = put(&store, "a", "one");
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    emit(&store, "links", Mutation::Delete);
    let back = links.receiver_after(first).await.unwrap();
    assert!(back.begins_with_current() && back.is_current());
    for nothing in [None, Some(0)] {
        assert!(links.receiver_after(nothing).await.unwrap().begins_with_current());
    }
    assert!(
        links.receiver_after(store.current_seq() + 7).await.unwrap().begins_with_current(),
        "a store that went back"
    );
}

/// The steps of a reader that is sometimes disconnected, and of the writers of its store.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    Batch(u8, u8),
    Resync,
    Read(usize),
    CutOff,
}

fn step() -> impl Strategy<Value = Step> {
    let slug = || 0..4_u8;
    prop_oneof![
        4 => slug().prop_map(Step::Put),
        2 => slug().prop_map(Step::Delete),
        1 => (slug(), slug()).prop_map(|(one, other)| Step::Batch(one, other)),
        1 => Just(Step::Resync),
        6 => (1..4_usize).prop_map(Step::Read),
        4 => Just(Step::CutOff),
    ]
}

proptest! {
    /// For any disconnects and a small queue: a reader that reconnects with its last place ends with the current
    /// records.
    #[test]
    fn who_comes_back_ends_with_the_whole_state(steps in prop::collection::vec(step(), 0..60), queue in 1..4_usize) {
        let (repo, store) = memory();
        let now = |repo: &DustRepo| repo.all::<link::Entity>().now_or_never().unwrap().unwrap();
        let links = repo.broadcast::<link::Entity>().into_future().now_or_never().unwrap().unwrap().queue(queue);
        let hub = repo.transport().op_hub().now_or_never().unwrap().unwrap();
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let mut place = 0;
        let mut receiver: Option<Links> = None;
        let end = [Step::CutOff, Step::Read(1_000)];
        for (number, step) in steps.into_iter().chain(end).enumerate() {
            let title = number.to_string();
            match step {
                Step::Put(slug) => drop(put(&store, &slug.to_string(), &title)),
                Step::Delete(slug) => drop(emit(&store, &format!("links/{slug}"), Mutation::Delete)),
                Step::Batch(one, other) => {
                    let records = [one, other].map(|slug| BatchEntry::insert(draft(&slug.to_string(), &title)));
                    // A batch with the same record twice is refused, which has no effect.
                    drop(repo.batch_write(records).into_future().now_or_never().unwrap());
                }
                Step::Resync => hub.resync(hub.seq()),
                Step::CutOff => receiver = None,
                Step::Read(count) => {
                    let links = receiver.get_or_insert_with(|| {
                        let back = links.receiver_after(place).now_or_never().unwrap().unwrap();
                        if back.begins_with_current() {
                            known.clear();
                        }
                        back
                    });
                    place = links.store_seq();
                    for _ in 0..count {
                        match links.next().now_or_never() {
                            Some(Some(Event::Upserted(link))) => drop(known.insert(link.slug, link.title)),
                            Some(Some(Event::Deleted(slug))) => drop(known.remove(&slug)),
                            // The reader is disconnected before it has read anything again.
                            Some(Some(Event::Resync)) => {
                                receiver = None;
                                break;
                            }
                            Some(None) | None => break,
                        }
                        place = links.store_seq();
                    }
                }
            }
        }
        while receiver.is_none() {
            let mut links = links.receiver_after(place).now_or_never().unwrap().unwrap();
            if links.begins_with_current() {
                known.clear();
            }
            for event in waiting(&mut links) {
                match event {
                    Event::Upserted(link) => drop(known.insert(link.slug, link.title)),
                    other => panic!("nothing has happened: {other:?}"),
                }
            }
            receiver = Some(links);
        }
        let expected: BTreeMap<String, String> = now(&repo).into_iter().map(|link| (link.slug, link.title)).collect();
        prop_assert_eq!(known, expected);
    }
}
