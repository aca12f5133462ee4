//! Strategies for property tests, and a simple model of a store to compare with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is the failure we want to see")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Mutation, Path, RawJson};

/// A path segment: any Unicode, often with characters that have a meaning in paths.
pub fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-cA-C]{1,2}",
        prop::sample::select(vec!["*", "**", "\\*", "\\**", "~", "/", "~1", "~01", ".", "..", "%", "_", "a/b", "1*"])
            .prop_map(str::to_owned),
        "\\PC{1,6}",
        prop::collection::vec(any::<char>(), 1..4).prop_map(String::from_iter),
    ]
}

/// Any JSON value that is not an envelope.
pub fn json() -> impl Strategy<Value = Value> {
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

/// A path of few and similar segments, so that random ops affect the same leaves.
pub fn near_path() -> impl Strategy<Value = Path> {
    let segment = prop::sample::select(vec!["a", "A", "b", "aB", "a-1", "é"]);
    prop::collection::vec(segment, 1..4).prop_map(|segments| Path::from_segments(segments).unwrap())
}

/// A value to write at such a path.
pub fn near_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        (-3..3_i32).prop_map(|halves| json!(f64::from(halves) / 2.0)),
        "[xy]{0,2}".prop_map(Value::from),
        Just(json!([1, 1.0, 1, "x"])),
        Just(json!({"_type": "decimal", "_typed": "1.50"})),
        Just(json!({"_type": "file", "hash": "h"})),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop::sample::select(vec!["a", "A", "b", "aB"]);
        prop::collection::btree_map(key, inner, 0..4)
            .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    })
}

/// Any op without a clock.
pub fn near_op() -> impl Strategy<Value = Mutation> {
    let raw = |value: Value| RawJson::from(&value);
    let object = near_value().prop_map(|value| if value.is_object() { value } else { json!({"b": value}) });
    let by = prop_oneof![Just(json!(1)), Just(json!(-2)), Just(json!(0.5))];
    prop_oneof![
        4 => near_value().prop_map(move |value| Mutation::Set(raw(value))),
        2 => Just(Mutation::Delete),
        2 => object.prop_map(move |value| Mutation::Merge(raw(value))),
        2 => by.prop_map(move |by| Mutation::Increment(raw(by))),
        2 => near_value().prop_map(move |member| Mutation::Add(raw(member))),
        1 => near_value().prop_map(move |member| Mutation::Remove(raw(member))),
        1 => Just(Mutation::PutFile(RawJson::from(json!({"_type": "file", "hash": "x"})))),
    ]
}

/// A simple store: leaves by rendered path, as (value, type, revision).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model(pub BTreeMap<String, (Value, &'static str, u64)>);

