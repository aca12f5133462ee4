//! The paths that an op may change.

use std::borrow::Cow;

use dust_protocol::{CommittedOp, OpKind, Path, Pattern, RawJson, value};

/// A part of a store: the leaf at a path and, if `below`, the leaves below it.
#[derive(Clone, Debug)]
pub(super) struct AffectedPaths<'o> {
    pub(super) path: Cow<'o, Path>,
    /// True if the leaves below the path belong to it, ignoring ASCII case.
    pub(super) below: bool,
}

impl AffectedPaths<'_> {
    /// True if the pattern matches a path of this part.
    pub(super) fn meets(&self, pattern: &Pattern) -> bool {
        pattern.matches(&self.path) || (self.below && pattern.matches_below(&self.path))
    }
}

/// True if an op may change a leaf below a path that begins with a text: `links/ru` is the beginning of `links/rust`.
pub(super) fn may_change_below(op: &CommittedOp, start: &str) -> bool {
    let begins = |text: &str, with: &str| {
        text.as_bytes().get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    affected_paths(op).iter().any(|affected| {
        let path = affected.path.as_str();
        let is_above = || begins(start, path) && start.as_bytes().get(path.len()) == Some(&b'/');
        path.starts_with(start) || (affected.below && (begins(path, start) || is_above()))
    })
}

/// The parts of a store that an op may change.
pub(super) fn affected_paths(op: &CommittedOp) -> Vec<AffectedPaths<'_>> {
    let whole = |below| vec![AffectedPaths { path: Cow::Borrowed(&op.path), below }];
    match op.op {
        // A merge changes only the fields that it names. An unreadable merge may change anything.
        OpKind::Merge => children(op).unwrap_or_else(|| whole(true)),
        OpKind::Increment | OpKind::Add | OpKind::Remove | OpKind::Lease | OpKind::Renew | OpKind::Release => {
            whole(false)
        }
        // The other ops also replace the leaves below the path.
        _ => whole(true),
    }
}

fn children(op: &CommittedOp) -> Option<Vec<AffectedPaths<'_>>> {
    let members = value::members(op.value.as_str()).ok()?;
    members
        .into_iter()
        .map(|(key, value)| {
            let path = Cow::Owned(op.path.child(&key).ok()?);
            Some(AffectedPaths { path, below: value::is_subtree(&RawJson::from_trusted(value.get())) })
        })
        .collect()
}
