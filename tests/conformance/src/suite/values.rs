//! Values: any JSON in a field reads back equal, in both storage modes.

use dust_orm::ErrKind;
use serde_json::{Value, json};

use crate::context::Context;
use crate::entities::docs::{flat, map};
use crate::entities::*;

super::tests![
    strings,
    integers,
    floats,
    negative_zero,
    booleans_and_null,
    lists,
    objects,
    empty_objects_and_lists,
    objects_that_look_like_envelopes,
    objects_with_odd_keys,
    marker_look_alikes,
    deep_nesting,
    long_strings,
    null_and_absent_are_both_none,
    a_null_of_another_client_is_json_null,
    plain_json_is_stored_plainly,
    envelopes_of_another_client_are_read_as_strings,
    floats_that_are_not_finite_are_refused_by_name,
];

/// Writes each value into a record of its own, in both modes and both fields, and over another one.
async fn come_back(cx: &Context, values: impl IntoIterator<Item = Value>) {
    let values: Vec<Value> = values.into_iter().collect();
    let named = || values.iter().enumerate().map(|(n, value)| (format!("v{n:03}"), value));
    let flat: Vec<flat::Model> = named().map(|(slug, value)| flat::doc(&slug, value)).collect();
    let map: Vec<map::Model> = named().map(|(slug, value)| map::doc(&slug, value)).collect();
    for around in 0..2 {
        // In the second pass each replaces another value.
        let of = |n: usize| if around == 0 { &values[(n + 1) % values.len()] } else { &values[n] };
        let flat = flat.iter().enumerate().map(|(n, doc)| flat::doc(&doc.slug, of(n)).into_active_model().reset_all());
        cx.repo.insert_many(flat).await.unwrap();
        let map = map.iter().enumerate().map(|(n, doc)| map::doc(&doc.slug, of(n)).into_active_model().reset_all());
        cx.repo.insert_many(map).await.unwrap();
    }
    // `Some(null)` of an option is `None`: both are stored as null.
    let flat: Vec<flat::Model> =
        flat.into_iter().map(|doc| flat::Model { maybe: doc.maybe.filter(|v| !v.is_null()), ..doc }).collect();
    let map: Vec<map::Model> =
        map.into_iter().map(|doc| map::Model { maybe: doc.maybe.filter(|v| !v.is_null()), ..doc }).collect();
    assert_eq!(cx.repo.all::<flat::Entity>().await.unwrap(), flat);
    assert_eq!(cx.repo.all::<map::Entity>().await.unwrap(), map);
}

async fn strings(cx: &Context) {
    let texts = [
        "",
        " ",
        "\"",
        "\\",
        "\0",
        "a\0b",
        "\n\r\t",
        "\u{7f}\u{80}\u{2028}\u{2029}",
        "😀",
        "é",
        "e\u{301}",
        "</script>",
        "null",
        "1",
        "{}",
        "2026-01-02T03:04:05Z",
        "\u{feff}bom",
        "\u{fffe}\u{ffff}\u{10ffff}",
    ];
    come_back(cx, texts.map(Value::from)).await;
}

async fn integers(cx: &Context) {
    let numbers =
        [json!(0), json!(-1), json!(i64::MIN), json!(i64::MAX), json!(u64::MAX), json!(9_007_199_254_740_993_u64)];
    come_back(cx, numbers).await;
}

async fn floats(cx: &Context) {
    let numbers = [
        0.0,
        1.0,
        -1.5,
        0.1,
        0.1 + 0.2,
        1e3,
        1e21,
        1e22,
        1.5e-7,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        123_456_789.125,
    ];
    come_back(cx, numbers.map(Value::from)).await;
}

async fn negative_zero(cx: &Context) {
    let doc = flat::doc("zero", &json!(-0.0));
    cx.repo.insert(doc.into_active_model().reset_all()).await.unwrap();
    let read = cx.repo.get::<flat::Entity>("zero").await.unwrap();
    assert!(read.value.as_f64().unwrap().is_sign_negative() && read.value.is_f64(), "{}", read.value);
}

async fn booleans_and_null(cx: &Context) {
    come_back(cx, [json!(true), json!(false), Value::Null]).await;
}

async fn lists(cx: &Context) {
    come_back(
        cx,
        [json!([1]), json!([null]), json!([[], [[]]]), json!([{"a": {}}, {"": 1}]), json!(["a", 1, -0.5, true])],
    )
    .await;
}

async fn objects(cx: &Context) {
    let values = [
        json!({"a": 1}),
        json!({"a": null}),
        json!({"a": {"b": {"c": [1, {"d": 2}]}}, "e": "f"}),
        json!({"a": [], "b": [{}]}),
    ];
    come_back(cx, values).await;
}

async fn empty_objects_and_lists(cx: &Context) {
    let values =
        [json!({}), json!([]), json!({"a": {}}), json!({"a": {"b": {}}, "c": 1}), json!([{}]), json!([[]]), json!("")];
    come_back(cx, values).await;
}

