//! The emulator as tests and the binary see it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dust_protocol::{FileUpload, Path, content_hash};
use dust_store::{Clock, Origin, Store, SystemClock};

use crate::auth::{Token, Tokens};
use crate::dump;
use crate::error::EmulatorError;
use crate::faults::Faults;
use crate::guard::Hosts;
use crate::ids;
use crate::import;
use crate::journal::{Journal, RequestRecord};
use crate::limits::{Limits, RateLimit};
use crate::seed::{Seed, SeedFrom};
use crate::server::Listening;
use crate::socket::Hub;
use crate::state::State;
use crate::stores::{StoreName, Stores};
use crate::unplugged::Unplugged;

/// The store an emulator has when none is named.
const DEFAULT_STORE: &str = "local/dev";

/// A Dust server on this machine.
///
/// Dropping it stops it soon; [`stop`](Emulator::stop) stops it and waits until it has.
pub struct Emulator {
    state: Arc<State>,
    listening: Option<Listening>,
    address: SocketAddr,
    idle: Duration,
    token: String,
    store: StoreName,
    skipped_seeds: Vec<String>,
}

/// How an [`Emulator`] is started.
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
    /// Listens on this address. The default is 127.0.0.1 and any port that is free.
    pub fn address(mut self, address: SocketAddr) -> EmulatorBuilder {
        self.address = address;
        self
    }

    /// Listens on this port; 0 is any that is free.
    pub fn port(mut self, port: u16) -> EmulatorBuilder {
        self.address.set_port(port);
        self
    }

    /// Keeps the stores in files in this directory, which is created if it is not there. The default is memory. Stores
    /// that are in it already are opened. Tokens are not kept.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> EmulatorBuilder {
        self.data = Some(directory.into());
        self
    }

    /// Has a store, `org/name`, or one more. The first is [`Emulator::store`]; the default is `local/dev`.
    pub fn store(mut self, name: impl Into<String>) -> EmulatorBuilder {
        self.stores.push(name.into());
        self
    }

    /// Has a store that holds this before the first request, see [`Emulator::import`]. A store that holds something
    /// already, because it lies in a [`data_dir`](EmulatorBuilder::data_dir), is left as it is, and is one of
    /// [`Emulator::skipped_seeds`].
    pub fn seed(mut self, store: impl Into<String>, text: impl Into<String>) -> EmulatorBuilder {
        self.seeds.push(Seed { store: store.into(), from: SeedFrom::Text(text.into()) });
        self
    }

    /// As [`seed`](EmulatorBuilder::seed), from a file, which is read at the start and named in errors.
    pub fn seed_file(mut self, store: impl Into<String>, file: impl Into<PathBuf>) -> EmulatorBuilder {
        self.seeds.push(Seed { store: store.into(), from: SeedFrom::File(file.into()) });
        self
    }

    /// Answers requests to this host, without a port, too. The default is `localhost`, loopback addresses and the
    /// address that it listens on: any other name may be one that a web page has made to lead to this machine. Such as
    /// the name of a container.
    pub fn host(mut self, host: impl Into<String>) -> EmulatorBuilder {
        self.hosts.push(host.into());
        self
    }

    /// The secret of the token that may do everything. The default is made up.
    pub fn secret(mut self, secret: impl Into<String>) -> EmulatorBuilder {
        self.secret = Some(secret.into());
        self
    }

    /// Knows one more token.
    pub fn token(mut self, token: Token) -> EmulatorBuilder {
        self.tokens.push(token);
        self
    }

    /// Limits how many requests a token may make in a minute. The default is no limit.
    pub fn rate_limit(mut self, limit: RateLimit) -> EmulatorBuilder {
        self.limit = Some(limit);
        self
    }

    /// Uses this clock for the rate limit, for the end of tokens, for leases, for WebSockets that are silent for a minute and
    /// for whatever shows a time. The default
    /// is the operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> EmulatorBuilder {
        self.clock = Some(clock);
        self
    }

    /// Closes connections on which nothing happens for this long. The default is 60 seconds, as in production.
    pub fn idle_timeout(mut self, time: Duration) -> EmulatorBuilder {
        self.idle = time;
        self
    }

    /// Starts the emulator, in the tokio runtime of the caller.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        let (address, idle) = (self.address, self.idle);
        let Unplugged { state, token, store, skipped_seeds } = self.unplugged()?;
        let listening = Listening::on(address, Arc::clone(&state), idle).await?;
        let address = listening.address;
        let token = token.secret.clone();
        Ok(Emulator { state, listening: Some(listening), address, idle, token, store, skipped_seeds })
    }

    /// The same without a network: for simulations, which decide what happens when. Needs no runtime.
    pub fn unplugged(self) -> Result<Unplugged, EmulatorError> {
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
        Ok(Unplugged { state, token: Arc::new(token), store, skipped_seeds })
    }
}

impl Emulator {
    /// Starts an emulator with one empty store in memory, on a free port of 127.0.0.1.
    pub async fn start() -> Result<Emulator, EmulatorError> {
        Emulator::builder().start().await
    }

    /// How an emulator with something else is started.
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

    /// Where it listens, such as `http://127.0.0.1:7755`: for `DUST_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret of the token that may do everything, in every store: for `DUST_TOKEN`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The name of the first store, `org/name`: for `DUST_STORE`.
    pub fn store(&self) -> String {
        self.store.to_string()
    }

