//! Requests and answers, independent of the HTTP server.

use bytes::Bytes;
use hyper::{HeaderMap, Method};

use crate::json::Object;
use crate::uri::{self, NotUtf8, Params};

/// A request with its body.
pub(crate) struct Request {
    /// The method; HEAD is GET here.
    pub(crate) method: Method,
    /// True for a HEAD, which needs only the headers.
    pub(crate) head: bool,
    /// Path and query as they were sent.
    pub(crate) target: String,
    pub(crate) segments: Result<Vec<String>, NotUtf8>,
    pub(crate) query: Result<Params, NotUtf8>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    /// `X-Request-Id`, or a generated id.
    pub(crate) id: String,
}

/// A body, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Whole(Bytes),
    /// The body was too long.
    TooLarge,
}

impl Request {
    pub(crate) fn new(method: Method, target: &str, headers: HeaderMap, body: Payload) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let head = method == Method::HEAD;
        let id = match headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
            Some(id) if (20..=200).contains(&id.len()) => id.to_owned(),
            _ => crate::ids::uuid(),
        };
        Request {
            method: if head { Method::GET } else { method },
            head,
            target: target.to_owned(),
            segments: uri::segments(path),
            query: uri::params(query),
            headers,
            body,
            id,
        }
    }

    /// The first value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or_default())
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// The result of a handler. Refusals are answers too, so that `?` ends a handler with one.
pub(crate) type Reply = Result<Answer, Answer>;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
        Answer { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub(crate) fn json(status: u16, json: String) -> Answer {
        Answer::new(status, JSON, json)
    }

    pub(crate) fn ok(json: String) -> Answer {
        Answer::json(200, json)
    }

    /// Makes a page. Its headers forbid everything but its own style, and frames of other pages.
    pub(crate) fn html(status: u16, page: String) -> Answer {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";
        Answer::new(status, HTML, page).with("content-security-policy", policy)
    }

    /// Makes an answer without a body.
    pub(crate) fn empty(status: u16) -> Answer {
        Answer::new(status, HTML, Bytes::new())
    }

    pub(crate) fn bytes(content_type: &str, bytes: impl Into<Bytes>) -> Answer {
        Answer::new(200, content_type, bytes)
    }

    /// Makes an answer with the name of the status as its body, as a server does outside its routes.
    pub(crate) fn plain(status: u16) -> Answer {
        Answer::new(status, HTML, reason(status))
    }

    /// `{"error": name}`.
    pub(crate) fn error(status: u16, name: &str) -> Answer {
        Answer::json(status, Object::new().string("error", name).end())
    }

    /// `{"detail": …, "error": name}` with status 400.
    pub(crate) fn detailed(name: &str, detail: &str) -> Answer {
        Answer::json(400, Object::new().string("detail", detail).string("error", name).end())
    }

    pub(crate) fn invalid(detail: &str) -> Answer {
        Answer::detailed("invalid_params", detail)
    }

    pub(crate) fn not_found() -> Answer {
        Answer::error(404, "not_found")
    }

    pub(crate) fn forbidden() -> Answer {
        Answer::error(403, "forbidden")
    }

    /// The answer of a server after an exception in a route of the API.
    pub(crate) fn broken(status: u16) -> Answer {
        let detail = Object::new().string("detail", reason(status)).end();
        Answer::json(status, Object::new().raw("errors", &detail).end())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }
}

/// The reason phrase of a status, as a server writes it.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        413 => "Request Entity Too Large",
        422 => "Unprocessable Content",
        _ => hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown"),
    }
}
