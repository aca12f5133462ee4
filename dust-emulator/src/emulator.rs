//! The emulator, for tests and for the binary.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dust_protocol::{FileUpload, Path, content_hash};
use dust_store::{Clock, Origin, Store, SystemClock};

use crate::auth::{Token, Tokens};
use crate::error::EmulatorError;
use crate::export;
use crate::faults::Faults;
use crate::guard::Hosts;
use crate::ids;
use crate::import;
use crate::in_process_server::InProcessServer;
use crate::journal::{Journal, RequestRecord};
use crate::limits::{Limits, RateLimit};
use crate::seed::{Seed, SeedFrom};
use crate::server::Listening;
use crate::socket::Hub;
use crate::state::State;
use crate::stores::{StoreName, Stores};

/// The default store.
const DEFAULT_STORE: &str = "local/dev";

/// A Dust server on this machine.
///
/// Dropping it stops it without waiting; [`stop`](Emulator::stop) waits until it has stopped.
pub struct Emulator {
    state: Arc<State>,
    listening: Option<Listening>,
    address: SocketAddr,
    idle: Duration,
    token: String,
    store: StoreName,
    skipped_seeds: Vec<String>,
}

/// Options for starting an [`Emulator`].
#[derive(Clone)]
pub struct EmulatorBuilder {
    address: SocketAddr,
    data: Option<PathBuf>,
    stores: Vec<String>,
    seeds: Vec<Seed>,
    hosts: Vec<String>,
    secret: Option<String>,
    tokens: Vec<Token>,
    limit: Option<RateLimit>,
    clock: Option<Arc<dyn Clock>>,
    idle: Duration,
}

impl EmulatorBuilder {
    /// Sets the address to listen on (default: 127.0.0.1 and any free port).
    pub fn address(mut self, address: SocketAddr) -> EmulatorBuilder {
        self.address = address;
        self
    }

    /// Sets the port to listen on; 0 is any free port.
    pub fn port(mut self, port: u16) -> EmulatorBuilder {
        self.address.set_port(port);
        self
    }

    /// Keeps the stores in files in this directory, which is created if it is missing (default: in memory). Existing
    /// stores in it are opened. Tokens are not stored.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> EmulatorBuilder {
        self.data = Some(directory.into());
        self
    }

    /// Adds a store, `org/name`. The first is [`Emulator::store`] (default: `local/dev`).
    pub fn store(mut self, name: impl Into<String>) -> EmulatorBuilder {
        self.stores.push(name.into());
        self
    }

    /// Adds a store with this content, see [`Emulator::import`]. A store that has content already, from a
    /// [`data_dir`](EmulatorBuilder::data_dir), stays unchanged and is listed in [`Emulator::skipped_seeds`].
    pub fn seed(mut self, store: impl Into<String>, text: impl Into<String>) -> EmulatorBuilder {
        self.seeds.push(Seed { store: store.into(), from: SeedFrom::Text(text.into()) });
        self
    }

    /// As [`seed`](EmulatorBuilder::seed), from a file, which is read at the start. Errors name the file.
    pub fn seed_file(mut self, store: impl Into<String>, file: impl Into<PathBuf>) -> EmulatorBuilder {
        self.seeds.push(Seed { store: store.into(), from: SeedFrom::File(file.into()) });
        self
    }

    /// Also answers requests to this host, without a port, such as the name of a container. By default these are
    /// `localhost`, loopback addresses and the address that it listens on: a web page may have made any other name
    /// resolve to this machine.
    pub fn host(mut self, host: impl Into<String>) -> EmulatorBuilder {
        self.hosts.push(host.into());
        self
    }

    /// Sets the secret of the token without restrictions (default: random).
    pub fn secret(mut self, secret: impl Into<String>) -> EmulatorBuilder {
        self.secret = Some(secret.into());
        self
    }

    /// Adds a token.
    pub fn token(mut self, token: Token) -> EmulatorBuilder {
        self.tokens.push(token);
        self
    }

    /// Limits the requests of a token in a minute (default: no limit).
    pub fn rate_limit(mut self, limit: RateLimit) -> EmulatorBuilder {
        self.limit = Some(limit);
        self
    }

    /// Sets the clock of the rate limit, tokens, leases, times in answers, and of WebSockets that are silent for a
    /// minute (default: the operating system's).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> EmulatorBuilder {
        self.clock = Some(clock);
        self
    }

    /// Sets the time after which an idle connection is closed (default: 60 seconds, as in production).
    pub fn idle_timeout(mut self, time: Duration) -> EmulatorBuilder {
        self.idle = time;
        self
    }

    /// Starts the emulator, in the tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`](EmulatorError::NoRuntime) outside of a tokio runtime, [`Listen`](EmulatorError::Listen) if the
    /// address is in use, and the errors of its stores, files and seeds.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        let (address, idle) = (self.address, self.idle);
        let InProcessServer { state, token, store, skipped_seeds } = self.unplugged()?;
        let listening = Listening::on(address, Arc::clone(&state), idle).await?;
        let address = listening.address;
        let token = token.secret.clone();
        Ok(Emulator { state, listening: Some(listening), address, idle, token, store, skipped_seeds })
    }

    /// Makes an emulator without a network, for simulations that control the order of events. Needs no runtime.
    pub fn unplugged(self) -> Result<InProcessServer, EmulatorError> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::default()));
        let stores = Stores::open(self.data, Arc::clone(&clock))?;
        let first = self.stores.first().map_or(DEFAULT_STORE, String::as_str);
        let store = StoreName::parse(first)?;
        stores.open_or_create(&store)?;
        for name in &self.stores {
            stores.open_or_create(&StoreName::parse(name)?)?;
        }
        let mut skipped_seeds = Vec::new();
        for seed in &self.seeds {
            let held = stores.open_or_create(&StoreName::parse(&seed.store)?)?;
            if !seed.sow(&held.store)? {
                skipped_seeds.push(seed.store.clone());
            }
        }
        let tokens = Tokens::default();
        let token = Token::new(self.secret.unwrap_or_else(ids::secret));
        tokens.add(token.clone());
        for token in self.tokens {
            tokens.add(token);
        }
        let state = Arc::new(State {
            hosts: Hosts(self.hosts),
            clock,
            stores,
            tokens,
            limits: Limits::new(self.limit),
            faults: Faults::default(),
            journal: Journal::default(),
            hub: Hub::default(),
        });
        Ok(InProcessServer { state, token: Arc::new(token), store, skipped_seeds })
    }
}

