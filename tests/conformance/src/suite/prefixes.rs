//! Entities whose prefixes share a start: `a`, `a-1`, `a/b`, `ab`.

use dust_orm::ErrKind;

use crate::context::Context;
use crate::entities::shelves::{a, a_1, a_b, ab};
use crate::entities::*;

super::tests![
    each_entity_sees_its_own_records,
    delete_all_stays_below_its_prefix,
    delete_all_of_outer_prefix_is_refused,
    deleting_a_record_leaves_keys_that_begin_alike,
    delete_all_of_nothing_succeeds,
    delete_all_answers_its_place,
];

async fn fill(cx: &Context) {
    cx.repo.insert_many(["x", "y"].map(|slug| a::book(slug).into_active_model())).await.unwrap();
    cx.repo.insert_many(["x", "y"].map(|slug| a_1::book(slug).into_active_model())).await.unwrap();
    cx.repo.insert_many(["x", "y"].map(|slug| a_b::book(slug).into_active_model())).await.unwrap();
    cx.repo.insert_many(["x", "y"].map(|slug| ab::book(slug).into_active_model())).await.unwrap();
}

/// Number of records of each entity: `a`, `a-1`, `a/b`, `ab`.
async fn counts(cx: &Context) -> [usize; 4] {
    [
        cx.repo.all::<a::Entity>().await.unwrap().len(),
        cx.repo.all::<a_1::Entity>().await.unwrap().len(),
        cx.repo.all::<a_b::Entity>().await.unwrap().len(),
        cx.repo.all::<ab::Entity>().await.unwrap().len(),
    ]
}

async fn each_entity_sees_its_own_records(cx: &Context) {
    fill(cx).await;
    assert_eq!(cx.repo.all::<a::Entity>().await.unwrap(), [a::book("x"), a::book("y")]);
    assert_eq!(cx.repo.all::<a_1::Entity>().await.unwrap(), [a_1::book("x"), a_1::book("y")]);
    assert_eq!(cx.repo.all::<a_b::Entity>().await.unwrap(), [a_b::book("x"), a_b::book("y")]);
    assert_eq!(cx.repo.all::<ab::Entity>().await.unwrap(), [ab::book("x"), ab::book("y")]);
    // The records of the longer prefix look like one of the shorter, which does not fit.
    assert_eq!(cx.repo.find_by_id::<a::Entity>("b").await.unwrap(), None);
}

async fn delete_all_stays_below_its_prefix(cx: &Context) {
    fill(cx).await;
    cx.repo.delete_all::<a_b::Entity>().await.unwrap();
    assert_eq!(counts(cx).await, [2, 2, 0, 2]);
    cx.repo.delete_all::<a_1::Entity>().await.unwrap();
    assert_eq!(counts(cx).await, [2, 0, 0, 2]);
}

async fn delete_all_of_outer_prefix_is_refused(cx: &Context) {
    fill(cx).await;
    let error = cx.repo.delete_all::<a::Entity>().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("a_b::Entity` at `a/b`"), "{error}");
    assert_eq!(counts(cx).await, [2, 2, 2, 2]);
    // A repo that has not used the other entity cannot notice it.
    let (repo, _) = cx.probe();
    repo.delete_all::<a::Entity>().await.unwrap();
    assert_eq!(counts(cx).await, [0, 2, 0, 2]);
}

async fn deleting_a_record_leaves_keys_that_begin_alike(cx: &Context) {
    let keys = ["k", "k-1", "k.1", "k/1", "k1", "k~", "kk"];
    cx.repo.insert_many(keys.map(|key| a::book(key).into_active_model())).await.unwrap();
    cx.repo.delete_by_id::<a::Entity>("k").await.unwrap();
    let left: Vec<String> = cx.repo.all::<a::Entity>().await.unwrap().into_iter().map(|book| book.slug).collect();
    assert_eq!(
        left,
        ["k-1", "k.1", "k1", "kk", "k~", "k/1"],
        "in the order of the paths, in which `~` is `~0` and `/` `~1`"
    );
    cx.repo.delete_by_id::<a::Entity>("b").await.unwrap();
    assert_eq!(cx.repo.all::<a::Entity>().await.unwrap().len(), keys.len() - 1);
}

async fn delete_all_of_nothing_succeeds(cx: &Context) {
    cx.repo.delete_all::<a::Entity>().await.unwrap();
    cx.repo.delete_all::<a::Entity>().await.unwrap();
}

async fn delete_all_answers_its_place(cx: &Context) {
    fill(cx).await;
    let last = cx.entries("ab").await.last().unwrap().revision;
    let deleted = cx.repo.delete_all::<ab::Entity>().await.unwrap();
    assert!(deleted.store_seq > last);
    let next = cx.set("later", serde_json::json!(1)).await;
    assert!(next > deleted.store_seq);
}
