//! Futures that are dropped at each of their await points: nothing hangs, no record is partial, and the store and the
//! repo work afterwards.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use dust_orm::repo::FlightOptions;
use dust_orm::{BatchEntry, DustErr, DustRepo, ErrKind};
use futures_util::StreamExt;

use crate::context::{Context, path};
use crate::entities::*;

super::tests![
    a_write_is_done_whole_or_not_at_all,
    an_insert_if_absent_is_taken_over,
    a_batch_is_done_whole_or_not_at_all,
    reads_leave_nothing_behind,
    a_stream_is_left_in_the_middle,
    a_subscription_is_left_before_it_has_begun,
    live_records_are_left_before_they_are_read,
    a_lease_is_free_again_when_it_has_run_out,
    a_flight_that_is_left_does_not_ground_the_others,
];

/// Upper bound of the polls of a future.
const OFTEN: usize = 200;
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// Polls a future `polls` times and drops it, unless it is done before.
async fn poll_times<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops a future after one poll, after two, and so on until it is done, with a check after each drop.
async fn drop_everywhere<T>(begin: impl AsyncFn(usize) -> Result<T, DustErr>, look: impl AsyncFn(usize)) {
    for times in 0..OFTEN {
        let outcome = poll_times(begin(times), times).await;
        look(times).await;
        if let Some(outcome) = outcome {
            outcome.unwrap();
            return;
        }
    }
    panic!("not done after {OFTEN} polls");
}

/// Checks that the record is complete or absent, and can be written.
async fn assert_whole(repo: &DustRepo, slug: &str) {
    let found = repo.find_by_id::<link::Entity>(slug).await.unwrap();
    assert!(found.is_none_or(|found| found == link(slug)));
    assert_eq!(repo.put(link(slug)).await.unwrap(), link(slug));
    assert_eq!(repo.get::<link::Entity>(slug).await.unwrap(), link(slug));
}

async fn a_write_is_done_whole_or_not_at_all(cx: &Context) {
    let slug = |verb: &str, times: usize| format!("{verb}-{times}");
    let look = |verb| async move |times| assert_whole(&cx.repo, &slug(verb, times)).await;
    drop_everywhere(async |times| cx.repo.insert(new_link(&slug("insert", times))).await, look("insert")).await;
    drop_everywhere(async |times| cx.repo.put(link(&slug("put", times))).await, look("put")).await;

    cx.repo.put(link("edited")).await.unwrap();
    let edit = async |times: usize| cx.repo.update(retitled("edited", &format!("title {times}"))).await;
    drop_everywhere(edit, async |_| {
        let found = cx.repo.get::<link::Entity>("edited").await.unwrap();
        assert_eq!(link::Model { title: link("edited").title, ..found }, link("edited"));
    })
    .await;

    let delete = async |_| {
        cx.repo.put(link("deleted")).await?;
        cx.repo.delete_by_id::<link::Entity>("deleted").await
    };
    drop_everywhere(delete, async |_| assert_whole(&cx.repo, "deleted").await).await;
}

async fn an_insert_if_absent_is_taken_over(cx: &Context) {
    let slug = |times: usize| format!("new-{times}");
    let insert = async |times: usize| cx.repo.insert(new_link(&slug(times))).if_absent().await;
    drop_everywhere(insert, async |times| {
        // A write that was sent before the drop may be applied at the same time as this one.
        match cx.repo.insert(new_link(&slug(times))).if_absent().await {
            Ok(_) => {}
            Err(error) => assert!(matches!(error.kind(), ErrKind::Exists | ErrKind::Conflict), "{error}"),
        }
        assert_whole(&cx.repo, &slug(times)).await;
    })
    .await;
}

async fn a_batch_is_done_whole_or_not_at_all(cx: &Context) {
    let both = |times: usize| [format!("left-{times}"), format!("right-{times}")];
    let write = async |times: usize| {
        let entries = both(times).map(|slug| BatchEntry::insert(new_link(&slug)));
        cx.repo.batch_write(entries).await
    };
    drop_everywhere(write, async |times| {
        let [left, right] = both(times);
        let found = cx.repo.find_many::<link::Entity>([left.as_str(), right.as_str()]).await.unwrap();
        assert!(found.len() != 1, "half of a batch: {found:?}");
        assert_whole(&cx.repo, &left).await;
        assert_whole(&cx.repo, &right).await;
    })
    .await;
}

