//! The handle of the realtime client.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard};
use std::time::{Duration, Instant};

use dust_protocol::channel::{Permissions, Written};
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot, watch};

use super::builder::SyncClientBuilder;
use super::call::{Call, Unsent};
use super::connection_task::{SHUTDOWN_GRACE, TaskMessage};
use super::mirror::Mirror;
use super::registry::{ClientHandle, StoreRegistration};
use super::session::{Command, CommandKind, StoreId, StoreState};
use super::store::{Horizon, StoreShared};
use super::write_behind::{FlushHandle, STOP_GRACE};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::feed::Hub;
use crate::patience::within;

/// How long [`start`](SyncClientBuilder::start) waits for the first catch-up before it leaves it to go on by itself.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(30);

/// How much longer than the client's task may take a caller waits for it, before it takes the task for one that does not run.
const SLACK: Duration = Duration::from_secs(1);

/// The realtime client: it keeps a mirror of each of its stores up to date over one WebSocket.
///
/// A handle: cheap to clone. A [`RealtimeTransport`](crate::transport::RealtimeTransport) and a repo that was opened
/// with the client hold one, too.
///
/// # End
///
/// The client lives as long as any handle, or until [`shutdown`](SyncClient::shutdown). With the last handle it ends as
/// by a shutdown that no caller waits for: writes under way have five seconds, then the socket is closed and the
/// mirrors are written to the cache. Subscriptions, broadcasts and [`Live`](crate::repo::Live) records are no handles:
/// subscriptions end with the client, after the events that wait for them, and `Live` shows what was known last.
///
/// ```no_run
/// # use dust_orm::{DustRepo, sync::SyncClient, tests_cfg::link};
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
/// Every repo of this process that was opened on the same server and store with the same token
/// ([`DustRepo::from_env`](crate::DustRepo::from_env), [`connect`](crate::DustRepo::connect)) uses a running client from its
/// next call on, whichever came first; nothing has to be told to it. It reads from the mirror and writes through the socket,
/// and goes back to HTTP when the client is shut down or its last handle is dropped.
///
/// While the client has no connection, such a repo goes over HTTP for reads and writes alike, so that it reads what it
/// writes; a warning says so once a minute. Reads that HTTP cannot answer either come from the mirror, if it has ever been
/// up to date and misses none of the process's own writes. Counters, sets, leases, files and fenced writes need the socket,
/// and are [`Network`](DustErr::Network) meanwhile.
///
/// A repo that was opened [with the client](crate::DustRepo::with_client) does not change over: it always reads from the
/// mirror. Only while the client is not [enabled](SyncClientBuilder::enabled) does it go over HTTP.
///
/// ```no_run
/// use dust_orm::{DustRepo, sync::SyncClient};
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
    /// What a handle of the registry lacks, which does not keep the client running.
    life: Option<Arc<Life>>,
}

/// Ends with the last handle that somebody holds.
struct Life {
    client: SyncClient,
    slots: Mutex<Vec<Arc<StoreRegistration>>>,
    /// Tells the client's task of the end, by being dropped.
    _held: oneshot::Sender<Infallible>,
}

pub(super) struct Inner {
    pub(super) configs: Vec<DustConfig>,
    pub(super) stores: Vec<Arc<StoreShared>>,
    pub(super) device_id: String,
    pub(super) mark: u64,
    /// How long a call may take.
    pub(super) deadline: Duration,
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) asks: mpsc::Sender<TaskMessage>,
    /// True from the first shutdown on: no call begins any more.
    pub(super) is_ending: AtomicBool,
    /// Where there is a cache.
    pub(super) flusher: Option<FlushHandle>,
    /// Closed when the client's task has ended, and its cache is written.
    pub(super) ended: watch::Receiver<()>,
}

impl Inner {
    /// The longest time in which a task that runs ends.
    fn longest_end(&self) -> Duration {
        SHUTDOWN_GRACE + if self.flusher.is_some() { STOP_GRACE } else { Duration::ZERO } + SLACK
    }
}

/// How one store of a client is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStatus {
    /// The store, `org/name`.
    pub store: String,
    /// How its mirror stands to the server.
    pub state: StoreState,
    /// The last op the mirror has.
    pub seq: u64,
    /// How many leaves it has.
    pub leaves: usize,
    /// The last op that its cache has; `None` when there is no cache, or nothing in it yet.
    pub cached_seq: Option<u64>,
    /// What the token may do, as the server said at the last join; `None` before the first.
    pub permissions: Option<Permissions>,
}

