//! The outputs of the session: frames, mirrors, answers and states.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_tungstenite::tungstenite::Message;

use super::{ConnectionTask, on_blocking_thread};
use crate::error::{DustErr, Reason};
use crate::realtime::session::{Output, StoreId, StoreState};

/// Time for the closing handshake of a socket.
pub(super) const CLOSE_GRACE: Duration = Duration::from_millis(200);

/// Number of leaves from which putting a snapshot into a mirror takes a millisecond or more.
const LARGE_SNAPSHOT: usize = 2_000;

impl ConnectionTask {
    /// Carries out the outputs of the session, in their order.
    pub(super) async fn run_outputs(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Connect => {
                    let endpoint = self.endpoint.clone();
                    self.connecting = Some(async move { endpoint.connect().await }.boxed());
                }
                Output::Disconnect => self.disconnect().await,
                Output::Send(frame) if self.socket.is_some() => self.outgoing.push(Message::text(frame)),
                Output::Send(_) => {}
                Output::Apply { store, ops } => {
                    let applied = self.stores[store.0].apply(ops);
                    self.refuse_if_too_large(store, applied);
                }
                Output::Replace { store, seq, inexact_through, leaves, is_rewound } => {
                    let shared = Arc::clone(&self.stores[store.0]);
                    let count = leaves.len();
                    let replace = move || shared.replace(seq, inexact_through, leaves, is_rewound);
                    let replaced = if count < LARGE_SNAPSHOT { replace() } else { on_blocking_thread(replace).await };
                    self.refuse_if_too_large(store, replaced);
                }
                Output::Answer { id, result } => {
                    if let Some(answer) = self.answers.remove(&id) {
                        // The caller may have dropped the future.
                        let _ = answer.send(result);
                    }
                }
                Output::Position { store, seq, requested_at } => {
                    self.stores[store.0].stands(self.began + requested_at, seq);
                }
                // The states of a client that is being disabled stay dormant.
                Output::State { store, state } if self.is_enabled => self.stores[store.0].set_state(state),
                Output::State { .. } => {}
            }
        }
        self.send_now().await;
    }

    async fn disconnect(&mut self) {
        self.connecting = None;
        if let Some(mut socket) = self.socket.take() {
            // Without a closing handshake the server recognises the end as well.
            let _ = tokio::time::timeout(CLOSE_GRACE, socket.close(None)).await;
        }
        // This connection does not bring the stores up to date, for which the start waits.
        self.report_start(Ok(()));
    }

    /// Refuses a store whose ops or snapshot did not fit into its mirror.
    fn refuse_if_too_large(&mut self, store: StoreId, applied: Result<(), DustErr>) {
        if let Err(error) = applied {
            let seq = self.stores[store.0].mirror().seq();
            self.session.refuse(self.began.elapsed(), store, seq, error);
        }
    }

    /// Sends the frames that the system accepts at once, nearly always all of them.
    async fn send_now(&mut self) {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.outgoing.is_empty()) else { return };
        let outgoing = &mut self.outgoing;
        let sent = poll_fn(|context| Poll::Ready(outgoing.poll_send(socket, context))).await;
        let written = socket.get_ref().counts().written;
        match sent {
            Poll::Ready(Ok(())) | Poll::Pending => _ = self.outgoing.is_stalled(self.began.elapsed(), written),
            Poll::Ready(Err(error)) => {
                self.lost(Reason::of(error));
                // The outputs that follow from the loss.
                Box::pin(self.run_outputs()).await;
            }
        }
    }

    /// Ends [`start`](crate::realtime::SyncClientBuilder::start) when every store is up to date or refused.
    pub(super) fn report_start_if_settled(&mut self) {
        if self.started.is_none() {
            return;
        }
        let mut refusal = None;
        let mut content_refusal = None;
        let mut is_live = false;
        for store in &self.stores {
            match &*store.state() {
                StoreState::Live { .. } => is_live = true,
                // The content of a store is not an error of the configuration, and does not affect the other stores.
                StoreState::Refused(error @ (DustErr::TooLarge { .. } | DustErr::NotSupported { .. })) => {
                    content_refusal = content_refusal.or_else(|| Some(error.clone()));
                }
                StoreState::Refused(error) => refusal = refusal.or_else(|| Some(error.clone())),
                StoreState::Dormant | StoreState::Offline | StoreState::CatchingUp => return,
            }
        }
        let error = refusal.or(content_refusal.filter(|_| !is_live));
        self.report_start(error.map_or(Ok(()), Err));
    }

    /// Ends [`start`](crate::realtime::SyncClientBuilder::start), if it still waits.
    pub(super) fn report_start(&mut self, result: Result<(), DustErr>) {
        if let Some(started) = self.started.take() {
            // The caller may have dropped the future.
            let _ = started.send(result);
        }
    }
}
