//! One store of a running client, as its handles use it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use dust_protocol::channel::Permissions;
use dust_protocol::{CommittedOp, Entry, PackedLeaves, Path};
use tokio::sync::{Notify, watch};

use super::mirror::{Mirror, Unsaved, check_size};
use super::session::StoreState;
use crate::error::{DustErr, Reason, no_connection};
use crate::feed::Hub;
use crate::patience::within;

#[derive(Debug)]
pub(super) struct StoreShared {
    pub(super) name: String,
    mirror: RwLock<Mirror>,
    state: watch::Sender<StoreState>,
    /// True if the mirror follows the store: it was up to date once on this connection.
    is_up: AtomicBool,
    /// The permissions of the token, as of the last join.
    permissions: RwLock<Option<Permissions>>,
    /// True if the mirror was up to date once.
    filled: watch::Sender<bool>,
    /// The reason why there is no connection, if there is none.
    trouble: RwLock<Option<Reason>>,
    /// The listeners of the ops. The one task that changes the mirror publishes to it, in order and after the mirror
    /// has the ops.
    pub(super) hub: Arc<Hub>,
    /// The last op that the cache has.
    saved: watch::Sender<Option<u64>>,
    /// A signal that the cache may lack changes.
    unsaved: Arc<Notify>,
    /// Maximum size of the mirror, in bytes.
    max_mirror: usize,
    horizon: RwLock<Option<Horizon>>,
}

/// The last op of a store at a point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// The time of the request.
    pub(super) asked: Instant,
    /// The last op of the store when it answered.
    pub(super) seq: u64,
}

impl StoreShared {
    /// Creates a store. `is_kept` is true if a cache had stored `mirror`.
    pub(super) fn new(
        name: String,
        mirror: Mirror,
        is_kept: bool,
        unsaved: Arc<Notify>,
        max_mirror: usize,
    ) -> StoreShared {
        StoreShared {
            name,
            state: watch::Sender::new(StoreState::Offline),
            is_up: AtomicBool::new(false),
            permissions: RwLock::default(),
            filled: watch::Sender::new(is_kept),
            trouble: RwLock::default(),
            hub: Hub::new(mirror.seq()),
            saved: watch::Sender::new(is_kept.then_some(mirror.seq())),
            unsaved,
            max_mirror,
            horizon: RwLock::default(),
            mirror: RwLock::new(mirror),
        }
    }

    pub(super) fn mirror(&self) -> RwLockReadGuard<'_, Mirror> {
        // A mirror that an op did not fit into is still a mirror.
        self.mirror.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirror_mut(&self) -> RwLockWriteGuard<'_, Mirror> {
        self.mirror.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn saved(&self) -> Option<u64> {
        *self.saved.borrow()
    }

    pub(super) fn set_saved(&self, seq: Option<u64>) {
        self.saved.send_replace(seq);
    }

    /// Removes and returns the changes that the cache lacks. An empty mirror that was never up to date says nothing
    /// about the store.
    pub(super) fn take_unsaved(&self) -> Option<Unsaved> {
        let is_filled = *self.filled.borrow();
        let mut mirror = self.mirror_mut();
        if is_filled || mirror.seq() > 0 { mirror.take_unsaved() } else { None }
    }

    /// Returns changes to the journal that were not written to the cache.
    pub(super) fn put_back(&self, unsaved: Unsaved) {
        self.mirror_mut().put_back(unsaved);
    }

    /// Begins to write the whole mirror to the cache.
    pub(super) fn begin_rewrite(&self) {
        self.mirror_mut().begin_rewrite();
    }

    /// Returns the next leaves to write; when none are left, the changes that the cache will lack.
    pub(super) fn rewrite_next(&self, after: Option<&Path>) -> Result<Vec<Entry>, Option<Unsaved>> {
        self.mirror_mut().rewrite_next(after)
    }

    /// Records the last op of the store, from an answer to a request sent at `asked`.
    pub(super) fn stands(&self, asked: Instant, seq: u64) {
        *self.horizon.write().unwrap_or_else(PoisonError::into_inner) = Some(Horizon { asked, seq });
    }

    /// The last op of the store by its latest answer.
    pub(super) fn horizon(&self) -> Option<Horizon> {
        *self.horizon.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> watch::Ref<'_, StoreState> {
        self.state.borrow()
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Sets the reason why the last connection ended, or was not opened.
    pub(super) fn set_trouble(&self, why: &Reason) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
    }

    /// True if the mirror was up to date once.
    pub(super) fn is_filled(&self) -> bool {
        *self.filled.borrow()
    }

