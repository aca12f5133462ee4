//! What a server's refusal means.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::answer::Unreadable;
use crate::error::DustErr;
use crate::protocol::said::{self, shorten};
use crate::protocol::{Path, Selector};

/// What was asked for, as far as it decides what an answer means.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The store, `org/name`.
    pub store: &'a str,
    /// What was to be done.
    pub operation: Operation,
    /// To what.
    pub about: About<'a>,
}

/// What is done over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the methods of Transport, with `write` split in two")]
pub enum Operation {
    List,
    Get,
    GetMany,
    Exists,
    Set,
    Delete,
    BatchWrite,
    FetchFile,
}

/// What an operation is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// One path.
    Path(&'a Path),
    /// The leaves a list selects.
    Selection(&'a Selector),
    /// The leaves that match a pattern, in its rendered form.
    Pattern(&'a str),
    /// So many paths.
    Paths(usize),
    /// So many ops.
    Ops(usize),
    /// The file with this hash.
    File(&'a str),
}

impl Operation {
    /// The name in errors and traces.
    pub fn name(self) -> &'static str {
        match self {
            Operation::List => "list",
            Operation::Get => "get",
            Operation::GetMany => "get_many",
            Operation::Exists => "exists",
            Operation::Set => "set",
            Operation::Delete => "delete",
            Operation::BatchWrite => "batch_write",
            Operation::FetchFile => "fetch_file",
        }
    }

    /// Whether it may change the store, so that a lost answer leaves the outcome open.
    pub fn writes(self) -> bool {
        matches!(self, Operation::Set | Operation::Delete | Operation::BatchWrite)
    }

    /// Whether the rate limit counts it as a write, as it does every `POST`.
    pub fn counts_as_write(self) -> bool {
        self.writes() || self == Operation::GetMany
    }
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::Path(path) => write!(f, "`{path}`"),
            About::Selection(Selector::Pattern(pattern)) => write!(f, "`{pattern}`"),
            About::Pattern(pattern) => write!(f, "`{pattern}`"),
            About::Selection(Selector::Range { from, to }) => write!(f, "`{from}` to `{to}`"),
            About::Paths(count) => write!(f, "{count} paths"),
            About::Ops(count) => write!(f, "{count} ops"),
            About::File(hash) => write!(f, "`{hash}`"),
        }
    }
}

/// An answer that is not a success.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The header `Location`.
    pub location: Option<&'a str>,
    /// The body, or its beginning.
    pub body: &'a [u8],
}

/// What the errors of a server hold, all told. Which of them are there depends on the error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
    detail: Option<String>,
    message: Option<String>,
    scope: Option<String>,
    path: Option<String>,
    op_index: Option<usize>,
    current_revision: Option<u64>,
    dimension: Option<String>,
}

impl Call<'_> {
    /// Such as "set of `links/dust/title`".
    pub(crate) fn text(&self) -> String {
        format!("{} of {}", self.operation.name(), self.about)
    }

    /// The error for a call that did not reach the server, or for a read whose answer was lost.
    pub fn network(&self, why: &str) -> DustErr {
        DustErr::Network(format!("{}: {why}", self.text()))
    }

    /// The error for a write that was sent and may have been applied or not.
    pub fn unknown_outcome(&self, why: &str) -> DustErr {
        DustErr::Timeout { operation: format!("{} ({why})", self.text()) }
    }

    /// The error for an answer whose status promised success. A write was probably applied, but nothing says where.
    pub fn unreadable(&self, status: u16, why: &Unreadable) -> DustErr {
        if self.operation.writes() {
            self.unknown_outcome(&format!("an answer that cannot be read: {why}"))
        } else {
            DustErr::Http { status, message: format!("{}: the answer cannot be read: {why}", self.text()) }
        }
    }

    /// The error for a request that is itself wrong.
    pub fn invalid(&self, what: &str) -> DustErr {
        DustErr::InvalidParams(format!("{}: {what}", self.text()))
    }

    /// What a 404 is about: a read of one leaf does not tell a missing leaf from a missing store.
    fn missing(&self) -> String {
        match (self.operation, self.about) {
            (Operation::Get, About::Path(path)) => format!("`{path}` in `{}`", self.store),
            (_, About::File(hash)) => format!("the file `{hash}`"),
            _ => format!("the store `{}`", self.store),
        }
    }

    fn unauthorized(&self, body: &ErrorBody<'_>, otherwise: &str) -> DustErr {
        let said = body.message.as_deref().or(body.detail.as_deref());
        let message = format!("{}: {}", self.text(), said.map_or_else(|| otherwise.to_owned(), shorten));
        DustErr::Unauthorized { scope: body.scope.as_deref().map(shorten), message }
    }
}

