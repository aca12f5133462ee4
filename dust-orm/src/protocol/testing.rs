//! Values that the property tests of this crate draw from.

use proptest::prelude::*;
use serde_json::Value;

/// A path segment: any Unicode, often with the characters that matter.
pub(crate) fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-cA-C]{1,2}",
        prop::sample::select(vec!["*", "**", "\\*", "\\**", "~", "/", "~1", "~01", ".", "..", "%", "_", "a/b", "1*"])
            .prop_map(str::to_owned),
        "\\PC{1,6}",
        prop::collection::vec(any::<char>(), 1..4).prop_map(String::from_iter),
    ]
}

/// Any JSON value that is not an envelope.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<char>().prop_map(|character| Value::from(character.to_string())),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(segment(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
