//! Writes that return revisions.

use std::fmt;
use std::future::IntoFuture;

use futures_core::future::BoxFuture;

use crate::error::DustErr;

/// A write that returns the record with its [`Revision`](crate::Revision). The `versioned` of a verb, such as
/// [`Insert::versioned`](super::Insert::versioned), makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
pub struct VersionedWrite<'r, T>(BoxFuture<'r, Result<T, DustErr>>);

impl<'r, T> VersionedWrite<'r, T> {
    pub(in crate::repo) fn new(write: impl Future<Output = Result<T, DustErr>> + Send + 'r) -> VersionedWrite<'r, T> {
        VersionedWrite(Box::pin(write))
    }
}

impl<T> fmt::Debug for VersionedWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionedWrite").finish_non_exhaustive()
    }
}

impl<'r, T> IntoFuture for VersionedWrite<'r, T> {
    type Output = Result<T, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.0
    }
}
