//! Tests of requests that share a commit.

use std::task::{Context, Poll, Waker};

use dust_protocol::testing::{near_op, near_path, near_value};
use proptest::prelude::*;

use super::disk::FakeDisk;
use super::*;
use crate::transaction::Job;

fn on() -> impl Strategy<Value = Option<Precondition>> {
    prop_oneof![
        4 => Just(None),
        2 => (0..12_u64).prop_map(|revision| Some(Precondition::IfMatch(revision))),
        1 => Just(Some(Precondition::IfLeafAbsent)),
        1 => Just(Some(Precondition::IfSubtreeAbsent)),
    ]
}

fn write() -> impl Strategy<Value = Op> {
    (near_path(), near_op(), on()).prop_map(|(path, mutation, on)| Op::new(path, mutation).on(on))
}

fn several() -> impl Strategy<Value = Vec<Op>> {
    let op =
        prop_oneof![3 => near_value().prop_map(|value| Mutation::Set((&value).into())), 1 => Just(Mutation::Delete)];
    let write = (near_path(), op, on());
    let write = write.prop_map(|(path, mutation, on)| Op::new(path, mutation).on(on));
    prop::collection::vec(write, 1..6)
}

fn job() -> impl Strategy<Value = Job> {
    let job = |ops, is_batch| Job { ops, fence: None, content: None, origin: origin(), is_batch };
    prop_oneof![
        3 => write().prop_map(move |op| job(vec![op], false)),
        2 => several().prop_map(move |ops| job(ops, true)),
        1 => prop::collection::vec(write(), 1..6).prop_map(move |ops| job(ops, true)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn shared_commit_equals_separate_commits(jobs in prop::collection::vec(job(), 1..25)) {
        let (together, apart) = (Store::in_memory().unwrap(), Store::in_memory().unwrap());
        for store in [&together, &apart] {
            store.set("a/b", "1");
            store.set("A/B/c", r#"{"x":1,"Y":2}"#);
        }
        let expected: Vec<_> = jobs.iter().flat_map(|job| apart.inner.commit(std::slice::from_ref(job))).collect();
        prop_assert_eq!(together.inner.commit(&jobs), expected);
        prop_assert_eq!(leaves(&together), leaves(&apart));
        prop_assert_eq!(together.ops_since(0, usize::MAX).unwrap(), apart.ops_since(0, usize::MAX).unwrap());
        for at in ["a", "A", "a/b"] {
            prop_assert_eq!(together.fetch(at), apart.fetch(at));
        }
        let sizes = |store: &Store| store.inner.writer().sizes;
        prop_assert_eq!(sizes(&together), sizes(&apart));
        prop_assert_eq!(sizes(&together), compact::sizes(&together.inner.storage.view().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn waiting_writes_share_syncs() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    let before = disk.syncs();
    store.set("alone", "1");
    let one = disk.syncs() - before;

    let (before, writer) = (disk.syncs(), store.inner.writer());
    let mut writes: Vec<_> = (0..500)
        .map(|number| {
            let write = op(&format!("n/{number}"), Mutation::Set(raw("1")));
            Box::pin(store.write_async(write, None, Origin::new("task", number.to_string())))
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    for write in &mut writes {
        assert!(matches!(write.as_mut().poll(&mut context), Poll::Pending));
    }
    drop(writer);
    for (number, write) in (0_u64..).zip(writes) {
        let committed = write.await.unwrap().unwrap();
        assert_eq!((committed.store_seq, &*committed.client_op_id), (number + 2, number.to_string().as_str()));
    }
    // One sync for the first requests, one for all others, and those of the growing file.
    assert!(disk.syncs() - before <= 10 * one, "{} syncs, {one} for a single write", disk.syncs() - before);
}

#[tokio::test]
async fn write_with_dropped_future_is_applied_and_delivered() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let subscription = store.on_each_op(move |op| sender.send(op.store_seq).unwrap());
    let writer = store.inner.writer();
    let mut write = Box::pin(store.write_async(op("a", Mutation::Set(raw("1"))), None, origin()));
    assert!(matches!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    drop((write, writer));
    assert_eq!(heard.recv().await, Some(1));
    drop(subscription);
}

#[tokio::test]
async fn commit_in_progress_can_be_waited_for() {
    let disk = FakeDisk::default();
    for store in [disk.store().unwrap(), Store::in_memory().unwrap()] {
        store.wait_for_commit().await;
        let (begun, has_begun) = std::sync::mpsc::channel();
        let listening = store.on_changes(move |_| begun.send(()).is_err(), |_, _| {});
        let writer = store.clone();
        let writing = std::thread::spawn(move || writer.set("a", "1"));
        has_begun.recv().unwrap();
        store.wait_for_commit().await;
        assert_eq!((store.current_seq(), store.value("a")), (1, "1".to_owned()));
        writing.join().unwrap();
        drop(listening);
    }
}

#[test]
fn listener_may_wait_for_write_of_other_thread() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    let inside = store.clone();
    let subscription = store.on_each_op(move |op| {
        if op.path == path("a") {
            let writer = inside.clone();
            std::thread::spawn(move || writer.set("echo", "1")).join().unwrap();
        }
    });
    store.set("a", "1");
    drop(subscription);
    assert_eq!((store.value("echo"), store.current_seq()), ("1".to_owned(), 2));
}

#[test]
fn write_each_refuses_each_by_itself() {
    let store = Store::in_memory().unwrap();
    store.set("n", "\"text\"");
    let writes = vec![
        op("a", Mutation::Set(raw("1"))),
        op("n", Mutation::Increment(raw("1"))),
        op("n", Mutation::Increment(raw("1"))).on(Precondition::IfLeafAbsent),
        op("b", Mutation::Set(raw("2"))),
    ];
    let writes =
        writes.into_iter().zip(0..).map(|(write, id): (_, u32)| (write, Origin::new("import", id.to_string())));
    let answers = store.write_each(writes.collect());
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(op) => op.as_ref().map_or_else(String::new, |op| format!("{} {}", op.store_seq, op.client_op_id)),
            Err(error) => error.name().to_owned(),
        })
        .collect();
    assert_eq!(seen, ["2 0", "not_a_number", "if_absent_unsupported_op", "3 3"]);
}
