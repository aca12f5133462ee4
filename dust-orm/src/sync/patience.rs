//! Waits that end by the clock of the caller, whoever drives what is waited for.

use std::time::Duration;

/// The output of a future, or `None` when it takes longer than `limit`.
///
/// The time is measured by the runtime of the caller, so a wait for the client's task ends although the runtime of that task is
/// not driven. Outside of a tokio runtime there is no clock, and the wait has no limit.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(future.await);
    }
    tokio::time::timeout(limit, future).await.ok()
}