impl Model {
    /// Applies an op, or returns the name of the error.
    pub fn run(&mut self, seq: u64, path: &Path, op: &Mutation) -> Result<(), &'static str> {
        let at = path.to_string();
        let current = self.0.get(&at).map_or(Value::Null, |(value, ..)| value.clone());
        let members = || current.as_array().cloned().unwrap_or_default();
        let value = |raw: &RawJson| raw.to::<Value>().unwrap();
        match op {
            Mutation::Set(new) => self.set(seq, &at, &value(new)),
            Mutation::Delete => self.clear(&at),
            Mutation::Merge(object) => {
                for (key, child) in value(object).as_object().unwrap() {
                    let at = path.child(key).unwrap().to_string();
                    if is_subtree(child) {
                        self.set(seq, &at, child);
                    } else {
                        self.0.insert(at, (child.clone(), kind(child), seq));
                    }
                }
            }
            Mutation::Increment(by) => {
                let by = value(by);
                let sum = match (&current, by.as_i64()) {
                    (Value::Null | Value::Bool(false), _) => by,
                    (Value::Number(number), Some(by)) if number.is_i64() => json!(number.as_i64().unwrap() + by),
                    (Value::Number(number), _) => json!(number.as_f64().unwrap() + by.as_f64().unwrap()),
                    _ => return Err("not_a_number"),
                };
                self.0.insert(at, (sum, "counter", seq));
            }
            Mutation::Add(member) if value(member).is_null() => return Err("add_requires_value"),
            Mutation::Add(member) => {
                let mut set = vec![];
                for item in std::iter::once(value(member)).chain(members()) {
                    if !set.contains(&item) {
                        set.push(item);
                    }
                }
                self.0.insert(at, (set.into(), "set", seq));
            }
            Mutation::Remove(member) if value(member).is_null() => return Err("remove_requires_value"),
            Mutation::Remove(member) => {
                let mut set = members();
                if let Some(found) = set.iter().position(|item| *item == value(member)) {
                    set.remove(found);
                }
                self.0.insert(at, (set.into(), "set", seq));
            }
            Mutation::PutFile(file) => {
                self.clear(&at);
                self.0.insert(at, (value(file), "file", seq));
            }
            Mutation::Lease { .. } | Mutation::Renew { .. } | Mutation::Release { .. } => {
                unreachable!("the model has no clock")
            }
        }
        Ok(())
    }

    fn clear(&mut self, at: &str) {
        let below = format!("{at}/").to_ascii_lowercase();
        self.0.retain(|path, _| path != at && !path.to_ascii_lowercase().starts_with(&below));
    }

    fn set(&mut self, seq: u64, at: &str, value: &Value) {
        self.clear(at);
        self.expand(seq, at, value);
    }

    fn expand(&mut self, seq: u64, at: &str, value: &Value) {
        if is_subtree(value) {
            for (key, child) in value.as_object().unwrap() {
                self.expand(seq, &format!("{at}/{key}"), child);
            }
        } else {
            self.0.insert(at.to_owned(), (value.clone(), kind(value), seq));
        }
    }

    /// The answer to a GET of the path, except that envelopes stay.
    pub fn get(&self, at: &str) -> Option<Value> {
        if let Some((value, ..)) = self.0.get(at) {
            return Some(value.clone());
        }
        let below = format!("{at}/").to_ascii_lowercase();
        let leaves: BTreeMap<Vec<&str>, &Value> = self
            .0
            .iter()
            .filter(|(path, _)| path.to_ascii_lowercase().starts_with(&below))
            .map(|(path, (value, ..))| (path[below.len()..].split('/').collect(), value))
            .collect();
        let shadowed = |path: &[&str]| (1..path.len()).any(|end| leaves.contains_key(&path[..end]));
        let mut object = json!({});
        for (path, value) in leaves.iter().filter(|(path, _)| !shadowed(path)) {
            let mut place = &mut object;
            for key in path {
                place = &mut place[*key];
            }
            *place = (*value).clone();
        }
        (!leaves.is_empty()).then_some(object)
    }
}

fn is_subtree(value: &Value) -> bool {
    value.is_object() && value["_type"] != "file" && value["_type"] != "lease" && !value["_typed"].is_string()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) | Value::Array(_) => "string",
        Value::Object(_) => "map",
    }
}

/// Variants of a message: in each, one of its objects is replaced by an array of some of its values, in every order. A
/// derived `Deserialize` would accept these.
pub fn objects_as_arrays(message: &str) -> Vec<String> {
    let message: Value = serde_json::from_str(message).unwrap();
    arrays_for(&message).into_iter().map(|value| value.to_string()).collect()
}

fn arrays_for(value: &Value) -> Vec<Value> {
    let inside = |place: &dyn Fn(Value) -> Value, child: &Value| arrays_for(child).into_iter().map(place).collect();
    match value {
        Value::Object(members) => {
            let values: Vec<Value> = members.values().cloned().collect();
            let mut arrays: Vec<Value> = orders(&values).into_iter().map(Value::from).collect();
            for (key, child) in members {
                let place = |child| {
                    let mut changed = members.clone();
                    changed.insert(key.clone(), child);
                    Value::Object(changed)
                };
                let changed: Vec<Value> = inside(&place, child);
                arrays.extend(changed);
            }
            arrays
        }
        Value::Array(items) => {
            let mut arrays = Vec::new();
            for (at, child) in items.iter().enumerate() {
                let place = |child| {
                    let mut changed = items.clone();
                    changed[at] = child;
                    Value::Array(changed)
                };
                let changed: Vec<Value> = inside(&place, child);
                arrays.extend(changed);
            }
            arrays
        }
        _ => Vec::new(),
    }
}

/// The permutations of the values, and the beginnings of each.
fn orders(values: &[Value]) -> Vec<Vec<Value>> {
    let mut orders = vec![Vec::new()];
    for (at, first) in values.iter().enumerate() {
        let rest: Vec<Value> = [&values[..at], &values[at + 1..]].concat();
        orders.extend(self::orders(&rest).into_iter().map(|rest| [vec![first.clone()], rest].concat()));
    }
    orders
}
