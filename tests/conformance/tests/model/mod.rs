//! Random sequences of verbs, against a map from keys to fields. Each field knows when it was written, which is what a
//! revision compares.

use std::collections::BTreeMap;

use conformance::entities::docs;
use conformance::entities::*;
use conformance::{Backend, PlainServer};
use dust_orm::{BatchEntry, DustErr, DustRepo, ErrKind, StorageMode, Versioned};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEYS: [&str; 5] = ["a", "a-1", "a/b", "b", "~"];

/// A value to write: not set, null, or something.
#[derive(Clone, Debug)]
enum Given {
    Not,
    None,
    Some(Value),
}

/// The condition.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    None,
    IfAbsent,
    /// The last read revision; none without a read.
    IfMatch,
}

#[derive(Clone, Debug)]
enum Verb {
    Insert {
        value: Value,
        maybe: Given,
    },
    /// From the last read model, or from the key alone.
    Update {
        seen: bool,
        value: Option<Value>,
        maybe: Given,
    },
    Put {
        value: Value,
        maybe: Option<Value>,
    },
    Delete,
}

#[derive(Clone, Debug)]
enum Step {
    /// Reads a record and remembers it with its revision.
    See(usize),
    Write(usize, Verb, Condition),
    /// Puts cannot be in a batch; here they are inserts.
    Batch(Vec<(usize, Verb, Condition)>),
    DeleteAll,
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..3).prop_map(Value::from),
        Just(json!({"x": 1})),
        Just(json!({"x": {"y": 2}, "z": []})),
        Just(json!({})),
        Just(json!("text")),
        Just(Value::Null),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    let some = value().prop_map(|value| if value.is_null() { Given::None } else { Given::Some(value) });
    prop_oneof![Just(Given::Not), Just(Given::None), some]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => (value(), given()).prop_map(|(value, maybe)| Verb::Insert { value, maybe }),
        4 => (any::<bool>(), proptest::option::of(value()), given())
            .prop_map(|(seen, value, maybe)| Verb::Update { seen, value, maybe }),
        1 => (value(), proptest::option::of(value()))
            .prop_map(|(value, maybe)| Verb::Put { value, maybe: maybe.filter(|value| !value.is_null()) }),
        2 => Just(Verb::Delete),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![3 => Just(Condition::None), 1 => Just(Condition::IfAbsent), 3 => Just(Condition::IfMatch)]
}

fn step() -> impl Strategy<Value = Step> {
    let write = || (0..KEYS.len(), verb(), condition());
    prop_oneof![
        4 => (0..KEYS.len()).prop_map(Step::See),
        8 => write().prop_map(|(key, verb, condition)| Step::Write(key, verb, condition)),
        2 => proptest::collection::vec(write(), 0..4).prop_map(|mut writes| {
            // A record is in a batch once.
            writes.sort_by_key(|(key, ..)| *key);
            writes.dedup_by_key(|(key, ..)| *key);
            Step::Batch(writes)
        }),
        1 => Just(Step::DeleteAll),
    ]
}

/// A record: each field with the time it was written.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    value: (Value, u64),
    /// `None` where there is no leaf.
    maybe: Option<(Option<Value>, u64)>,
}

type Records = BTreeMap<&'static str, Record>;

/// The last read record.
type Seen = BTreeMap<&'static str, Record>;

fn given_value(given: &Given) -> Option<Option<Value>> {
    match given {
        Given::Not => None,
        Given::None => Some(None),
        Given::Some(value) => Some(Some(value.clone())),
    }
}

/// True if the fields of a write are unchanged since the read.
fn unchanged(mode: StorageMode, now: Option<&Record>, seen: &Record, value: bool, maybe: bool) -> bool {
    let Some(now) = now else { return false };
    let same_value = now.value.1 == seen.value.1;
    let time = |record: &Record| record.maybe.as_ref().map(|(_, time)| *time);
    match mode {
        StorageMode::Flat => (!value || same_value) && (!maybe || time(now) == time(seen)),
        // In map mode every write of a record writes all of it.
        _ => same_value,
    }
}

/// True if every leaf of the read is unchanged; added leaves are not compared.
fn all_unchanged(now: Option<&Record>, seen: &Record) -> bool {
    now.is_some_and(|now| {
        now.value.1 == seen.value.1
            && seen.maybe.as_ref().is_none_or(|(_, time)| now.maybe.as_ref().is_some_and(|(_, now)| now == time))
    })
}

