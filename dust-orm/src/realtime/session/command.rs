//! Commands of callers.

use std::time::Duration;

use dust_protocol::channel::FileUpload;
use dust_protocol::{Fence, Op, OpKind, Path};

/// A store of a session: its index in the list of stores given to [`Session::new`](super::Session::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub usize);

/// The driver's number of a command. Later commands have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// A request to a session, which it answers once.
#[derive(Clone, Debug)]
pub struct Command {
    /// The store to act on.
    pub store: StoreId,
    /// The operation.
    pub kind: CommandKind,
    /// Time to wait for a connection where there is none. Zero fails at once.
    pub wait: Duration,
}

/// The operation of a [`Command`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CommandKind {
    /// Writes, and is answered when the mirror has the op.
    Write {
        /// The op.
        op: Op,
        /// The lease that must be held.
        fence: Option<Fence>,
    },
    /// Stores a file, and is answered when the mirror has its reference.
    PutFile(FileUpload),
    /// Is answered when the mirror has the op of this `store_seq`, which is known to be committed.
    CatchUp(u64),
    /// Is answered when the mirror has the ops that the store has now.
    Refresh,
}

impl CommandKind {
    /// The path and the kind of the op that it writes.
    pub(super) fn target(&self) -> Option<(&Path, OpKind)> {
        match self {
            CommandKind::Write { op, .. } => Some((&op.path, op.kind())),
            CommandKind::PutFile(file) => Some((&file.path, OpKind::PutFile)),
            CommandKind::CatchUp(_) | CommandKind::Refresh => None,
        }
    }

    /// The operation as text, such as "set of `links/dust/title`".
    pub(in crate::realtime) fn text(&self) -> String {
        match (self.target(), self) {
            (Some((path, op)), _) => format!("{} of `{path}`", op.name()),
            (None, CommandKind::CatchUp(through)) => format!("waiting for the op {through}"),
            (None, _) => "requesting the position of the store".to_owned(),
        }
    }
}
