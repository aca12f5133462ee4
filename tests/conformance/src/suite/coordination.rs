//! Leases and single flight through the repo, on transports with typed ops; other transports send nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dust_orm::repo::{FlightOptions, OnUnavailable, Source};
use dust_orm::{DustErr, DustRepo, ErrKind};
use futures_util::future::join3;
use serde_json::json;

use crate::context::{Context, path, set};
use crate::entities::*;
use crate::probe::Call;

super::tests![
    without_typed_ops_nothing_is_sent,
    a_lease_is_taken_renewed_and_given_back,
    a_lease_needs_a_place_of_its_own,
    a_repo_under_a_lease_writes_while_it_is_held,
    a_flight_computes_once_and_stores,
    a_stored_value_costs_one_request,
    callers_at_the_same_time_compute_once,
    a_value_published_in_between_is_not_computed_again,
    a_flight_that_gives_up_stores_nothing,
    out_of_reach_the_work_is_done_regardless_or_not_at_all,
];

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

fn lacks_typed_ops(cx: &Context) -> bool {
    !cx.transport.capabilities().typed_ops
}

async fn seven(_: DustRepo) -> Result<u32, DustErr> {
    Ok(7)
}

async fn never(_: DustRepo) -> Result<u32, DustErr> {
    panic!("this is not to be computed")
}

async fn without_typed_ops_nothing_is_sent(cx: &Context) {
    let (repo, probe) = cx.limited(|capabilities| capabilities.typed_ops = false);
    assert_eq!(repo.lease("locks/a", LONG).await.unwrap_err().kind(), ErrKind::NotSupported);
    let refused = repo.single_flight("report", FlightOptions::new(), never).await.unwrap_err();
    assert_eq!(refused.kind(), ErrKind::NotSupported);
    assert_eq!(probe.take_calls(), []);
}

async fn a_lease_is_taken_renewed_and_given_back(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let mut lease = cx.repo.lease("locks/a", LONG).holder("me").await.unwrap();
    assert_eq!((lease.key(), lease.holder()), (&path("locks/a"), Some("me")));
    let error = cx.repo.lease("locks/a", LONG).await.unwrap_err();
    assert!(matches!(&error, DustErr::LeaseHeld { key, .. } if key == "locks/a"), "{error}");
    let (token, expires_at) = (lease.fence().token, lease.expires_at());
    lease.renew(LONG * 2).await.unwrap();
    assert!(lease.fence().token == token && lease.expires_at() > expires_at);
    assert!(lease.release().await.unwrap());
    assert!(!lease.release().await.unwrap());
    assert_eq!(lease.renew(LONG).await.unwrap_err().kind(), ErrKind::LeaseLost);
    assert!(cx.repo.lease("locks/a", LONG).await.unwrap().fence().token > token);
}

async fn a_lease_needs_a_place_of_its_own(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    cx.set("locks/a", json!("mine")).await;
    assert_eq!(cx.repo.lease("locks/a", LONG).await.unwrap_err().kind(), ErrKind::NotALease);
    assert_eq!(cx.repo.lease("locks/b", Duration::ZERO).await.unwrap_err().kind(), ErrKind::InvalidParams);
}

async fn a_repo_under_a_lease_writes_while_it_is_held(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let lease = cx.repo.lease("locks/a", LONG).await.unwrap();
    let repo = lease.repo();
    let part = || link::ActiveModel { slug: Set("dust".into()), title: Set("Dust".into()), ..Default::default() };
    repo.merge(part()).await.unwrap();
    repo.delete_by_id::<link::Entity>("nobody").await.unwrap();
    lease.release().await.unwrap();
    let before = cx.leaves_of_all().await;
    assert_eq!(repo.merge(part()).await.unwrap_err().kind(), ErrKind::Fenced);
    assert_eq!(repo.delete_by_id::<link::Entity>("dust").await.unwrap_err().kind(), ErrKind::Fenced);
    assert_eq!(cx.leaves_of_all().await, before);

    let scoped = cx.repo.lease("locks/a", LONG).await.unwrap();
    scoped.scope(async |repo| repo.merge(part()).await).await.unwrap();
    cx.repo.lease("locks/a", LONG).await.unwrap();
}

