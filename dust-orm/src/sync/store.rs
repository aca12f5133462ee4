//! One store of a running client, as its handles see it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::watch;

use super::hub::Hub;
use super::mirror::Mirror;
use super::session::StoreState;
use crate::error::DustErr;
use crate::protocol::{CommittedOp, Entry};

#[derive(Debug)]
pub(super) struct StoreShared {
    pub(super) name: String,
    mirror: RwLock<Mirror>,
    state: watch::Sender<StoreState>,
    /// Whether the mirror was up to date once.
    filled: watch::Sender<bool>,
    pub(super) hub: Hub,
}

impl StoreShared {
    pub(super) fn new(name: String) -> StoreShared {
        StoreShared {
            name,
            mirror: RwLock::default(),
            state: watch::Sender::new(StoreState::Offline),
            filled: watch::Sender::new(false),
            hub: Hub::default(),
        }
    }

    pub(super) fn mirror(&self) -> RwLockReadGuard<'_, Mirror> {
        // A mirror that an op did not fit into is still a mirror.
        self.mirror.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> watch::Ref<'_, StoreState> {
        self.state.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreState> {
        self.state.subscribe()
    }

    pub(super) fn set_state(&self, state: StoreState) {
        if state.is_live() {
            self.filled.send_replace(true);
        }
        self.state.send_replace(state);
    }

    pub(super) fn apply(&self, ops: Vec<CommittedOp>) {
        {
            let mut mirror = self.mirror.write().unwrap_or_else(PoisonError::into_inner);
            for op in &ops {
                mirror.apply(op);
            }
        }
        self.hub.publish(ops);
    }

    pub(super) fn replace(&self, seq: u64, inexact_through: u64, leaves: Vec<Entry>) {
        // Built aside, so that readers wait for a moment only.
        let mut mirror = Mirror::default();
        mirror.replace(seq, inexact_through, leaves);
        let before = std::mem::replace(&mut *self.mirror.write().unwrap_or_else(PoisonError::into_inner), mirror);
        drop(before);
        self.hub.resync();
    }

    /// Waits until the mirror has been up to date once, for no longer than `patience` and only while there is hope.
    pub(super) async fn filled(&self, patience: Duration) -> Result<(), DustErr> {
        if *self.filled.borrow() {
            return Ok(());
        }
        let (mut filled, mut state) = (self.filled.subscribe(), self.watch());
        let nothing_yet =
            |why: &str| DustErr::Network(format!("the mirror of `{}` has nothing to read yet: {why}", self.name));
        let wait = async {
            loop {
                if *filled.borrow_and_update() {
                    return Ok(());
                }
                match &*state.borrow_and_update() {
                    StoreState::Offline => return Err(nothing_yet("there is no connection")),
                    StoreState::Refused(error) => return Err(error.clone()),
                    StoreState::CatchingUp | StoreState::Live { .. } => {}
                }
                // The senders live as long as `self`.
                tokio::select! {
                    _ = filled.changed() => {}
                    _ = state.changed() => {}
                }
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| Err(nothing_yet("it is still being fetched")))
    }
}
