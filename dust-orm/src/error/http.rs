//! Errors of calls over HTTP: the error for each refusal of a server.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use dust_protocol::excerpt::excerpt;
use dust_protocol::http::Unreadable;
use dust_protocol::{JsonObject, Path, Selector, envelope};
use serde::Deserialize;

use super::{DustErr, retry_after as bounded, wrong_scheme_hint};

/// The parts of a request that decide the error for a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// The store, `org/name`.
    pub(crate) store: &'a str,
    /// The operation.
    pub(crate) operation: Operation,
    /// The object of the operation.
    pub(crate) about: About<'a>,
}

/// An operation over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the methods of Transport, with `write` split in two")]
pub(crate) enum Operation {
    List,
    Get,
    GetMany,
    Exists,
    Set,
    Delete,
    BatchWrite,
    FetchFile,
}

/// The object of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    /// One path.
    Path(&'a Path),
    /// The leaves a list selects.
    Selection(&'a Selector),
    /// The leaves below a path.
    Below(&'a Path),
    /// A number of paths.
    Paths(usize),
    /// A number of ops.
    Ops(usize),
    /// The file with this hash.
    File(&'a str),
}

impl Operation {
    /// The name in errors and traces.
    pub(crate) fn name(self) -> &'static str {
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

    /// True if the operation may change the store: without a response its outcome is unknown.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Operation::Set | Operation::Delete | Operation::BatchWrite)
    }

    /// True if the rate limit counts the operation as a write, as it counts every `POST`.
    pub(crate) fn counts_as_write(self) -> bool {
        self.writes() || self == Operation::GetMany
    }
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::Path(path) => write!(f, "`{}`", excerpt(path.as_str())),
            About::Selection(Selector::Pattern(pattern)) => write!(f, "`{}`", excerpt(pattern.as_str())),
            About::Below(path) => write!(f, "`{}/**`", excerpt(path.as_str())),
            About::Selection(Selector::Range { from, to }) => {
                write!(f, "`{}` to `{}`", excerpt(from.as_str()), excerpt(to.as_str()))
            }
            About::Paths(count) => write!(f, "{count} paths"),
            About::Ops(count) => write!(f, "{count} ops"),
            About::File(hash) => write!(f, "`{hash}`"),
        }
    }
}

/// A response with a status other than success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The header `Retry-After`.
    pub(crate) retry_after: Option<&'a str>,
    /// The header `Location`.
    pub(crate) location: Option<&'a str>,
    /// The body, or its beginning.
    pub(crate) body: &'a [u8],
    /// The size of the body that was sent, in bytes.
    pub(crate) sent: usize,
    /// The time since 1970 by the clock of this machine.
    pub(crate) now: Duration,
}