/// Applies a verb to the map, at a time.
fn expect(
    mode: StorageMode,
    records: &mut Records,
    seen: &Seen,
    time: u64,
    key: &'static str,
    verb: &Verb,
    condition: Condition,
) -> Result<(), ErrKind> {
    let now = records.get(key);
    let seen_here = seen.get(key);
    let revision = seen_here.filter(|_| condition == Condition::IfMatch);
    let next = match verb {
        Verb::Insert { value, maybe } => {
            let maybe = given_value(maybe).map(|maybe| (maybe, time));
            match (condition, revision) {
                (Condition::IfAbsent, _) if now.is_some() => return Err(ErrKind::Exists),
                (_, Some(seen)) if !unchanged(mode, now, seen, true, maybe.is_some()) => return Err(ErrKind::Conflict),
                _ => {}
            }
            let kept = now.filter(|_| mode == StorageMode::Flat).and_then(|now| now.maybe.clone());
            Some(Record { value: (value.clone(), time), maybe: maybe.or(kept) })
        }
        Verb::Update { seen: from_seen, value, maybe } => {
            let Some(now) = now else {
                return Err(if revision.is_some() { ErrKind::Conflict } else { ErrKind::NotFound });
            };
            let base = seen_here.filter(|_| *from_seen);
            let maybe = given_value(maybe);
            if value.is_none() && maybe.is_none() {
                return Ok(());
            }
            if mode == StorageMode::Map && base.is_none() && (value.is_none() || maybe.is_none()) {
                return Err(ErrKind::InvalidParams);
            }
            if let Some(seen) = revision
                && !unchanged(mode, Some(now), seen, value.is_some(), maybe.is_some())
            {
                return Err(ErrKind::Conflict);
            }
            Some(match (mode, base) {
                // Unchanged fields are written too, with the values of the read.
                (StorageMode::Map, Some(base)) => Record {
                    value: (value.clone().unwrap_or_else(|| base.value.0.clone()), time),
                    maybe: Some((maybe.unwrap_or_else(|| base.maybe.clone().and_then(|(maybe, _)| maybe)), time)),
                },
                _ => Record {
                    value: value.clone().map_or_else(|| now.value.clone(), |value| (value, time)),
                    maybe: maybe.map_or_else(|| now.maybe.clone(), |maybe| Some((maybe, time))),
                },
            })
        }
        Verb::Put { value, maybe } => {
            match (condition, revision) {
                (Condition::IfAbsent, _) if now.is_some() => return Err(ErrKind::Exists),
                (_, Some(seen)) if !all_unchanged(now, seen) => return Err(ErrKind::Conflict),
                _ => {}
            }
            Some(Record { value: (value.clone(), time), maybe: Some((maybe.clone(), time)) })
        }
        Verb::Delete => {
            if revision.is_some_and(|seen| !all_unchanged(now, seen)) {
                return Err(ErrKind::Conflict);
            }
            None
        }
    };
    match next {
        Some(record) => records.insert(key, record),
        None => records.remove(key),
    };
    Ok(())
}

/// Removes `if_absent` from updates and deletes, which lack it. In a batch a put is an insert of every field.
fn tidy(verb: Verb, condition: Condition, in_batch: bool) -> (Verb, Condition) {
    let condition = match (&verb, condition) {
        (Verb::Update { .. } | Verb::Delete, Condition::IfAbsent) => Condition::None,
        (_, condition) => condition,
    };
    match verb {
        Verb::Put { value, maybe } if in_batch => {
            (Verb::Insert { value, maybe: maybe.map_or(Given::None, Given::Some) }, condition)
        }
        verb => (verb, condition),
    }
}