    /// The stores whose seed was skipped, because they held something already.
    pub fn skipped_seeds(&self) -> &[String] {
        &self.skipped_seeds
    }

    /// A store in this process, past the protocol; it is created if it is not there. What is written to it, clients see:
    /// those on a WebSocket as they see writes over HTTP, when they catch up.
    pub fn store_handle(&self, name: &str) -> Result<Store, EmulatorError> {
        Ok(self.state.stores.open_or_create(&StoreName::parse(name)?)?.store)
    }

    /// The names of all stores, in order.
    pub fn stores(&self) -> Vec<String> {
        self.state.stores.all().iter().map(|held| held.name.to_string()).collect()
    }

    /// Knows one more token from now on, in place of one with the same secret.
    pub fn add_token(&self, token: Token) {
        self.state.tokens.add(token);
    }

    /// Forgets the token with a secret, and tells whether there was one.
    pub fn revoke_token(&self, secret: &str) -> bool {
        self.state.tokens.revoke(|token| token.secret() == secret)
    }

    /// What goes wrong on demand.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The last 10,000 requests, oldest first. Those to the emulator's own endpoints are not among them.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.journal.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.state.journal.clear();
    }

    /// Writes what a text holds to a store, all of it or nothing, in one commit, and answers how many entries it held.
    ///
    /// The text is an object of paths and values, `{"links/dust": {"title": "Dust"}}`, each of which is one `set`; or
    /// what a server exports, one JSON object a line. A text of one line is an export only if that is its header.
    ///
    /// # Errors
    ///
    /// [`Import`](EmulatorError::Import) with line and column for what cannot be read and for what a store would not
    /// keep as it is written: empty objects and empty keys, a path that comes twice, and paths that differ only in
    /// ASCII case, here or from one in the store.
    pub fn import(&self, store: &str, text: &str) -> Result<usize, EmulatorError> {
        import::import(&self.store_handle(store)?, text)
    }

    /// Every leaf of a store as an object of paths and values, decimals and datetimes as plain strings.
    pub fn export(&self, store: &str) -> Result<String, EmulatorError> {
        Ok(dump::export_object(&self.store_handle(store)?)?)
    }

    /// A store in the form in which a server exports it: a header, then a line for each leaf with its type.
    pub fn export_lines(&self, store: &str) -> Result<String, EmulatorError> {
        let handle = self.store_handle(store)?;
        Ok(dump::export_lines(store, &handle, self.state.clock.wall_ms())?)
    }

    /// Stores a file and refers to it at a path, as the `put_file` of the WebSocket does. Answers its hash, under which
    /// `GET /api/files/:hash` gives the bytes.
    pub fn put_file(
        &self,
        store: &str,
        path: &Path,
        content: impl Into<Vec<u8>>,
        filename: &str,
        content_type: &str,
    ) -> Result<String, EmulatorError> {
        let file = FileUpload {
            path: path.clone(),
            content: content.into(),
            filename: Some(filename.to_owned()),
            content_type: Some(content_type.to_owned()),
        };
        let hash = content_hash(&file.content);
        self.store_handle(store)?.put_file(file, None, &Origin::new("emulator", ids::uuid()))?;
        Ok(hash)
    }

    /// Puts a store back to what it was after an op and drops every connection, as a server that was restored from a backup.
    /// False where that is not known: for an op that is still to come, or before the last compaction.
    ///
    /// [Handles](Emulator::store_handle) from before keep to the store as it was then: drop them.
    pub fn restore(&self, store: &str, store_seq: u64) -> Result<bool, EmulatorError> {
        let is_known = self.state.stores.restore(&StoreName::parse(store)?, store_seq)?;
        self.disconnect_all();
        Ok(is_known)
    }

    /// How many WebSockets are open.
    pub fn open_sockets(&self) -> usize {
        self.state.hub.open_sockets()
    }

    /// Drops the connection of every WebSocket, as a network does that fails: without a word.
    pub fn disconnect_all(&self) {
        self.state.hub.disconnect_all();
    }

    /// Crashes every channel that is joined: clients get `phx_error` and have to join again.
    pub fn crash_channels(&self) {
        self.state.hub.crash_channels();
    }

    /// Stops every catch-up after so many of its events, until [`release_catch_ups`](Emulator::release_catch_ups). An op
    /// that is written on a WebSocket meanwhile is pushed in the middle of it, before older ones, and comes again in its
    /// place.
    ///
    /// A snapshot is not an event: with 0 it is sent, and what follows is not.
    pub fn hold_catch_ups(&self, events: usize) {
        self.state.hub.hold_catch_ups(Some(events));
    }

    /// Lets catch-ups go on.
    pub fn release_catch_ups(&self) {
        self.state.hub.hold_catch_ups(None);
    }

    /// Closes the port and every connection, after the requests under way, and keeps everything else:
    /// [`come_up`](Emulator::come_up) listens on the same port again. What a client sees of a server that restarts.
    pub async fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
    }

    /// Listens again after [`go_down`](Emulator::go_down). Does nothing while it listens.
    pub async fn come_up(&mut self) -> Result<(), EmulatorError> {
        if self.listening.is_none() {
            self.listening = Some(Listening::on(self.address, Arc::clone(&self.state), self.idle).await?);
        }
        Ok(())
    }

    /// Stops: no new connections, requests under way end, all connections close. The files of its stores are closed
    /// too, unless a [`store_handle`](Emulator::store_handle) lives on.
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
