//! The handle of the realtime client.

mod calls;
mod stores;

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot, watch};

use super::call::Call;
use super::connection_task::{SHUTDOWN_GRACE, TaskMessage};
use super::session::{StoreId, StoreState};
use super::store::StoreShared;
use super::write_behind::{FlushHandle, STOP_GRACE};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::patience::within;
pub use stores::StoreStatus;

/// Time for which [`start`](crate::realtime::SyncClientBuilder::start) waits for the first catch-up. After it the catch-up continues in
/// the background.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(30);

/// Time for which a caller waits longer than the client's task may take. After it the task counts as not driven.
const SLACK: Duration = Duration::from_secs(1);

/// The realtime client: it keeps a mirror of each of its stores up to date over one WebSocket.
///
/// A handle: cheap to clone. A [`RealtimeTransport`](crate::transport::RealtimeTransport) and a repo that was opened
/// with the client hold one, too.
///
/// # End
///
/// The client lives as long as any handle, or until [`shutdown`](SyncClient::shutdown). With the last handle it ends as
/// by a shutdown for which no caller waits: writes under way have five seconds, then the socket is closed and the
/// mirrors are written to the cache. Subscriptions, broadcasts and [`Live`](crate::repo::Live) records are no handles:
/// subscriptions end with the client, after the events in their queues, and `Live` keeps its last value.
///
/// ```no_run
/// # use dust_orm::{DustRepo, realtime::SyncClient, tests_cfg::link};
/// # async fn example() -> Result<(), dust_orm::DustErr> {
/// let repo = DustRepo::from_env()?;
/// let client = SyncClient::builder().env().start().await?;
/// let mut links = repo.subscribe::<link::Entity>().await?;
/// drop(client);
/// assert_eq!(links.next().await, None);
/// # Ok(())
/// # }
/// ```
///
/// # Promotion
///
/// Every repo of this process with the same server, store and token ([`DustRepo::from_env`](crate::DustRepo::from_env),
/// [`connect`](crate::DustRepo::connect)) uses a running client from its next call on, in either order of creation. It
/// reads from the mirror and writes through the socket. It uses HTTP again when the client is shut down or its last
/// handle is dropped.
///
/// While the client has no connection, such a repo uses HTTP for reads and writes alike, so that it reads its own
/// writes; a warning is logged once a minute. A read that HTTP cannot answer either is answered from the mirror, if the
/// mirror has been up to date once and has all of the process's own writes. Counters, sets, leases, files and fenced
/// writes need the socket, and fail with [`Network`](DustErr::Network) meanwhile.
///
/// A repo that was opened [with the client](crate::DustRepo::with_client) always reads from the mirror. It uses HTTP
/// only while the client is not [enabled](crate::realtime::SyncClientBuilder::enabled).
///
/// ```no_run
/// use dust_orm::{DustRepo, realtime::SyncClient};
///
/// # async fn example() -> Result<(), dust_orm::DustErr> {
/// let repo = DustRepo::from_env()?;
/// assert_eq!(repo.transport().name(), "http");
/// let client = SyncClient::builder().env().start().await?;
/// assert_eq!(repo.transport().name(), "realtime");
/// client.shutdown().await;
/// assert_eq!(repo.transport().name(), "http");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "the client ends when its last handle is dropped"]
pub struct SyncClient {
    inner: Arc<Inner>,
    /// `None` in the handles of the registry, which do not keep the client running.
    life: Option<Arc<Life>>,
}

/// Ends the client when its last handle is dropped.
struct Life {
    client: SyncClient,
    at_end: Mutex<Vec<AtEnd>>,
    /// Ends the client's task by being dropped.
    _held: oneshot::Sender<Infallible>,
}

/// Called once when the client ends.
type AtEnd = Box<dyn FnOnce(&SyncClient) + Send>;

pub(super) struct Inner {
    pub(super) configs: Vec<DustConfig>,
    pub(super) stores: Vec<Arc<StoreShared>>,
    pub(super) device_id: String,
    pub(super) mark: u64,
    /// Time in which a call is answered.
    pub(super) deadline: Duration,
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) messages: mpsc::Sender<TaskMessage>,
    /// True after the first shutdown: no call begins any more.
    pub(super) is_ending: AtomicBool,
    /// `None` without a cache.
    pub(super) flusher: Option<FlushHandle>,
    /// Closed when the client's task has ended and its cache is written.
    pub(super) ended: watch::Receiver<()>,
}

impl Inner {
    /// The longest time that a driven task takes to end.
    fn longest_end(&self) -> Duration {
        SHUTDOWN_GRACE + if self.flusher.is_some() { STOP_GRACE } else { Duration::ZERO } + SLACK
    }
}

impl SyncClient {
    /// The status of every store.
    pub fn status(&self) -> Vec<StoreStatus> {
        self.inner.stores.iter().map(|store| StoreStatus::of(store)).collect()
    }

    /// A receiver of a store's states, beginning with the current one.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) if the client has no store of this name.
    pub fn watch(&self, store: &str) -> Result<watch::Receiver<StoreState>, DustErr> {
        Ok(self.inner.stores[self.find(store)?.0].watch())
    }

