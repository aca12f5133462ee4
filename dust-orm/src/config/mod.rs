//! Configuration of a client of a Dust server: store, token, timeouts and retries.

mod address;
mod builder;
#[cfg(feature = "http")]
mod no_proxy;
#[cfg(feature = "http")]
pub(crate) mod proxy;
mod retry;
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
pub(crate) mod tls;
mod token;

use std::fmt;
use std::time::Duration;

use url::Url;

pub use builder::DustConfigBuilder;
pub use retry::RetryPolicy;
pub(crate) use token::Token;

use crate::error::DustErr;

/// The hosted Dust server: the default base URL of a [`DustConfig`].
pub(crate) const DEFAULT_BASE_URL: &str = "https://dustlayer.io";

/// The configuration of a client of one store on a Dust server. [`build`](DustConfigBuilder::build) checks that it is
/// well-formed.
///
/// | builder | environment | default | |
/// |---|---|---|---|
/// | [`store`](DustConfigBuilder::store) | `DUST_STORE` | required | the store, `org/name` |
/// | [`token`](DustConfigBuilder::token) | `DUST_TOKEN` | required | the access token; never printed |
/// | [`base_url`](DustConfigBuilder::base_url) | `DUST_BASE_URL` | `https://dustlayer.io` | the server |
/// | [`connect_timeout`](DustConfigBuilder::connect_timeout) | | 30 s | the longest time to open a connection |
/// | [`request_timeout`](DustConfigBuilder::request_timeout) | | 15 s | the longest time for one request |
/// | [`deadline`](DustConfigBuilder::deadline) | | 45 s | the longest time for a call, retries included |
/// | [`retry`](DustConfigBuilder::retry) | | [`RetryPolicy::default`] | number of tries, pauses and budget |
/// | [`http1_only`](DustConfigBuilder::http1_only) | | off | use HTTP/1.1 only |
/// | [`pool_size`](DustConfigBuilder::pool_size) | | 32 | idle connections kept open |
/// | [`max_answer`](DustConfigBuilder::max_answer) | | 64 MiB | the largest answer that is read |
/// | [`pace_writes`](DustConfigBuilder::pace_writes) | | off | wait for the next minute at the rate limit |
/// | [`log_values`](DustConfigBuilder::log_values) | | off | show written values in traces |
///
/// Any number of configurations, for different stores and tokens, live side by side in one process.
///
/// ```
/// use dust_orm::DustConfig;
///
/// let config = DustConfig::builder().store("acme/reading").token("dust_tok_example").build()?;
/// assert_eq!(config.store(), "acme/reading");
/// assert!(!format!("{config:?}").contains("dust_tok_example"));
/// # Ok::<(), dust_orm::DustErr>(())
/// ```
#[derive(Clone)]
pub struct DustConfig {
    org: Box<str>,
    name: Box<str>,
    token: Token,
    base_url: Url,
    connect_timeout: Duration,
    request_timeout: Duration,
    deadline: Duration,
    retry: RetryPolicy,
    http1_only: bool,
    pool_size: usize,
    max_answer: usize,
    pace_writes: bool,
    log_values: bool,
}

impl DustConfig {
    /// The configuration from the environment variables `DUST_STORE`, `DUST_TOKEN` and, if it is set, `DUST_BASE_URL`.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) if a variable is missing or malformed. It names the variable and shows
    /// an example.
    ///
    /// ```no_run
    /// let config = dust_orm::DustConfig::from_env()?;
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn from_env() -> Result<DustConfig, DustErr> {
        DustConfig::builder().env().build()
    }

    /// Starts a configuration, which needs a `store` and a `token`.
    pub fn builder() -> DustConfigBuilder {
        DustConfigBuilder::default()
    }

    /// The store, as `org/name`.
    pub fn store(&self) -> String {
        format!("{}/{}", self.org, self.name)
    }

    /// The server, without a trailing slash.
    pub fn base_url(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// The longest time to open a connection.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The longest time for one request and its response.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// The longest time for a call, retries and waits included.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The number of tries, the pauses between them, and the budget of all retries.
    pub(crate) fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// True if HTTP/2 is never used.
    pub(crate) fn http1_only(&self) -> bool {
        self.http1_only
    }

    /// The number of idle connections that are kept open.
    pub(crate) fn pool_size(&self) -> usize {
        self.pool_size
    }

    /// The size of the largest response that is read, in bytes after decompression.
    pub(crate) fn max_answer(&self) -> usize {
        self.max_answer
    }

    /// True if writes wait for the next minute when the rate limit is reached.
    pub(crate) fn pace_writes(&self) -> bool {
        self.pace_writes
    }

    /// True if traces show written values.
    pub(crate) fn log_values(&self) -> bool {
        self.log_values
    }

    /// The server, parsed.
    #[cfg(feature = "http")]
    pub(crate) fn server(&self) -> &Url {
        &self.base_url
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for DustConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DustConfig")
            .field("store", &format_args!("{}/{}", self.org, self.name))
            .field("token", &self.token)
            .field("base_url", &self.base_url())
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("http1_only", &self.http1_only)
            .field("pool_size", &self.pool_size)
            .field("max_answer", &self.max_answer)
            .field("pace_writes", &self.pace_writes)
            .field("log_values", &self.log_values)
            .finish()
    }
}

#[cfg(test)]
mod tests;
