//! Properties of the repo, on the embedded store in memory: every value reads back as written, and any sequence of
//! verbs has the same effect as on a map.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "these are tests")]

use conformance::entities::docs::{flat, map};
use conformance::entities::*;
use dust_orm::DustRepo;
use proptest::prelude::*;
use serde_json::Value;

mod model;

/// Any key except refused ones.
fn key() -> impl Strategy<Value = String> {
    let odd = prop_oneof![Just("/"), Just("~"), Just("*"), Just("**"), Just("."), Just("%"), Just("\\"), Just(" ")];
    let odd = proptest::collection::vec(odd, 1..4).prop_map(|parts| parts.concat());
    prop_oneof!["[^\u{0}\n]{1,12}", odd, "[a-c/~*%_.-]{1,3}"]
        .prop_map(|key: String| key.to_ascii_lowercase())
        .prop_filter("keys that cannot be named", |key| !matches!(key.as_str(), "" | "\\*" | "\\**"))
}

/// Any JSON that is not refused, with a preference for values that a store could misread.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        3 => ".{0,6}",
        1 => prop_oneof![Just("$json"), Just("decimal"), Just("datetime"), Just("file"), Just("lease")]
            .prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop_oneof![
        3 => "[a-c]{1,2}",
        2 => "[^\u{0}\n]{0,3}",
        1 => prop_oneof![Just("_type"), Just("_typed"), Just("_json"), Just("_scalar"), Just("")]
            .prop_map(String::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// `Some(null)` of an option is `None`.
fn maybe() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(json()).prop_map(|value| value.filter(|value| !value.is_null()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn documents_come_back(slug in key(), before in json(), value in json(), maybe in maybe()) {
        let repo = DustRepo::embedded();
        block_on(async {
            // Over another value, of which no leaf may stay.
            repo.put(flat::doc(&slug, &before)).await.unwrap();
            repo.put(map::doc(&slug, &before)).await.unwrap();
            let flat = flat::Model { slug: slug.clone(), value: value.clone(), maybe: maybe.clone() };
            let map = map::Model { slug: slug.clone(), value: value.clone(), maybe: maybe.clone() };
            repo.insert(flat.clone().into_active_model()).await.unwrap();
            repo.insert(map.clone().into_active_model()).await.unwrap();
            assert_eq!(repo.all::<flat::Entity>().await.unwrap(), std::slice::from_ref(&flat));
            assert_eq!(repo.all::<map::Entity>().await.unwrap(), std::slice::from_ref(&map));
            assert_eq!(repo.get::<flat::Entity>(slug.clone()).await.unwrap(), flat);
            assert_eq!(repo.get::<map::Entity>(slug.clone()).await.unwrap(), map);

            let flat_seen = repo.find_versioned::<flat::Entity>(slug.clone()).await.unwrap().unwrap();
            let map_seen = repo.find_versioned::<map::Entity>(slug.clone()).await.unwrap().unwrap();
            let flat = flat::ActiveModel { value: Set(before.clone()), ..flat.into_active_model() };
            let map = map::ActiveModel { value: Set(before), ..map.into_active_model() };
            let flat = repo.update(flat).if_match(flat_seen.revision).await.unwrap();
            let map = repo.update(map).if_match(map_seen.revision).await.unwrap();
            assert_eq!(repo.get::<flat::Entity>(slug.clone()).await.unwrap(), flat);
            assert_eq!(repo.get::<map::Entity>(slug.clone()).await.unwrap(), map);
            assert_eq!(flat.maybe, maybe);
            assert_eq!(map.maybe, maybe);
        });
    }

    #[test]
    fn records_keep_to_themselves(keys in proptest::collection::btree_set(key(), 1..12)) {
        let repo = DustRepo::embedded();
        block_on(async {
            repo.insert_many(keys.iter().map(|key| new_link(key))).await.unwrap();
            let mut left = keys.clone();
            for key in &keys {
                let mut found: Vec<String> =
                    repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.slug).collect();
                found.sort();
                assert_eq!(found, left.iter().cloned().collect::<Vec<_>>());
                assert_eq!(repo.get::<link::Entity>(key.clone()).await.unwrap(), link(key));
                repo.delete_by_id::<link::Entity>(key.clone()).await.unwrap();
                left.remove(key);
            }
            assert!(repo.all::<link::Entity>().await.unwrap().is_empty());
        });
    }
}
