//! A client whose runtime is not driven: every future of a caller ends by a clock of the caller.

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use futures_executor::block_on;
use futures_util::{FutureExt, TryFutureExt};

use super::*;
use crate::realtime::cache::{Cache, CacheRead, CacheWrite, Cursor};
use crate::repo::{FlightOptions, OnUnavailable};
use crate::tests_cfg::{link, page};

/// A client whose runtime exists but is not driven any more.
async fn undriven() -> (SyncClient, tokio::sync::oneshot::Sender<()>) {
    undriven_with(|builder| builder).await
}

async fn undriven_with(
    set: impl FnOnce(SyncClientBuilder) -> SyncClientBuilder + Send + 'static,
) -> (SyncClient, tokio::sync::oneshot::Sender<()>) {
    let (started, start) = tokio::sync::oneshot::channel();
    let (done, is_done) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (_, builder) = Remote::start().await;
            set(builder).start().await.unwrap()
        });
        drop(started.send(client));
        // No thread polls the tasks of the runtime, and the runtime is not dropped.
        let _ = is_done.blocking_recv();
        drop(runtime);
    });
    (start.await.unwrap(), done)
}

#[tokio::test(start_paused = true)]
async fn a_call_on_a_client_that_nobody_drives_ends_at_the_deadline_of_its_caller() {
    let (client, _done) = undriven().await;
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let began = tokio::time::Instant::now();
    let write = || transport.write(vec![Op::delete(path("p"))], None);
    let error = write().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout, "{error}");
    assert!(error.to_string().contains("is its runtime driven?"), "{error}");
    assert!(began.elapsed() <= Duration::from_secs(32), "{:?}", began.elapsed());
    // A call that still waits in the queue was not sent.
    let errors = futures_util::future::join_all((0..80).map(|_| write())).await;
    let of_kind = |kind| errors.iter().filter(|error| error.as_ref().unwrap_err().kind() == kind).count();
    assert_eq!((of_kind(ErrKind::Timeout), of_kind(ErrKind::Network)), (63, 17));
    transport.op_hub().await.unwrap();
}

#[tokio::test]
async fn a_call_that_the_runtime_of_its_client_never_took_up_was_not_sent() {
    let (client, done) = undriven().await;
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let mut write = transport.write(vec![Op::delete(path("p"))], None).boxed();
    assert!((&mut write).now_or_never().is_none(), "it waits in the queue");
    drop(done);
    let error = soon(write).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network, "{error}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_and_disable_of_a_client_that_nobody_drives_end() {
    let (client, _done) = undriven().await;
    let began = tokio::time::Instant::now();
    tokio::join!(client.disable(), client.enable());
    client.flush_cache().await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(7), "{:?}", began.elapsed());
    tokio::join!(client.shutdown(), client.shutdown());
    assert!(began.elapsed() <= Duration::from_secs(14), "{:?}", began.elapsed());
}

/// A cache that accepts everything and keeps nothing.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Cache for Nowhere {
    async fn read(&self, _: &str) -> Result<Box<dyn CacheRead>, DustErr> {
        Ok(Box::new(Nowhere))
    }

    async fn write(&self, _: &str) -> Result<Box<dyn CacheWrite>, DustErr> {
        Ok(Box::new(Nowhere))
    }
}

#[async_trait]
impl CacheRead for Nowhere {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        Ok(None)
    }

    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl CacheWrite for Nowhere {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        Ok(None)
    }

    async fn clear(&mut self, _: usize) -> Result<bool, DustErr> {
        Ok(false)
    }

    async fn change(&mut self, _: Vec<Entry>, _: Vec<Path>) -> Result<(), DustErr> {
        Ok(())
    }

    async fn commit(self: Box<Self>, _: Cursor) -> Result<(), DustErr> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_a_client_that_nobody_drives_ends() {
    let (client, _done) = undriven_with(|builder| builder.cache(Nowhere)).await;
    let error =
        tokio::time::timeout(Duration::from_secs(300), client.flush_cache()).await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout, "{error}");
    assert!(error.to_string().contains("is its runtime driven?"), "{error}");
}

/// A cache that never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl Cache for Hanging {
    async fn read(&self, _: &str) -> Result<Box<dyn CacheRead>, DustErr> {
        std::future::pending().await
    }

    async fn write(&self, _: &str) -> Result<Box<dyn CacheWrite>, DustErr> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_cache_that_does_not_answer_ends() {
    let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").enabled(false).cache(Hanging);
    let error = tokio::time::timeout(Duration::from_secs(300), builder.start()).await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout, "{error}");
}

/// A caller outside of a tokio runtime has no tokio clock, but its wait still ends.
#[tokio::test]
async fn a_caller_without_a_runtime_has_an_end() {
    let timing = Timing { deadline: Duration::from_millis(50), ..Timing::default() };
    let (client, _done) = undriven_with(|builder| builder.timing(timing)).await;
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let call = std::thread::spawn(move || block_on(transport.write(vec![Op::delete(path("p"))], None)));
    let answer = soon(tokio::task::spawn_blocking(move || call.join().unwrap())).await.unwrap();
    assert_eq!(answer.unwrap_err().kind(), ErrKind::Timeout);
}

#[tokio::test]
async fn a_read_without_a_runtime_of_a_mirror_that_is_empty_is_an_error() {
    let client = SyncClient::builder().store("acme/main").token("dust_tok_test").enabled(false).start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let read = std::thread::spawn(move || block_on(transport.get(&path("p"))));
    assert_eq!(read.join().unwrap().unwrap_err().kind(), ErrKind::Network);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_a_lease_and_a_flight_on_a_client_that_nobody_drives_end() {
    let (client, _done) = undriven_with(|builder| builder).await;
    let repo = crate::DustRepo::with_client(&client, "acme/main").unwrap();
    let in_time = async |what: BoxFuture<'_, Result<(), DustErr>>| {
        tokio::time::timeout(Duration::from_secs(120), what).await.expect("it ends")
    };
    for (what, call) in [
        ("a lease", repo.lease("locks/a", Duration::from_secs(9)).into_future().map_ok(drop).boxed()),
        ("an increment", repo.increment("home", page::Column::Hits, 1).into_future().map_ok(drop).boxed()),
        ("a flight", {
            let options = FlightOptions::<u32>::new().on_unavailable(OnUnavailable::Error);
            repo.single_flight("sums/a", options, async |_| Ok::<_, DustErr>(1)).map_ok(drop).boxed()
        }),
    ] {
        let error = in_time(call).await.unwrap_err();
        assert!(matches!(error.kind(), ErrKind::Timeout | ErrKind::Network), "{what}: {error}");
    }
    in_time(repo.subscribe::<link::Entity>().with_current().into_future().map_ok(drop).boxed()).await.unwrap();
}
