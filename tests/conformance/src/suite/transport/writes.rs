//! `set` and `delete`.

use dust_protocol::{Op, RawJson};
use serde_json::{Value, json};

use crate::context::{Context, path};

super::tests![
    every_write_gets_the_next_place,
    an_object_becomes_leaves_of_one_revision,
    a_set_replaces_the_whole_subtree,
    a_scalar_replaces_a_subtree,
    an_object_replaces_a_scalar,
    an_empty_object_inside_an_object_vanishes,
    of_equal_keys_the_first_wins,
    keys_of_an_object_are_escaped,
    a_leaf_can_be_written_below_a_leaf,
    lists_are_one_leaf,
    integers_keep_every_digit,
    floats_stay_floats,
    a_delete_removes_what_is_below,
    a_delete_of_nothing_succeeds_and_takes_a_place,
    a_delete_leaves_neighbours_alone,
    removing_a_subtree_ignores_case,
];

async fn every_write_gets_the_next_place(cx: &Context) {
    let first = cx.set("r/a", json!(1)).await;
    let second = cx.set("r/b", json!(1)).await;
    let third = cx.delete("r/a").await;
    assert!(first < second && second < third, "{first} {second} {third}");
    assert_eq!(cx.entries("r").await[0].revision, second);
}

async fn an_object_becomes_leaves_of_one_revision(cx: &Context) {
    let revision = cx.set("r", json!({"title": "T", "n": 1, "nested": {"x": true, "y": [1, 2]}, "none": null})).await;
    let leaves = cx.entries("r").await;
    let seen: Vec<_> = leaves.iter().map(|leaf| (leaf.path.as_str(), leaf.value.as_str())).collect();
    assert_eq!(
        seen,
        [("r/n", "1"), ("r/nested/x", "true"), ("r/nested/y", "[1,2]"), ("r/none", "null"), ("r/title", "\"T\"")]
    );
    assert!(leaves.iter().all(|leaf| leaf.revision == revision));
}

async fn a_set_replaces_the_whole_subtree(cx: &Context) {
    cx.set("r", json!({"a": 1, "b": {"c": 2}})).await;
    cx.set("r", json!({"b": {"d": 3}})).await;
    assert_eq!(cx.leaves("r").await, [("r/b/d".to_owned(), json!(3))]);
}

async fn a_scalar_replaces_a_subtree(cx: &Context) {
    cx.set("r", json!({"a": 1, "b": {"c": 2}})).await;
    cx.set("r", json!("leaf")).await;
    assert_eq!(cx.leaves("r").await, []);
    assert_eq!(cx.value("r").await, Some(json!("leaf")));
}

async fn an_object_replaces_a_scalar(cx: &Context) {
    cx.set("r", json!("leaf")).await;
    cx.set("r", json!({"a": 1})).await;
    assert_eq!(cx.value("r").await, Some(json!({"a": 1})));
    assert_eq!(cx.leaves("r").await, [("r/a".to_owned(), json!(1))]);
}

async fn an_empty_object_inside_an_object_vanishes(cx: &Context) {
    cx.set("r", json!({"a": {"b": 1}, "c": {}})).await;
    assert_eq!(cx.value("r").await, Some(json!({"a": {"b": 1}})));
}

async fn of_equal_keys_the_first_wins(cx: &Context) {
    let twice = RawJson::parse(r#"{"a":1,"a":2}"#).unwrap();
    cx.write(Op::set(path("r"), twice)).await.unwrap();
    assert_eq!(cx.value("r/a").await, Some(json!(1)));
}

async fn keys_of_an_object_are_escaped(cx: &Context) {
    let object = json!({"a/b": 1, "c~d": 2, "e.f": 3, "g h": 4, "*": 6});
    cx.set("r", object.clone()).await;
    let leaves = cx.leaves("r").await;
    let paths: Vec<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["r/*", "r/a~1b", "r/c~0d", "r/e.f", "r/g h"]);
    assert_eq!(cx.value("r").await, Some(object));
}

async fn a_leaf_can_be_written_below_a_leaf(cx: &Context) {
    cx.set("r/title", json!("T")).await;
    cx.set("r/title/deep", json!(1)).await;
    assert_eq!(cx.leaves("r").await, [("r/title".to_owned(), json!("T")), ("r/title/deep".to_owned(), json!(1))]);
}

async fn lists_are_one_leaf(cx: &Context) {
    let list = json!([1, [2, {"a": null}], {}, {"_type": "decimal", "_typed": "1.20"}]);
    cx.set("r/list", list.clone()).await;
    assert_eq!(cx.leaves("r").await, [("r/list".to_owned(), list)]);
}

async fn integers_keep_every_digit(cx: &Context) {
    for number in ["123456789012345678901234567890", "9007199254740993", "-9223372036854775809", "18446744073709551615"]
    {
        let value = RawJson::parse(number).unwrap();
        cx.write(Op::set(path("r/n"), value)).await.unwrap();
        assert_eq!(cx.entries("r").await[0].value.as_str(), number);
    }
}

async fn floats_stay_floats(cx: &Context) {
    for number in [1.0, -0.0, 0.1, 1.5e-7, 1e22, f64::MAX, f64::MIN_POSITIVE, 5e-324] {
        cx.set("r/n", json!(number)).await;
        let read: Value = cx.entries("r").await[0].value.to().unwrap();
        assert!(read.is_f64(), "{number:?} came back as {read}");
        assert_eq!(read.as_f64().unwrap().to_bits(), number.to_bits(), "{number:?} came back as {read}");
    }
}

async fn a_delete_removes_what_is_below(cx: &Context) {
    cx.set("r", json!({"a": 1, "b": {"c": 2}})).await;
    cx.set("r/a/deep", json!(3)).await;
    cx.delete("r/a").await;
    assert_eq!(cx.leaves("r").await, [("r/b/c".to_owned(), json!(2))]);
    cx.delete("r").await;
    assert_eq!(cx.leaves("r").await, []);
}

async fn a_delete_of_nothing_succeeds_and_takes_a_place(cx: &Context) {
    let first = cx.delete("nothing").await;
    let second = cx.delete("nothing").await;
    assert!(second > first);
}

async fn a_delete_leaves_neighbours_alone(cx: &Context) {
    let others = ["a%", "a%b/x", "a-1", "a.b", "a_", "aa", "ab/x"];
    cx.set_all(others.iter().map(|at| (*at, json!(1)))).await;
    cx.set_all([("a", json!(0)), ("a/x", json!(0))]).await;
    cx.delete("a").await;
    cx.delete("a_").await;
    let left: Vec<String> = cx.leaves_of_all().await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(left, ["a%", "a%b/x", "a-1", "a.b", "aa", "ab/x"]);
}

/// A fault of the server, and part of what it does: entities refuse upper-case keys because of it.
async fn removing_a_subtree_ignores_case(cx: &Context) {
    cx.set_all([("r/abc/x", json!(1)), ("r/ABC/x", json!(2)), ("r/Abc", json!(3)), ("r/É/x", json!(4))]).await;
    cx.delete("r/aBC").await;
    cx.delete("r/é").await;
    assert_eq!(cx.leaves("r").await, [("r/Abc".to_owned(), json!(3)), ("r/É/x".to_owned(), json!(4))]);
}
