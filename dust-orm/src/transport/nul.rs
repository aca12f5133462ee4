//! The refusal of NUL characters in paths, before anything is sent.
//!
//! A server accepts them over HTTP and then loses leaves of the same parent; over a WebSocket the second one crashes
//! the channel. Therefore no transport sends one, neither in a path nor in a key that becomes a part of a path.

use dust_protocol::value::{check_depth, nul_key};
use dust_protocol::{Fence, ListRequest, Mutation, Op, Path, RawJson, Selector};

use crate::error::DustErr;

/// Refuses a path with a NUL character.
pub(super) fn check_path(path: &Path) -> Result<(), DustErr> {
    check_text("path", path.as_str())
}

/// Refuses several paths if one has a NUL character.
pub(super) fn check_paths(paths: &[Path]) -> Result<(), DustErr> {
    paths.iter().try_for_each(check_path)
}

/// Refuses a list whose pattern or range has a NUL character. A cursor may have one, because it comes from a server.
pub(super) fn check_list(request: &ListRequest) -> Result<(), DustErr> {
    match &request.selector {
        Selector::Pattern(pattern) => check_text("pattern", pattern.as_str()),
        Selector::Range { from, to } => check_path(from).and_then(|()| check_path(to)),
    }
}

/// Refuses a write with a NUL character in the path of its fence, in the path of an op, or in a key of a value that
/// becomes a part of a path.
pub(super) fn check_write(ops: &[Op], fence: Option<&Fence>) -> Result<(), DustErr> {
    fence.map_or(Ok(()), |fence| check_path(&fence.key))?;
    ops.iter().try_for_each(|op| {
        check_path(&op.path)?;
        match &op.mutation {
            Mutation::Set(value) => check_value(&op.path, value, false),
            Mutation::Merge(value) => check_value(&op.path, value, true),
            _ => Ok(()),
        }
    })
}

fn check_value(path: &Path, value: &RawJson, merged: bool) -> Result<(), DustErr> {
    // The search for keys recurses.
    if value.as_str().contains("\\u0000") {
        check_depth(value.as_str())?;
    }
    nul_key(value.as_str(), merged).map_or(Ok(()), |key| {
        Err(DustErr::invalid_params(format!(
            "the key {key:?} in the value of `{path}` holds a NUL character: it becomes a part of a path, and a \
             server loses such leaves; take the character out of the key"
        )))
    })
}

fn check_text(what: &str, text: &str) -> Result<(), DustErr> {
    if !text.contains('\0') {
        return Ok(());
    }
    Err(DustErr::invalid_params(format!(
        "the {what} {text:?} holds a NUL character: a server loses leaves with such a path; take the character out"
    )))
}
