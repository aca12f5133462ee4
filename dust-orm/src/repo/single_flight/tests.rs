//! Flights with a clock that advances only when no task can run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dust_store::Store;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::sync::oneshot;

use super::*;
use crate::repo::Lease;
use crate::runtime::Runtime;
use crate::runtime::manual::ManualRuntime;

const TTL: Duration = Duration::from_secs(1);

struct Bench {
    world: Arc<ManualRuntime>,
    store: Store,
    repo: DustRepo,
    runs: Arc<AtomicUsize>,
}

fn bench() -> Bench {
    let world = ManualRuntime::new();
    let clock: Arc<dust_store::ManualClock> = Arc::clone(&world.clock);
    let store = Store::builder().clock(clock).in_memory().unwrap();
    Bench { world, repo: DustRepo::with_store(store.clone()), store, runs: Arc::default() }
}

impl Bench {
    fn options(&self) -> FlightOptions<u32> {
        FlightOptions::new().lease_ttl(TTL).in_world(self.world.clone())
    }

    /// Work that takes a time, returns a number and counts its runs.
    fn work(&self, number: u32, takes: Duration) -> impl FnOnce(DustRepo) -> BoxWork + Send + use<> {
        let (world, runs) = (Arc::clone(&self.world), Arc::clone(&self.runs));
        move |_| {
            Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                world.pause(takes).await;
                Ok(number)
            })
        }
    }

    async fn fly(&self, options: FlightOptions<u32>, number: u32, takes: Duration) -> Result<Flight<u32>, DustErr> {
        self.repo.single_flight("reports/daily", options, self.work(number, takes)).await
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn stored(&self) -> Option<String> {
        let entry = self.store.get(&Path::parse("reports/daily").unwrap()).unwrap();
        entry.map(|entry| entry.value.to().unwrap())
    }

    /// Takes the lease and never renews it.
    async fn dead_holder(&self) -> Lease {
        self.repo.lease("_dust:sf/reports/daily", TTL).await.unwrap()
    }

    fn is_free(&self) -> bool {
        self.store.get(&Path::parse("_dust:sf/reports/daily").unwrap()).unwrap().is_none()
    }
}

type BoxWork = futures_core::future::BoxFuture<'static, Result<u32, DustErr>>;

#[tokio::test]
async fn stored_value_is_returned() {
    let bench = bench();
    let first = bench.world.run(bench.fly(bench.options(), 7, Duration::ZERO)).await.unwrap();
    assert_eq!((first.value, first.source, first.stale, first.coordinated), (7, Source::Computed, false, true));
    assert_eq!(bench.stored().as_deref(), Some("7"));
    assert!(bench.is_free());
    let before = bench.store.current_seq();
    let again = bench.fly(bench.options(), 8, Duration::ZERO).await.unwrap();
    assert_eq!((again.value, again.source), (7, Source::Stored));
    assert_eq!((bench.runs(), bench.store.current_seq()), (1, before));

    let fresh = bench.options().fresh_if(|number| *number > 7);
    let newer = bench.world.run(bench.fly(fresh, 9, Duration::ZERO)).await.unwrap();
    assert_eq!((newer.value, newer.source, bench.runs()), (9, Source::Computed, 2));
}

#[tokio::test]
async fn fifty_callers_compute_once() {
    let bench = bench();
    // The work takes longer than the ttl of the lease, which is renewed meanwhile, and than the default wait.
    let options = || bench.options().wait(TTL * 20);
    let callers = (0..50).map(|number| {
        let flight = {
            let (repo, options, work) = (bench.repo.clone(), options(), bench.work(number, TTL * 7));
            async move { repo.single_flight("reports/daily", options, work).await }
        };
        tokio::spawn(flight)
    });
    let flights = bench.world.run(join_all(callers)).await;
    let flights: Vec<Flight<u32>> = flights.into_iter().map(|flight| flight.unwrap().unwrap()).collect();
    assert_eq!(bench.runs(), 1);
    assert!(flights.iter().all(|flight| flight.value == flights[0].value && !flight.stale));
    assert_eq!(flights.iter().filter(|flight| flight.source == Source::Computed).count(), 1);
    assert_eq!(flights.iter().filter(|flight| flight.source == Source::Awaited).count(), 49);
    assert!(bench.is_free());
    // Waiting callers do not write. The ops are the lease and its renewals, the value and the release.
    assert!(bench.store.current_seq() < 30, "{}", bench.store.current_seq());
}

