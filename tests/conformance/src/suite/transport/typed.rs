//! `merge`, counters, sets, files and subscriptions, where the transport has them.

use std::time::Duration;

use dust_orm::internals::{Delivery, subscribe};
use dust_orm::{DustErr, ErrKind};
use dust_protocol::{LeafKind, Mutation, Op, OpKind, Pattern, RawJson};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::context::{Context, path};

super::tests![
    merge_leaves_siblings_alone,
    merge_needs_an_object,
    a_counter_counts_from_nothing,
    a_counter_needs_a_number,
    a_set_holds_each_member_once,
    a_file_reference_is_one_leaf,
    a_subscription_hears_what_is_committed,
];

fn raw(value: Value) -> RawJson {
    RawJson::from(value)
}

/// Does the op where the transport has typed ops; otherwise checks that it is refused and writes nothing.
async fn typed(cx: &Context, at: &str, op: Mutation) -> Option<Result<u64, DustErr>> {
    let before = cx.leaves_of_all().await;
    let outcome = cx.write(Op::new(path(at), op)).await;
    if cx.transport.capabilities().typed_ops {
        return Some(outcome);
    }
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrKind::NotSupported, "{error}");
    assert_eq!(cx.leaves_of_all().await, before);
    None
}

async fn merge_leaves_siblings_alone(cx: &Context) {
    cx.set("r", json!({"a": 1, "b": {"x": 1, "y": 2}})).await;
    let merge = Mutation::Merge(raw(json!({"b": {"z": 3}, "c": [4]})));
    if let Some(done) = typed(cx, "r", merge).await {
        let revision = done.unwrap();
        assert_eq!(cx.value("r").await, Some(json!({"a": 1, "b": {"z": 3}, "c": [4]})));
        let leaves = cx.entries("r").await;
        assert!(leaves[0].revision < revision && leaves[1..].iter().all(|leaf| leaf.revision == revision));
    }
}

async fn merge_needs_an_object(cx: &Context) {
    if let Some(done) = typed(cx, "r", Mutation::Merge(raw(json!(5)))).await {
        assert_eq!(done.unwrap_err().kind(), ErrKind::InvalidParams);
    }
}

async fn a_counter_counts_from_nothing(cx: &Context) {
    if let Some(done) = typed(cx, "r/n", Mutation::Increment(raw(json!(2)))).await {
        done.unwrap();
        typed(cx, "r/n", Mutation::Increment(raw(json!(-5)))).await.unwrap().unwrap();
        let leaf = cx.transport.get(&path("r/n")).await.unwrap().unwrap();
        assert_eq!((leaf.value.as_str(), leaf.kind), ("-3", LeafKind::Counter));
    }
}

async fn a_counter_needs_a_number(cx: &Context) {
    if let Some(done) = typed(cx, "r/n", Mutation::Increment(raw(json!("2")))).await {
        assert_eq!(done.unwrap_err().kind(), ErrKind::InvalidParams);
        assert_eq!(cx.value("r/n").await, None);
    }
}

async fn a_set_holds_each_member_once(cx: &Context) {
    for member in ["a", "b", "a"] {
        let Some(done) = typed(cx, "r/tags", Mutation::Add(raw(json!(member)))).await else { return };
        done.unwrap();
    }
    assert_eq!(cx.value("r/tags").await, Some(json!(["a", "b"])));
    typed(cx, "r/tags", Mutation::Remove(raw(json!("a")))).await.unwrap().unwrap();
    let leaf = cx.transport.get(&path("r/tags")).await.unwrap().unwrap();
    assert_eq!((leaf.value.as_str(), leaf.kind), (r#"["b"]"#, LeafKind::Set));
}

async fn a_file_reference_is_one_leaf(cx: &Context) {
    let file = json!({"_type": "file", "hash": "sha256:abc", "size": 3});
    cx.set("r/file", file.clone()).await;
    assert_eq!(cx.leaves("r").await, [("r/file".to_owned(), file)]);
}

async fn a_subscription_hears_what_is_committed(cx: &Context) {
    let hub = cx.transport.op_hub().await;
    if !cx.transport.capabilities().subscribe {
        assert_eq!(hub.err().map(|error| error.kind()), Some(ErrKind::NotSupported));
        return;
    }
    let mut ops = subscribe(&hub.unwrap(), &Pattern::parse("r/**").unwrap(), 10);
    cx.set("elsewhere", json!(0)).await;
    let store_seq = cx.set("r/a", json!(1)).await;
    let heard = tokio::time::timeout(Duration::from_secs(60), ops.next()).await.unwrap();
    let Some(Delivery::Op(heard)) = heard else { panic!("{heard:?}") };
    assert_eq!((heard.store_seq, heard.op, heard.path.as_str()), (store_seq, OpKind::Set, "r/a"));
    assert_eq!(heard.value.as_str(), "1");
}