async fn objects_that_look_like_envelopes(cx: &Context) {
    let values = [
        json!({"_type": "decimal", "_typed": "1.20"}),
        json!({"_type": "decimal", "_typed": "not a number"}),
        json!({"_type": "datetime", "_typed": "2026-01-02T03:04:05+02:00"}),
        json!({"_type": "datetime", "_typed": null}),
        json!({"_type": "other", "_typed": {"x": {}}}),
        json!({"_type": "file", "hash": "sha256:abc"}),
        json!({"_type": "file", "meta": {}}),
        json!({"_type": "lease", "holder": "x", "token": 1, "expires_at": 1}),
        json!({"_type": "counter"}),
        json!({"_typed": "x"}),
        json!({"_type": {"_type": "file"}}),
        json!({"_type": null, "_typed": null}),
        json!({"at": {"_type": "datetime", "_typed": "2026-01-02T03:04:05Z"}, "other": 1}),
        json!({"_scalar": 5}),
        json!({"_scalar": 5, "x": 1}),
        json!({"a": {"_scalar": {"b": null}}}),
        json!(["$claim"]),
        json!({"_json": 5}),
        json!({"a": {"_json": [5]}}),
    ];
    come_back(cx, values).await;
}

async fn objects_with_odd_keys(cx: &Context) {
    let keys = [
        "", "/", "a/b", "~", "~1", "*", "**", "\\*", ".", "..", " ", "\u{1}", "\n", "é", "e\u{301}", "A", "😀", "%",
        "_",
    ];
    come_back(cx, keys.map(|key| json!({key: 1, "other": {key: [2]}}))).await;
}

async fn marker_look_alikes(cx: &Context) {
    let values = [
        json!(["$json", 1]),
        json!(["$json"]),
        json!(["$json", {}, 2]),
        json!(["$json", ["$json", {}]]),
        json!("$json"),
    ];
    come_back(cx, values).await;
}

async fn deep_nesting(cx: &Context) {
    let lists = (0..60).fold(json!(1), |inner, _| json!([inner]));
    let objects = (0..40).fold(json!({}), |inner, n| json!({ format!("k{n}"): inner }));
    let mixed = (0..30).fold(json!("end"), |inner, n| json!({ "n": n, "inner": [inner] }));
    come_back(cx, [lists, objects, mixed]).await;
}

async fn long_strings(cx: &Context) {
    come_back(cx, [json!("x".repeat(100_000)), json!("é\n\"".repeat(20_000))]).await;
}

async fn null_and_absent_are_both_none(cx: &Context) {
    cx.set_all([("links/a/title", json!("A")), ("links/a/url", json!("u"))]).await;
    cx.set("links/b", json!({"title": "B", "url": "u", "note": null})).await;
    let notes: Vec<_> = cx.repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.note).collect();
    assert_eq!(notes, [None, None]);
    // `Set(None)` is a stored null, `NotSet` writes no leaf.
    cx.repo.insert(link::ActiveModel { note: Set(None), ..new_link("c") }).await.unwrap();
    cx.repo.insert(link::ActiveModel { note: NotSet, ..new_link("d") }).await.unwrap();
    assert_eq!(cx.leaves("links/c").await[0], ("links/c/note".to_owned(), Value::Null));
    assert_eq!(cx.leaves("links/d").await.len(), 2);
}

async fn a_null_of_another_client_is_json_null(cx: &Context) {
    cx.set("flat-docs/a", json!({"value": null})).await;
    let doc = cx.repo.get::<flat::Entity>("a").await.unwrap();
    assert_eq!((doc.value, doc.maybe), (Value::Null, None));
}

/// Other clients read the same leaves, so only values that would be lost are written in another form.
async fn plain_json_is_stored_plainly(cx: &Context) {
    let value = json!({"a": {"b": [1, {}]}, "c": null});
    cx.repo.insert(flat::doc("a", &value).into_active_model().reset_all()).await.unwrap();
    cx.repo.insert(map::doc("a", &value).into_active_model().reset_all()).await.unwrap();
    for entity in ["flat-docs", "map-docs"] {
        assert_eq!(cx.value(entity).await, Some(json!({"a": {"value": value, "maybe": value}})));
    }
}

async fn envelopes_of_another_client_are_read_as_strings(cx: &Context) {
    cx.set("flat-docs/a/value", json!({"_type": "decimal", "_typed": "9.90"})).await;
    cx.set("flat-docs/a/maybe", json!({"at": {"_type": "datetime", "_typed": "2026-01-02T03:04:05Z"}, "n": 1})).await;
    let doc = cx.repo.get::<flat::Entity>("a").await.unwrap();
    assert_eq!(doc.value, json!("9.90"));
    assert_eq!(doc.maybe, Some(json!({"at": "2026-01-02T03:04:05Z", "n": 1})));
}

async fn floats_that_are_not_finite_are_refused_by_name(cx: &Context) {
    let (repo, probe) = cx.probe();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let flat = sample::flat::Model { double: number, ..sample::flat::full("s") };
        let map = sample::map::Model { maybe_double: Some(number), ..sample::map::full("s") };
        for (error, field) in [
            (repo.insert(flat.clone().into_active_model()).await.unwrap_err(), "`double`"),
            (repo.put(flat).await.unwrap_err(), "`double`"),
            (repo.insert(map.clone().into_active_model()).await.unwrap_err(), "`maybe_double`"),
            (repo.put(map).await.unwrap_err(), "`maybe_double`"),
        ] {
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains(field), "{error}");
        }
    }
    assert_eq!(probe.take_calls(), []);
}