    /// A stream of a store's states, beginning with the current one. It ends with the client's task. A slow reader
    /// misses states in between, never the latest.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) if the client has no store of this name.
    ///
    /// ```no_run
    /// # use dust_orm::realtime::{StoreState, SyncClient};
    /// # async fn example(client: SyncClient) -> Result<(), dust_orm::DustErr> {
    /// use futures_util::StreamExt;
    ///
    /// let mut states = std::pin::pin!(client.states("acme/reading")?);
    /// while let Some(state) = states.next().await {
    ///     println!("{}", if state.is_live() { "live" } else { "not live" });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn states(&self, store: &str) -> Result<impl Stream<Item = StoreState> + Send + use<>, DustErr> {
        let watched = self.watch(store)?;
        let next = async |(mut watched, is_first): (watch::Receiver<StoreState>, bool)| {
            if !is_first {
                watched.changed().await.ok()?;
            }
            let state = watched.borrow_and_update().clone();
            Some((state, (watched, false)))
        };
        Ok(stream::unfold((watched, true), next))
    }

    /// True if the client is enabled.
    pub fn is_enabled(&self) -> bool {
        self.inner.stores.iter().any(|store| !matches!(*store.state(), StoreState::Dormant))
    }

    /// Enables a client that is not [enabled](crate::realtime::SyncClientBuilder::enabled): it connects, and its mirrors continue from
    /// their last op. Does not wait for them.
    pub async fn enable(&self) {
        self.set_enabled(true).await;
    }

    /// Makes the client dormant: its repos use HTTP, writes under way have five seconds, and the socket is closed.
    /// Subscriptions stay, and continue when the client is [enabled](SyncClient::enable) again.
    pub async fn disable(&self) {
        self.set_enabled(false).await;
    }

    async fn set_enabled(&self, enabled: bool) {
        let (done, is_done) = oneshot::channel();
        let end = async {
            let sent = self.inner.messages.send(TaskMessage::Enable { enabled, done }).await;
            // A client that is shut down cannot be enabled, and is dormant when its task has ended.
            if (sent.is_err() || is_done.await.is_err()) && !enabled {
                self.ended().await;
            }
        };
        if within(self.inner.longest_end(), end).await.is_none() {
            tracing::warn!(enabled, "the task of the realtime client does not run: is its runtime driven?");
        }
    }

    /// Waits until the client's task has ended.
    async fn ended(&self) {
        let mut ended = self.inner.ended.clone();
        // Nothing is ever sent: the channel closes with the task, after a panic as well, which was reported.
        while ended.changed().await.is_ok() {}
    }

    /// Writes the mirrors to the cache, and returns when they are written. The client itself writes changes after 100
    /// ms; this confirms the write, or returns its error. Without a cache it does nothing.
    ///
    /// # Errors
    ///
    /// The error of the cache; [`Timeout`](DustErr::Timeout) after two minutes, while the write may continue;
    /// [`Network`](DustErr::Network) after the client was shut down.
    pub async fn flush_cache(&self) -> Result<(), DustErr> {
        match &self.inner.flusher {
            Some(flusher) => flusher.flush().await,
            None => Ok(()),
        }
    }

    /// Ends the client: it accepts no more writes, waits up to five seconds for those under way, closes the socket, and
    /// writes the last changes to the cache within five seconds. Mirrors stay readable, subscriptions end. A later
    /// write fails with [`Network`](DustErr::Network), as nothing of it is sent.
    ///
    /// Every call returns when the client has ended, also one that is made while another waits. If the runtime of the
    /// client is not driven, the call returns a second after these times, with a warning.
    pub async fn shutdown(&self) {
        if let Some(life) = &self.life {
            life.end();
        }
        self.inner.is_ending.store(true, Ordering::Relaxed);
        let end = async {
            // Fails if the task has ended already.
            let _ = self.inner.messages.send(TaskMessage::Shutdown).await;
            self.ended().await;
        };
        if within(self.inner.longest_end(), end).await.is_none() {
            tracing::warn!("the task of the realtime client does not end: is its runtime driven?");
            // A task that does not run delivers no more ops.
            self.inner.stores.iter().for_each(|store| store.hub.close());
        }
    }

    /// The first handle of a client, whose task ends when `held` is dropped.
    pub(super) fn new(inner: Inner, held: oneshot::Sender<Infallible>) -> SyncClient {
        let inner = Arc::new(inner);
        let client = SyncClient { inner: Arc::clone(&inner), life: None };
        SyncClient { inner, life: Some(Arc::new(Life { client, at_end: Mutex::default(), _held: held })) }
    }

    /// Waits until the client's task has begun to shut down.
    #[cfg(test)]
    pub(crate) async fn takes_no_more_calls(&self) {
        self.inner.calls.closed().await;
    }

    /// A handle that does not keep the client running.
    pub(crate) fn without_life(&self) -> SyncClient {
        SyncClient { inner: Arc::clone(&self.inner), life: None }
    }

    /// The configurations of its stores, by number.
    pub(super) fn configs(&self) -> impl Iterator<Item = (StoreId, &DustConfig)> {
        self.inner.configs.iter().enumerate().map(|(store, config)| (StoreId(store), config))
    }

    /// Has a function called when the client is shut down, or when its last handle is dropped.
    pub(super) fn at_end(&self, call: impl FnOnce(&SyncClient) + Send + 'static) {
        if let Some(life) = &self.life {
            life.calls().push(Box::new(call));
        }
    }

    pub(super) fn is_same(&self, other: &SyncClient) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Life {
    fn end(&self) {
        // The lock is released before the calls.
        let calls = std::mem::take(&mut *self.calls());
        calls.into_iter().for_each(|call| call(&self.client));
    }

    fn calls(&self) -> MutexGuard<'_, Vec<AtEnd>> {
        // Nothing that can panic is called under this lock.
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for SyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncClient").field("stores", &self.status()).finish()
    }
}
