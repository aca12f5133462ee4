//! Applies ops to leaves, for the embedded store and for the mirror of a server's store.
//!
//! There are two steps, because a committed op carries its outcome: [`outcome`] computes the value to commit from a
//! writer's op, and [`apply`] applies a committed op to the leaves, at the commit and at each replay of the log. A
//! writer's op is refused by either of them: only [`apply`] flattens an object, and finds keys that are no segments.
//! [`apply`] also answers which leaves it changed, so that no subscriber applies the op again.

mod outcome;

use std::collections::BTreeMap;

use super::entry::LeafKind;
use super::flatten::flatten;
use super::json::RawJson;
use super::op::{CommittedOp, OpKind};
use super::path::Path;
use super::value::{self, ValueError};

pub use outcome::{Stamp, incremented, outcome};

/// A leaf without its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its value, an envelope as it was written.
    pub value: RawJson,
    /// Its type.
    pub kind: LeafKind,
    /// The `store_seq` of the op that wrote it.
    pub revision: u64,
}

/// One leaf that an op wrote or removed. An op may change a leaf twice: a `set` removes the subtree and then writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafChange {
    /// The `store_seq` of the op.
    pub store_seq: u64,
    /// The path of the leaf.
    pub path: Path,
    /// The leaf before the change; `None` if there was none.
    pub before: Option<Leaf>,
    /// The leaf after the change; `None` if it was removed.
    pub after: Option<Leaf>,
}

impl LeafChange {
    /// The approximate memory of the change, in bytes.
    pub fn footprint(&self) -> usize {
        let values = [&self.before, &self.after].into_iter().flatten();
        size_of::<LeafChange>() + self.path.as_str().len() + values.map(|leaf| leaf.value.as_str().len()).sum::<usize>()
    }
}

/// A set of leaves that ops can be applied to.
pub trait Leaves {
    /// The error of an op that does not fit, or of the set itself.
    type Error: From<OpError>;

    /// The leaf at exactly this path.
    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, Self::Error>;

    /// Writes or replaces a leaf.
    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), Self::Error>;

    /// Removes the leaf at exactly this path, exact in case. Removing an absent leaf succeeds.
    fn remove(&mut self, path: &Path) -> Result<(), Self::Error>;

    /// The leaves below this path, **ignoring ASCII case**: those that [`remove_below`](Leaves::remove_below) removes.
    fn below_ignoring_case(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, Self::Error>;

    /// Removes every leaf below this path, **ignoring ASCII case**, as a Dust server does.
    fn remove_below(&mut self, path: &Path) -> Result<(), Self::Error>;
}

/// For small sets and for tests: removing a subtree looks at every leaf.
impl Leaves for BTreeMap<Path, Leaf> {
    type Error = OpError;

    fn leaf(&self, path: &Path) -> Result<Option<Leaf>, OpError> {
        Ok(self.get(path).cloned())
    }

    fn put(&mut self, path: &Path, leaf: Leaf) -> Result<(), OpError> {
        self.insert(path.clone(), leaf);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), OpError> {
        BTreeMap::remove(self, path);
        Ok(())
    }

    fn below_ignoring_case(&self, path: &Path) -> Result<Vec<(Path, Leaf)>, OpError> {
        let below = self.iter().filter(|(other, _)| path.is_ancestor_ignoring_case(other));
        Ok(below.map(|(path, leaf)| (path.clone(), leaf.clone())).collect())
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), OpError> {
        self.retain(|other, _| !path.is_ancestor_ignoring_case(other));
        Ok(())
    }
}

/// The reason why an op does not fit its value or its leaf. [`name`](OpError::name) is the server's name if it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The value itself is refused.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// `merge` with a value other than an object.
    #[error("merge_requires_map_value: merge takes an object; use set for other values")]
    MergeRequiresMap,
    /// `increment` by a value other than a number.
    #[error("increment_requires_number_value: increment takes a number")]
    IncrementRequiresNumber,
    /// `add` of `null`.
    #[error("add_requires_value: a member of a set cannot be null")]
    AddRequiresValue,
    /// `remove` of `null`.
    #[error("remove_requires_value: a member of a set cannot be null")]
    RemoveRequiresValue,
    /// `increment` of a leaf that holds no number.
    #[error("not_a_number: the leaf is a {0}; set it to a number first, or increment another path")]
    NotANumber(&'static str),
    /// `increment` beyond the range of numbers.
    #[error("number_out_of_range: the counter would leave the range of its numbers; set it to a smaller number first")]
    NumberOutOfRange,
    /// `put_file` without a file reference.
    #[error("invalid_file: put_file takes an object with `_type` \"file\"")]
    NotAFile,
}

impl OpError {
    /// The server's name for it, or a name in the same style where a server fails without one.
    pub fn name(&self) -> &'static str {
        match self {
            OpError::Value(error) => error.name(),
            OpError::MergeRequiresMap => "merge_requires_map_value",
            OpError::IncrementRequiresNumber => "increment_requires_number_value",
            OpError::AddRequiresValue => "add_requires_value",
            OpError::RemoveRequiresValue => "remove_requires_value",
            OpError::NotANumber(_) => "not_a_number",
            OpError::NumberOutOfRange => "number_out_of_range",
            OpError::NotAFile => "invalid_file",
        }
    }
}

