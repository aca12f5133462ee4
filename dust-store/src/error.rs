//! Refusals of a store, under the server's names.

use std::fmt;
use std::sync::Arc;

use dust_protocol::list::MAX_GET_MANY_PATHS;
use dust_protocol::read::ListError;
use dust_protocol::{BatchError, OpError, OpKind, Path, ValueError};

/// The reason why a store refused a call or failed. No part of the call was applied.
///
/// [`kind`](StoreError::kind) is the reason, [`name`](StoreError::name) the server's name for it,
/// [`path`](StoreError::path) and [`op_index`](StoreError::op_index) the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    path: Option<Path>,
    op_index: Option<usize>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The revision of the leaf differs from `if_match`.
    #[error("conflict: {}; read again and retry", revision_text(*.current_revision))]
    Conflict {
        /// The current revision, for an interior path that of the object; `None` if there is none.
        current_revision: Option<u64>,
    },
    /// There is a leaf in spite of `if_absent`.
    #[error(
        "exists: there is a leaf already ({}); write without if_absent to replace it",
        revision_text(*.current_revision)
    )]
    Exists {
        /// Its revision.
        current_revision: Option<u64>,
    },
    /// `if_match` with an op other than `set` and `delete`.
    #[error("if_match_unsupported_op: {} takes no if_match; only set and delete do", .0.name())]
    IfMatchUnsupportedOp(OpKind),
    /// `if_match` with an object.
    #[error("if_match_multi_leaf: if_match needs a leaf value, not an object; guard its leaves in a batch")]
    IfMatchMultiLeaf,
    /// `if_absent` with an op other than `set`.
    #[error("if_absent_unsupported_op: {} takes no if_absent; only set does", .0.name())]
    IfAbsentUnsupportedOp(OpKind),
    /// `if_absent` with an object.
    #[error("if_absent_multi_leaf: if_absent needs a leaf value, not an object; guard its leaves in a batch")]
    IfAbsentMultiLeaf,
    /// Conditions that exclude each other.
    #[error("invalid_precondition: {0}")]
    InvalidPrecondition(&'static str),
    /// The lease is held.
    #[error("held: the lease is held; wait until it expires or is released")]
    Held,
    /// The value at the lease's path is not a lease.
    #[error("occupied: the path holds a value that is not a lease; delete it first or use another path")]
    Occupied,
    /// The lease to renew is not held with this token.
    #[error("not_held: the lease expired, or was stolen or released; take it again")]
    NotHeld,
    /// The lease of the fence is not held with its token.
    #[error("fenced: the lease at `{key}` is not held with this token; take it again before writing")]
    Fenced {
        /// The lease's path.
        key: Path,
    },
    /// A lease op with invalid arguments.
    #[error("invalid_lease_op: {0}")]
    InvalidLeaseOp(&'static str),
    /// The op does not fit its value or its leaf.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The ops are not a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A read of too many paths.
    #[error("maximum {MAX_GET_MANY_PATHS} paths per read, got {0}; split it")]
    TooManyPaths(usize),
    /// An invalid list request.
    #[error(transparent)]
    List(#[from] ListError),
    /// The file is open elsewhere.
    #[error(
        "{file} is open in another process or another Store; close that one, or share its Store (it is cheap to clone)"
    )]
    Locked {
        /// The file.
        file: String,
    },
    /// The file is not a store.
    #[error("{file} is not a dust-orm store ({reason}); choose another file")]
    NotAStore {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
    },
    /// The file was cut or changed by another program.
    #[error("{file} is damaged ({reason}); restore a copy of it, or delete it to begin with an empty store")]
    Damaged {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
    },
    /// The file was written by a later version.
    #[error("{file} has store format {found}, this version reads up to {supported}; update dust-orm")]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        found: u64,
        /// The newest format that this version reads.
        supported: u64,
    },
    /// The file or the memory behind the store failed.
    #[error("the storage failed: {0}")]
    Storage(Arc<str>),
}

fn revision_text(current: Option<u64>) -> String {
    current.map_or_else(|| "nothing is there".to_owned(), |revision| format!("the revision is {revision}"))
}

impl StoreErrorKind {
    /// Makes the error of this kind at a path.
    pub(super) fn at(self, path: &Path) -> StoreError {
        StoreError { kind: self, path: Some(path.clone()), op_index: None }
    }

