//! Reads of the mirror beside other tasks of a runtime that has one thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use futures_util::TryStreamExt;

use super::*;
use crate::DustRepo;
use crate::feed::HubEvent;
use crate::tests_cfg::link;

/// True if another task of this thread runs while a task only runs `call`.
async fn others_run_beside(mut call: impl AsyncFnMut()) -> bool {
    let has_run = Arc::new(AtomicBool::new(false));
    let ran = Arc::clone(&has_run);
    tokio::spawn(async move { ran.store(true, Ordering::SeqCst) });
    for _ in 0..10_000 {
        call().await;
        if has_run.load(Ordering::SeqCst) {
            return true;
        }
    }
    false
}

/// A store of many records, and a repo on its mirror.
async fn many() -> (Remote, SyncClient, DustRepo) {
    let (remote, builder) = Remote::start().await;
    for number in 0..20 {
        let records: Vec<String> = (0..500)
            .map(|record| format!(r#""{number}-{record}":{{"title":"t","url":"https://x","clicks":1,"tags":[]}}"#))
            .collect();
        let seq = remote.other_writes("other", &format!("{{{}}}", records.join(",")), false);
        assert!(seq > 0);
    }
    for record in 0..300 {
        remote.other_writes(&format!("links/{record}"), r#"{"title":"t","url":"https://x","clicks":1}"#, false);
    }
    let client = builder.start().await.unwrap();
    let repo = DustRepo::with_client(&client, "acme/main").unwrap();
    (remote, client, repo)
}

#[tokio::test]
async fn a_task_that_only_reads_the_mirror_lets_others_run() {
    let (_remote, client, repo) = many().await;
    assert!(others_run_beside(async || drop(repo.find_by_id::<link::Entity>("7").await.unwrap())).await);
    assert!(others_run_beside(async || assert!(repo.exists::<link::Entity>("7").await.unwrap())).await);
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    assert!(others_run_beside(async || drop(transport.get(&path("links/7")).await.unwrap())).await);
    assert!(others_run_beside(async || drop(transport.get_many(&[path("links/7/title")]).await.unwrap())).await);
    let all = ListRequest::pattern(glob("**"));
    assert!(others_run_beside(async || drop(transport.list(&all).await.unwrap())).await);
    assert!(others_run_beside(async || drop(transport.list_subtree(&path("links"), None).await.unwrap())).await);
    assert!(others_run_beside(async || drop(repo.all::<link::Entity>().await.unwrap())).await);
    client.shutdown().await;
}

#[tokio::test]
async fn a_stream_and_the_replay_of_a_subscription_let_others_run() {
    let (_remote, client, repo) = many().await;
    let mut links = std::pin::pin!(repo.stream::<link::Entity>());
    assert!(
        others_run_beside(async || {
            if links.try_next().await.unwrap().is_none() {
                links.set(repo.stream::<link::Entity>());
            }
        })
        .await
    );
    let mut events = repo.subscribe::<link::Entity>().with_current().await.unwrap();
    let mut left = 300;
    assert!(
        others_run_beside(async || {
            left -= 1;
            drop(events.next().await.unwrap());
        })
        .await
    );
    assert!(left > 0, "not only when all are handed out");
    client.shutdown().await;
}

#[tokio::test]
async fn a_large_snapshot_is_read_and_taken_on_a_thread_of_its_own() {
    let (remote, builder) = Remote::start().await;
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let told_on: Arc<Mutex<Option<ThreadId>>> = Arc::default();
    let told = Arc::clone(&told_on);
    let hub = transport.op_hub().await.unwrap();
    let _listener = hub.listen(&glob("**"), move |news| {
        if let HubEvent::Resync = news {
            *told.lock().unwrap() = Some(std::thread::current().id());
        }
    });
    let mut changes = hub.subscribe(&glob("**"), 10);
    for number in 0..3 {
        let leaves: Vec<String> = (0..1_000).map(|leaf| format!("\"{leaf}\":\"{}\"", "x".repeat(100))).collect();
        remote.other_writes(&format!("many/{number}"), &format!("{{{}}}", leaves.join(",")), false);
    }
    remote.server.lock().unwrap().compact();
    remote.cut.notify_one();
    while soon(changes.next()).await.unwrap() != Delivery::Resync {}
    assert_eq!(client.status()[0].leaves, 3_000);
    let told_on = told_on.lock().unwrap().expect("it is told of");
    assert_ne!(told_on, std::thread::current().id());
    // Writes still succeed.
    soon(transport.write(vec![Op::set(path("p"), raw("1"))], None)).await.unwrap();
    client.shutdown().await;
}
