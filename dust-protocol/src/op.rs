//! Ops: requests of writers and entries of a store's log.

use std::sync::Arc;

use super::json::RawJson;
use super::list::MAX_BATCH_OPS;
use super::path::Path;

/// The effect of an [`Op`] on its path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// Replaces the whole subtree with a value. An object becomes one leaf per scalar, array or typed envelope.
    Set(RawJson),
    /// Removes the leaf and everything below it. Removing an absent leaf succeeds.
    Delete,
    /// Sets the named children of an object and keeps their siblings.
    Merge(RawJson),
    /// Adds a number to the leaf; an absent leaf counts as 0.
    Increment(RawJson),
    /// Adds a member at the front of the set at the leaf.
    Add(RawJson),
    /// Removes a member from the set at the leaf.
    Remove(RawJson),
    /// Takes a lease, which must be absent or expired.
    Lease {
        /// The name of the holder.
        holder: Option<String>,
        /// The duration of the lease, in milliseconds.
        ttl_ms: i64,
    },
    /// Extends a lease that is still held.
    Renew {
        /// The token it was taken with.
        token: u64,
        /// The duration of the lease from now on, in milliseconds.
        ttl_ms: i64,
    },
    /// Releases a lease. A token that no longer matches changes nothing.
    Release {
        /// The token it was taken with.
        token: u64,
    },
    /// Writes a reference to a stored file.
    PutFile(RawJson),
}

impl Mutation {
    /// The name of this mutation.
    pub fn kind(&self) -> OpKind {
        match self {
            Mutation::Set(_) => OpKind::Set,
            Mutation::Delete => OpKind::Delete,
            Mutation::Merge(_) => OpKind::Merge,
            Mutation::Increment(_) => OpKind::Increment,
            Mutation::Add(_) => OpKind::Add,
            Mutation::Remove(_) => OpKind::Remove,
            Mutation::Lease { .. } => OpKind::Lease,
            Mutation::Renew { .. } => OpKind::Renew,
            Mutation::Release { .. } => OpKind::Release,
            Mutation::PutFile(_) => OpKind::PutFile,
        }
    }

    /// The value that is written, added or removed. `None` for `delete` and the ops of a lease.
    pub fn value(&self) -> Option<&RawJson> {
        match self {
            Mutation::Set(value)
            | Mutation::Merge(value)
            | Mutation::Increment(value)
            | Mutation::Add(value)
            | Mutation::Remove(value)
            | Mutation::PutFile(value) => Some(value),
            Mutation::Delete | Mutation::Lease { .. } | Mutation::Renew { .. } | Mutation::Release { .. } => None,
        }
    }
}

/// The name of an [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is described on Mutation")]
pub enum OpKind {
    Set,
    Delete,
    Merge,
    Increment,
    Add,
    Remove,
    Lease,
    Renew,
    Release,
    PutFile,
}

impl OpKind {
    const ALL: [OpKind; 10] = [
        OpKind::Set,
        OpKind::Delete,
        OpKind::Merge,
        OpKind::Increment,
        OpKind::Add,
        OpKind::Remove,
        OpKind::Lease,
        OpKind::Renew,
        OpKind::Release,
        OpKind::PutFile,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            OpKind::Set => "set",
            OpKind::Delete => "delete",
            OpKind::Merge => "merge",
            OpKind::Increment => "increment",
            OpKind::Add => "add",
            OpKind::Remove => "remove",
            OpKind::Lease => "lease",
            OpKind::Renew => "renew",
            OpKind::Release => "release",
            OpKind::PutFile => "put_file",
        }
    }

    /// The op with this name on the wire.
    pub fn from_name(name: &str) -> Option<OpKind> {
        OpKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True for `lease`, `renew` and `release`, which take no fence: the token of the lease is their guard.
    pub fn is_of_lease(self) -> bool {
        matches!(self, OpKind::Lease | OpKind::Renew | OpKind::Release)
    }
}

/// A condition on the leaf, without which a write is refused. A server supports it for the `set` of a leaf, and
/// [`IfMatch`](Precondition::IfMatch) also for `delete`; an object has no revision to compare.
///
/// A transport that does not know a precondition refuses the write: to ignore it would write without a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// The leaf has this revision.
    IfMatch(u64),
    /// There is no leaf at exactly this path.
    IfLeafAbsent,
    /// There is no leaf at or below this path. Only the embedded store supports it; it makes the insert of a whole
    /// record conditional.
    IfSubtreeAbsent,
}

/// A guard that applies a write only while a lease is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's path.
    pub key: Path,
    /// The token the lease was taken with.
    pub token: u64,
}

/// An op as a writer sends it: a mutation of a path, and its precondition.
///
/// A write is one op, or an atomic batch of several [`set` and `delete` ops](check_batch).
///
/// ```
/// use dust_protocol::{Mutation, Op, Path, Precondition, RawJson};
///
/// let path = Path::parse("links/dust/title")?;
/// let op = Op::set(path.clone(), RawJson::parse("\"Dust\"")?).on(Precondition::IfMatch(7));
/// assert_eq!(op.kind().name(), "set");
/// assert_eq!(Op::delete(path.clone()), Op::new(path, Mutation::Delete));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The path.
    pub path: Path,
    /// The effect on the path.
    pub mutation: Mutation,
    /// The precondition.
    pub precondition: Option<Precondition>,
}