/// The same for both storage modes, whose entities have the same fields and no type in common.
macro_rules! against_a_map {
    ($module:ident) => {
        mod $module {
            use docs::$module::{ActiveModel, Entity, Model};

            use super::*;

            type Versions = BTreeMap<&'static str, Versioned<Model>>;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(96))]

                #[test]
                fn verbs_do_what_they_do_to_a_map(steps in proptest::collection::vec(step(), 1..24)) {
                    crate::block_on(async {
                        run(DustRepo::embedded(), steps.clone()).await;
                        let (plain, _keep) = PlainServer.connect("properties").await;
                        run(DustRepo::with_transport(plain), steps).await;
                    });
                }
            }

            fn active(key: &str, verb: &Verb, seen: Option<&Versioned<Model>>) -> ActiveModel {
                let (mut active, value, maybe) = match verb {
                    Verb::Insert { value, maybe } => (None, Some(value), given_value(maybe)),
                    Verb::Update { seen: from_seen, value, maybe } => {
                        let seen = seen.filter(|_| *from_seen).map(|seen| seen.model.clone().into_active_model());
                        (seen, value.as_ref(), given_value(maybe))
                    }
                    Verb::Put { .. } | Verb::Delete => (None, None, None),
                };
                let active =
                    active.get_or_insert_with(|| ActiveModel { slug: Set(key.to_owned()), ..Default::default() });
                if let Some(value) = value {
                    active.value = Set(value.clone());
                }
                if let Some(maybe) = maybe {
                    active.maybe = Set(maybe);
                }
                active.clone()
            }

            async fn single(
                repo: &DustRepo,
                key: &str,
                verb: &Verb,
                condition: Condition,
                seen: Option<&Versioned<Model>>,
            ) -> Result<(), DustErr> {
                let revision = seen.map(|seen| &seen.revision).filter(|_| condition == Condition::IfMatch);
                let if_absent = condition == Condition::IfAbsent;
                let active = active(key, verb, seen);
                match (verb, revision) {
                    (Verb::Insert { .. }, _) if if_absent => repo.insert(active).if_absent().await.map(drop),
                    (Verb::Insert { .. }, Some(revision)) => repo.insert(active).if_match(revision).await.map(drop),
                    (Verb::Insert { .. }, None) => repo.insert(active).await.map(drop),
                    (Verb::Update { .. }, Some(revision)) => repo.update(active).if_match(revision).await.map(drop),
                    (Verb::Update { .. }, None) => repo.update(active).await.map(drop),
                    (Verb::Put { value, maybe }, revision) => {
                        let put = repo.put(Model { slug: key.to_owned(), value: value.clone(), maybe: maybe.clone() });
                        match revision {
                            _ if if_absent => put.if_absent().await.map(drop),
                            Some(revision) => put.if_match(revision).await.map(drop),
                            None => put.await.map(drop),
                        }
                    }
                    (Verb::Delete, Some(revision)) => repo.delete(active).if_match(revision).await.map(drop),
                    (Verb::Delete, None) => repo.delete_by_id::<Entity>(key).await.map(drop),
                }
            }

            fn entry(key: &str, verb: &Verb, condition: Condition, seen: Option<&Versioned<Model>>) -> BatchEntry {
                let active = active(key, verb, seen);
                let entry = match verb {
                    Verb::Insert { .. } | Verb::Put { .. } => BatchEntry::insert(active),
                    Verb::Update { .. } => BatchEntry::update(active),
                    Verb::Delete => BatchEntry::delete(active),
                };
                match (condition, seen) {
                    (Condition::IfAbsent, _) => entry.if_absent(),
                    (Condition::IfMatch, Some(seen)) => entry.if_match(&seen.revision),
                    _ => entry,
                }
            }

            async fn run(repo: DustRepo, steps: Vec<Step>) {
                let if_subtree_absent = repo.transport().capabilities().if_subtree_absent;
                let (mut records, mut seen, mut versions) = (Records::new(), Seen::new(), Versions::new());
                for (time, step) in (1..).zip(steps) {
                    let shown = format!("{step:?}");
                    match step {
                        Step::See(key) => {
                            let key = KEYS[key];
                            match repo.find_versioned::<Entity>(key).await.unwrap() {
                                Some(version) => {
                                    versions.insert(key, version);
                                    seen.insert(key, records[key].clone());
                                }
                                None => assert!(!records.contains_key(key), "{key} is not there"),
                            }
                        }
                        Step::Write(key, verb, condition) => {
                            let key = KEYS[key];
                            let (verb, condition) = tidy(verb, condition, false);
                            let expected = match verb {
                                Verb::Put { .. } if condition == Condition::IfAbsent && !if_subtree_absent => {
                                    Err(ErrKind::NotSupported)
                                }
                                _ => expect(Entity::MODE, &mut records, &seen, time, key, &verb, condition),
                            };
                            let done = single(&repo, key, &verb, condition, versions.get(key)).await;
                            assert_eq!(done.map_err(|error| error.kind()), expected, "{shown}");
                        }
                        Step::Batch(writes) => {
                            let mut after = records.clone();
                            let (mut expected, mut entries) = (Vec::new(), Vec::new());
                            for (key, verb, condition) in writes {
                                let key = KEYS[key];
                                let (verb, condition) = tidy(verb, condition, true);
                                let one = match condition {
                                    Condition::IfAbsent if !if_subtree_absent => Err(ErrKind::NotSupported),
                                    _ => expect(Entity::MODE, &mut after, &seen, time, key, &verb, condition),
                                };
                                expected.extend(one.err());
                                entries.push(entry(key, &verb, condition, versions.get(key)));
                            }
                            match repo.batch_write(entries).await {
                                Ok(_) => {
                                    assert_eq!(expected, [], "{shown}");
                                    records = after;
                                }
                                // One of them, and nothing was written.
                                Err(error) => {
                                    assert!(expected.contains(&error.kind()), "{shown}: {error}, not {expected:?}")
                                }
                            }
                        }
                        Step::DeleteAll => {
                            repo.delete_all::<Entity>().await.unwrap();
                            records.clear();
                        }
                    }
                    let mut expected: Vec<Model> = records
                        .iter()
                        .map(|(key, record)| Model {
                            slug: (*key).to_owned(),
                            value: record.value.0.clone(),
                            maybe: record.maybe.clone().and_then(|(maybe, _)| maybe),
                        })
                        .collect();
                    let mut stored = repo.all::<Entity>().await.unwrap();
                    expected.sort_by(|one, other| one.slug.cmp(&other.slug));
                    stored.sort_by(|one, other| one.slug.cmp(&other.slug));
                    assert_eq!(stored, expected, "after {shown}");
                }
            }
        }
    };
}

against_a_map!(flat);
against_a_map!(map);
