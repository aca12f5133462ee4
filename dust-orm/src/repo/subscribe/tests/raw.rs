use super::*;

async fn next_op(ops: &mut RawSubscription) -> RawOp {
    match ops.next().await {
        Some(RawEvent::Op(op)) => op,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ops_come_as_they_were_committed() {
    let (repo, store) = memory();
    put(&store, "before", "x");
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    repo.insert(draft("a", "one")).await.unwrap();
    set(&store, "other/a", json!(1));
    let last = emit(&store, "LINKS", Mutation::Delete);

    // One op per field, in one batch.
    let mut paths = Vec::new();
    for place in 0..3 {
        let op = next_op(&mut ops).await;
        assert!(op.own && op.client_op_id.ends_with(&format!(":{place}")), "{op:?}");
        paths.push(op.path.to_string());
    }
    paths.sort();
    assert_eq!(paths, ["links/a/note", "links/a/title", "links/a/url"]);
    let op = next_op(&mut ops).await;
    assert_eq!((op.op.name(), op.path.as_str(), op.value.as_str()), ("delete", "LINKS", "null"));
    assert_eq!((op.store_seq, &*op.device_id, &*op.client_op_id, op.own), (last, "phone", "1", false));
    assert_eq!(ops.next().now_or_never(), None);
}

#[tokio::test]
async fn claim_is_no_op() {
    let (repo, store) = memory();
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    set(&store, "links/a/title", json!(["$claim"]));
    let written = set(&store, "links/a/title", json!("A"));
    set(&store, "links/b/title", json!(["$claim"]));
    assert_eq!(next_op(&mut ops).await.store_seq, written);
    assert_eq!(ops.next().now_or_never(), None);
}

#[tokio::test]
async fn another_repo_on_the_same_store_is_another_writer() {
    let (repo, store) = memory();
    let other = DustRepo::with_store(store);
    let mut ops = repo.subscribe::<link::Entity>().raw().await.unwrap();
    other.delete_by_id::<link::Entity>("a").await.unwrap();
    repo.delete_by_id::<link::Entity>("a").await.unwrap();
    assert!(!next_op(&mut ops).await.own);
    assert!(next_op(&mut ops).await.own);
}

#[tokio::test]
async fn the_queue_is_bounded_and_dropping_unsubscribes() {
    let (repo, store) = memory();
    let mut ops = repo.subscribe::<link::Entity>().queue(2).raw().await.unwrap();
    for number in 0..3 {
        put(&store, &number.to_string(), "x");
    }
    assert_eq!(ops.next().await, Some(RawEvent::Resync));
    put(&store, "a", "one");
    put(&store, "a", "two");
    put(&store, "a", "three");
    let newest = next_op(&mut ops).await;
    assert_eq!(newest.committed.store_seq, 6);
    assert_eq!(listeners(&repo).await, 1);
    drop(ops);
    assert_eq!(listeners(&repo).await, 0);
}