    fn name(&self) -> &'static str {
        match self {
            StoreErrorKind::Conflict { .. } => "conflict",
            StoreErrorKind::Exists { .. } => "exists",
            StoreErrorKind::IfMatchUnsupportedOp(_) => "if_match_unsupported_op",
            StoreErrorKind::IfMatchMultiLeaf => "if_match_multi_leaf",
            StoreErrorKind::IfAbsentUnsupportedOp(_) => "if_absent_unsupported_op",
            StoreErrorKind::IfAbsentMultiLeaf => "if_absent_multi_leaf",
            StoreErrorKind::InvalidPrecondition(_) => "invalid_precondition",
            StoreErrorKind::Held => "held",
            StoreErrorKind::Occupied => "occupied",
            StoreErrorKind::NotHeld => "not_held",
            StoreErrorKind::Fenced { .. } => "fenced",
            StoreErrorKind::InvalidLeaseOp(_) => "invalid_lease_op",
            StoreErrorKind::Op(error) => error.name(),
            StoreErrorKind::Batch(_) | StoreErrorKind::TooManyPaths(_) => "invalid_params",
            StoreErrorKind::List(error) => error.name(),
            StoreErrorKind::Locked { .. } => "locked",
            StoreErrorKind::NotAStore { .. } => "not_a_store",
            StoreErrorKind::Damaged { .. } => "damaged",
            StoreErrorKind::NewerFormat { .. } => "newer_format",
            StoreErrorKind::Storage(_) => "storage",
        }
    }
}

impl StoreError {
    /// The kind of the error.
    pub fn kind(&self) -> &StoreErrorKind {
        &self.kind
    }

    /// The server's name for it (`conflict`, `held`, `if_match_multi_leaf`, …), or a name in the same style.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The path of the write that was refused.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// The index of the refused op in its batch, counted from 0.
    pub fn op_index(&self) -> Option<usize> {
        self.op_index
    }

    /// The current revision of the leaf after a conflict or with an existing leaf.
    pub fn current_revision(&self) -> Option<u64> {
        match self.kind {
            StoreErrorKind::Conflict { current_revision } | StoreErrorKind::Exists { current_revision } => {
                current_revision
            }
            _ => None,
        }
    }

    /// True if the error has the revision of a leaf.
    pub(super) fn wants_revision(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Conflict { .. } | StoreErrorKind::Exists { .. })
    }

    pub(super) fn set_revision(&mut self, revision: Option<u64>) {
        if let StoreErrorKind::Conflict { current_revision } | StoreErrorKind::Exists { current_revision } =
            &mut self.kind
        {
            *current_revision = revision;
        }
    }

    /// Adds the name of the file to a failure of its storage.
    pub(super) fn naming(self, file: &str) -> StoreError {
        match self.kind {
            StoreErrorKind::Storage(reason) if !reason.contains(file) => {
                StoreErrorKind::Storage(format!("cannot open {file}: {reason}").into()).into()
            }
            _ => self,
        }
    }

    pub(super) fn at(mut self, path: &Path) -> StoreError {
        self.path.get_or_insert_with(|| path.clone());
        self
    }

    /// The same error without the index in a batch, for a caller with another form of it.
    pub fn without_index(mut self) -> StoreError {
        self.op_index = None;
        self
    }

    pub(super) fn in_batch(mut self, op_index: usize, path: &Path) -> StoreError {
        self.op_index = Some(op_index);
        self.at(path)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.op_index {
            write!(f, "op {index}: ")?;
        }
        if let Some(path) = &self.path {
            write!(f, "`{path}`: ")?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for StoreError {}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> StoreError {
        StoreError { kind, path: None, op_index: None }
    }
}

impl From<OpError> for StoreError {
    fn from(error: OpError) -> StoreError {
        StoreErrorKind::Op(error).into()
    }
}

impl From<ListError> for StoreError {
    fn from(error: ListError) -> StoreError {
        StoreErrorKind::List(error).into()
    }
}

impl From<ValueError> for StoreError {
    fn from(error: ValueError) -> StoreError {
        OpError::Value(error).into()
    }
}

macro_rules! from_storage {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> StoreError {
                StoreErrorKind::Storage(error.to_string().into()).into()
            }
        }
    )*};
}

from_storage!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);
