use super::*;

#[tokio::test]
async fn receivers_cost_one_subscription() {
    let (repo, store) = memory();
    put(&store, "old", "x");
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    let mut receivers: Vec<Links> = (0..100).map(|_| links.clone().receiver()).collect();
    assert_eq!(listeners(&repo).await, 1);
    put(&store, "a", "one");
    for receiver in &mut receivers {
        assert_eq!(waiting(receiver), [upserted("a", "one")]);
    }
    let mut late = links.receiver_with_current().await.unwrap();
    put(&store, "a", "two");
    assert_eq!(waiting(&mut late), [upserted("a", "one"), upserted("old", "x"), upserted("a", "two")]);
    drop((receivers, late));
    assert_eq!(links.view.subscribers(), 0);
    assert_eq!(listeners(&repo).await, 1);
    drop(links);
    assert_eq!(listeners(&repo).await, 0);
}

#[tokio::test]
async fn a_slow_receiver_is_resynced_alone() {
    let (repo, store) = memory();
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    let mut slow = links.clone().queue(1).receiver();
    let mut quick = links.receiver();
    put(&store, "a", "one");
    put(&store, "b", "one");
    assert_eq!(waiting(&mut slow), [Event::Resync]);
    assert_eq!(waiting(&mut quick), [upserted("a", "one"), upserted("b", "one")]);
}

#[tokio::test]
async fn a_receiver_can_be_polled_by_any_task() {
    let (repo, store) = memory();
    let links = repo.broadcast::<link::Entity>().await.unwrap();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let mut receiver = links.receiver();
            tokio::spawn(async move { receiver.next().await })
        })
        .collect();
    tokio::task::yield_now().await;
    put(&store, "a", "one");
    for task in tasks {
        assert_eq!(task.await.unwrap(), Some(upserted("a", "one")));
    }
}
