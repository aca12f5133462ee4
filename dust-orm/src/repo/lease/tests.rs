//! Leases of successive holders, by a clock that only the tests advance.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dust_protocol::{Fence, ListRequest, Op, OpKind};
use dust_store::Store;
use futures_util::future::join;

use super::*;
use crate::entity::prelude::*;
use crate::repo::BatchEntry;
use crate::runtime::manual::ManualRuntime;
use crate::tests_cfg::{link, page};
use crate::transport::{EmbeddedTransport, Receipt, Transport};

const TTL: Duration = Duration::from_secs(1);

struct Bench {
    world: Arc<ManualRuntime>,
    store: Store,
    repo: DustRepo,
}

fn bench() -> Bench {
    let world = ManualRuntime::new();
    let clock: Arc<dust_store::ManualClock> = Arc::clone(&world.clock);
    let store = Store::builder().clock(clock).in_memory().unwrap();
    Bench { world, repo: DustRepo::with_store(store.clone()), store }
}

impl Bench {
    async fn take(&self, holder: &str) -> Result<Lease, DustErr> {
        self.repo.lease("locks/a", TTL).holder(holder).await
    }

    fn leaves(&self) -> Vec<String> {
        let page = self.store.list(&ListRequest::pattern("**".parse().unwrap())).unwrap();
        page.items.iter().map(|item| item.path().to_string()).filter(|path| !path.starts_with("locks/")).collect()
    }
}

fn link(slug: &str) -> link::ActiveModel {
    let (title, url) = (Set("Title".to_owned()), Set("https://example.com".to_owned()));
    link::ActiveModel { slug: Set(slug.to_owned()), title, url, note: Set(None) }
}

#[tokio::test]
async fn lease_has_one_holder_at_a_time() {
    let bench = bench();
    let mut first = bench.take("first").await.unwrap();
    assert_eq!((first.key().as_str(), first.holder(), first.fence().token), ("locks/a", Some("first"), 1));
    assert_eq!(first.expires_at(), 1_001_000);
    let held = bench.take("second").await.unwrap_err();
    assert!(matches!(&held, DustErr::LeaseHeld { key } if key == "locks/a"), "{held}");
    assert!(held.is_retryable());

    bench.world.advance(600);
    first.renew(TTL).await.unwrap();
    assert_eq!((first.expires_at(), first.fence().token), (1_001_600, 1));
    bench.world.advance(600);
    assert_eq!(bench.take("second").await.unwrap_err().kind(), ErrKind::LeaseHeld);

    bench.world.advance(400);
    let second = bench.take("second").await.unwrap();
    assert!(second.fence().token > first.fence().token);
    assert!(matches!(first.renew(TTL).await.unwrap_err(), DustErr::LeaseLost { key } if key == "locks/a"));
    assert!(!first.release().await.unwrap());
    assert!(second.release().await.unwrap());
    assert!(!second.release().await.unwrap());
    bench.take("third").await.unwrap();
}

#[tokio::test]
async fn expired_lease_is_not_renewed() {
    let bench = bench();
    let mut lease = bench.take("me").await.unwrap();
    bench.world.advance(1_000);
    assert_eq!(lease.renew(TTL).await.unwrap_err().kind(), ErrKind::LeaseLost);
    assert_eq!(lease.repo().insert(link("a")).await.unwrap_err().kind(), ErrKind::Fenced);
}

