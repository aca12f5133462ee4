use std::sync::mpsc::channel;

use super::*;

#[tokio::test]
async fn is_called_for_each_event_in_order() {
    let (repo, store) = memory();
    put(&store, "old", "x");
    let (tell, told) = channel();
    // What it holds it may use across an await, whether it is Send or not.
    let seen = std::cell::RefCell::new(0);
    let _links = repo
        .subscribe::<link::Entity>()
        .with_current()
        .on(async move |event| {
            let number = std::rc::Rc::new(seen.replace_with(|seen| *seen + 1));
            tokio::task::yield_now().await;
            tell.send((*number, event)).unwrap();
        })
        .await
        .unwrap();
    put(&store, "a", "one");
    emit(&store, "links/a", Op::Delete);
    let events = [upserted("old", "x"), upserted("a", "one"), deleted("a")];
    for (number, event) in events.into_iter().enumerate() {
        assert_eq!(told.recv().unwrap(), (number, event));
    }
}

#[tokio::test]
async fn the_runtime_is_there_inside() {
    let (repo, store) = memory();
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let _links = repo
        .on::<link::Entity>(async move |event| {
            let answer = tokio::spawn(async move { event }).await.unwrap();
            if let Some(tell) = tell.take() {
                tell.send(answer).unwrap();
            }
        })
        .await
        .unwrap();
    put(&store, "a", "one");
    assert_eq!(told.await.unwrap(), upserted("a", "one"));
}

#[tokio::test]
async fn a_panic_ends_nothing() {
    let (repo, store) = memory();
    let (tell, told) = channel();
    let _links = repo
        .on::<link::Entity>(async move |event| {
            tell.send(event.clone()).unwrap();
            assert_ne!(event, upserted("a", "one"));
        })
        .await
        .unwrap();
    put(&store, "a", "one");
    put(&store, "a", "two");
    assert_eq!([told.recv().unwrap(), told.recv().unwrap()], [upserted("a", "one"), upserted("a", "two")]);
}

#[tokio::test]
async fn dropping_it_unsubscribes_at_once_and_detaching_does_not() {
    let (repo, store) = memory();
    let shared = repo.broadcast::<link::Entity>().await.unwrap();
    let (tell, told) = channel();
    let callback = repo.on::<link::Entity>(async move |event| tell.send(event).unwrap()).await.unwrap();
    assert_eq!(shared.watch.subscribers(), 1);
    drop(callback);
    assert_eq!(shared.watch.subscribers(), 0);
    put(&store, "a", "one");
    // The thread ends and drops what it held, without having been called.
    assert!(told.recv().is_err());

    let (tell, told) = channel();
    repo.on::<link::Entity>(async move |event| tell.send(event).unwrap()).await.unwrap().detach();
    put(&store, "a", "two");
    assert_eq!(told.recv().unwrap(), upserted("a", "two"));
    repo.transport().hub().await.unwrap().close();
    assert!(told.recv().is_err());
}
