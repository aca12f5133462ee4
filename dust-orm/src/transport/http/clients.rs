//! The HTTP clients of a transport: one for each tokio runtime that uses it.

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::runtime::{Handle, Id};

use super::tls;
use crate::config::DustConfig;
use crate::config::proxy::{self, Proxy};
use crate::error::DustErr;

/// Maximum idle time of a connection. A server closes an idle connection after 60 s, and a request sent at that moment
/// is lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Maximum number of runtimes whose clients are kept.
const RUNTIMES: usize = 8;

/// The clients of a transport: one, and with it a pool of connections, for each runtime.
///
/// A task of the runtime that opened a connection drives it. If that runtime has ended, or is not being run, the
/// connection stays in the pool and answers nothing, so another runtime must not take it.
#[derive(Debug)]
pub(super) struct Clients {
    proxy: Option<Proxy>,
    /// Each client with the runtime that uses it, in the order of their last use.
    clients: Mutex<Vec<(Option<Id>, Client)>>,
}

impl Clients {
    /// Creates the clients with the proxy of the environment. Fails if no client can be built, for example without TLS,
    /// or if the proxy cannot be used.
    pub(super) fn new(config: &DustConfig) -> Result<Clients, DustErr> {
        Clients::through(config, proxy::proxy_for(config.server(), proxy::variable)?)
    }

    /// Creates clients that send their requests to a proxy, if there is one.
    pub(super) fn through(config: &DustConfig, proxy: Option<Proxy>) -> Result<Clients, DustErr> {
        let client = client(config, proxy.as_ref())?;
        Ok(Clients { proxy, clients: Mutex::new(vec![(runtime(), client)]) })
    }

    /// The client of the current runtime.
    pub(super) fn current(&self, config: &DustConfig) -> Result<Client, DustErr> {
        let current = runtime();
        let mut clients = self.lock();
        let known = clients.iter().position(|(runtime, _)| *runtime == current);
        // A client that was built outside of any runtime has opened no connection yet.
        let known = known.or_else(|| clients.iter().position(|(runtime, _)| runtime.is_none()));
        let client = match known {
            Some(at) => clients.remove(at).1,
            None => client(config, self.proxy.as_ref())?,
        };
        if clients.len() >= RUNTIMES {
            clients.remove(0);
        }
        clients.push((current, client.clone()));
        Ok(client)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Option<Id>, Client)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

fn unusable(error: impl Error + Send + Sync + 'static) -> DustErr {
    DustErr::invalid_params(format!("the HTTP client cannot be built: {error}")).with_source(error)
}

/// Builds a client for a configuration: keep-alive, compression, no redirects.
fn client(config: &DustConfig, proxy: Option<&Proxy>) -> Result<Client, DustErr> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // The configuration has validated the token, and the error does not contain it.
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.token().reveal())).map_err(unusable)?;
    authorization.set_sensitive(true);
    headers.insert(AUTHORIZATION, authorization);

    let mut builder = Client::builder()
        .user_agent(concat!("dust-orm/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        // This transport itself decides which requests are repeated, by their effect. Without the zero, reqwest would
        // still keep a copy of each request for a retry.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        // This crate chooses the proxy itself, as for the WebSocket.
        .no_proxy()
        .connect_timeout(config.connect_timeout())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(config.pool_size());
    if config.http1_only() {
        builder = builder.http1_only();
    }
    if let Some(proxy) = proxy {
        let mut chosen = reqwest::Proxy::all(proxy.url.as_str()).map_err(unusable)?;
        if let Some(authorization) = &proxy.authorization {
            chosen = chosen.custom_http_auth(authorization.clone());
        }
        builder = builder.proxy(chosen);
    }
    let https = config.base_url().starts_with("https:");
    tls::choose(builder, https, config.http1_only())?.build().map_err(unusable)
}
