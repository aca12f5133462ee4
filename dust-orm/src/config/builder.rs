//! The builder of a configuration, from calls and from the environment.

use std::ffi::OsString;
use std::time::Duration;

use super::address::{NotABaseUrl, check_base_url};
use super::{DEFAULT_BASE_URL, DustConfig, RetryPolicy, Token};
use crate::error::DustErr;

/// Builds a [`DustConfig`]; made by [`DustConfig::builder`]. Nothing is checked before
/// [`build`](DustConfigBuilder::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct DustConfigBuilder {
    store: Option<Setting>,
    token: Option<SecretSetting>,
    base_url: Option<Setting>,
    read_env: bool,
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

/// A value and its source, for errors.
#[derive(Clone, Debug)]
struct Setting {
    value: String,
    source: Source,
}

/// A [`Setting`] that `Debug` does not show.
#[derive(Clone)]
struct SecretSetting(Setting);

impl std::fmt::Debug for SecretSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Builder,
    Environment,
}

/// The names of a setting, and an example of its value.
struct Name {
    method: &'static str,
    variable: &'static str,
    example: &'static str,
}

const STORE: Name = Name { method: "store", variable: "DUST_STORE", example: "acme/reading" };
const TOKEN: Name = Name { method: "token", variable: "DUST_TOKEN", example: "dust_tok_…" };
const BASE_URL: Name = Name { method: "base_url", variable: "DUST_BASE_URL", example: DEFAULT_BASE_URL };

impl Name {
    fn missing(&self, env_was_read: bool) -> DustErr {
        let Name { method, variable, example } = self;
        DustErr::invalid_params(if env_was_read {
            format!("{variable} is not set; for example {variable}={example}")
        } else {
            format!(
                "the configuration lacks `{method}`; for example .{method}({example:?}), or .env() to read {variable}"
            )
        })
    }

    fn malformed(&self, source: Source, why: &str) -> DustErr {
        self.instead(source, &format!("{why}; for example"), self.example)
    }

    /// The error that ends in another value, such as "DUST_STORE must be `org/name`; for example
    /// DUST_STORE=acme/reading".
    fn instead(&self, source: Source, why: &str, value: &str) -> DustErr {
        let Name { method, variable, .. } = self;
        DustErr::invalid_params(match source {
            Source::Environment => format!("{variable} {why} {variable}={value}"),
            Source::Builder => format!("`{method}` {why} .{method}({value:?})"),
        })
    }
}

impl Default for DustConfigBuilder {
    fn default() -> DustConfigBuilder {
        DustConfigBuilder {
            store: None,
            token: None,
            base_url: None,
            read_env: false,
            connect_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(15),
            // The slowest single try: one connection and one response.
            deadline: Duration::from_secs(45),
            retry: RetryPolicy::default(),
            http1_only: false,
            pool_size: 32,
            max_answer: 64 << 20,
            pace_writes: false,
            log_values: false,
        }
    }
}

impl DustConfigBuilder {
    /// The store, as `org/name`.
    pub fn store(mut self, store: impl Into<String>) -> Self {
        self.store = Some(Setting { value: store.into(), source: Source::Builder });
        self
    }