impl Op {
    /// An op without a precondition.
    pub fn new(path: Path, mutation: Mutation) -> Op {
        Op { path, mutation, precondition: None }
    }

    /// Sets a value.
    pub fn set(path: Path, value: RawJson) -> Op {
        Op::new(path, Mutation::Set(value))
    }

    /// Deletes a leaf or a subtree.
    pub fn delete(path: Path) -> Op {
        Op::new(path, Mutation::Delete)
    }

    /// Adds a precondition to the op.
    #[must_use]
    pub fn on(self, precondition: impl Into<Option<Precondition>>) -> Op {
        Op { precondition: precondition.into(), ..self }
    }

    /// The name of the op.
    pub fn kind(&self) -> OpKind {
        self.mutation.kind()
    }

    /// The [value](Mutation::value) of the op.
    pub fn value(&self) -> Option<&RawJson> {
        self.mutation.value()
    }
}

/// The reason why ops are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// A batch without ops.
    #[error("ops cannot be empty")]
    Empty,
    /// A batch of too many ops.
    #[error("maximum {MAX_BATCH_OPS} ops per batch, got {0}; split it")]
    TooLarge(usize),
    /// An op other than `set` and `delete`.
    #[error("a batch takes only set and delete, and op {index} is {}; send it by itself", .kind.name())]
    UnsupportedOp {
        /// Its index in the batch.
        index: usize,
        /// Its name.
        kind: OpKind,
    },
}

/// Checks that ops can be one batch: 1 to [`MAX_BATCH_OPS`] ops, each a `set` or a `delete`.
///
/// # Errors
///
/// The reason why they cannot.
pub fn check_batch(ops: &[Op]) -> Result<(), BatchError> {
    match ops.len() {
        0 => return Err(BatchError::Empty),
        1..=MAX_BATCH_OPS => {}
        count => return Err(BatchError::TooLarge(count)),
    }
    let unsupported = ops.iter().position(|op| !matches!(op.mutation, Mutation::Set(_) | Mutation::Delete));
    unsupported.map_or(Ok(()), |index| Err(BatchError::UnsupportedOp { index, kind: ops[index].kind() }))
}

/// An op that a store has committed: an entry of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOp {
    /// Its place in the store's total order: 1, 2, 3, … with no holes.
    pub store_seq: u64,
    /// The name of the op.
    pub op: OpKind,
    /// The path.
    pub path: Path,
    /// The value: for `set` and `merge` as written, for `increment`, `add` and `remove` the new value, for `lease` and
    /// `renew` the lease, for `delete` and `release` `null`.
    pub value: RawJson,
    /// The device that wrote it.
    pub device_id: Arc<str>,
    /// The writer's own id for it.
    pub client_op_id: Arc<str>,
}

impl CommittedOp {
    /// An op of an unknown writer: its `device_id` and `client_op_id` are empty.
    pub fn new(store_seq: u64, op: OpKind, path: Path, value: RawJson) -> CommittedOp {
        let nobody: Arc<str> = Arc::default();
        CommittedOp { store_seq, op, path, value, device_id: Arc::clone(&nobody), client_op_id: nobody }
    }

    /// Sets the writer's device and the writer's own id for the op.
    #[must_use]
    pub fn written_by(self, device_id: Arc<str>, client_op_id: Arc<str>) -> CommittedOp {
        CommittedOp { device_id, client_op_id, ..self }
    }

    /// Compares the `client_op_id`. All ops without an id are equal.
    pub fn id(&self) -> Option<&Arc<str>> {
        Some(&self.client_op_id).filter(|id| !id.is_empty())
    }

    /// The approximate memory of the op, in bytes.
    pub fn footprint(&self) -> usize {
        let texts = [self.path.as_str(), self.value.as_str(), &*self.device_id, &*self.client_op_id];
        size_of::<CommittedOp>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// The id of the batch of the op, and the op's position in it, from the `client_op_id` `id:position` that a store
    /// writes.
    fn place_in_batch(&self) -> Option<(&str, u64)> {
        let (id, place) = self.client_op_id.rsplit_once(':')?;
        Some((id, place.parse().ok()?))
    }

    /// True if the id of the op is one of a batch.
    pub fn is_in_batch(&self) -> bool {
        self.place_in_batch().is_some()
    }

    /// True if the op is the next of the same batch.
    pub fn follows_in_batch(&self, before: &CommittedOp) -> bool {
        match (before.place_in_batch(), self.place_in_batch()) {
            (Some((id, place)), Some((own_id, own_place))) => {
                id == own_id
                    && place.checked_add(1) == Some(own_place)
                    && before.device_id == self.device_id
                    && before.store_seq.checked_add(1) == Some(self.store_seq)
            }
            _ => false,
        }
    }
}