#[tokio::test]
async fn invalid_lease_is_refused() {
    let bench = bench();
    for ttl in [Duration::ZERO, Duration::from_micros(999), Duration::MAX, Duration::from_secs(86_400 * 3_651)] {
        let error = bench.repo.lease("locks/a", ttl).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    for key in ["", "a//b", "a~2"] {
        assert_eq!(bench.repo.lease(key, TTL).await.unwrap_err().kind(), ErrKind::InvalidParams);
    }
    assert_eq!(bench.store.current_seq(), 0);
    bench.repo.increment("a", page::Column::Hits, 1).await.unwrap();
    let occupied = bench.repo.lease("pages/a/hits", TTL).await.unwrap_err();
    assert!(matches!(&occupied, DustErr::NotALease { key } if key == "pages/a/hits"), "{occupied}");
}

/// The results of every verb that writes.
async fn write_in_every_way(repo: &DustRepo) -> Vec<Result<(), DustErr>> {
    let edit = link::ActiveModel { slug: Set("a".into()), title: Set("Other".into()), ..Default::default() };
    let model = link("a").try_into_model().unwrap();
    vec![
        repo.insert(link("a")).await.map(drop),
        repo.insert(link("b")).if_absent().await.map(drop),
        repo.insert_many([link("c"), link("d")]).await.map(drop),
        repo.update(edit.clone()).await.map(drop),
        repo.put(model).await.map(drop),
        repo.merge(edit).await.map(drop),
        repo.increment("a", page::Column::Hits, 1).await.map(drop),
        repo.add_to_set("a", page::Column::Tags, "x").await.map(drop),
        repo.remove_from_set("a", page::Column::Tags, "x").await.map(drop),
        repo.batch_write([BatchEntry::insert(link("e"))]).await.map(drop),
        repo.batch_write([BatchEntry::insert(link("e")), BatchEntry::delete_by_id::<link::Entity>("e")])
            .await
            .map(drop),
        repo.delete(link("b")).await.map(drop),
        repo.delete_by_id::<link::Entity>("c").await.map(drop),
        repo.delete_all::<link::Entity>().await.map(drop),
        repo.put_file("a", page::Column::Cover, "bytes").await.map(drop),
    ]
}

#[tokio::test]
async fn writes_with_lost_lease_are_fenced() {
    let bench = bench();
    let first = bench.take("first").await.unwrap();
    for written in write_in_every_way(&first.repo()).await {
        written.unwrap();
    }
    bench.world.advance(1_000);
    let second = bench.take("second").await.unwrap();
    second.repo().insert(link("a")).await.unwrap();
    let before = (bench.leaves(), bench.store.current_seq());
    for written in write_in_every_way(&first.repo()).await {
        let error = written.unwrap_err();
        assert!(matches!(&error, DustErr::Fenced { key } if key == "locks/a"), "{error}");
    }
    assert_eq!((bench.leaves(), bench.store.current_seq()), before);
    assert_eq!(first.repo().all::<link::Entity>().await.unwrap().len(), 1, "reads still work");
    second.repo().delete_by_id::<link::Entity>("a").await.unwrap();
}

#[tokio::test]
async fn write_with_second_fence_is_refused() {
    let bench = bench();
    let outer = bench.take("me").await.unwrap();
    let inner = outer.repo().lease("locks/b", TTL).await.unwrap();
    let error = inner.repo().insert(link("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("`locks/a`") && error.to_string().contains("`locks/b`"), "{error}");
    let error = outer.repo().insert(link("a")).fence(inner.fence()).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    outer.repo().insert(link("a")).fence(outer.fence()).await.unwrap();
    assert!(inner.release().await.unwrap());
}

#[tokio::test]
async fn scope_renews_lease_until_work_ends() {
    let bench = bench();
    let world = &*bench.world;
    let lease = bench.take("me").await.unwrap();
    let scope = lease.scope_in(world, async |repo| {
        for slug in ["a", "b", "c"] {
            world.pause(TTL * 2).await;
            repo.insert(link(slug)).await?;
        }
        Ok::<_, DustErr>(())
    });
    let others = async {
        for _ in 0..5 {
            world.pause(TTL).await;
            assert_eq!(bench.take("other").await.unwrap_err().kind(), ErrKind::LeaseHeld);
        }
    };
    let (done, ()) = world.run(join(scope, others)).await;
    done.unwrap();
    assert_eq!(world.now(), TTL * 6);
    bench.take("other").await.unwrap();
}

#[tokio::test]
async fn scope_reads_record_in_memory_without_waiting() {
    let bench = bench();
    bench.repo.insert(link("a")).await.unwrap();
    let lease = bench.take("me").await.unwrap();
    let leaves = lease.scope_in(&*bench.world, async |repo| {
        let page = repo.transport().try_list_subtree(&Path::parse("links/a").unwrap(), None);
        Ok::<_, DustErr>(page.map(|page| page.leaves.len()))
    });
    assert_eq!(bench.world.run(leaves).await.unwrap(), Some(3));
}

#[tokio::test]
async fn scope_with_lost_lease_fails_at_next_write() {
    let bench = bench();
    let world = &*bench.world;
    let lease = bench.take("me").await.unwrap();
    let successor = async {
        world.pause(TTL / 2).await;
        bench.repo.active().write(vec![Op::delete(lease.key().clone())], None).await.unwrap();
        bench.take("successor").await.unwrap()
    };
    let token = lease.fence().token;
    let fence = lease.fence();
    let successor = world.run(successor).await;
    let done = lease.scope_in(world, async |repo| {
        world.pause(TTL * 3).await;
        repo.insert(link("a")).await
    });
    assert_eq!(world.run(done).await.unwrap_err().kind(), ErrKind::Fenced);
    assert!(successor.fence().token > token && fence.token == token);
    assert_eq!(bench.leaves(), Vec::<String>::new());
}

#[tokio::test]
async fn scope_that_is_dropped_or_panics_releases_lease() {
    let bench = bench();
    let world = &*bench.world;
    let mut dropped = Box::pin(bench.take("me").await.unwrap().scope_in(world, async |_| pending::<()>().await));
    assert!((&mut dropped).now_or_never().is_none());
    assert_eq!(bench.take("other").await.unwrap_err().kind(), ErrKind::LeaseHeld);
    drop(dropped);
    let lease = bench.take("other").await.unwrap();
    let panicking = lease.scope_in(world, async |_| -> () { panic!("on purpose") });
    assert!(AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    bench.take("another").await.unwrap();
}

/// A store that answers some of the renewals only. Of the others either the request or the answer is lost.
#[derive(Debug)]
struct LossyTransport {
    inner: EmbeddedTransport,
    renewals: AtomicUsize,
    is_answered: fn(usize) -> bool,
    applies_lost: bool,
}

#[async_trait]
impl Transport for LossyTransport {
    crate::delegate_transport!(self => self.inner, except [name, write]);

    fn name(&self) -> &'static str {
        "lossy"
    }

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let is_renewal = ops[0].kind() == OpKind::Renew;
        if is_renewal && !(self.is_answered)(self.renewals.fetch_add(1, Ordering::SeqCst)) {
            if self.applies_lost {
                self.inner.write(ops, fence).await?;
            }
            return pending().await;
        }
        self.inner.write(ops, fence).await
    }
}

fn lossy_repo(bench: &Bench, is_answered: fn(usize) -> bool, applies_lost: bool) -> DustRepo {
    let inner = EmbeddedTransport::new(bench.store.clone());
    DustRepo::with_transport(Arc::new(LossyTransport {
        inner,
        renewals: AtomicUsize::new(0),
        is_answered,
        applies_lost,
    }))
}

#[tokio::test]
async fn scope_retries_lost_renewal_and_keeps_lease() {
    for applies_lost in [false, true] {
        let bench = bench();
        let world = &*bench.world;
        // Two of three are lost.
        let repo = lossy_repo(&bench, |number| number % 3 == 2, applies_lost);
        let lease = repo.lease("locks/a", TTL).await.unwrap();
        let scope = lease.scope_in(world, async |repo| {
            world.pause(TTL * 10).await;
            repo.insert(link("a")).await
        });
        let others = async {
            for _ in 0..49 {
                world.pause(TTL / 5).await;
                assert_eq!(bench.take("other").await.unwrap_err().kind(), ErrKind::LeaseHeld);
            }
        };
        let (done, ()) = world.run(join(scope, others)).await;
        done.unwrap();
    }
}

#[tokio::test]
async fn renewal_without_answer_ends_when_lease_expires() {
    let bench = bench();
    let lease = lossy_repo(&bench, |_| false, false).lease("locks/a", TTL).await.unwrap();
    let error = bench.world.run(lease.extend_in_time(&*bench.world, TTL)).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Timeout);
    assert!((TTL..TTL * 2).contains(&bench.world.now()), "{:?}", bench.world.now());
}

#[tokio::test]
async fn scope_without_renewals_fails_at_next_write() {
    let bench = bench();
    let world = &*bench.world;
    let lease = lossy_repo(&bench, |number| number > 9, false).lease("locks/a", TTL).await.unwrap();
    let done = lease.scope_in(world, async |repo| {
        world.pause(TTL * 5).await;
        repo.insert(link("a")).await
    });
    assert_eq!(world.run(done).await.unwrap_err().kind(), ErrKind::Fenced);
}

#[test]
fn array_in_place_of_lease_is_refused() {
    let terms = |text| Terms::read(&RawJson::parse(text).unwrap()).map(|terms| terms.token);
    assert_eq!(terms(r#"{"_type":"lease","expires_at":9,"holder":null,"token":4}"#).unwrap(), 4);
    assert!(terms("[4,null,9]").is_err());
}

#[tokio::test(start_paused = true)]
async fn renew_retries_after_lost_answer() {
    let bench = bench();
    let mut lease = lossy_repo(&bench, |number| number == 1, true).lease("locks/a", TTL).await.unwrap();
    lease.renew(TTL * 2).await.unwrap();
    assert_eq!(lease.expires_at(), 1_002_000);
}
