//! Enabling and disabling a client at run time.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{ConnectionTask, SHUTDOWN_GRACE};
use crate::realtime::session::StoreState;

/// A client that is being disabled: writes under way are waited for.
pub(super) struct Disabling {
    /// The time at which the socket is closed at the latest.
    pub(super) ends_at: Duration,
    /// The callers that wait for the end.
    waiting: Vec<oneshot::Sender<()>>,
}

impl ConnectionTask {
    /// Enables or disables the client. `done` is answered when it has begun to connect, or has closed its socket.
    pub(super) async fn set_enabled(&mut self, enabled: bool, done: oneshot::Sender<()>) {
        if !enabled && self.is_enabled {
            self.is_enabled = false;
            // From now on repos use another transport; writes under way are waited for.
            self.set_states(&StoreState::Dormant);
            self.disabling = Some(Disabling { ends_at: self.now() + SHUTDOWN_GRACE, waiting: vec![done] });
            return;
        }
        if let (false, Some(disabling)) = (enabled, &mut self.disabling) {
            disabling.waiting.push(done);
            return;
        }
        if enabled && !self.is_enabled {
            // Ends what is left of the previous connection.
            self.session.stop();
            self.run_outputs().await;
            self.end_disabling();
            self.is_enabled = true;
            self.set_states(&StoreState::Offline);
            self.session.start();
        }
        let _ = done.send(());
    }

    /// Closes the socket of a client that is being disabled, as soon as its writes are answered.
    pub(super) async fn finish_disabling(&mut self) {
        let Some(Disabling { ends_at, .. }) = self.disabling else { return };
        if self.session.is_quiet() || ends_at <= self.now() {
            self.session.stop();
            self.run_outputs().await;
            self.end_disabling();
        }
    }

    /// Answers the callers that wait until the client is disabled.
    fn end_disabling(&mut self) {
        for done in self.disabling.take().into_iter().flat_map(|disabling| disabling.waiting) {
            let _ = done.send(());
        }
    }
}