async fn reads_leave_nothing_behind(cx: &Context) {
    cx.repo.put(link("a")).await.unwrap();
    let look = async |_| assert_eq!(cx.repo.all::<link::Entity>().await.unwrap(), [link("a")]);
    drop_everywhere(async |_| cx.repo.get::<link::Entity>("a").await, look).await;
    drop_everywhere(async |_| cx.repo.find_versioned::<link::Entity>("a").await, look).await;
    drop_everywhere(async |_| cx.repo.exists::<link::Entity>("a").await, look).await;
    drop_everywhere(async |_| cx.repo.all::<link::Entity>().await, look).await;
}

async fn a_stream_is_left_in_the_middle(cx: &Context) {
    cx.repo.insert_many(["a", "b", "c"].map(new_link)).await.unwrap();
    for read in 0..3 {
        let links = cx.repo.stream::<link::Entity>().take(read).collect::<Vec<_>>().await;
        assert_eq!(links.len(), read);
        assert_eq!(cx.repo.all::<link::Entity>().await.unwrap().len(), 3);
    }
}

async fn a_subscription_is_left_before_it_has_begun(cx: &Context) {
    if !cx.transport.capabilities().subscribe {
        return;
    }
    cx.repo.put(link("a")).await.unwrap();
    drop_everywhere(
        async |_| cx.repo.subscribe::<link::Entity>().with_current().await,
        async |times| {
            let mut changes = cx.repo.subscribe::<link::Entity>().await.unwrap();
            let changed = link::Model { title: format!("title {times}"), ..link("a") };
            cx.repo.put(changed.clone()).await.unwrap();
            assert_eq!(changes.next().await, Some(dust_orm::Event::Upserted(changed)));
        },
    )
    .await;
}

async fn live_records_are_left_before_they_are_read(cx: &Context) {
    if !cx.transport.capabilities().subscribe {
        return;
    }
    cx.repo.put(link("a")).await.unwrap();
    drop_everywhere(
        async |_| cx.repo.live::<link::Entity>().await,
        async |times| {
            let changed = link::Model { title: format!("title {times}"), ..link("a") };
            cx.repo.put(changed.clone()).await.unwrap();
            let links = cx.repo.live::<link::Entity>().await.unwrap();
            assert_eq!(links.get("a").as_deref(), Some(&changed));
        },
    )
    .await;
}

async fn a_lease_is_free_again_when_it_has_run_out(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    let key = |times: usize| format!("locks/{times}");
    let take = async |times: usize| cx.repo.lease(key(times), LONG).await;
    drop_everywhere(take, async |times| {
        // The lease may be held after the drop, as no caller can release it; other paths are not checked.
        match cx.repo.lease(key(times), LONG).await {
            Ok(lease) => assert!(lease.release().await.unwrap()),
            Err(error) => assert_eq!(error.kind(), ErrKind::LeaseHeld, "{error}"),
        }
    })
    .await;
    assert!(cx.transport.get(&path("locks/0")).await.unwrap().is_none());
}

async fn a_flight_that_is_left_does_not_ground_the_others(cx: &Context) {
    if !cx.transport.capabilities().typed_ops {
        return;
    }
    let key = |times: usize| format!("report-{times}");
    // The lease is short, so that other callers soon take over from a dropped flight. A slow machine loses the lease,
    // and computes again.
    let fly = async |times: usize| loop {
        let options = FlightOptions::new().lease_ttl(Duration::from_millis(100));
        match cx.repo.single_flight(key(times), options, async |_: DustRepo| Ok::<u32, DustErr>(7)).await {
            Err(error) if error.kind() == ErrKind::Fenced => {}
            flown => return flown,
        }
    };
    drop_everywhere(fly, async |times| {
        // It takes over, at the latest after the lease of the dropped flight has expired.
        assert_eq!(fly(times).await.unwrap().value, 7);
    })
    .await;
}
