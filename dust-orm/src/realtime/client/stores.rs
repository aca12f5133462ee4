//! The stores of a client: their status, and access to them by number.

use std::sync::{Arc, RwLockReadGuard};

use dust_protocol::channel::Permissions;

use super::{START_PATIENCE, SyncClient};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::feed::Hub;
use crate::realtime::connection_task::TaskMessage;
use crate::realtime::mirror::Mirror;
use crate::realtime::session::{StoreId, StoreState};
use crate::realtime::store::{Horizon, StoreShared};

/// The status of one store of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStatus {
    /// The store, `org/name`.
    pub store: String,
    /// The relation of its mirror to the server.
    pub state: StoreState,
    /// The last op of the mirror.
    pub seq: u64,
    /// The number of leaves of the mirror.
    pub leaves: usize,
    /// The last op of its cache; `None` without a cache, or while the cache has no complete copy.
    pub cached_seq: Option<u64>,
    /// The permissions of the token as of the last join; `None` before the first.
    pub permissions: Option<Permissions>,
}

impl StoreStatus {
    pub(super) fn of(store: &StoreShared) -> StoreStatus {
        let mirror = store.mirror();
        StoreStatus {
            store: store.name.clone(),
            state: store.state().clone(),
            seq: mirror.seq(),
            leaves: mirror.len(),
            cached_seq: store.saved(),
            permissions: store.permissions(),
        }
    }
}

impl SyncClient {
    /// True if a mirror follows its store.
    pub(crate) fn is_up(&self, store: StoreId) -> bool {
        self.inner.stores[store.0].is_up()
    }

    /// True if a store cannot be reached now.
    pub(in crate::realtime) fn is_down(&self, store: StoreId) -> bool {
        matches!(*self.inner.stores[store.0].state(), StoreState::Offline | StoreState::Refused(_))
    }

    /// The last op that a mirror has.
    pub(crate) fn seq(&self, store: StoreId) -> u64 {
        self.inner.stores[store.0].mirror().seq()
    }

    /// The last position that a store has answered.
    pub(in crate::realtime) fn horizon(&self, store: StoreId) -> Option<Horizon> {
        self.inner.stores[store.0].horizon()
    }

    /// The mirror of a store, if it was up to date once.
    pub(crate) fn last_known(&self, store: StoreId) -> Option<RwLockReadGuard<'_, Mirror>> {
        let shared = &self.inner.stores[store.0];
        shared.is_filled().then(|| shared.mirror())
    }

    /// Fails if the token is known not to have the scope of an operation.
    pub(crate) fn check_scope(
        &self,
        store: StoreId,
        scope: &'static str,
        operation: impl FnOnce() -> String,
    ) -> Result<(), DustErr> {
        let shared = &self.inner.stores[store.0];
        match shared.permissions() {
            Some(permissions) if !permissions.has(scope) => Err(DustErr::Unauthorized {
                scope: Some(scope.to_owned()),
                message: format!(
                    "{} was not sent, as the token for the store `{}` does not allow it",
                    operation(),
                    shared.name
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Notes that a store has an op, which the server does not push.
    pub(in crate::realtime) fn advance_known_seq(&self, store: StoreId, seq: u64) {
        // Without room in the queue, the next `status` finds the op.
        let _ = self.inner.messages.try_send(TaskMessage::AdvanceKnownSeq { store, seq });
    }

    /// The store of this name.
    pub(crate) fn find(&self, store: &str) -> Result<StoreId, DustErr> {
        let found = self.inner.stores.iter().position(|shared| shared.name == store);
        found.map(StoreId).ok_or_else(|| {
            let names: Vec<&str> = self.inner.stores.iter().map(|shared| shared.name.as_str()).collect();
            let names = names.join("`, `");
            DustErr::invalid_params(format!("this realtime client has no store `{store}`, only `{names}`"))
        })
    }

    pub(crate) fn config(&self, store: StoreId) -> &DustConfig {
        &self.inner.configs[store.0]
    }

    /// The mirror of a store, when it has been up to date once.
    pub(crate) async fn mirror(&self, store: StoreId) -> Result<RwLockReadGuard<'_, Mirror>, DustErr> {
        let shared = &self.inner.stores[store.0];
        shared.filled(START_PATIENCE).await?;
        Ok(shared.mirror())
    }

    pub(crate) fn is_offline(&self, store: StoreId) -> bool {
        !matches!(*self.inner.stores[store.0].state(), StoreState::CatchingUp | StoreState::Live { .. })
    }

    /// The hub of a store's ops, when its mirror has been up to date once.
    pub(crate) async fn hub(&self, store: StoreId) -> Result<Arc<Hub>, DustErr> {
        let shared = &self.inner.stores[store.0];
        shared.filled(START_PATIENCE).await?;
        shared.hub(START_PATIENCE).await
    }

    /// The name of this device in the ops that it writes over the socket.
    pub(crate) fn device_id(&self) -> &str {
        &self.inner.device_id
    }

    /// A number that distinguishes the requests of this client from those of others.
    pub(crate) fn mark(&self) -> u64 {
        self.inner.mark
    }
}