/// The fields of a server's error body. Each error has some of them.
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
    /// The operation and its object, such as "set of `links/dust/title`".
    pub(crate) fn text(&self) -> String {
        format!("{} of {}", self.operation.name(), self.about)
    }

    /// The error for a call that did not reach the server, or for a read whose response was lost.
    pub(crate) fn network(&self, why: &str) -> DustErr {
        DustErr::network(format!("{}: {why}", self.text()))
    }

    /// The error for a write that was sent and may have been applied or not.
    pub(crate) fn unknown_outcome(&self, why: &str) -> DustErr {
        DustErr::timeout(format!("{} ({why})", self.text()))
    }

    /// The error for a successful response with an unreadable body. A write was probably applied, with an unknown
    /// `store_seq`.
    pub(crate) fn unreadable(&self, status: u16, why: Unreadable) -> DustErr {
        let error = if self.operation.writes() {
            self.unknown_outcome(&format!("an answer that cannot be read: {why}"))
        } else {
            DustErr::http(status, format!("{}: the answer cannot be read: {why}", self.text()))
        };
        error.with_source(why)
    }

    /// The error for an invalid request.
    pub(crate) fn invalid(&self, what: &str) -> DustErr {
        DustErr::invalid_params(format!("{}: {what}", self.text()))
    }

    /// The object that a 404 reports as missing. For a read of one leaf that is the leaf or the store.
    fn missing(&self) -> String {
        match (self.operation, self.about) {
            (Operation::Get, About::Path(path)) => format!("`{path}` in `{}`", self.store),
            (_, About::File(hash)) => format!("the file `{hash}`"),
            _ => format!("the store `{}`", self.store),
        }
    }

    /// The limit that a 429 reports.
    pub(crate) fn rate_limit(&self) -> &'static str {
        if self.operation.counts_as_write() {
            "the writes that a token may make in a minute are used up (100 unless the server says otherwise, HTTP and \
             WebSocket together)"
        } else {
            "the reads that a token may make in a minute are used up (1000 unless the server says otherwise)"
        }
    }

    /// The advice on how to send fewer such requests.
    #[cfg(feature = "http")]
    pub(crate) fn fewer_requests(&self) -> &'static str {
        match self.operation {
            Operation::Set | Operation::Delete => {
                "write records together with `insert_many` or `batch_write`, as a request counts once whatever it holds"
            }
            Operation::BatchWrite => {
                "put more into one batch, which holds 1000 ops, or write in map mode, one op a record"
            }
            Operation::GetMany => "read whole records, whose lists count as reads, or through a realtime client",
            _ => {
                "read records together with `all` or `find_many`, set optional fields before an insert so that it need \
                 not read, or read through a realtime client, which sends no request"
            }
        }
    }

    fn unauthorized(&self, body: &ErrorBody<'_>, otherwise: &str) -> DustErr {
        let said = body.message.as_deref().or(body.detail.as_deref());
        let message = format!("{}: {}", self.text(), said.map_or_else(|| otherwise.to_owned(), excerpt));
        DustErr::Unauthorized { scope: body.scope.as_deref().map(excerpt), message }
    }

    /// The error for a refusal that does not come from a Dust server, so that the token may be right.
    fn kept_away(&self, status: u16, body: &[u8]) -> DustErr {
        let message = format!(
            "{}: answered {status}: {}, which is no answer of a Dust server: a proxy or a firewall before it refused \
             the request, or the base URL is that of another server",
            self.text(),
            shorten_bytes(body)
        );
        DustErr::Unauthorized { scope: None, message }
    }
}

impl Refusal<'_> {
    /// The error for this response.
    pub(crate) fn error(&self, call: &Call<'_>) -> DustErr {
        let body = str::from_utf8(self.body).ok().and_then(|text| serde_json::from_str(text).ok());
        let JsonObject(body): JsonObject<ErrorBody<'_>> = body.unwrap_or_default();
        let writes = call.operation.writes();
        match self.status {
            400 if writes && body.is_unknown_outcome() => call.unknown_outcome("the server's writer did not answer it"),
            400 | 422 => call.invalid(&format!("{}{}", self.detail(&body), self.scheme_hint(&body))),
            401 | 403 if body.is_foreign() && !self.body.is_empty() => call.kept_away(self.status, self.body),
            401 => call.unauthorized(&body, "the server does not accept the token: it is wrong, expired or revoked"),
            403 if call.operation == Operation::FetchFile => call
                .unauthorized(&body, "no store that the token may read refers to the file, or it lacks `files:read`"),
            403 => call.unauthorized(&body, "the token lacks the scope for this, or has no access to the store"),
            // A 404 without Dust's error code comes from another server at this address.
            404 if body.error == "not_found" => DustErr::NotFound { what: call.missing() },
            404 | 405 => DustErr::NotImplemented { operation: call.operation.name().to_owned() },
            412 if body.error == "conflict" => {
                DustErr::Conflict { path: body.path_or(call), current: body.current_revision, op_index: body.op_index }
            }
            412 if body.error == "exists" => {
                DustErr::Exists { path: body.path_or(call), current: body.current_revision }
            }
            413 if self.sent == 0 => call.invalid("the server, or a proxy before it, refuses the request as too large"),
            413 => call.invalid(&format!(
                "the server, or a proxy before it, does not accept a body of {} bytes; write less at a time, or raise \
                 the limit there (nginx: `client_max_body_size`)",
                self.sent
            )),
            414 | 431 => call.invalid("the path is longer than the server, or a proxy before it, accepts"),
            429 => DustErr::RateLimited {
                retry_after: retry_after(self.retry_after, self.now),
                limit: match body.is_foreign() && !self.body.is_empty() {
                    true => format!(
                        "a proxy before the server takes no more requests for now (it answered {})",
                        shorten_bytes(self.body)
                    ),
                    false => call.rate_limit().to_owned(),
                },
            },
            status @ 500.. if writes => call.unknown_outcome(&format!("answered {status}: {}", self.detail(&body))),
            status @ 300..400 => DustErr::http(status, format!("{}: {}", call.text(), self.redirect())),
            status => DustErr::http(status, format!("{}: {}", call.text(), self.detail(&body))),
        }
    }

    /// The text and the advice for a redirect.
    fn redirect(&self) -> String {
        match self.location {
            Some(location) => format!(
                "a redirect to {}, which is not followed; write the server's own address in `base_url` \
                 (DUST_BASE_URL)",
                excerpt(location)
            ),
            None => "a redirect without an address, which no Dust server answers; check `base_url` (DUST_BASE_URL)"
                .to_owned(),
        }
    }

    /// The advice to change the scheme, if the body is the page of a TLS server that received plain text.
    fn scheme_hint(&self, body: &ErrorBody<'_>) -> &'static str {
        match str::from_utf8(self.body) {
            Ok(page) if body.error.is_empty() => wrong_scheme_hint(false, page),
            _ => "",
        }
    }

    /// The server's message, shortened.
    fn detail(&self, body: &ErrorBody<'_>) -> String {
        let place = match (body.op_index, &body.path) {
            (Some(index), Some(path)) => format!("op {index} (`{}`): ", excerpt(path)),
            _ => String::new(),
        };
        let said = body.detail.as_deref().or(body.message.as_deref());
        match (said, &*body.error, &body.dimension) {
            (Some(said), "", _) => format!("{place}{}", excerpt(said)),
            (Some(said), error, _) => format!("{place}{} ({})", excerpt(said), excerpt(error)),
            (None, "", _) => shorten_bytes(self.body),
            (None, error, Some(dimension)) => format!("{} ({})", excerpt(error), excerpt(dimension)),
            (None, error, None) => excerpt(error),
        }
    }
}