#[tokio::test]
async fn lease_of_dead_holder_is_taken_over() {
    let bench = bench();
    let dead = bench.dead_holder().await;
    let flight = bench.world.run(bench.fly(bench.options(), 7, Duration::ZERO)).await.unwrap();
    assert_eq!((flight.value, flight.source), (7, Source::Computed));
    let now = bench.world.now();
    assert!((TTL..TTL + Duration::from_millis(500)).contains(&now), "{now:?}");
    let late = Op::delete("reports/daily".parse().unwrap());
    assert_eq!(bench.repo.active().write(vec![late], Some(dead.fence())).await.unwrap_err().kind(), ErrKind::Fenced);
    assert_eq!(bench.stored().as_deref(), Some("7"));
}

#[tokio::test]
async fn holder_with_expired_lease_publishes_nothing() {
    let bench = bench();
    let (wake, asleep) = oneshot::channel::<()>();
    let mut first = Box::pin(bench.repo.single_flight("reports/daily", bench.options(), async |repo: DustRepo| {
        let _ = asleep.await;
        let note = Op::delete("reports/note".parse().unwrap());
        assert_eq!(repo.active().write(vec![note], None).await.unwrap_err().kind(), ErrKind::Fenced);
        Ok::<_, DustErr>(1)
    }));
    // It begins its work and is not polled again until later.
    assert!((&mut first).now_or_never().is_none() && !bench.is_free());
    let second = bench.world.run(bench.fly(bench.options(), 2, Duration::ZERO)).await.unwrap();
    assert_eq!((second.value, second.source), (2, Source::Computed));
    wake.send(()).unwrap();
    assert_eq!(bench.world.run(first).await.unwrap_err().kind(), ErrKind::Fenced);
    assert_eq!(bench.stored().as_deref(), Some("2"));
    assert!(bench.is_free());
}

#[tokio::test]
async fn error_of_work_lets_waiting_caller_compute() {
    let bench = bench();
    let world = Arc::clone(&bench.world);
    let giving_up = bench.repo.single_flight("reports/daily", bench.options(), async |_| {
        world.pause(TTL / 2).await;
        Err::<u32, _>(DustErr::network("the other service"))
    });
    let (given_up, next) = bench.world.run(join(giving_up, bench.fly(bench.options(), 7, Duration::ZERO))).await;
    assert_eq!(given_up.unwrap_err().kind(), ErrKind::Network);
    assert_eq!(next.unwrap().source, Source::Computed);
    assert_eq!((bench.runs(), bench.stored().as_deref()), (1, Some("7")));
    assert!(bench.world.now() < TTL, "the lease was released before it expired");
}

#[tokio::test]
async fn panic_of_work_lets_waiting_caller_compute() {
    let bench = bench();
    let (repo, options, world) = (bench.repo.clone(), bench.options(), Arc::clone(&bench.world));
    let panicking = tokio::spawn(async move {
        let work = async move |_| {
            world.pause(TTL / 2).await;
            if world.now() > Duration::ZERO {
                panic!("on purpose");
            }
            Ok::<u32, DustErr>(1)
        };
        repo.single_flight("reports/daily", options, work).await
    });
    tokio::task::yield_now().await;
    assert!(!bench.is_free());
    let (panicked, next) = bench.world.run(join(panicking, bench.fly(bench.options(), 7, Duration::ZERO))).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(next.unwrap().source, Source::Computed);
    assert!(bench.world.now() < TTL);
}

#[tokio::test]
async fn dropped_flight_lets_next_caller_compute() {
    let bench = bench();
    let mut leaving = Box::pin(bench.fly(bench.options(), 1, TTL));
    assert!((&mut leaving).now_or_never().is_none() && !bench.is_free());
    drop(leaving);
    assert!(bench.is_free());
    let next = bench.world.run(bench.fly(bench.options(), 7, Duration::ZERO)).await.unwrap();
    assert_eq!((next.value, bench.runs()), (7, 2));
}

