//! Random lists beside a filter over sorted keys.

use std::collections::BTreeSet;

use dust_protocol::testing::segment;
use dust_protocol::{Op, Path, RawJson};
use proptest::prelude::*;

use super::*;

/// A record with a key of two texts.
mod pair {
    use crate::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
    #[sea_orm(table_name = "pairs")]
    #[dust(prefix = "pairs", crate = "crate")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub title: String,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

type Key = (String, String);

/// A text that can be a part of a key.
fn part() -> impl Strategy<Value = String> {
    let is_part = |text: &String| {
        !text.is_empty()
            && text != "\\*"
            && text != "\\**"
            && !text.bytes().any(|byte| byte == 0 || byte.is_ascii_uppercase())
    };
    let near = prop::sample::select(vec!["a", "a-1", "a.b", "a/b", "a~b", "a0", "ab", "b", "title"]);
    prop_oneof![near.prop_map(str::to_owned), segment()].prop_filter("a part of a key", is_part)
}

/// A key of the store, or any other.
fn bound() -> impl Strategy<Value = Option<(prop::sample::Index, Option<Key>)>> {
    prop::option::of((any::<prop::sample::Index>(), prop::option::weighted(0.3, (part(), part()))))
}

/// The order of lists.
fn place((owner, name): &Key) -> String {
    format!("{}/", Path::from_segments([owner, name]).unwrap())
}

#[derive(Clone, Copy, Debug)]
enum Amount {
    All,
    First(u64),
    Last(u64),
}

fn model((owner, name): &Key) -> pair::Model {
    pair::Model { owner: owner.clone(), name: name.clone(), title: format!("{name} of {owner}"), note: None }
}

fn limited<K>(list: Find<'_, pair::Entity, K>, amount: Amount, desc: bool) -> Find<'_, pair::Entity, K> {
    let list = match amount {
        Amount::All => list,
        Amount::First(count) => list.first(count),
        Amount::Last(count) => list.last(count),
    };
    if desc { list.desc() } else { list }
}

async fn check<K>(list: Find<'_, pair::Entity, K>, expected: &[&Key]) -> Result<(), TestCaseError> {
    let models: Vec<pair::Model> = expected.iter().map(|key| model(key)).collect();
    let keys: Vec<Key> = expected.iter().map(|key| (*key).clone()).collect();
    let again = || Find { repo: list.repo, list: list.list.clone(), types: list.types };
    prop_assert_eq!(again().all().await.unwrap(), models.as_slice());
    prop_assert_eq!(again().keys().await.unwrap(), keys);
    prop_assert_eq!(again().count().await.unwrap(), expected.len() as u64);
    prop_assert_eq!(again().exists().await.unwrap(), !expected.is_empty());
    prop_assert_eq!(again().one().await.unwrap(), models.first().cloned());
    let streamed: Vec<pair::Model> = again().stream().try_collect().await.unwrap();
    prop_assert_eq!(streamed, models);
    Ok(())
}

proptest! {
    /// `PROPTEST_CASES` sets the number of cases.
    #[test]
    fn list_has_what_a_filter_over_sorted_keys_has(
        keys in prop::collection::btree_set((part(), part()), 0..14),
        (after, before) in (bound(), bound()),
        within in prop::option::of(any::<prop::sample::Index>()),
        starts in prop::option::of((any::<prop::sample::Index>(), 0..3_usize)),
        amount in prop_oneof![Just(Amount::All), (0..5_u64).prop_map(Amount::First), (0..5_u64).prop_map(Amount::Last)],
        desc in any::<bool>(),
    ) {
        let keys: BTreeSet<Key> = keys;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all: Vec<&Key> = keys.iter().collect();
        let key_at = |bound: Option<(prop::sample::Index, Option<Key>)>| match bound {
            Some((_, Some(other))) => Some(other),
            Some((index, None)) if !all.is_empty() => Some((*index.get(&all)).clone()),
            _ => None,
        };
        let owner = within.filter(|_| !all.is_empty()).map(|index| index.get(&all).0.clone());
        let (after, before) = (key_at(after), key_at(before));
        let start = starts.filter(|_| !all.is_empty()).map(|(index, length)| {
            let (first, second) = index.get(&all);
            let part = if owner.is_some() { second } else { first };
            part.chars().take(length).collect::<String>()
        });
        // Within an owner, a bound is a name of that owner.
        let of_owner = |key: &Key| owner.as_ref().map_or(key.clone(), |owner| (owner.clone(), key.1.clone()));
        let (after_key, before_key) = (after.as_ref().map(of_owner), before.as_ref().map(of_owner));
        let mut expected: Vec<&Key> = keys.iter().collect();
        expected.sort_by_key(|key| place(key));
        let (low, high) = if desc { (&before_key, &after_key) } else { (&after_key, &before_key) };
        expected.retain(|key| {
            let part = if owner.is_some() { &key.1 } else { &key.0 };
            owner.as_ref().is_none_or(|owner| key.0 == *owner)
                && start.as_ref().is_none_or(|start| part.starts_with(start.as_str()))
                && low.as_ref().is_none_or(|low| place(key) > place(low))
                && high.as_ref().is_none_or(|high| place(key) < place(high))
        });
        if desc {
            expected.reverse();
        }
        let expected = match amount {
            Amount::All => expected.as_slice(),
            Amount::First(count) => &expected[..expected.len().min(count as usize)],
            Amount::Last(count) => &expected[expected.len().saturating_sub(count as usize)..],
        };

        runtime.block_on(async {
            let repo = DustRepo::embedded();
            // Leaves that belong to no record.
            let noise = ["pairs/a", "pairs/a/b", "pairs-1/a/b/title", "pairs0/a/b/title", "pairs"];
            for path in noise.iter().rev() {
                let op = Op::set(Path::parse(path).unwrap(), RawJson::null());
                repo.transport().write(vec![op], None).await.unwrap();
            }
            for key in &keys {
                repo.put(model(key)).await.unwrap();
            }
            let list = repo.find::<pair::Entity>();
            match owner {
                None => {
                    let mut list = list;
                    if let Some(start) = start { list = list.starts_with(start); }
                    if let Some(after) = after { list = list.after(after); }
                    if let Some(before) = before { list = list.before(before); }
                    check(limited(list, amount, desc), expected).await
                }
                Some(owner) => {
                    let mut list = list.within(owner);
                    if let Some(start) = start { list = list.starts_with(start); }
                    if let Some((_, name)) = after { list = list.after(name); }
                    if let Some((_, name)) = before { list = list.before(name); }
                    check(limited(list, amount, desc), expected).await
                }
            }
        })?;
    }
}