impl ErrorBody<'_> {
    /// True if the body names no error. Every error of a Dust server names one.
    fn is_foreign(&self) -> bool {
        self.error.is_empty() && self.message.is_none() && self.detail.is_none()
    }

    /// True for a 400 that does not report invalid input: the server's writer did not answer in time or was not
    /// available, and may still apply the write.
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

/// The pause in the header of a 429, in seconds or as a date; the shortest pause for any other text.
fn retry_after(header: Option<&str>, now: Duration) -> Duration {
    bounded(header.and_then(|header| parse_retry_after(header, now)).unwrap_or_default())
}

/// The duration in a header `Retry-After`, counted from `now`, the time since 1970.
pub(crate) fn parse_retry_after(header: &str, now: Duration) -> Option<Duration> {
    let header = header.trim();
    let is_number = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => Some(header.parse().map_or(Duration::MAX, Duration::from_secs)),
        false => Some(http_date(header)?.saturating_sub(now)),
    }
}

/// The time since 1970 of a date in one of the three forms of RFC 9110: `Wed, 21 Oct 2026 07:28:00 GMT`, and the two
/// obsolete forms `Wednesday, 21-Oct-26 07:28:00 GMT` and `Wed Oct 21 07:28:00 2026`.
fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let is_separator = |char| matches!(char, ' ' | '-');
    let parts: Vec<&str> = match text.split_once(", ") {
        Some((_, date)) => date.split(is_separator).collect(),
        None => text.split_ascii_whitespace().collect(),
    };
    let (day, month, year, time) = match parts[..] {
        [day, month, year, time, "GMT"] => (day, month, year, time),
        [_, month, day, time, year] if year != "GMT" => (day, month, year, time),
        _ => return None,
    };
    // A year of two digits: a server does not ask for a pause of decades.
    let century = if year.len() == 2 { "20" } else { "" };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let rfc3339 = format!("{century}{year}-{month:02}-{day:0>2}T{time}Z");
    let (seconds, _) = envelope::unix_time(&rfc3339)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// The body on one line, shortened.
fn shorten_bytes(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim_start() {
        "" => "an empty answer".to_owned(),
        text if text.starts_with('<') => "an HTML page".to_owned(),
        text => excerpt(text),
    }
}

#[cfg(test)]
mod tests;
