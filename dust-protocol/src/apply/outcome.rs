//! The value that an op commits, from the leaf that it finds.

use std::collections::HashSet;

use super::{Leaf, Leaves, OpError};
use crate::entry::LeafKind;
use crate::json::RawJson;
use crate::op::Mutation;
use crate::path::Path;
use crate::value;

/// The sequence and time that a store writes into a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The `store_seq` that the op will have.
    pub store_seq: u64,
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: i64,
}

/// The value that an op commits: for `set` and `merge` the value in the form it is kept in, for `increment`, `add` and
/// `remove` the new value of the leaf, for `lease` and `renew` the lease, `null` for `delete` and `release`.
///
/// The caller has checked that a lease may be taken, renewed or released, by the rules of [`Mutation`] and the store's
/// clock. [`apply`](super::apply) refuses an object that cannot become leaves.
pub fn outcome<L: Leaves>(leaves: &L, path: &Path, mutation: &Mutation, stamp: Stamp) -> Result<RawJson, L::Error> {
    match mutation {
        Mutation::Set(value) => Ok(value::normalise(value).map_err(OpError::from)?),
        Mutation::Merge(value) if value.is_object() => Ok(value::normalise(value).map_err(OpError::from)?),
        Mutation::Merge(_) => Err(OpError::MergeRequiresMap.into()),
        Mutation::Increment(by) => Ok(incremented(leaves.leaf(path)?, by)?),
        Mutation::Add(member) if member.is_null() => Err(OpError::AddRequiresValue.into()),
        Mutation::Add(member) => Ok(added(leaves.leaf(path)?, member)?),
        Mutation::Remove(member) if member.is_null() => Err(OpError::RemoveRequiresValue.into()),
        Mutation::Remove(member) => Ok(removed(leaves.leaf(path)?, member)?),
        Mutation::PutFile(file) => Ok(file_reference(file)?),
        Mutation::Delete | Mutation::Release { .. } => Ok(RawJson::null()),
        Mutation::Lease { holder, ttl_ms } => {
            let holder = holder.as_ref().map_or(RawJson::null(), |name| string(name));
            Ok(lease(holder.as_str(), stamp.store_seq, stamp.wall_ms.saturating_add(*ttl_ms)))
        }
        Mutation::Renew { token, ttl_ms } => {
            let held = leaves.leaf(path)?;
            let holder = held.as_ref().and_then(|leaf| member(&leaf.value, "holder")).unwrap_or("null".into());
            Ok(lease(&holder, *token, stamp.wall_ms.saturating_add(*ttl_ms)))
        }
    }
}

fn file_reference(file: &RawJson) -> Result<RawJson, OpError> {
    let file = value::normalise(file)?;
    if member(&file, "_type").as_deref() == Some("\"file\"") { Ok(file) } else { Err(OpError::NotAFile) }
}

/// The sum of a counter and a number. An absent leaf, `null` and `false` count as 0. A sum with a float is a float.
pub fn incremented(leaf: Option<Leaf>, by: &RawJson) -> Result<RawJson, OpError> {
    let by = number(by).ok_or(OpError::IncrementRequiresNumber)??;
    let current = match &leaf {
        None => Number::Integer(0),
        Some(leaf) if matches!(leaf.value.as_str(), "null" | "false") => Number::Integer(0),
        Some(leaf) => number(&leaf.value).ok_or(OpError::NotANumber(leaf.kind.name()))??,
    };
    match (current, by) {
        (Number::Integer(current), Number::Integer(by)) => {
            let sum = current.checked_add(by).ok_or(OpError::NumberOutOfRange)?;
            Ok(RawJson::from_trusted(sum.to_string()))
        }
        (current, by) => {
            let sum = current.to_float() + by.to_float();
            if !sum.is_finite() {
                return Err(OpError::NumberOutOfRange);
            }
            let mut out = String::new();
            value::push_float(sum, &mut out);
            Ok(RawJson::from_trusted(out))
        }
    }
}

enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    fn to_float(&self) -> f64 {
        match self {
            Number::Integer(integer) => *integer as f64,
            Number::Float(float) => *float,
        }
    }
}

/// The number that a value holds; `None` for other values.
fn number(value: &RawJson) -> Option<Result<Number, OpError>> {
    let text = value.as_str();
    match LeafKind::of(value) {
        LeafKind::Integer => Some(text.parse().map(Number::Integer).map_err(|_| OpError::NumberOutOfRange)),
        LeafKind::Float => match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Some(Ok(Number::Float(float))),
            _ => Some(Err(OpError::NumberOutOfRange)),
        },
        _ => None,
    }
}

/// A set with a member added: newest first, each once.
fn added(leaf: Option<Leaf>, member: &RawJson) -> Result<RawJson, OpError> {
    let member = value::normalise(member)?;
    let mut seen = HashSet::new();
    let mut set = Vec::new();
    for item in std::iter::once(member).chain(set_members(leaf)?) {
        if seen.insert(value::comparable(item.as_str())?) {
            set.push(item);
        }
    }
    Ok(list(&set))
}

/// A set without the first occurrence of a member.
fn removed(leaf: Option<Leaf>, member: &RawJson) -> Result<RawJson, OpError> {
    let member = value::comparable(member.as_str())?;
    let mut set = set_members(leaf)?;
    for (index, item) in set.iter().enumerate() {
        if value::comparable(item.as_str())? == member {
            set.remove(index);
            break;
        }
    }
    Ok(list(&set))
}

/// The items of a leaf that holds a list; empty for any other leaf.
fn set_members(leaf: Option<Leaf>) -> Result<Vec<RawJson>, OpError> {
    match leaf {
        Some(leaf) if leaf.value.as_str().starts_with('[') => {
            let items = value::items(leaf.value.as_str())?;
            Ok(items.into_iter().map(|item| RawJson::from_trusted(item.get())).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn list(items: &[RawJson]) -> RawJson {
    let items: Vec<&str> = items.iter().map(RawJson::as_str).collect();
    RawJson::from_trusted(format!("[{}]", items.join(",")))
}

fn lease(holder: &str, token: u64, expires_at: i64) -> RawJson {
    RawJson::from_trusted(format!(r#"{{"_type":"lease","expires_at":{expires_at},"holder":{holder},"token":{token}}}"#))
}

fn string(text: &str) -> RawJson {
    let mut out = String::with_capacity(text.len() + 2);
    value::push_string(text, &mut out);
    RawJson::from_trusted(out)
}

/// The text of one member of an object.
fn member(object: &RawJson, key: &str) -> Option<String> {
    let members = value::members(object.as_str()).ok()?;
    members.get(key).map(|value| value.get().to_owned())
}
