//! Ops: requests of writers and entries of a store's log.

use std::sync::Arc;

use super::json::RawJson;
use super::path::Path;

/// The operation of a write at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
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

impl Op {
    /// The name of this op.
    pub fn kind(&self) -> OpKind {
        match self {
            Op::Set(_) => OpKind::Set,
            Op::Delete => OpKind::Delete,
            Op::Merge(_) => OpKind::Merge,
            Op::Increment(_) => OpKind::Increment,
            Op::Add(_) => OpKind::Add,
            Op::Remove(_) => OpKind::Remove,
            Op::Lease { .. } => OpKind::Lease,
            Op::Renew { .. } => OpKind::Renew,
            Op::Release { .. } => OpKind::Release,
            Op::PutFile(_) => OpKind::PutFile,
        }
    }
}

/// The name of an [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is described on Op")]
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

/// The request of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The path.
    pub path: Path,
    /// The operation.
    pub op: Op,
    /// The precondition.
    pub precondition: Option<Precondition>,
    /// The lease that must be held.
    pub fence: Option<Fence>,
}

impl Write {
    /// A write without conditions.
    pub fn new(path: Path, op: Op) -> Write {
        Write { path, op, precondition: None, fence: None }
    }
}

/// One op of an atomic batch: a `set` or a `delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchOp {
    /// The path.
    pub path: Path,
    /// The value to set; `None` deletes.
    pub value: Option<RawJson>,
    /// The precondition.
    pub precondition: Option<Precondition>,
}

impl BatchOp {
    /// Sets a value.
    pub fn set(path: Path, value: RawJson) -> BatchOp {
        BatchOp { path, value: Some(value), precondition: None }
    }

    /// Deletes a leaf or a subtree.
    pub fn delete(path: Path) -> BatchOp {
        BatchOp { path, value: None, precondition: None }
    }

    /// Adds a precondition to the op.
    pub fn on(mut self, precondition: impl Into<Option<Precondition>>) -> BatchOp {
        self.precondition = precondition.into();
        self
    }
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
