//! Settings and start of the realtime client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::client::{Inner, START_PATIENCE, SyncClient};
use super::connect::Endpoint;
use super::connection_task::{ConnectionTask, TaskInputs};
use super::mirror::{MAX_MIRROR, Mirror};
use super::registry::StoreRegistration;
use super::session::{Session, StoreId, Timing};
use super::store::StoreShared;
use super::write_behind::{CacheTarget, WriteBehindHandle};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::random::Rng;
use crate::realtime::cache::Cache;

/// Capacity of the queue of calls. The callers of further calls wait for a place, in their order.
const CALLS: usize = 64;
/// Capacity of the queue of other messages to the task.
const MESSAGES: usize = 64;

/// Builds a [`SyncClient`]; made by [`SyncClient::builder`].
///
/// Settings that are missing are read from the environment if [`env`](SyncClientBuilder::env) is called: `DUST_STORE`,
/// `DUST_TOKEN`, `DUST_BASE_URL`, `DUST_WS_URL`.
#[derive(Debug, Default)]
#[must_use]
pub struct SyncClientBuilder {
    stores: Vec<String>,
    token: Option<SecretText>,
    base_url: Option<String>,
    url: Option<String>,
    device_id: Option<String>,
    read_env: bool,
    timing: Timing,
    cache: Option<Arc<dyn Cache>>,
    max_mirror: Option<usize>,
    #[cfg(test)]
    max_frame: Option<usize>,
    is_disabled: bool,
}

#[derive(Clone)]
struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SyncClient {
    /// Builds a client.
    ///
    /// ```no_run
    /// # use dust_orm::realtime::SyncClient;
    /// # async fn example() -> Result<(), dust_orm::DustErr> {
    /// let client = SyncClient::builder().store("acme/reading").token("dust_tok_…").start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> SyncClientBuilder {
        SyncClientBuilder::default()
    }
}

impl SyncClientBuilder {
    /// Adds a store, `org/name`, of which the client keeps a mirror.
    pub fn store(mut self, store: impl Into<String>) -> Self {
        self.stores.push(store.into());
        self
    }

