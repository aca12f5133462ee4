//! Ops: what a writer asks for and what a store has committed.

use std::sync::Arc;

use super::json::RawJson;
use super::path::Path;

/// What is to happen at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Replace the whole subtree with a value. An object becomes one leaf per scalar, array or typed envelope.
    Set(RawJson),
    /// Remove the leaf and everything below it. Removing what is absent succeeds.
    Delete,
    /// Set the named children of an object and leave their siblings alone.
    Merge(RawJson),
    /// Add a number to the leaf, which counts from 0.
    Increment(RawJson),
    /// Put a member first into the set at the leaf.
    Add(RawJson),
    /// Take a member out of the set at the leaf.
    Remove(RawJson),
    /// Take a lease, which must be absent or expired.
    Lease {
        /// Who takes it.
        holder: Option<String>,
        /// How long it lasts, in milliseconds.
        ttl_ms: i64,
    },
    /// Extend a lease that is still held.
    Renew {
        /// The token it was taken with.
        token: u64,
        /// How long it lasts from now, in milliseconds.
        ttl_ms: i64,
    },
    /// Give a lease back. A token that no longer matches changes nothing.
    Release {
        /// The token it was taken with.
        token: u64,
    },
    /// Refer to a file that was stored.
    PutFile(RawJson),
}

impl Op {
    /// Which op it is.
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

/// What must be true of the leaf for a write to be applied. The server knows these for a leaf `set`, and
/// [`IfMatch`](Precondition::IfMatch) for `delete` too; an object has no revision of its own to compare.
///
/// What does not know a precondition refuses the write: to ignore it would be to write without a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// The leaf has this revision.
    IfMatch(u64),
    /// There is no leaf at exactly this path.
    IfAbsent,
    /// There is no leaf at or below this path. No server knows this one; the embedded store does, and it is what makes the
    /// insert of a whole record conditional.
    IfVacant,
}

/// Applies a write only while a lease is still held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's path.
    pub key: Path,
    /// The token the lease was taken with.
    pub token: u64,
}

/// One write, as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub path: Path,
    /// What.
    pub op: Op,
    /// On what condition.
    pub precondition: Option<Precondition>,
    /// Under which lease.
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
    /// Where.
    pub path: Path,
    /// The value to set; `None` deletes.
    pub value: Option<RawJson>,
    /// On what condition.
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

    /// The same op on a condition.
    pub fn on(mut self, precondition: impl Into<Option<Precondition>>) -> BatchOp {
        self.precondition = precondition.into();
        self
    }
}

/// An op that a store has committed: an entry of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOp {
    /// Its place in the store's total order: 1, 2, 3, … with no holes.
    pub store_seq: u64,
    /// Which op.
    pub op: OpKind,
    /// Where.
    pub path: Path,
    /// What: for `set` and `merge` the value as written, for `increment`, `add` and `remove` the new value, for `lease`
    /// and `renew` the lease, and `null` for `delete` and `release`.
    pub value: RawJson,
    /// Which device wrote it.
    pub device_id: Arc<str>,
    /// The writer's own id for it.
    pub client_op_id: Arc<str>,
}

impl CommittedOp {
    /// Its `client_op_id`. One without an id is like any other without.
    pub fn id(&self) -> Option<&Arc<str>> {
        Some(&self.client_op_id).filter(|id| !id.is_empty())
    }

    /// About how much memory it takes, in bytes.
    pub fn footprint(&self) -> usize {
        let texts = [self.path.as_str(), self.value.as_str(), &*self.device_id, &*self.client_op_id];
        size_of::<CommittedOp>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// The id of the batch that the op was written in, and its place there: a store gives the ops of a batch the client's id
    /// with their place.
    fn place_in_batch(&self) -> Option<(&str, u64)> {
        let (id, place) = self.client_op_id.rsplit_once(':')?;
        Some((id, place.parse().ok()?))
    }

    /// Whether the op was written in a batch, by its id.
    pub fn is_in_batch(&self) -> bool {
        self.place_in_batch().is_some()
    }

    /// Whether the op is the next of the same batch.
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