#[tokio::test]
async fn wait_ends_with_stale_value() {
    let bench = bench();
    bench.world.run(bench.fly(bench.options(), 1, Duration::ZERO)).await.unwrap();
    let options = || bench.options().fresh_if(|number| *number > 1).wait(TTL * 3);
    let slow = bench.fly(options().wait(TTL * 60), 2, TTL * 10);
    let others = async {
        bench.world.pause(TTL).await;
        let since = bench.world.now();
        let stale = bench.fly(options(), 3, Duration::ZERO).await.unwrap();
        assert_eq!((stale.value, stale.source, stale.stale), (1, Source::Stored, true));
        let waited = bench.world.now() - since;
        assert!((TTL * 3..TTL * 4).contains(&waited), "{waited:?}");
        let refused = bench.fly(options().refuse_stale(), 3, Duration::ZERO).await.unwrap_err();
        assert!(matches!(&refused, DustErr::LeaseHeld { key } if key == "_dust:sf/reports/daily"), "{refused}");
        bench.fly(options().wait(TTL * 60), 3, Duration::ZERO).await.unwrap()
    };
    let (slow, awaited) = bench.world.run(join(slow, others)).await;
    assert_eq!(slow.unwrap().source, Source::Computed);
    assert_eq!((awaited.value, awaited.source, awaited.stale, bench.runs()), (2, Source::Awaited, false, 2));
}

#[tokio::test]
async fn wait_without_value_ends_with_lease_held() {
    let bench = bench();
    let slow = bench.fly(bench.options(), 1, TTL * 10);
    let other = async {
        bench.world.pause(TTL).await;
        let error = bench.fly(bench.options().wait(TTL), 2, Duration::ZERO).await.unwrap_err();
        assert_eq!((error.kind(), bench.world.now() < TTL * 3), (ErrKind::LeaseHeld, true));
        let at_once = bench.fly(bench.options().wait(Duration::ZERO), 2, Duration::ZERO).await.unwrap_err();
        assert_eq!(at_once.kind(), ErrKind::LeaseHeld);
    };
    let (slow, ()) = bench.world.run(join(slow, other)).await;
    assert_eq!((slow.unwrap().value, bench.runs()), (1, 1));
}

#[tokio::test]
async fn unreadable_text_counts_as_absent() {
    let bench = bench();
    for text in ["\"not JSON\"", r#""{\"a\":1}""#] {
        let op = Op::set("reports/daily".parse().unwrap(), RawJson::parse(text).unwrap());
        bench.repo.active().write(vec![op], None).await.unwrap();
        let flight = bench.world.run(bench.fly(bench.options(), 7, Duration::ZERO)).await.unwrap();
        assert_eq!((flight.value, flight.source), (7, Source::Computed));
    }
}

#[tokio::test]
async fn value_of_other_origin_is_refused() {
    let bench = bench();
    for (at, value) in [("reports/daily", "[1]"), ("reports/daily", "5"), ("reports", r#"{"daily":{"a":1}}"#)] {
        let op = Op::set(at.parse().unwrap(), RawJson::parse(value).unwrap());
        bench.repo.active().write(vec![op], None).await.unwrap();
        let error = bench.fly(bench.options(), 7, Duration::ZERO).await.unwrap_err();
        assert!(
            matches!(&error, DustErr::InvalidParams { message, .. } if message.contains("`reports/daily`")),
            "{error}"
        );
        assert!(bench.is_free());
    }
    assert_eq!(bench.runs(), 0);
}

#[tokio::test]
async fn value_that_cannot_be_read_back_is_not_published() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Lossy {
        #[serde(skip_serializing)]
        _needed: u8,
    }
    let bench = bench();
    let options = FlightOptions::new().in_world(bench.world.clone());
    let work = async |_| Ok::<_, DustErr>(Lossy { _needed: 1 });
    let error = bench.repo.single_flight("reports/daily", options, work).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    assert!(bench.is_free() && bench.stored().is_none());
}