    /// Sets the access token, which has to be valid for every store.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretText(token.into()));
        self
    }

    /// Sets the address of the server, such as `http://127.0.0.1:7755`, for HTTP and for the socket.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Sets the address of the socket, such as `ws://127.0.0.1:7755/ws/sync/websocket` (default: derived from the base
    /// URL).
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the name of this device in the ops that it writes (default: a random name).
    pub fn device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Reads missing settings from the environment.
    pub fn env(mut self) -> Self {
        self.read_env = true;
        self
    }

    /// Sets the timeouts and intervals of the client.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Keeps the mirrors in a [cache](crate::realtime::cache) as well, and starts with its content (default: memory
    /// only).
    pub fn cache(mut self, cache: impl Cache) -> Self {
        self.cache = Some(Arc::new(cache));
        self
    }

    /// Sets the maximum size of each mirror, in bytes of its paths and values (default: 1 GiB). A mirror takes up to
    /// twice as much memory.
    ///
    /// A larger store is not followed: its state is [`Refused`](crate::realtime::StoreState::Refused) with
    /// [`TooLarge`](DustErr::TooLarge), its mirror keeps its content, and repos that the client promoted use HTTP
    /// again. The other stores of the client are followed; [`start`](SyncClientBuilder::start) fails with this error if
    /// no store is up to date. The store is joined again after 30 s, then after pauses that double, up to 4 minutes,
    /// and is followed if it has become smaller. One warning is logged. A snapshot of more than 256 MiB, which is one
    /// frame, is refused in the same way with pauses of up to about an hour, because its request interrupts the
    /// connection of all stores.
    pub fn max_mirror(mut self, bytes: usize) -> Self {
        self.max_mirror = Some(bytes);
        self
    }

    /// Sets the longest frame that is read, for tests.
    #[cfg(test)]
    pub(crate) fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = Some(bytes);
        self
    }

    /// Enables or disables the client at its start (default: true).
    ///
    /// A client that is not enabled opens no socket and promotes no repo, but every handle works, and a repo opened
    /// [with it](crate::DustRepo::with_client) uses HTTP. So a flag can turn the client on without other code.
    /// [`enable`](SyncClient::enable) and [`disable`](SyncClient::disable) do so at run time.
    ///
    /// ```
    /// use dust_orm::realtime::{StoreState, SyncClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// let builder = SyncClient::builder().store("acme/reading").token("dust_tok_example");
    /// let client = builder.enabled(false).start().await?;
    /// assert!(matches!(client.status()[0].state, StoreState::Dormant));
    /// # Ok(())
    /// # }
    /// ```
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.is_disabled = !enabled;
        self
    }

    /// Connects, and returns when every mirror is up to date, or after 30 s.
    ///
    /// A server that is not reached is not an error: the client retries with back-off, and every call fails with
    /// [`Network`](DustErr::Network) until it connects. A [cache](SyncClientBuilder::cache) is read first, so that
    /// reads work without a server. A proxy in `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` is used, unless `NO_PROXY`
    /// names the server or the server is on this machine.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) for a missing or malformed setting, for a proxy whose scheme is not
    /// `http` or `https`, and outside of a tokio runtime; the error of the server for a refused token or an unknown
    /// store; the error of the cache if it cannot be read; [`TooLarge`](DustErr::TooLarge) if no store fits.
    pub async fn start(self) -> Result<SyncClient, DustErr> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(DustErr::invalid_params(
                "the realtime client needs a tokio runtime: start it inside of `#[tokio::main]` or `Runtime::block_on`",
            ));
        }
        let configs = self.configs()?;
        let Some(first) = configs.first() else {
            return Err(DustErr::invalid_params("the realtime client lacks a `store`"));
        };
        // The number distinguishes this client from others: in the ids of its ops, its device id and its marks in the
        // cache.
        let mark = Rng::from_system().next_u64();
        let device_id = self.device_id.clone().unwrap_or_else(|| format!("dust-orm-{mark:016x}"));
        let endpoint = self.endpoint(first, &device_id)?;
        let cache = self.cache.clone().map(|cache| CacheTarget::new(cache, endpoint.server(), format!("{mark:016x}")));
        let unsaved = Arc::new(Notify::new());
        let stores = self.load_stores(&configs, cache.as_ref(), &unsaved).await?;
        let session = self.session(&stores, first, mark);
        let (calls, called) = mpsc::channel(CALLS);
        let (messages, received) = mpsc::channel(MESSAGES);
        let (held, handles) = oneshot::channel();
        let (started, start) = oneshot::channel();
        let inputs = TaskInputs { calls: called, messages: received, handles };
        let task = ConnectionTask::new(session, endpoint, stores.clone(), inputs, started, !self.is_disabled);
        let write_behind = cache.map(|cache| WriteBehindHandle::start(cache, stores.clone(), unsaved));
        let flusher = write_behind.as_ref().map(WriteBehindHandle::flusher);
        let (running, ended) = watch::channel(());
        tokio::spawn(async move {
            task.run().await;
            if let Some(write_behind) = write_behind {
                write_behind.stop().await;
            }
            drop(running);
        });
        let inner = Inner {
            configs,
            stores,
            device_id,
            mark,
            deadline: self.timing.deadline,
            calls,
            messages,
            is_ending: AtomicBool::new(false),
            flusher,
            ended,
        };
        let client = SyncClient::new(inner, held);
        if let Ok(Ok(Err(error))) = tokio::time::timeout(START_PATIENCE, start).await {
            client.shutdown().await;
            return Err(error);
        }
        // It is connected, or continues to try.
        StoreRegistration::register(&client);
        Ok(client)
    }

    fn endpoint(&self, config: &DustConfig, device_id: &str) -> Result<Endpoint, DustErr> {
        let variable = || std::env::var("DUST_WS_URL").ok().filter(|_| self.read_env);
        let url = self.url.clone().or_else(variable);
        let endpoint = Endpoint::new(url.as_deref().unwrap_or(config.base_url()), config.token(), device_id)?;
        #[cfg(test)]
        let endpoint = endpoint.with_max_incoming(self.max_frame);
        Ok(endpoint)
    }

    /// The stores with their mirrors as the cache has them.
    async fn load_stores(
        &self,
        configs: &[DustConfig],
        cache: Option<&CacheTarget>,
        unsaved: &Arc<Notify>,
    ) -> Result<Vec<Arc<StoreShared>>, DustErr> {
        let mut stores = Vec::with_capacity(configs.len());
        for name in configs.iter().map(DustConfig::store) {
            let (mirror, is_cached) = match cache {
                Some(cache) => cache.load(&name).await?,
                None => (Mirror::default(), false),
            };
            let max_mirror = self.max_mirror.unwrap_or(MAX_MIRROR);
            stores.push(Arc::new(StoreShared::new(name, mirror, is_cached, Arc::clone(unsaved), max_mirror)));
        }
        Ok(stores)
    }

    fn session(&self, stores: &[Arc<StoreShared>], config: &DustConfig, seed: u64) -> Session {
        let positions = stores.iter().map(|store| (store.name.clone(), store.mirror().seq()));
        let max_mirror = self.max_mirror.unwrap_or(MAX_MIRROR);
        let mut session = Session::new(self.timing.clone(), positions, seed).with_max_mirror(max_mirror);
        for (index, store) in stores.iter().enumerate() {
            session = session.with_last_op(StoreId(index), store.mirror().last_op_id().cloned());
        }
        session.keep_secret(config.token().clone());
        session
    }

    /// The configuration of each store, checked as for HTTP.
    fn configs(&self) -> Result<Vec<DustConfig>, DustErr> {
        let config = |store: Option<&String>| {
            let mut builder = DustConfig::builder();
            if self.read_env {
                builder = builder.env();
            }
            if let Some(store) = store {
                builder = builder.store(store);
            }
            if let Some(SecretText(token)) = &self.token {
                builder = builder.token(token);
            }
            if let Some(base_url) = &self.base_url {
                builder = builder.base_url(base_url);
            }
            builder.build()
        };
        if self.stores.is_empty() {
            return Ok(vec![config(None)?]);
        }
        let mut names: Vec<&String> = self.stores.iter().collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|store| config(Some(store))).collect()
    }
}
