//! The end of a client: by `shutdown`, by `disable`, and with its last handle.

use futures_util::FutureExt;

use super::backpressure::{one_at_a_time, one_at_a_time_after};
use super::*;
use crate::tests_cfg::link;
use crate::{DustConfig, DustRepo};

#[tokio::test]
async fn every_shutdown_returns_when_the_task_has_ended() {
    let client = one_at_a_time().await.start().await.unwrap();
    let (first, second) = (client.clone(), client.clone());
    let ended = client.watch("acme/main").unwrap();
    tokio::join!(first.shutdown(), async {
        second.shutdown().await;
        // The task signals its end when it drops its values.
        assert!(!ended.borrow().is_live());
    });
}

#[tokio::test]
async fn a_shutdown_and_a_disable_beside_a_shutdown_wait_for_the_writes_under_way() {
    let (seen, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_seen, may_go) = (Arc::clone(&seen), Arc::clone(&go));
    let gate = move || {
        let (seen, go) = (Arc::clone(&tell_seen), Arc::clone(&may_go));
        async move {
            seen.notify_one();
            go.notified().await;
        }
        .boxed()
    };
    let client = one_at_a_time_after(gate).await.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let writer = transport.clone();
    let write = tokio::spawn(async move { writer.write(vec![Op::delete(path("p"))], None).await });
    soon(seen.notified()).await;

    let mut first = client.shutdown().boxed();
    assert!((&mut first).now_or_never().is_none());
    soon(client.takes_no_more_calls()).await;
    let late = soon(transport.write(vec![Op::delete(path("q"))], None)).await.unwrap_err();
    assert_eq!(late.kind(), ErrKind::Network);
    let mut others = [client.shutdown().boxed(), client.disable().boxed()];
    for other in &mut others {
        assert!(other.now_or_never().is_none(), "a write is under way");
    }
    go.notify_one();
    soon(futures_util::future::join_all(others)).await;
    soon(first).await;
    soon(write).await.unwrap().unwrap();
}

/// A gate that never opens.
fn closed() -> futures_core::future::BoxFuture<'static, ()> {
    std::future::pending().boxed()
}

/// On this one thread the task of the client has not run between the two calls. The test has many rounds, because the
/// task checks its inputs in random order.
#[tokio::test]
async fn write_begun_after_shutdown_is_never_sent() {
    for round in 0..16 {
        let client = one_at_a_time_after(closed).await.start().await.unwrap();
        let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
        let mut end = client.shutdown().boxed();
        assert!((&mut end).now_or_never().is_none(), "the task has not run");
        let late = soon(transport.write(vec![Op::delete(path("q"))], None)).await.unwrap_err();
        assert_eq!(late.kind(), ErrKind::Network, "round {round}: {late}");
        soon(end).await;
    }
}

/// Subscriptions of each kind of repo end in the same way.
#[tokio::test]
async fn subscriptions_end_with_the_last_client_as_after_a_shutdown() {
    for is_shut_down in [true, false] {
        let (remote, builder) = Remote::start().await;
        remote.other_writes("links/a", r#"{"title":"A","url":"u"}"#, false);
        // The token is unique to this test: the clients of other tests with the same token would promote the repo, too.
        let client = builder.token("dust_tok_lifetime").start().await.unwrap();
        let config = DustConfig::builder().base_url("http://127.0.0.1:9").store("acme/main").token("dust_tok_lifetime");
        let promoted = DustRepo::connect(config.build().unwrap()).unwrap();
        let given = DustRepo::with_client(&client, "acme/main").unwrap();
        let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
        let over = DustRepo::with_transport(Arc::new(transport));
        let mut all = Vec::new();
        let mut raw = Vec::new();
        for repo in [&promoted, &given, &over] {
            all.push(repo.subscribe::<link::Entity>().await.unwrap());
            all.push(repo.broadcast::<link::Entity>().await.unwrap().receiver());
            raw.push(repo.subscribe::<link::Entity>().raw().await.unwrap());
        }
        let live = given.live::<link::Entity>().await.unwrap();
        drop((given, over));
        let another = client.clone();
        drop(client);
        remote.other_writes("links/b", r#"{"title":"B","url":"u"}"#, true);
        for links in &mut all {
            let event = soon(links.next()).await;
            assert!(matches!(event, Some(crate::Event::Upserted(_))), "there is another handle");
        }
        if is_shut_down {
            another.shutdown().await;
        }
        drop(another);
        for links in &mut all {
            assert_eq!(soon(links.next()).await, None);
        }
        for ops in &mut raw {
            assert!(matches!(soon(ops.next()).await, Some(crate::repo::RawEvent::Op(_))));
            assert_eq!(soon(ops.next()).await, None);
        }
        assert_eq!(live.len(), 2, "what was known last stays");
        let again = promoted.subscribe::<link::Entity>().await.unwrap_err();
        assert_eq!(again.kind(), ErrKind::NotSupported, "it goes over HTTP again: {again}");
    }
}
