//! Calls of a client's task.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dust_protocol::channel::Written;
use tokio::sync::oneshot;

use super::{SLACK, SyncClient};
use crate::error::DustErr;
use crate::patience::within;
use crate::realtime::call::{Call, Unsent, shut_down_error};
use crate::realtime::session::{Command, CommandKind, StoreId};

impl SyncClient {
    /// Runs a command, and returns its answer. Dropping the future does not undo what was sent.
    ///
    /// A write waits at most `wait` for a connection where there is none.
    pub(crate) async fn command(&self, store: StoreId, kind: CommandKind, wait: Duration) -> Result<Written, DustErr> {
        let deadline = self.inner.deadline;
        let begun = Instant::now();
        let (answer, answered) = oneshot::channel();
        match within(deadline, self.inner.calls.reserve()).await {
            // The task may not have received the shutdown yet, and would still accept the call.
            _ if self.inner.is_ending.load(Ordering::Relaxed) => return Err(shut_down_error()),
            Some(Ok(permit)) => {
                permit.send(Call { command: Command { store, kind, wait }, begun, unsent: Unsent::new(answer) });
            }
            Some(Err(_)) => return Err(shut_down_error()),
            None => {
                return Err(DustErr::network(format!(
                    "{} was not sent: too many other calls of this realtime client waited before it for {deadline:?}",
                    kind.text()
                )));
            }
        }
        let cut_off = |why: &str| DustErr::timeout(format!("a call of a realtime client whose task {why}"));
        match within(deadline.saturating_sub(begun.elapsed()) + SLACK, answered).await {
            Some(Ok(answer)) => answer,
            // The task answers every call, unless it ends with its runtime.
            Some(Err(_)) => Err(cut_off("was ended")),
            None => Err(cut_off("does not run (is its runtime driven?)")),
        }
    }
}
