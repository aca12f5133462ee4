use futures_util::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::repo::Callback;

/// Registers a callback that sends its events to a channel.
async fn passing_on(repo: &DustRepo) -> (Callback, UnboundedReceiver<Event<link::Model>>) {
    let (sender, receiver) = unbounded_channel();
    let callback = repo
        .subscribe::<link::Entity>()
        .on_change(move |event| {
            sender.send(event).unwrap();
            std::future::ready(())
        })
        .await;
    (callback.unwrap(), receiver)
}

#[tokio::test]
async fn callback_is_called_for_each_event_in_order() {
    let (repo, store) = memory();
    put(&store, "old", "x");
    let (sender, mut receiver) = unbounded_channel();
    let mut calls = 0;
    let _links = repo
        .subscribe::<link::Entity>()
        .with_current()
        .on_change(move |event| {
            calls += 1;
            let (sender, number) = (sender.clone(), calls);
            async move {
                tokio::task::yield_now().await;
                sender.send((number, event)).unwrap();
            }
        })
        .await
        .unwrap();
    put(&store, "a", "one");
    emit(&store, "links/a", Mutation::Delete);
    let events = [upserted("old", "x"), upserted("a", "one"), deleted("a")];
    for (number, event) in (1..).zip(events) {
        assert_eq!(receiver.recv().await, Some((number, event)));
    }
}

#[tokio::test]
async fn panic_in_a_callback_does_not_end_it() {
    let (repo, store) = memory();
    let (sender, mut receiver) = unbounded_channel();
    let _links = repo
        .subscribe::<link::Entity>()
        .on_change(move |event| {
            sender.send(event.clone()).unwrap();
            assert_ne!(event, upserted("a", "one"), "a panic of the function");
            async move { assert_ne!(event, upserted("a", "two"), "a panic of its future") }
        })
        .await
        .unwrap();
    for title in ["one", "two", "three"] {
        put(&store, "a", title);
    }
    for title in ["one", "two", "three"] {
        assert_eq!(receiver.recv().await, Some(upserted("a", title)));
    }
}

#[tokio::test]
async fn dropped_callback_unsubscribes_at_once() {
    let (repo, store) = memory();
    let shared = repo.broadcast::<link::Entity>().await.unwrap();
    let (callback, mut receiver) = passing_on(&repo).await;
    assert_eq!(shared.view.subscribers(), 1);
    drop(callback);
    assert_eq!(shared.view.subscribers(), 0);
    put(&store, "a", "one");
    // The task drops its function without another call.
    assert_eq!(receiver.recv().await, None);
}

#[tokio::test]
async fn detached_callback_ends_with_its_transport() {
    let (repo, store) = memory();
    let (callback, mut receiver) = passing_on(&repo).await;
    callback.detach();
    put(&store, "a", "two");
    assert_eq!(receiver.recv().await, Some(upserted("a", "two")));
    repo.transport().op_hub().await.unwrap().close();
    assert_eq!(receiver.recv().await, None);
}

#[test]
fn callback_outside_of_a_runtime_is_refused() {
    let (repo, _store) = memory();
    let answer = repo.subscribe::<link::Entity>().on_change(|_| std::future::ready(())).now_or_never().unwrap();
    assert!(answer.unwrap_err().to_string().contains("in a tokio runtime"));
}