    /// The access token. It is sent in a header, and no log and no error shows it.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretSetting(Setting { value: token.into(), source: Source::Builder }));
        self
    }

    /// The server, such as `http://127.0.0.1:7755` (default: `https://dustlayer.io`).
    ///
    /// A path in it is kept, for a server behind a proxy. [`build`](DustConfigBuilder::build) refuses an address of a
    /// WebSocket (`wss://`), the paths of the socket and of the API, and a path on the hosted server.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(Setting { value: base_url.into(), source: Source::Builder });
        self
    }

    /// Reads the store, the token and the server from the environment, if they are not set here.
    pub fn env(mut self) -> Self {
        self.read_env = true;
        self
    }

    /// The longest time to open a connection (default: 30 s). A read counts it towards the request timeout as well.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest time for one request, its response included (default: 15 s).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The longest time for a call, with all its requests, retries and waits (default: 45 s): the pages of a list, the
    /// chunks of `insert_many`, the reads before a write. Each page of a stream has that time.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The number of tries, the pauses between them, and the budget of all retries (default: [`RetryPolicy::default`]).
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Uses HTTP/1.1 only (default: off). HTTP/2 sends all requests on one connection, which can slow down many
    /// concurrent requests.
    pub fn http1_only(mut self, only: bool) -> Self {
        self.http1_only = only;
        self
    }

    /// The number of idle connections that are kept open (default: 32). More are opened when they are needed.
    pub fn pool_size(mut self, size: usize) -> Self {
        self.pool_size = size;
        self
    }

    /// The size of the largest response that is read, in bytes after decompression (default: 64 MiB). A larger page of
    /// leaves is requested again in smaller pages.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Makes writes wait for the next minute once the rate limit of this minute is reached (default: off). It counts
    /// the writes of this configuration's transport; other programs may use the same token.
    pub fn pace_writes(mut self, pace: bool) -> Self {
        self.pace_writes = pace;
        self
    }

    /// Shows written values in the events of target `dust_orm::op` (default: off, as values may be personal).
    pub fn log_values(mut self, log: bool) -> Self {
        self.log_values = log;
        self
    }

    /// Checks and returns the configuration.
    ///
    /// # Errors
    ///
    /// [`InvalidParams`](DustErr::InvalidParams) if a setting is missing or malformed. It names the method or the
    /// variable, and shows an example.
    pub fn build(self) -> Result<DustConfig, DustErr> {
        self.build_with(|variable| std::env::var_os(variable))
    }

    pub(super) fn build_with(self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<DustConfig, DustErr> {
        let from_env = |name: &Name| -> Result<Option<Setting>, DustErr> {
            let Some(value) = self.read_env.then(|| lookup(name.variable)).flatten() else { return Ok(None) };
            match value.into_string() {
                Ok(value) => Ok(Some(Setting { value, source: Source::Environment })),
                Err(_) => Err(name.malformed(Source::Environment, "is not UTF-8")),
            }
        };
        let setting =
            |given: Option<Setting>, name: &Name| given.map_or_else(|| from_env(name), |given| Ok(Some(given)));

        let store = setting(self.store, &STORE)?.ok_or_else(|| STORE.missing(self.read_env))?;
        let token = setting(self.token.map(|token| token.0), &TOKEN)?.ok_or_else(|| TOKEN.missing(self.read_env))?;
        let base_url = setting(self.base_url, &BASE_URL)?
            .unwrap_or_else(|| Setting { value: DEFAULT_BASE_URL.to_owned(), source: Source::Builder });
        let (org, name) = check_store(&store.value).map_err(|why| STORE.malformed(store.source, why))?;
        let (org, name) = (org.into(), name.into());
        check_token(&token.value).map_err(|why| TOKEN.malformed(token.source, why))?;
        let base_url = check_base_url(&base_url.value).map_err(|NotABaseUrl { why, meant }| match meant {
            Some(meant) => BASE_URL.instead(base_url.source, &format!("{why}: write"), &meant),
            None => BASE_URL.malformed(base_url.source, why),
        })?;
        for (method, value) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("deadline", self.deadline),
        ] {
            if value.is_zero() {
                return Err(positive(method, "Duration::from_secs(15)"));
            }
        }
        if self.retry.max_tries == 0 {
            return Err(positive("retry.max_tries", "1 to try once"));
        }
        Ok(DustConfig {
            org,
            name,
            token: Token::new(&token.value),
            base_url,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            deadline: self.deadline,
            retry: self.retry,
            http1_only: self.http1_only,
            pool_size: self.pool_size,
            max_answer: self.max_answer,
            pace_writes: self.pace_writes,
            log_values: self.log_values,
        })
    }
}

fn positive(method: &str, example: &str) -> DustErr {
    DustErr::invalid_params(format!("`{method}` must be more than zero; for example {example}"))
}

/// The two halves of `org/name`. The error does not show the given text, which may be a misplaced token.
fn check_store(store: &str) -> Result<(&str, &str), &'static str> {
    let well_formed = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
    };
    match store.split_once('/') {
        _ if store.is_empty() => Err("is empty, but must be `org/name`"),
        _ if is_quoted(store) => Err(IN_QUOTES),
        _ if store.trim() != store => Err("begins or ends with white space, or a line end: remove it"),
        None => Err("must be `org/name`"),
        Some((org, name)) if well_formed(org) && well_formed(name) => Ok((org, name)),
        Some(_) => {
            Err("must be `org/name`, each beginning with a lower-case letter or a digit and of these and `-._` only")
        }
    }
}

const IN_QUOTES: &str = "is in quotes, which a shell removes but other readers of variables keep: write it without";

fn is_quoted(text: &str) -> bool {
    ['"', '\''].iter().any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// Checks the characters of a token. The error does not show the token, not even a malformed one.
fn check_token(token: &str) -> Result<(), &'static str> {
    match token {
        "" => Err("is empty, but a token is needed"),
        token if is_quoted(token) => Err(IN_QUOTES),
        token if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        _ => Err("holds a space, a line end or a character outside ASCII, which no token has"),
    }
}
