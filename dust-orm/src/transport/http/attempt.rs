//! One attempt: a request that is sent once, and is either answered or lost.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dust_protocol::http::Condition;
use futures_util::future::{Either, select};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, Url};

use super::body::{Progress, WatchedBody};
use super::request::Request;
use crate::error::{Reason, wrong_scheme_hint};
use crate::runtime::Runtime;

/// The hint for a caller without a tokio runtime.
const NO_RUNTIME: &str = "it needs a tokio runtime: call it inside of `#[tokio::main]` or `Runtime::block_on`";

/// Maximum bytes of a refusal that are read: more than any error body, but not the whole of an arbitrary error page.
const MAX_REFUSAL: usize = 64 << 10;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The answer of a server.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Response {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The cause of a missing answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// The request provably did not reach the server.
    NotSent(Reason),
    /// The request may have reached the server.
    Unanswered(Reason),
    /// The request may have reached the server, and there was enough time to answer it.
    TimedOut(Reason),
    /// The answer is too large to read.
    TooLarge,
    /// No request can be made.
    Impossible(Reason),
}

/// Limits of the time and the answer of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
    /// The moment by which the attempt ends in any case.
    pub(super) deadline: Duration,
    /// Maximum bytes of a successful answer, after decompression.
    pub(super) bytes: usize,
}

/// Sends a request once. If the request `writes`, the error distinguishes whether it was sent.
pub(super) async fn attempt(
    client: &Client,
    url: Url,
    (request, writes): (&Request, bool),
    id: &str,
    limits: Limits,
    world: &Arc<dyn Runtime>,
) -> Result<Response, SendError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(SendError::Impossible(NO_RUNTIME.into()));
    }
    let progress = (writes || request.body.is_some()).then(|| Progress::new(Arc::clone(world)));
    let not_sent = || progress.as_ref().is_some_and(Progress::give_up);
    let is_tls = url.scheme() == "https";

    let started = world.now();
    let mut now = started;
    let sent = client.execute(to_send(url, request, id, progress.as_ref()));
    let mut answer = pin!(receive(sent, limits.bytes));
    loop {
        // The time to answer begins when the request leaves. Until then the time to connect applies.
        let begun = progress.as_ref().map_or(Some(started), Progress::begun);
        let (since, most) = begun.map_or((started, limits.connect), |begun| (begun, limits.answer));
        let end = since.saturating_add(most).min(limits.deadline);
        if now >= end {
            let time = end.saturating_sub(since);
            match begun {
                Some(_) => return Err(SendError::TimedOut(format!("no answer within {time:?}").into())),
                None if not_sent() => return Err(SendError::NotSent(format!("no connection within {time:?}").into())),
                // The request began to leave just now.
                None => continue,
            }
        }
        // No event shows that the request begins to leave. A check at this interval is frequent enough not to be late.
        let wait = (end - now).min(limits.answer);
        answer = match select(answer, world.limit(wait)).await {
            Either::Left((answer, _)) => return answer.map_err(|error| error.into_lost(not_sent(), is_tls)),
            Either::Right((_, answer)) => answer,
        };
        now = world.now();
    }
}

/// The request in the form of reqwest. The client adds the parts that all requests share.
fn to_send(url: Url, request: &Request, id: &str, progress: Option<&Progress>) -> reqwest::Request {
    let mut sent = reqwest::Request::new(request.method.clone(), url);
    let headers = sent.headers_mut();
    // The id consists of letters, digits and hyphens. Without an id a server generates its own.
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID.clone(), id);
    }
    match request.condition {
        Some(Condition::IfMatch(revision)) => drop(headers.insert(IF_MATCH, revision.into())),
        Some(Condition::IfLeafAbsent) => drop(headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"))),
        None => {}
    }
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(progress) = progress {
        *sent.body_mut() = Some(reqwest::Body::wrap(WatchedBody::new(request.body.clone(), progress.clone())));
    }
    sent
}

/// Waits for the answer to a request that is in progress, and reads the whole answer.
async fn receive(
    sent: impl Future<Output = Result<reqwest::Response, reqwest::Error>>,
    max_answer: usize,
) -> Result<Response, ReceiveError> {
    let mut response = sent.await?;
    let status = response.status().as_u16();
    let success = response.status().is_success();
    let headers = std::mem::take(response.headers_mut());
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let most = if success { max_answer } else { MAX_REFUSAL };
    let mut body = BodyBuffer::default();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // The status of a refusal is sufficient.
            Err(_) if !success => break,
            Err(error) => return Err(error.into()),
        };
        let room = most - body.len();
        if chunk.len() > room && success {
            return Err(ReceiveError::TooLarge);
        }
        let is_cut = chunk.len() >= room && !success;
        // A server may announce any length, so this reserves at most 1 MiB.
        body.push(chunk.slice(..chunk.len().min(room)), announced.min(most).min(1 << 20));
        if is_cut {
            break;
        }
    }
    Ok(Response { status, headers, body: body.into_bytes() })
}

/// A body that arrives in pieces. Most bodies arrive in one piece, which is used without a copy.
#[derive(Default)]
struct BodyBuffer {
    first: Bytes,
    /// All pieces, once there are two.
    joined: Vec<u8>,
}

impl BodyBuffer {
    fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    /// Adds a piece of a body whose expected length is `expected` bytes.
    fn push(&mut self, piece: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(expected.max(self.first.len() + piece.len()));
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.into() }
    }
}

/// The reason for an unfinished [`receive`].
enum ReceiveError {
    Client(reqwest::Error),
    TooLarge,
}

impl From<reqwest::Error> for ReceiveError {
    fn from(error: reqwest::Error) -> ReceiveError {
        ReceiveError::Client(error)
    }
}

impl ReceiveError {
    /// Converts the error. `body_kept` is true if the request never left.
    fn into_lost(self, body_kept: bool, is_tls: bool) -> SendError {
        let reason = |error| reason(error, is_tls);
        match self {
            ReceiveError::TooLarge => SendError::TooLarge,
            ReceiveError::Client(error) if error.is_builder() => SendError::Impossible(reason(error)),
            ReceiveError::Client(error) if body_kept || error.is_connect() => SendError::NotSent(reason(error)),
            ReceiveError::Client(error) if error.is_timeout() => SendError::TimedOut(reason(error)),
            ReceiveError::Client(error) => SendError::Unanswered(reason(error)),
        }
    }
}

/// The description of an error, from the outermost error to its innermost cause, without the URL.
fn reason(error: reqwest::Error, is_tls: bool) -> Reason {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text.push_str(wrong_scheme_hint(is_tls, &text));
    Reason::of(error).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_however_it_was_cut() {
        for pieces in [&["{\"a\":1}"][..], &["{\"a\"", ":1}"], &["", "{", "\"a\":", "", "1}"]] {
            let mut body = BodyBuffer::default();
            pieces.iter().for_each(|piece| body.push(Bytes::from_static(piece.as_bytes()), 3));
            assert_eq!(body.len(), 7);
            assert_eq!(body.into_bytes(), "{\"a\":1}");
        }
        assert!(BodyBuffer::default().into_bytes().is_empty());
    }
}