impl SyncClient {
    /// Starts a client.
    pub fn builder() -> SyncClientBuilder {
        SyncClientBuilder::default()
    }

    /// How every store is doing.
    pub fn status(&self) -> Vec<StoreStatus> {
        let status = |store: &Arc<StoreShared>| {
            let mirror = store.mirror();
            let (name, state) = (store.name.clone(), store.state().clone());
            let (seq, leaves, cached_seq) = (mirror.seq(), mirror.len(), store.saved());
            let permissions = store.permissions();
            StoreStatus { store: name, state, seq, leaves, cached_seq, permissions }
        };
        self.inner.stores.iter().map(status).collect()
    }

    /// The states of a store as they change. The one it begins with is the present one.
    pub fn watch(&self, store: &str) -> Result<watch::Receiver<StoreState>, DustErr> {
        Ok(self.inner.stores[self.find(store)?.0].watch())
    }

    /// The same as a stream, which ends with the client's task. A reader that is slow misses states in between, never the
    /// latest.
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

    /// Whether the client is enabled.
    pub fn is_enabled(&self) -> bool {
        self.inner.stores.iter().any(|store| !matches!(*store.state(), StoreState::Dormant))
    }

    /// Enables a client that was [built](SyncClientBuilder::enabled) or made dormant: it begins to connect, and goes on from
    /// where its mirrors are. Does not wait for them.
    pub async fn enable(&self) {
        self.set_enabled(true).await;
    }

    /// Makes the client dormant: demotes its repos, waits up to five seconds for the writes under way, and closes the
    /// socket. Subscriptions stay, and go on when it is [enabled](SyncClient::enable) again.
    pub async fn disable(&self) {
        self.set_enabled(false).await;
    }

    async fn set_enabled(&self, enabled: bool) {
        let (done, is_done) = oneshot::channel();
        let end = async {
            let asked = self.inner.asks.send(TaskMessage::Enable { enabled, done }).await;
            // A client that is shut down stays so, and is dormant when it has ended.
            if (asked.is_err() || is_done.await.is_err()) && !enabled {
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
        // Nothing is ever sent: this is its end, also by a panic, which has been reported.
        while ended.changed().await.is_ok() {}
    }

    /// Writes what the mirrors have now to the cache, and returns when it is there. It is written by itself a moment later,
    /// so this is for those who want to be sure, or to know why it is not. Without a cache there is nothing to do.
    ///
    /// # Errors
    ///
    /// The error of the cache; [`Timeout`](DustErr::Timeout) after two minutes, while the writing may go on;
    /// [`Network`](DustErr::Network) after the client was shut down.
    pub async fn flush_cache(&self) -> Result<(), DustErr> {
        match &self.inner.flusher {
            Some(flusher) => flusher.flush().await,
            None => Ok(()),
        }
    }

    /// Stops: takes no more writes, waits up to five seconds for those under way, closes the socket, and gives the cache up
    /// to five seconds to take what it lacks. Mirrors stay readable, subscriptions end. A write that begins from now on is
    /// [`Network`](DustErr::Network), as nothing of it is sent.
    ///
    /// Every call returns when the client has ended, also one that is made while another waits. Where the runtime of
    /// the client is not driven, it returns a second after these times, with a warning.
    pub async fn shutdown(&self) {
        if let Some(life) = &self.life {
            life.unregister();
        }
        self.inner.is_ending.store(true, Ordering::Relaxed);
        let end = async {
            // If the task has ended already there is nothing to tell it.
            let _ = self.inner.asks.send(TaskMessage::Shutdown).await;
            self.ended().await;
        };
        if within(self.inner.longest_end(), end).await.is_none() {
            tracing::warn!("the task of the realtime client does not end: is its runtime driven?");
            // Nothing comes any more from a task that does not run.
            self.inner.stores.iter().for_each(|store| store.hub.close());
        }
    }

    /// The first handle of a client, whose task waits for the end of `held`.
    pub(super) fn new(inner: Inner, held: oneshot::Sender<Infallible>) -> SyncClient {
        let inner = Arc::new(inner);
        let client = SyncClient { inner: Arc::clone(&inner), life: None };
        SyncClient { inner, life: Some(Arc::new(Life { client, slots: Mutex::default(), _held: held })) }
    }

    /// Waits until the client's task has taken note of a shutdown.
    #[cfg(test)]
    pub(crate) async fn takes_no_more_calls(&self) {
        self.inner.calls.closed().await;
    }

    /// The same client, without keeping it running.
    pub(crate) fn without_life(&self) -> SyncClient {
        SyncClient { inner: Arc::clone(&self.inner), life: None }
    }

    /// Lets the repos of its stores find it.
    pub(super) fn register(&self) {
        let Some(life) = &self.life else { return };
        for (store, config) in self.inner.configs.iter().enumerate() {
            let slot = StoreRegistration::of(config);
            slot.add(ClientHandle { client: life.client.clone(), store: StoreId(store) });
            life.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        }
    }

    pub(super) fn is_same(&self, other: &SyncClient) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether a mirror follows its store.
    pub(crate) fn is_up(&self, store: StoreId) -> bool {
        self.inner.stores[store.0].is_up()
    }

    /// Whether a store cannot be reached now.
    pub(super) fn is_down(&self, store: StoreId) -> bool {
        matches!(*self.inner.stores[store.0].state(), StoreState::Offline | StoreState::Refused(_))
    }

    /// The last op that a mirror has.
    pub(crate) fn seq(&self, store: StoreId) -> u64 {
        self.inner.stores[store.0].mirror().seq()
    }

    /// How far a store was when it was last asked.
    pub(super) fn horizon(&self, store: StoreId) -> Option<Horizon> {
        self.inner.stores[store.0].horizon()
    }

    /// A mirror as it is, if it was up to date once.
    pub(crate) fn last_known(&self, store: StoreId) -> Option<RwLockReadGuard<'_, Mirror>> {
        let shared = &self.inner.stores[store.0];
        shared.is_filled().then(|| shared.mirror())
    }

    /// Refuses what the token is known not to be allowed to do.
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

    /// An op is known to be committed that no server will push.
    pub(super) fn advance_known_seq(&self, store: StoreId, seq: u64) {
        // When there is no room for it, the next `status` finds out.
        let _ = self.inner.asks.try_send(TaskMessage::Know { store, seq });
    }

    /// A store by its name.
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

    /// The leaves of a store, as soon as there are any.
    pub(crate) async fn mirror(&self, store: StoreId) -> Result<RwLockReadGuard<'_, Mirror>, DustErr> {
        let shared = &self.inner.stores[store.0];
        shared.filled(START_PATIENCE).await?;
        Ok(shared.mirror())
    }

