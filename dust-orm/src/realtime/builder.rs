//! How the realtime client is started.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::client::{Inner, START_PATIENCE, SyncClient};
use super::connect::Endpoint;
use super::connection_task::{Asked, ConnectionTask};
use super::mirror::{MAX_MIRROR, Mirror};
use super::session::{Session, StoreId, Timing};
use super::store::StoreShared;
use super::write_behind::{CacheTarget, WriteBehindHandle};
use crate::config::DustConfig;
use crate::error::DustErr;
use crate::realtime::cache::Cache;

/// How many calls may wait to be taken up by the task. The callers of more wait for a place, in their order.
const CALLS: usize = 64;
/// How much else may be asked of the task.
const ASKS: usize = 64;

/// Builds a [`SyncClient`]; made by [`SyncClient::builder`].
///
/// What is not set here is taken from the environment when [`env`](SyncClientBuilder::env) is called: `DUST_STORE`,
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

impl SyncClientBuilder {
    /// Keeps a mirror of this store, `org/name`. Call it once for each store.
    pub fn store(mut self, store: impl Into<String>) -> Self {
        self.stores.push(store.into());
        self
    }

    /// The access token, which has to be good for every store.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretText(token.into()));
        self
    }

    /// The server, such as `http://127.0.0.1:7755`: for what has to go over HTTP, and for the address of the socket.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// The address of the socket, such as `ws://127.0.0.1:7755/ws/sync/websocket`, where it does not follow from the base
    /// URL.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The name of this device in the ops it writes. By default one that no other has.
    pub fn device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = Some(device_id.into());
        self
    }

    /// Takes what is not set here from the environment.
    pub fn env(mut self) -> Self {
        self.read_env = true;
        self
    }

    /// How patient the client is.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Keeps the mirrors in a [cache](crate::realtime::cache) too, and begins with what it has. By default they are in memory only.
    pub fn cache(mut self, cache: impl Cache) -> Self {
        self.cache = Some(Arc::new(cache));
        self
    }

    /// How large each mirror may become: the bytes of its paths and values, 1 GiB unless this says otherwise. It takes up
    /// to twice as much memory.
    ///
    /// A store that goes beyond is not followed any further: its state is [`Refused`](crate::realtime::StoreState::Refused) with
    /// [`TooLarge`](DustErr::TooLarge), and repos that the client promoted go over HTTP again. The other stores of the client go
    /// on; [`start`](SyncClientBuilder::start) fails with this error if no store is up to date. The mirror stays as it was, and
    /// the store is asked for again after 30 s, then after pauses that double, up to 4 minutes: if it has become smaller it is
    /// followed again. One warning tells of it. A snapshot of more than 256 MiB, which is one frame, is refused in the same way
    /// after pauses of up to an hour, because asking for it costs all stores their connection for a moment.
    pub fn max_mirror(mut self, bytes: usize) -> Self {
        self.max_mirror = Some(bytes);
        self
    }

    /// The longest frame that is read, for tests.
    #[cfg(test)]
    pub(crate) fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = Some(bytes);
        self
    }

    /// Whether the client is enabled from the start: yes, unless this says no.
    ///
    /// A client that is not enabled is there and does nothing: it opens no socket and no repo is promoted, but every handle
    /// works, and a repo opened [with it](crate::DustRepo::with_client) goes over HTTP. So the code can be the same
    /// everywhere while a flag turns the client on for some. [`enable`](SyncClient::enable) and
    /// [`disable`](SyncClient::disable) do so at run time.
    ///
    /// ```
    /// use dust_orm::realtime::{StoreState, SyncClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// let client = SyncClient::builder().store("acme/reading").token("dust_tok_example").enabled(false).start().await?;
    /// assert!(matches!(client.status()[0].state, StoreState::Dormant));
    /// # Ok(())
    /// # }
    /// ```
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.is_disabled = !enabled;
        self
    }

    /// Connects, and returns when every mirror is up to date.
    ///
    /// A malformed setting, a refused token and an unknown store are errors that say which. A server that is not
    /// reached is none: the client keeps trying, and every call says so until it succeeds. A
    /// [cache](SyncClientBuilder::cache) is read before, so that there is something to read without a server; one that
    /// cannot be read is an error. A proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names is used, unless
    /// `NO_PROXY` names the server or the server is on this machine; one of another scheme than `http` and `https` is
    /// an error. Needs a tokio runtime.
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
        let seed = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
        let device_id = self.device_id.clone().unwrap_or_else(|| format!("dust-orm-{seed:016x}"));
        let url = match (&self.url, self.read_env) {
            (Some(url), _) => Some(url.clone()),
            (None, true) => std::env::var("DUST_WS_URL").ok(),
            (None, false) => None,
        };
        let address = Endpoint::new(url.as_deref().unwrap_or(first.base_url()), first.token(), &device_id)?;
        #[cfg(test)]
        let address = address.with_max_incoming(self.max_frame);
        let place = self.cache.map(|cache| CacheTarget::new(cache, address.server(), format!("{seed:016x}")));
        let unsaved = Arc::new(Notify::new());
        let max_mirror = self.max_mirror.unwrap_or(MAX_MIRROR);
        let mut stores = Vec::with_capacity(configs.len());
        for name in configs.iter().map(DustConfig::store) {
            let (mirror, is_kept) = match &place {
                Some(place) => place.load(&name).await?,
                None => (Mirror::default(), false),
            };
            stores.push(Arc::new(StoreShared::new(name, mirror, is_kept, Arc::clone(&unsaved), max_mirror)));
        }
        let held = stores.iter().map(|store| (store.name.clone(), store.mirror().seq()));
        let deadline = self.timing.deadline;
        let mut session = Session::new(self.timing, held, seed).with_max_mirror(max_mirror);
        for (index, store) in stores.iter().enumerate() {
            session = session.with_last_op(StoreId(index), store.mirror().last_op_id().cloned());
        }
        session.keep_secret(first.token().clone());
        let (calls, called) = mpsc::channel(CALLS);
        let (asks, asked) = mpsc::channel(ASKS);
        let (started, start) = oneshot::channel();
        let (held, handles) = oneshot::channel();
        let asked = Asked { calls: called, asks: asked, handles };
        let driver = ConnectionTask::new(session, address, stores.clone(), asked, started, !self.is_disabled);
        let keeper = place.map(|place| WriteBehindHandle::start(place, stores.clone(), unsaved));
        let flusher = keeper.as_ref().map(WriteBehindHandle::flusher);
        let (running, ended) = watch::channel(());
        tokio::spawn(async move {
            driver.run().await;
            if let Some(keeper) = keeper {
                keeper.stop().await;
            }
            drop(running);
        });
        let mark = seed;
        let is_ending = AtomicBool::new(false);
        let inner = Inner { configs, stores, device_id, mark, deadline, calls, asks, is_ending, flusher, ended };
        let client = SyncClient::new(inner, held);
        match tokio::time::timeout(START_PATIENCE, start).await {
            Ok(Ok(Err(error))) => {
                client.shutdown().await;
                Err(error)
            }
            // It is connected, or will be.
            _ => {
                client.register();
                Ok(client)
            }
        }
    }

    /// One configuration for each store, checked as those of HTTP are.
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