async fn a_flight_computes_once_and_stores(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let flight = cx.repo.single_flight("reports/daily", FlightOptions::new(), seven).await.unwrap();
    assert_eq!((flight.value, flight.source, flight.stale, flight.coordinated), (7, Source::Computed, false, true));
    assert_eq!(cx.leaves_of_all().await, [("reports/daily".to_owned(), json!("7"))]);
    let again = cx.repo.single_flight("reports/daily", FlightOptions::new(), never).await.unwrap();
    assert_eq!((again.value, again.source), (7, Source::Stored));
    let newer = FlightOptions::new().fresh_if(|number| *number > 7);
    let computed = cx.repo.single_flight("reports/daily", newer, async |_| Ok::<_, DustErr>(8)).await.unwrap();
    assert_eq!((computed.value, computed.source), (8, Source::Computed));
    assert_eq!(cx.value("reports/daily").await, Some(json!("8")));
}

async fn a_stored_value_costs_one_request(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let (repo, probe) = cx.probe();
    repo.single_flight("report", FlightOptions::new(), seven).await.unwrap();
    probe.take_calls();
    repo.single_flight("report", FlightOptions::new(), never).await.unwrap();
    assert_eq!(probe.take_calls(), [Call::GetMany]);
}

async fn callers_at_the_same_time_compute_once(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let runs = AtomicUsize::new(0);
    let call = || {
        let work = async |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<u32, DustErr>(7)
        };
        cx.repo.single_flight("report", FlightOptions::new().lease_ttl(LONG), work)
    };
    let (one, two, three) = join3(call(), call(), call()).await;
    let computed =
        [one, two, three].map(Result::unwrap).iter().filter(|flight| flight.source == Source::Computed).count();
    assert_eq!((computed, runs.load(Ordering::SeqCst)), (1, 1));
}

async fn a_value_published_in_between_is_not_computed_again(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let (repo, probe) = cx.probe();
    probe.intrude(set("report", json!("5")));
    let flight = repo.single_flight("report", FlightOptions::new(), never).await.unwrap();
    assert_eq!((flight.value, flight.source), (5, Source::Awaited));
    assert_eq!(cx.leaves_of_all().await, [("report".to_owned(), json!("5"))], "and the lease is given back");
}

async fn a_flight_that_gives_up_stores_nothing(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let work = async |repo: DustRepo| {
        assert!(!repo.exists::<link::Entity>("dust").await.unwrap());
        Err::<u32, _>(DustErr::not_found("the source"))
    };
    let error = cx.repo.single_flight("report", FlightOptions::new(), work).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotFound);
    assert_eq!(cx.leaves_of_all().await, []);
}

async fn out_of_reach_the_work_is_done_regardless_or_not_at_all(cx: &Context) {
    if lacks_typed_ops(cx) {
        return;
    }
    let unreachable = || DustErr::network("cut");
    let (repo, probe) = cx.probe();
    probe.fail_read(0, unreachable());
    let flight = repo.single_flight("report", FlightOptions::new(), seven).await.unwrap();
    assert_eq!((flight.value, flight.source, flight.coordinated), (7, Source::Computed, false));
    probe.fail_write(0, unreachable());
    assert!(!repo.single_flight("report", FlightOptions::new(), seven).await.unwrap().coordinated);
    probe.fail_write(0, DustErr::timeout("lease"));
    let options = FlightOptions::new().on_unavailable(OnUnavailable::Error);
    assert_eq!(repo.single_flight("report", options, never).await.unwrap_err().kind(), ErrKind::Timeout);
    probe.fail_write(0, DustErr::rate_limited(Duration::from_secs(1), "writes"));
    let limited = repo.single_flight("report", FlightOptions::new(), never).await.unwrap_err();
    assert_eq!(limited.kind(), ErrKind::RateLimited, "Dust is there");
    assert_eq!(cx.leaves_of_all().await, []);
    // A value that could not be published is an error, although it was computed.
    probe.fail_write(1, unreachable());
    let failed = repo.single_flight("report", FlightOptions::new(), seven).await.unwrap_err();
    assert_eq!(failed.kind(), ErrKind::Network);
    assert_eq!(cx.leaves_of_all().await, [], "and the lease is given back");
}