    pub(crate) fn is_offline(&self, store: StoreId) -> bool {
        !matches!(*self.inner.stores[store.0].state(), StoreState::CatchingUp | StoreState::Live { .. })
    }

    /// Who hears of a store's ops, as soon as its mirror has been up to date.
    pub(crate) async fn hub(&self, store: StoreId) -> Result<Arc<Hub>, DustErr> {
        let shared = &self.inner.stores[store.0];
        shared.filled(START_PATIENCE).await?;
        shared.hub(START_PATIENCE).await
    }

    /// The name of this device in the ops that it writes over the socket.
    pub(crate) fn device_id(&self) -> &str {
        &self.inner.device_id
    }

    /// What tells the requests of this client from those of others.
    pub(crate) fn mark(&self) -> u64 {
        self.inner.mark
    }

    /// Has something done, and waits for it. Dropping the future does not undo what was sent.
    ///
    /// A write waits so long at the most for a connection where there is none.
    pub(crate) async fn command(&self, store: StoreId, kind: CommandKind, wait: Duration) -> Result<Written, DustErr> {
        let (deadline, begun) = (self.inner.deadline, Instant::now());
        let (answer, answered) = oneshot::channel();
        match within(deadline, self.inner.calls.reserve()).await {
            // The task may not know of a shutdown yet, and would still take the call.
            _ if self.inner.is_ending.load(Ordering::Relaxed) => return Err(was_shut_down()),
            Some(Ok(place)) => {
                place.send(Call { command: Command { store, kind, wait }, begun, unsent: Unsent::new(answer) });
            }
            Some(Err(_)) => return Err(was_shut_down()),
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
            // The task answers everything that it is given, unless it is cut off with its runtime.
            Some(Err(_)) => Err(cut_off("was ended")),
            None => Err(cut_off("does not run (is its runtime driven?)")),
        }
    }
}

/// The error for what a client that has ended is asked for.
pub(super) fn was_shut_down() -> DustErr {
    DustErr::network("the realtime client was shut down")
}

impl Life {
    fn unregister(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in slots {
            slot.remove(&self.client);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.unregister();
    }
}

impl fmt::Debug for SyncClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncClient").field("stores", &self.status()).finish()
    }
}
