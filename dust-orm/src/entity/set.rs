//! [`DustSet`]: a list without duplicates that many writers add to and remove from.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::json_column::json_column;

/// A list without duplicates, newest member first. [`add_to_set`](crate::DustRepo::add_to_set) and
/// [`remove_from_set`](crate::DustRepo::remove_from_set) change one member, so that writers who change different
/// members do not overwrite each other.
///
/// In SQL it is a JSON column. With `#[serde(default)]` the field of a record without the leaf is the empty set.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// use dust_orm::DustRepo;
///
/// mod page {
///     use dust_orm::entity::prelude::*;
///
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
///     #[sea_orm(table_name = "pages")]
///     #[dust(prefix = "pages")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub slug: String,
///         pub tags: DustSet<String>,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl ActiveModelBehavior for ActiveModel {}
/// }
///
/// let repo = DustRepo::embedded();
/// repo.add_to_set("home", page::Column::Tags, "rust").await?;
/// repo.add_to_set("home", page::Column::Tags, "dust").await?;
/// let tags = repo.remove_from_set("home", page::Column::Tags, "rust").await?;
/// assert!(tags.contains(&"dust".to_owned()) && tags.len() == 1);
/// assert_eq!(repo.get::<page::Entity>("home").await?.tags, tags);
/// # Ok(())
/// # }
/// ```
///
/// It dereferences to a slice. Two sets are equal if they have the same members in the same order. A store compares
/// members as JSON, in which `1` and `1.0` are different. The text `$json` cannot be added: it marks values that a
/// store would change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct DustSet<T>(Vec<T>);

impl<T> DustSet<T> {
    /// Creates a set without members.
    pub const fn new() -> DustSet<T> {
        DustSet(Vec::new())
    }

    /// Converts the set into its members, newest first.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T: PartialEq> DustSet<T> {
    /// Adds a member as the first one, as a store does. Returns `false` if the set had the member already and only its
    /// position has changed. To change the stored set, use [`DustRepo::add_to_set`](crate::DustRepo::add_to_set).
    pub fn add(&mut self, member: T) -> bool {
        let fresh = !self.remove(&member);
        self.0.insert(0, member);
        fresh
    }

    /// Removes a member. Returns `false` if the set did not have it. To change the stored set, use
    /// [`DustRepo::remove_from_set`](crate::DustRepo::remove_from_set).
    pub fn remove(&mut self, member: &T) -> bool {
        let at = self.0.iter().position(|known| known == member);
        at.map(|at| self.0.remove(at)).is_some()
    }
}

impl<T> Default for DustSet<T> {
    fn default() -> DustSet<T> {
        DustSet::new()
    }
}

impl<T> Deref for DustSet<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Keeps the first of equal members.
impl<T: Eq + Hash> FromIterator<T> for DustSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> DustSet<T> {
        let mut members: Vec<T> = members.into_iter().collect();
        let mut seen = HashSet::with_capacity(members.len());
        let fresh: Vec<bool> = members.iter().map(|member| seen.insert(member)).collect();
        let mut fresh = fresh.into_iter();
        members.retain(|_| fresh.next().unwrap_or(false));
        DustSet(members)
    }
}

impl<T: Eq + Hash> From<Vec<T>> for DustSet<T> {
    fn from(members: Vec<T>) -> DustSet<T> {
        members.into_iter().collect()
    }
}

impl<T: Eq + Hash, const N: usize> From<[T; N]> for DustSet<T> {
    fn from(members: [T; N]) -> DustSet<T> {
        members.into_iter().collect()
    }
}

impl<T> IntoIterator for DustSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a DustSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Drops duplicates, which a list of another client may have.
impl<'de, T: Deserialize<'de> + Eq + Hash> Deserialize<'de> for DustSet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DustSet<T>, D::Error> {
        Vec::deserialize(deserializer).map(DustSet::from)
    }
}

json_column!(impl[T: Serialize + DeserializeOwned + Eq + Hash] DustSet<T>, "DustSet");

#[cfg(test)]
mod tests {
    use dust_protocol::apply::{Leaf, Stamp, outcome};
    use dust_protocol::{LeafKind, Mutation, Path, RawJson};
    use proptest::prelude::*;
    use sea_orm::Value;
    use sea_orm::sea_query::{Nullable, ValueType};

    use super::*;

    #[test]
    fn duplicates_are_dropped_by_deserialize() {
        let read: DustSet<u8> = serde_json::from_str("[3,1,3,2,1]").unwrap();
        assert_eq!(read, DustSet::from([3, 1, 2]));
        assert_eq!(serde_json::to_string(&read).unwrap(), "[3,1,2]");
        assert!(serde_json::from_str::<DustSet<u8>>("3").is_err());
        assert!(DustSet::<u8>::default().is_empty());
    }

    #[test]
    fn sql_null_is_read_as_none() {
        assert_eq!(<Option<DustSet<u8>> as ValueType>::try_from(DustSet::<u8>::null()).unwrap(), None);
        assert!(<DustSet<u8> as ValueType>::try_from(Value::from(1)).is_err());
    }

    /// The set that a store holds after an op on it.
    fn stored(set: &DustSet<u8>, op: &Mutation) -> DustSet<u8> {
        let path = Path::parse("tags").unwrap();
        let leaf = Leaf { value: RawJson::from_serialize(set).unwrap(), kind: LeafKind::Set, revision: 1 };
        let leaves = std::collections::BTreeMap::from([(path.clone(), leaf)]);
        outcome(&leaves, &path, op, Stamp { store_seq: 2, wall_ms: 0 }).unwrap().to().unwrap()
    }

    proptest! {
        #[test]
        fn set_round_trips_through_json_and_sql(members: Vec<String>) {
            let set = DustSet::from(members);
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DustSet<String>>(&json).unwrap(), &set);
            prop_assert_eq!(<DustSet<String> as ValueType>::try_from(Value::from(set.clone())).unwrap(), set);
        }

        #[test]
        fn add_and_remove_match_the_store(members in proptest::collection::vec(0_u8..6, 0..8), member in 0_u8..6) {
            let set = DustSet::from(members);
            let text = RawJson::from_serialize(&member).unwrap();
            let (mut added, mut removed) = (set.clone(), set.clone());
            prop_assert_eq!(added.add(member), !set.contains(&member));
            prop_assert_eq!(removed.remove(&member), set.contains(&member));
            prop_assert_eq!(added, stored(&set, &Mutation::Add(text.clone())));
            prop_assert_eq!(removed, stored(&set, &Mutation::Remove(text)));
        }
    }
}
