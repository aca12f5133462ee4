//! `get`, `get_many` and `exists`.

use dust_orm::ErrKind;
use dust_protocol::LeafKind;
use serde_json::{Value, json};

use crate::context::{Context, path};

super::tests![
    get_gives_a_leaf_with_its_type_and_revision,
    get_of_an_inner_path_assembles_an_object,
    get_of_nothing_is_none,
    get_is_exact_in_case_for_a_leaf,
    get_of_a_leaf_with_children_gives_the_leaf,
    null_is_a_value,
    every_kind_of_value_has_its_type,
    typed_envelopes_are_read_as_bare_strings,
    get_many_keeps_order_and_repeats,
    get_many_finds_leaves_only,
    get_many_of_nothing_is_empty,
    get_many_takes_a_thousand_paths,
    exists_looks_below_a_path,
    exists_is_exact_in_case,
];

async fn get_gives_a_leaf_with_its_type_and_revision(cx: &Context) {
    let revision = cx.set("links/dust/title", json!("Dust")).await;
    let entry = cx.transport.get(&path("links/dust/title")).await.unwrap().unwrap();
    assert_eq!(entry.path.as_str(), "links/dust/title");
    assert_eq!((entry.value.as_str(), entry.kind, entry.revision), ("\"Dust\"", LeafKind::String, revision));
}

async fn get_of_an_inner_path_assembles_an_object(cx: &Context) {
    cx.set("r", json!({"title": "T", "nested": {"x": true, "y": [1, 2]}})).await;
    let last = cx.set("r/n", json!(2)).await;
    let entry = cx.transport.get(&path("r")).await.unwrap().unwrap();
    assert_eq!(entry.value.to::<Value>().unwrap(), json!({"n": 2, "nested": {"x": true, "y": [1, 2]}, "title": "T"}));
    assert_eq!((entry.kind, entry.revision), (LeafKind::Map, last));
    assert_eq!(cx.value("r/nested").await, Some(json!({"x": true, "y": [1, 2]})));
}

async fn get_of_nothing_is_none(cx: &Context) {
    cx.set("r-1/a", json!(1)).await;
    assert_eq!(cx.value("r").await, None);
    assert_eq!(cx.value("r-1/a/b").await, None);
}

async fn get_is_exact_in_case_for_a_leaf(cx: &Context) {
    cx.set_all([("r/Name", json!("upper")), ("r/name", json!("lower"))]).await;
    assert_eq!(cx.value("r/Name").await, Some(json!("upper")));
    assert_eq!(cx.value("r/name").await, Some(json!("lower")));
    assert_eq!(cx.value("r/NAME").await, None);
}

async fn get_of_a_leaf_with_children_gives_the_leaf(cx: &Context) {
    cx.set("r/title", json!("T")).await;
    cx.set("r/title/deep", json!(1)).await;
    assert_eq!(cx.value("r/title").await, Some(json!("T")));
    assert_eq!(cx.value("r/title/deep").await, Some(json!(1)));
}

async fn null_is_a_value(cx: &Context) {
    cx.set("r/none", Value::Null).await;
    let entry = cx.transport.get(&path("r/none")).await.unwrap().unwrap();
    assert_eq!((entry.value.as_str(), entry.kind), ("null", LeafKind::Null));
}

async fn every_kind_of_value_has_its_type(cx: &Context) {
    let table = [
        ("t/string", json!(""), LeafKind::String),
        ("t/list", json!([]), LeafKind::String),
        ("t/integer", json!(-3), LeafKind::Integer),
        ("t/float", json!(1.5), LeafKind::Float),
        ("t/round", json!(1.0), LeafKind::Float),
        ("t/true", json!(true), LeafKind::Boolean),
        ("t/null", Value::Null, LeafKind::Null),
    ];
    cx.set_all(table.iter().map(|(at, value, _)| (*at, value.clone()))).await;
    let paths: Vec<_> = table.iter().map(|(at, ..)| path(at)).collect();
    let found = cx.transport.get_many(&paths).await.unwrap();
    for ((at, value, kind), entry) in table.into_iter().zip(found) {
        let entry = entry.unwrap();
        assert_eq!((entry.value.to::<Value>().unwrap(), entry.kind), (value, kind), "{at}");
    }
}

async fn typed_envelopes_are_read_as_bare_strings(cx: &Context) {
    cx.set("t/at", json!({"_type": "datetime", "_typed": "2026-01-02T03:04:05+02:00"})).await;
    cx.set("t/price", json!({"_type": "decimal", "_typed": "1.20"})).await;
    assert_eq!(cx.value("t/price").await, Some(json!("1.20")));
    assert_eq!(cx.value("t/at").await, Some(json!("2026-01-02T01:04:05Z")));
    assert_eq!(
        cx.leaves("t").await,
        [("t/at".to_owned(), json!("2026-01-02T01:04:05Z")), ("t/price".to_owned(), json!("1.20"))]
    );
}

async fn get_many_keeps_order_and_repeats(cx: &Context) {
    cx.set_all([("r/a", json!(1)), ("r/b", json!(2))]).await;
    let paths = ["r/b", "r/none", "r/a", "r/b"].map(path);
    let found = cx.transport.get_many(&paths).await.unwrap();
    let values: Vec<Option<i64>> = found.iter().map(|e| e.as_ref().map(|e| e.value.to().unwrap())).collect();
    assert_eq!(values, [Some(2), None, Some(1), Some(2)]);
    assert!(found.iter().flatten().all(|entry| paths.contains(&entry.path)));
}

async fn get_many_finds_leaves_only(cx: &Context) {
    cx.set("r/a", json!(1)).await;
    assert_eq!(cx.transport.get_many(&[path("r"), path("r/A")]).await.unwrap(), [None, None]);
}

async fn get_many_of_nothing_is_empty(cx: &Context) {
    assert_eq!(cx.transport.get_many(&[]).await.unwrap(), []);
}

async fn get_many_takes_a_thousand_paths(cx: &Context) {
    cx.set("r/0999", json!(999)).await;
    let paths: Vec<_> = (0..1001).map(|n| path(&format!("r/{n:04}"))).collect();
    let found = cx.transport.get_many(&paths[..1000]).await.unwrap();
    assert_eq!(found.len(), 1000);
    assert_eq!(found.iter().position(Option::is_some), Some(999));
    match cx.transport.get_many(&paths).await {
        // In as many requests as needed.
        Ok(found) => assert_eq!(found.len(), 1001),
        Err(error) => {
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains("1000"), "{error}");
        }
    }
}

async fn exists_looks_below_a_path(cx: &Context) {
    cx.set_all([("a/x/y", json!(1)), ("b-1/x", json!(1)), ("c", json!(1))]).await;
    for (at, expected) in [("a", true), ("a/x", true), ("a/x/y", false), ("b", false), ("b-1", true), ("c", false)] {
        assert_eq!(cx.transport.exists(&path(at)).await.unwrap(), expected, "{at}");
    }
}

async fn exists_is_exact_in_case(cx: &Context) {
    cx.set("Links/x", json!(1)).await;
    assert!(cx.transport.exists(&path("Links")).await.unwrap());
    assert!(!cx.transport.exists(&path("links")).await.unwrap());
}
