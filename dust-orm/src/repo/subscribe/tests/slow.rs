use super::*;

#[tokio::test]
async fn older_events_of_a_record_give_way_to_its_newest() {
    let (repo, store) = memory();
    put(&store, "gone", "x");
    let mut slow = repo.subscribe::<link::Entity>().queue(3).await.unwrap();
    let mut quick = repo.subscribe::<link::Entity>().await.unwrap();
    for number in 0..5 {
        put(&store, "a", &number.to_string());
        put(&store, "b", &number.to_string());
    }
    // The record was there before these commits, though not before the last one.
    emit(&store, "links/gone", Mutation::Delete);
    set(&store, "links/gone/title", json!("half a record"));
    set(&store, "links/gone/note", json!("still"));
    assert_eq!(waiting(&mut slow), [upserted("a", "4"), upserted("b", "4"), deleted("gone")]);
    assert_eq!(waiting(&mut quick).len(), 11);
}

#[tokio::test]
async fn what_came_and_went_unseen_is_deleted() {
    let (repo, store) = memory();
    let mut slow = repo.subscribe::<link::Entity>().queue(1).await.unwrap();
    put(&store, "a", "one");
    emit(&store, "links/a", Mutation::Delete);
    assert_eq!(waiting(&mut slow), [deleted("a")]);
}

#[tokio::test]
async fn too_much_becomes_one_resync_and_the_stream_goes_on() {
    let (repo, store) = memory();
    let mut slow = repo.subscribe::<link::Entity>().queue(3).await.unwrap();
    let mut quick = repo.subscribe::<link::Entity>().await.unwrap();
    for number in 0..20 {
        put(&store, &format!("link-{number}"), "x");
    }
    put(&store, "last", "x");
    assert_eq!(slow.next().await, Some(Event::Resync));
    assert!(!waiting(&mut slow).contains(&Event::Resync));
    put(&store, "next", "y");
    assert_eq!(slow.next().await, Some(upserted("next", "y")));
    assert_eq!(waiting(&mut quick).len(), 22);
}

#[tokio::test]
async fn a_queue_holds_a_thousand_unless_told_otherwise() {
    let (repo, store) = memory();
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    let mut more = repo.subscribe::<link::Entity>().queue(2000).await.unwrap();
    for number in 0..=1000 {
        put(&store, &format!("link-{number}"), "x");
    }
    assert_eq!(waiting(&mut links), [Event::Resync]);
    assert_eq!(waiting(&mut more).len(), 1001);
}

#[tokio::test]
async fn a_mass_delete_overflows_and_says_so() {
    let (repo, store) = memory();
    let records: serde_json::Map<_, _> =
        (0..1500).map(|number| (number.to_string(), json!({"title": "x", "url": "u"}))).collect();
    set(&store, "links", records.into());
    let mut links = repo.subscribe::<link::Entity>().await.unwrap();
    repo.delete_all::<link::Entity>().await.unwrap();
    put(&store, "a", "one");
    let events = waiting(&mut links);
    assert_eq!((events.first(), events.last()), (Some(&Event::Resync), Some(&upserted("a", "one"))));
}

#[tokio::test]
async fn ten_thousand_subscribers_hear_of_one_event() {
    let (repo, store) = memory();
    let mut all = Vec::new();
    for _ in 0..10_000 {
        all.push(repo.subscribe::<link::Entity>().await.unwrap());
    }
    assert_eq!(listeners(&repo).await, 1, "they share one listener");
    put(&store, "a", "one");
    assert!(all.iter_mut().all(|links| waiting(links) == [upserted("a", "one")]));
}