/// Applies a committed op to the leaves. The log of a store, applied in order, gives its leaves.
///
/// Appends what it changes to `changes`, in order. With `None` it computes nothing beyond the leaves.
///
/// # Errors
///
/// The value cannot become leaves: it has an empty key or is nested too deeply. Then nothing is changed. After an error
/// of the leaves themselves they may have a part of the op, and `changes` has that part.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use dust_protocol::apply::apply;
/// use dust_protocol::{CommittedOp, OpKind, Path, RawJson};
///
/// let (mut leaves, mut changes) = (BTreeMap::new(), Vec::new());
/// let value = RawJson::parse(r#"{"title":"Dust"}"#)?;
/// let op = CommittedOp::new(1, OpKind::Set, Path::parse("links/dust")?, value);
/// apply(&mut leaves, &op, Some(&mut changes))?;
/// assert_eq!(changes[0].path.as_str(), "links/dust/title");
/// assert_eq!((&changes[0].before, changes[0].after.as_ref()), (&None, leaves.get(&changes[0].path)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn apply<L: Leaves>(
    leaves: &mut L,
    op: &CommittedOp,
    changes: Option<&mut Vec<LeafChange>>,
) -> Result<(), L::Error> {
    Application { leaves, store_seq: op.store_seq, changes }.run(op)
}

/// A value to write at a path, as leaves. An op is flattened before its first change, so that a value that does not fit
/// changes nothing.
struct Flattened {
    path: Path,
    /// True if the leaves are below the path; otherwise the only leaf is at the path.
    is_subtree: bool,
    leaves: Vec<(Path, RawJson)>,
}

impl Flattened {
    fn new(path: Path, value: &RawJson) -> Result<Flattened, OpError> {
        let leaves = flatten(&path, value)?;
        Ok(Flattened { path, is_subtree: value::is_subtree(value), leaves })
    }
}

/// An op that is being applied.
struct Application<'a, L> {
    leaves: &'a mut L,
    store_seq: u64,
    changes: Option<&'a mut Vec<LeafChange>>,
}

impl<L: Leaves> Application<'_, L> {
    fn run(mut self, op: &CommittedOp) -> Result<(), L::Error> {
        let path = &op.path;
        match op.op {
            OpKind::Set => {
                let value = Flattened::new(path.clone(), &op.value)?;
                if !value.is_subtree {
                    self.remove_below(path)?;
                }
                self.write(value)
            }
            OpKind::Delete => {
                self.remove(path)?;
                self.remove_below(path)
            }
            OpKind::Merge => {
                let members = value::members(op.value.as_str()).map_err(OpError::from)?;
                let children = members.into_iter().map(|(key, value)| {
                    let child = path.child(&key).map_err(|_| OpError::from(ValueError::EmptyKey(path.to_string())))?;
                    Flattened::new(child, &RawJson::from_trusted(value.get()))
                });
                let children = children.collect::<Result<Vec<_>, OpError>>()?;
                children.into_iter().try_for_each(|child| self.write(child))
            }
            OpKind::Increment => self.put(path, op.value.clone(), LeafKind::Counter),
            OpKind::Add | OpKind::Remove => self.put(path, op.value.clone(), LeafKind::Set),
            OpKind::Lease | OpKind::Renew => self.put(path, op.value.clone(), LeafKind::Lease),
            OpKind::Release => self.remove(path),
            OpKind::PutFile => {
                self.remove_below(path)?;
                self.put(path, op.value.clone(), LeafKind::File)
            }
        }
    }

    /// Writes a leaf, or replaces a subtree and removes the leaf at its path.
    fn write(&mut self, value: Flattened) -> Result<(), L::Error> {
        if value.is_subtree {
            self.remove_below(&value.path)?;
            self.remove(&value.path)?;
        }
        for (path, leaf) in value.leaves {
            let kind = LeafKind::of(&leaf);
            // After the removal, the leaves of a subtree replace none.
            if value.is_subtree { self.replace(&path, None, leaf, kind)? } else { self.put(&path, leaf, kind)? }
        }
        Ok(())
    }

    fn put(&mut self, path: &Path, value: RawJson, kind: LeafKind) -> Result<(), L::Error> {
        let before = if self.changes.is_some() { self.leaves.leaf(path)? } else { None };
        self.replace(path, before, value, kind)
    }

    /// Writes a leaf. `before` is the leaf that it replaces, which only the record of changes needs.
    fn replace(&mut self, path: &Path, before: Option<Leaf>, value: RawJson, kind: LeafKind) -> Result<(), L::Error> {
        let store_seq = self.store_seq;
        let leaf = Leaf { value, kind, revision: store_seq };
        if let Some(changes) = &mut self.changes {
            changes.push(LeafChange { store_seq, path: path.clone(), before, after: Some(leaf.clone()) });
        }
        self.leaves.put(path, leaf)
    }

    fn remove(&mut self, path: &Path) -> Result<(), L::Error> {
        if let Some(changes) = &mut self.changes
            && let Some(before) = self.leaves.leaf(path)?
        {
            changes.push(removal(self.store_seq, path.clone(), before));
        }
        self.leaves.remove(path)
    }

    fn remove_below(&mut self, path: &Path) -> Result<(), L::Error> {
        if let Some(changes) = &mut self.changes {
            let below = self.leaves.below_ignoring_case(path)?;
            changes.extend(below.into_iter().map(|(path, before)| removal(self.store_seq, path, before)));
        }
        self.leaves.remove_below(path)
    }
}

fn removal(store_seq: u64, path: Path, before: Leaf) -> LeafChange {
    LeafChange { store_seq, path, before: Some(before), after: None }
}

#[cfg(test)]
mod tests;