    pub(super) fn permissions(&self) -> Option<Permissions> {
        *self.permissions.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreState> {
        self.state.subscribe()
    }

    pub(super) fn set_state(&self, state: StoreState) {
        match &state {
            StoreState::Live { permissions } => {
                *self.permissions.write().unwrap_or_else(PoisonError::into_inner) = Some(*permissions);
                self.filled.send_replace(true);
                self.is_up.store(true, Ordering::Release);
                self.unsaved.notify_one();
            }
            // With a connection, a mirror that was up to date lacks only the ops in transit.
            StoreState::CatchingUp => {}
            StoreState::Dormant | StoreState::Offline | StoreState::Refused(_) => {
                self.is_up.store(false, Ordering::Release);
            }
        }
        self.state.send_replace(state);
    }

    /// Applies ops to the mirror and publishes them, unless the mirror is too large already.
    pub(super) fn apply(&self, ops: Vec<CommittedOp>) -> Result<(), DustErr> {
        let mut changes = None;
        {
            let mut mirror = self.mirror_mut();
            check_size(&self.name, mirror.size(), self.max_mirror)?;
            // Decided under the lock of the mirror: a listener that joins later waits in `hub` until these ops are
            // published, see the module `feed`.
            if ops.iter().any(|op| self.hub.wants_changes(&op.path)) {
                changes = Some(Vec::new());
            }
            for op in &ops {
                mirror.apply_recorded(op, changes.as_mut());
            }
        }
        self.unsaved.notify_one();
        self.hub.publish(&ops, changes.as_deref());
        Ok(())
    }

    /// Replaces all leaves, unless the new ones are too large.
    pub(super) fn replace(
        &self,
        seq: u64,
        inexact_through: u64,
        leaves: PackedLeaves,
        is_rewound: bool,
    ) -> Result<(), DustErr> {
        check_size(&self.name, leaves.size(), self.max_mirror)?;
        // Built outside of the lock, so that readers wait for a moment only.
        let mut mirror = Mirror::default();
        mirror.replace(seq, inexact_through, leaves);
        let before = {
            let mut present = self.mirror_mut();
            mirror.succeed(&mut present, is_rewound);
            std::mem::replace(&mut *present, mirror)
        };
        drop(before);
        self.unsaved.notify_one();
        self.hub.resync(seq);
        Ok(())
    }

    /// Returns the hub once it has published everything that the mirror shows; waits for at most `patience`.
    pub(super) async fn hub(&self, patience: Duration) -> Result<Arc<Hub>, DustErr> {
        match within(patience, self.hub.caught_up(|| self.mirror().seq())).await {
            Some(()) => Ok(Arc::clone(&self.hub)),
            None => Err(DustErr::network(format!("the subscribers of `{}` are behind its mirror", self.name))),
        }
    }

    /// Waits until the mirror has been up to date once, for at most `patience` and only while that is possible.
    pub(super) async fn filled(&self, patience: Duration) -> Result<(), DustErr> {
        if self.is_filled() {
            return Ok(());
        }
        // Boxed, so that the futures of readers need no room for it.
        Box::pin(self.fill(patience)).await
    }

    async fn fill(&self, patience: Duration) -> Result<(), DustErr> {
        let (mut filled, mut state) = (self.filled.subscribe(), self.watch());
        let nothing_yet =
            |why: &str| DustErr::network(format!("the mirror of `{}` has nothing to read yet: {why}", self.name));
        let wait = async {
            loop {
                if *filled.borrow_and_update() {
                    return Ok(());
                }
                match &*state.borrow_and_update() {
                    StoreState::Dormant => return Err(nothing_yet("the realtime client is not enabled")),
                    StoreState::Offline => {
                        let trouble = self.trouble.read().unwrap_or_else(PoisonError::into_inner);
                        let why = no_connection(trouble.as_ref());
                        return Err(nothing_yet(why.text()).with_cause(why.source()));
                    }
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
        within(patience, wait).await.unwrap_or_else(|| Err(nothing_yet("it is still being fetched")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use dust_protocol::{OpKind, Path, Pattern, RawJson};
    use futures_util::FutureExt;

    use super::*;
    use crate::feed::HubEvent;

    fn op(seq: u64) -> CommittedOp {
        CommittedOp::new(seq, OpKind::Set, Path::parse("links/a").unwrap(), RawJson::null())
            .written_by("d".into(), "c".into())
    }

    #[test]
    fn what_is_told_can_be_read_and_what_can_be_read_is_told_before_others_subscribe() {
        let shared = Arc::new(StoreShared::new("acme/main".to_owned(), Mirror::default(), false, Arc::default(), 1000));
        let heard: Arc<Mutex<Vec<(u64, u64, bool)>>> = Arc::default();
        let listener = {
            let (shared, heard) = (Arc::downgrade(&shared), Arc::clone(&heard));
            move |news: HubEvent<'_>| {
                let shared = shared.upgrade().unwrap();
                let seq = if let HubEvent::Commit { ops, .. } = news { ops[0].store_seq } else { 0 };
                let may_subscribe = shared.hub(Duration::MAX).now_or_never().is_some();
                heard.lock().unwrap().push((seq, shared.mirror().seq(), may_subscribe));
            }
        };
        let _listener = shared.hub.listen(&Pattern::parse("**").unwrap(), listener);
        shared.apply(vec![op(1), op(2)]).unwrap();
        assert!(shared.hub(Duration::MAX).now_or_never().is_some());
        shared.replace(1, 1, PackedLeaves::default(), true).unwrap();
        shared.apply(vec![op(2)]).unwrap();
        // At the resync there is nothing left to publish.
        assert_eq!(*heard.lock().unwrap(), [(1, 2, false), (2, 2, false), (0, 1, true), (2, 2, false)]);
    }
}