impl Emulator {
    /// Starts an emulator with one empty store in memory, on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`EmulatorBuilder::start`].
    pub async fn start() -> Result<Emulator, EmulatorError> {
        Emulator::builder().start().await
    }

    /// Returns a builder, to change the defaults.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            stores: Vec::new(),
            seeds: Vec::new(),
            hosts: Vec::new(),
            secret: None,
            tokens: Vec::new(),
            limit: None,
            clock: None,
            idle: Duration::from_secs(60),
        }
    }

    /// The URL that it listens on, such as `http://127.0.0.1:7755`, for `DUST_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret of the token without restrictions, for `DUST_TOKEN`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The name of the first store, `org/name`, for `DUST_STORE`.
    pub fn store(&self) -> String {
        self.store.to_string()
    }

    /// The stores whose seed was skipped, because they had content already.
    pub fn skipped_seeds(&self) -> &[String] {
        &self.skipped_seeds
    }

    /// Direct access to a store, which is created if it is missing. Clients see its writes; those on a WebSocket see
    /// them when they catch up, as they do with writes over HTTP.
    pub fn store_handle(&self, name: &str) -> Result<Store, EmulatorError> {
        Ok(self.state.stores.open_or_create(&StoreName::parse(name)?)?.store)
    }

    /// The names of all stores, in order.
    pub fn stores(&self) -> Vec<String> {
        self.state.stores.all().iter().map(|held| held.name.to_string()).collect()
    }

    /// Adds a token, or replaces the one with the same secret.
    pub fn add_token(&self, token: Token) {
        self.state.tokens.add(token);
    }

    /// Removes the token with a secret. Returns true if there was one.
    pub fn revoke_token(&self, secret: &str) -> bool {
        self.state.tokens.revoke(|token| token.secret() == secret)
    }

    /// The faults to inject.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The last 10,000 requests, oldest first, without those to the emulator's own endpoints.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.journal.all()
    }

    /// Clears the log of requests.
    pub fn clear_requests(&self) {
        self.state.journal.clear();
    }

    /// Imports a text into a store, all or nothing, in one commit. Returns the number of entries.
    ///
    /// The text is an object of paths and values, `{"links/dust": {"title": "Dust"}}`, each of which is one `set`, or
    /// the export of a server with one JSON object per line. A text of one line is an export only if the line is a
    /// header.
    ///
    /// # Errors
    ///
    /// [`Import`](EmulatorError::Import) with line and column for invalid text, and for entries that a store cannot
    /// keep as they are written: empty objects and empty keys, a path that occurs twice, and paths that differ only in
    /// ASCII case, here or from one in the store.
    pub fn import(&self, store: &str, text: &str) -> Result<usize, EmulatorError> {
        import::import(&self.store_handle(store)?, text)
    }

    /// Every leaf of a store as an object of paths and values, decimals and datetimes as plain strings.
    pub fn export(&self, store: &str) -> Result<String, EmulatorError> {
        Ok(export::export_object(&self.store_handle(store)?)?)
    }

    /// A store in the export format of a server: a header, then one line for each leaf with its type.
    pub fn export_lines(&self, store: &str) -> Result<String, EmulatorError> {
        let handle = self.store_handle(store)?;
        Ok(export::export_lines(store, &handle, self.state.clock.wall_ms())?)
    }

    /// Stores a file and writes a reference to it at a path, as the `put_file` of the WebSocket does. Returns its hash,
    /// by which `GET /api/files/:hash` returns the bytes.
    pub fn put_file(
        &self,
        store: &str,
        path: &Path,
        content: impl Into<Vec<u8>>,
        filename: &str,
        content_type: &str,
    ) -> Result<String, EmulatorError> {
        let file = FileUpload::new(path.clone(), content.into())
            .with_filename(Some(filename.to_owned()))
            .with_content_type(Some(content_type.to_owned()));
        let hash = content_hash(&file.content);
        self.store_handle(store)?.put_file(file, None, &Origin::new("emulator", ids::uuid()))?;
        Ok(hash)
    }

    /// Restores a store as of an op and drops every connection, as a server that was restored from a backup. Returns
    /// false for an op in the future or before the last compaction.
    ///
    /// Earlier [handles](Emulator::store_handle) still refer to the previous store: drop them.
    pub fn restore(&self, store: &str, store_seq: u64) -> Result<bool, EmulatorError> {
        let is_known = self.state.stores.restore(&StoreName::parse(store)?, store_seq)?;
        self.disconnect_all();
        Ok(is_known)
    }

    /// The number of open WebSockets.
    pub fn open_sockets(&self) -> usize {
        self.state.hub.open_sockets()
    }

    /// Drops the connection of every WebSocket without a close frame, as a failing network does.
    pub fn disconnect_all(&self) {
        self.state.hub.disconnect_all();
    }

    /// Crashes every joined channel: clients receive `phx_error` and have to join again.
    pub fn crash_channels(&self) {
        self.state.hub.crash_channels();
    }

    /// Stops every catch-up after `events` of its events, until [`release_catch_ups`](Emulator::release_catch_ups). An
    /// op that is written on a WebSocket during that time is pushed before older ones of the catch-up, and once more in
    /// its order.
    ///
    /// A snapshot is not an event: with 0 it is sent, and the events after it are not.
    pub fn hold_catch_ups(&self, events: usize) {
        self.state.hub.hold_catch_ups(Some(events));
    }

    /// Continues the stopped catch-ups.
    pub fn release_catch_ups(&self) {
        self.state.hub.hold_catch_ups(None);
    }

    /// Closes the port and every connection after the running requests, as a server that restarts, and keeps everything
    /// else. [`come_up`](Emulator::come_up) listens on the same port again.
    pub async fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
    }

    /// Listens again after [`go_down`](Emulator::go_down). Has no effect while it listens.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`](EmulatorError::NoRuntime) outside of a tokio runtime, [`Listen`](EmulatorError::Listen) if the
    /// port is in use by now.
    pub async fn come_up(&mut self) -> Result<(), EmulatorError> {
        if self.listening.is_none() {
            self.listening = Some(Listening::on(self.address, Arc::clone(&self.state), self.idle).await?);
        }
        Ok(())
    }

    /// Stops the emulator: it accepts no connections, completes running requests and closes all connections. The files
    /// of its stores are closed too, unless a [`store_handle`](Emulator::store_handle) exists.
    pub async fn stop(mut self) {
        self.go_down().await;
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("url", &self.url()).field("stores", &self.stores()).finish_non_exhaustive()
    }
}

impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorBuilder").field("address", &self.address).finish_non_exhaustive()
    }
}
