//! Leases, with their holders and deadlines.

use std::collections::HashMap;

use dust_protocol::{JsonObject, Leaf, LeafKind, Leaves, Mutation, Path};

use super::error::{StoreError, StoreErrorKind};

/// The number of deadlines above which those of removed leases are dropped.
const SWEEP_AT_LEAST: usize = 256;

/// The same time on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) wall_ms: i64,
    pub(super) monotonic_ms: u64,
}

/// The value at a lease's path.
enum Found {
    Nothing,
    SomethingElse,
    Lease { token: Option<u64>, live: bool },
}

/// The deadlines of leases on the monotonic clock, so that a jump of the wall clock ends none early. They are lost with
/// the process; then `expires_at` on the wall clock decides.
#[derive(Default)]
pub(super) struct Deadlines {
    by_path: HashMap<Path, (u64, u64)>,
    sweep_at: usize,
}

/// The decision about a lease op.
pub(super) enum Verdict {
    /// The op may be committed.
    Commit,
    /// A release that changes nothing.
    Nothing,
}

impl Deadlines {
    /// Decides if a lease op may be committed.
    pub(super) fn judge<L: Leaves<Error = StoreError>>(
        &self,
        leaves: &L,
        path: &Path,
        mutation: &Mutation,
        now: Now,
    ) -> Result<Verdict, StoreError> {
        let found = self.find(leaves, path, now)?;
        match (mutation, found) {
            (Mutation::Lease { ttl_ms, .. } | Mutation::Renew { ttl_ms, .. }, _) if *ttl_ms < 0 => {
                Err(StoreErrorKind::InvalidLeaseOp("ttl_ms cannot be negative; use release to end a lease").at(path))
            }
            (Mutation::Lease { .. }, Found::Nothing | Found::Lease { live: false, .. }) => Ok(Verdict::Commit),
            (Mutation::Lease { .. }, Found::Lease { live: true, .. }) => Err(StoreErrorKind::Held.at(path)),
            (Mutation::Lease { .. }, Found::SomethingElse) => Err(StoreErrorKind::Occupied.at(path)),
            (Mutation::Renew { token, .. }, Found::Lease { token: Some(held), live: true }) if held == *token => {
                Ok(Verdict::Commit)
            }
            (Mutation::Renew { .. }, _) => Err(StoreErrorKind::NotHeld.at(path)),
            (Mutation::Release { token }, Found::Lease { token: Some(held), .. }) if held == *token => {
                Ok(Verdict::Commit)
            }
            (Mutation::Release { .. }, _) => Ok(Verdict::Nothing),
            _ => Ok(Verdict::Commit),
        }
    }

    /// True if a lease is held with this token.
    pub(super) fn holds<L: Leaves<Error = StoreError>>(
        &self,
        leaves: &L,
        key: &Path,
        token: u64,
        now: Now,
    ) -> Result<bool, StoreError> {
        Ok(matches!(self.find(leaves, key, now)?, Found::Lease { token: Some(held), live: true } if held == token))
    }

    /// Records the deadline of a lease op that was committed at `store_seq`.
    pub(super) fn remember(&mut self, path: &Path, mutation: &Mutation, store_seq: u64, now: Now) {
        let (token, ttl_ms) = match mutation {
            Mutation::Lease { ttl_ms, .. } => (store_seq, *ttl_ms),
            Mutation::Renew { token, ttl_ms } => (*token, *ttl_ms),
            _ => {
                self.by_path.remove(path);
                return;
            }
        };
        let deadline = now.monotonic_ms.saturating_add(u64::try_from(ttl_ms).unwrap_or(0));
        self.by_path.insert(path.clone(), (token, deadline));
    }

    /// Drops the deadlines of leases that were overwritten or deleted, once there are many.
    pub(super) fn sweep<L: Leaves<Error = StoreError>>(&mut self, leaves: &L) -> Result<(), StoreError> {
        if self.by_path.len() < self.sweep_at.max(SWEEP_AT_LEAST) {
            return Ok(());
        }
        let mut gone = Vec::new();
        for (path, (token, _)) in &self.by_path {
            let kept =
                leaves.leaf(path)?.is_some_and(|leaf| Envelope::of(&leaf).is_some_and(|e| e.token == Some(*token)));
            if !kept {
                gone.push(path.clone());
            }
        }
        for path in gone {
            self.by_path.remove(&path);
        }
        self.sweep_at = self.by_path.len() * 2;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_path.len()
    }

    fn find<L: Leaves<Error = StoreError>>(&self, leaves: &L, path: &Path, now: Now) -> Result<Found, StoreError> {
        let Some(leaf) = leaves.leaf(path)? else { return Ok(Found::Nothing) };
        let Some(envelope) = Envelope::of(&leaf) else { return Ok(Found::SomethingElse) };
        let deadline = self.by_path.get(path).filter(|(token, _)| envelope.token == Some(*token));
        let expired = match deadline {
            Some((_, deadline)) => now.monotonic_ms >= *deadline,
            None => envelope.expires_at.is_some_and(|at| at <= now.wall_ms),
        };
        Ok(Found::Lease { token: envelope.token, live: !expired })
    }
}

/// The parts of a lease's value. A `set` may write any of them or none, so that each may be missing: a lease without
/// `expires_at` never ends.
#[derive(serde::Deserialize)]
struct Envelope {
    #[serde(default, deserialize_with = "lenient")]
    token: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    expires_at: Option<i64>,
}

impl Envelope {
    fn of(leaf: &Leaf) -> Option<Envelope> {
        if leaf.kind != LeafKind::Lease {
            return None;
        }
        let read = leaf.value.to().map(|JsonObject(envelope)| envelope);
        Some(read.unwrap_or(Envelope { token: None, expires_at: None }))
    }
}

/// A number; `None` for any other value.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let raw = <Box<serde_json::value::RawValue> as serde::Deserialize>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}
