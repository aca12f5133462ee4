//! The timer of the connection task.

use std::future::pending;
use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for repeated waits, nearly always for the same moment or a later one.
///
/// It is reset for an earlier moment only, as a reset costs more than a wait. So it may fire early; its task then waits
/// again.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until `at` or an earlier moment; forever if `at` is `None`.
    pub(super) async fn wait_until(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return pending().await };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if at < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        sleep.await;
    }
}
