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
async fn who_has_missed_nothing_is_where_a_new_one_begins() {
    let (repo, store) = memory();
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    let mut old = links.receiver();
    put(&store, "a", "one");
    set(&store, "elsewhere", json!(1));
    assert_eq!(waiting(&mut old), [upserted("a", "one")]);
    for new in [links.receiver(), links.receiver_with_current().await.unwrap()] {
        assert_eq!(new.store_seq(), old.store_seq());
    }
    let second = put(&store, "a", "two");
    assert_eq!(links.receiver().store_seq(), second);
    assert!(old.store_seq() < second, "it was not told yet");
}

#[tokio::test]
async fn what_is_read_after_a_resync_reaches_as_far() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().queue(1).await.unwrap();
    put(&store, "a", "one");
    let second = put(&store, "b", "one");
    assert_eq!(waiting(&mut links), [Event::Resync]);
    assert_eq!(links.store_seq(), second);
}