impl Refusal<'_> {
    /// The error this answer stands for.
    pub fn error(&self, call: &Call<'_>) -> DustErr {
        let body: ErrorBody<'_> =
            str::from_utf8(self.body).ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let writes = call.operation.writes();
        match self.status {
            400 if writes && body.is_unknown_outcome() => call.unknown_outcome("the server's writer did not answer it"),
            400 | 422 => call.invalid(&self.detail(&body)),
            401 => call.unauthorized(&body, "the server does not accept the token: it is wrong, expired or revoked"),
            403 if call.operation == Operation::FetchFile => call
                .unauthorized(&body, "no store that the token may read refers to the file, or it lacks `files:read`"),
            403 => call.unauthorized(&body, "the token lacks the scope for this, or has no access to the store"),
            404 if !body.error.is_empty() => DustErr::NotFound { what: call.missing() },
            404 | 405 => DustErr::NotImplemented { operation: call.operation.name().to_owned() },
            412 if body.error == "conflict" => {
                DustErr::Conflict { path: body.path_or(call), current: body.current_revision, op_index: body.op_index }
            }
            412 if body.error == "exists" => {
                DustErr::Exists { path: body.path_or(call), current: body.current_revision }
            }
            413 => call.invalid(&format!("a server takes at most {} bytes in one request", super::MAX_BODY)),
            414 | 431 => call.invalid("the path is longer than the server takes"),
            429 => DustErr::RateLimited { retry_after: retry_after(self.retry_after) },
            status @ 500.. if writes => call.unknown_outcome(&format!("answered {status}: {}", self.detail(&body))),
            status @ 300..400 => DustErr::Http {
                status,
                message: format!(
                    "{}: a redirect to {}, which is not followed; make that the base URL if it is meant",
                    call.text(),
                    self.location.unwrap_or("nowhere"),
                ),
            },
            status => DustErr::Http { status, message: format!("{}: {}", call.text(), self.detail(&body)) },
        }
    }

    /// What the server said, short.
    fn detail(&self, body: &ErrorBody<'_>) -> String {
        let place = match (body.op_index, &body.path) {
            (Some(index), Some(path)) => format!("op {index} (`{}`): ", shorten(path)),
            _ => String::new(),
        };
        let said = body.detail.as_deref().or(body.message.as_deref());
        match (said, &*body.error, &body.dimension) {
            (Some(said), "", _) => format!("{place}{}", shorten(said)),
            (Some(said), error, _) => format!("{place}{} ({})", shorten(said), shorten(error)),
            (None, "", _) => shorten_bytes(self.body),
            (None, error, Some(dimension)) => format!("{} ({})", shorten(error), shorten(dimension)),
            (None, error, None) => shorten(error),
        }
    }
}

impl ErrorBody<'_> {
    /// A 400 that is no bad input: the writer did not answer in time or was not there, and may apply the write all the same.
    fn is_unknown_outcome(&self) -> bool {
        self.detail.as_deref().is_some_and(|detail| detail.starts_with("{:writer_unavailable"))
    }

    fn path_or(&self, call: &Call<'_>) -> String {
        match (&self.path, call.about) {
            (Some(path), _) => path.clone(),
            (None, About::Path(path)) => path.to_string(),
            (None, about) => about.to_string(),
        }
    }
}

/// How long to wait after a 429. A date instead of seconds, or nothing at all, counts as the shortest pause.
fn retry_after(header: Option<&str>) -> Duration {
    let seconds = header.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0);
    said::retry_after(Duration::from_secs(seconds))
}

/// A body as one short line.
fn shorten_bytes(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim_start() {
        "" => "an empty answer".to_owned(),
        text if text.starts_with('<') => "an HTML page".to_owned(),
        text => shorten(text),
    }
}
