//! Requests in terms of HTTP: method, URL, preconditions and body.

use std::fmt::Write as _;

use bytes::Bytes;
use dust_protocol::http::{Condition, MAX_BODY, batch_body, batch_write_body, delete_body, put_body};
use dust_protocol::path::percent_encode_into;
use dust_protocol::{ListRequest, Op, Order, Path, RawJson, Select, Selector};
use reqwest::Method;

use super::window::{LONG_TARGET, Window};
use crate::error::DustErr;
use crate::error::http::Call;

/// A request without the parts that all requests share: the base URL and the store.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) root: Root,
    /// The part of the URL after the root: a `/` and a path, a `?` and a query, or nothing.
    pub(super) target: String,
    pub(super) condition: Option<Condition>,
    pub(super) body: Option<Bytes>,
}

/// The root of a request's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The entries of the store.
    Entries,
    /// The files of all stores.
    Files,
}

/// Maximum bytes of a URL after the root: HTTP clients refuse a URL of 65,535 bytes.
const MAX_TARGET: usize = 60_000;

impl Request {
    fn new(method: Method, target: String) -> Request {
        Request { method, root: Root::Entries, target, condition: None, body: None }
    }

    fn post(target: &str, body: String) -> Request {
        Request { body: Some(body.into()), ..Request::new(Method::POST, target.to_owned()) }
    }

    /// The request for a page of a list.
    pub(super) fn list(request: &ListRequest, limit: usize) -> Request {
        let after = request.after.as_deref();
        let options = list_options(request);
        match &request.selector {
            Selector::Pattern(pattern) => Request::page(&[("pattern", pattern.as_str())], limit, options, after),
            Selector::Range { from, to } => {
                Request::page(&[("from", from.as_str()), ("to", to.as_str())], limit, options, after)
            }
        }
    }

    /// The request for a page of whole leaves by a range that fits into a URL.
    pub(super) fn between(window: &Window<'_>, limit: usize) -> Request {
        let (from, to) = window.bounds();
        Request::page(&[("from", from), ("to", to)], limit, None, window.after())
    }

    /// The request for a page of the leaves that match a pattern, after a cursor.
    pub(super) fn below(pattern: &str, limit: usize, after: Option<&str>) -> Request {
        Request::page(&[("pattern", pattern)], limit, None, after)
    }

    fn page<'a>(
        selected: &[(&str, &str)],
        limit: usize,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        after: Option<&str>,
    ) -> Request {
        // Room for the size and order of the page, and for a few encoded characters of the pattern.
        let size: usize = selected.iter().map(|(_, value)| value.len()).sum();
        let mut query = String::with_capacity(64 + size + after.map_or(0, str::len));
        query.push('?');
        selected.iter().for_each(|(name, value)| parameter(&mut query, name, value));
        // Writing to a string does not fail, and a number needs no encoding.
        let _ = write!(query, "&limit={limit}");
        options.into_iter().for_each(|(name, value)| parameter(&mut query, name, value));
        if let Some(after) = after {
            parameter(&mut query, "after", after);
        }
        Request::new(Method::GET, query)
    }

    /// The request for the entry at a path. `None` if no URL can hold the path.
    pub(super) fn get(path: &Path) -> Option<Request> {
        target(path).map(|target| Request::new(Method::GET, target))
    }

    pub(super) fn get_many(paths: &[Path]) -> Request {
        Request::post("/batch", batch_body(paths))
    }

    pub(super) fn set(path: &Path, value: &RawJson, condition: Option<Condition>) -> Request {
        match target(path).filter(|_| !is_misread(value)) {
            Some(target) => Request {
                condition,
                body: Some(Bytes::copy_from_slice(value.as_str().as_bytes())),
                ..Request::new(Method::PUT, target)
            },
            None => Request::post("", put_body(path, value, condition)),
        }
    }

    pub(super) fn delete(path: &Path, if_match: Option<u64>) -> Request {
        match target(path) {
            Some(target) => {
                let condition = if_match.map(Condition::IfMatch);
                Request { condition, ..Request::new(Method::DELETE, target) }
            }
            None => Request {
                body: Some(delete_body(path, if_match).into()),
                ..Request::new(Method::DELETE, String::new())
            },
        }
    }

    pub(super) fn batch_write(ops: &[Op]) -> Request {
        Request::post("/batch_write", batch_write_body(ops))
    }

    pub(super) fn fetch_file(hash: &str) -> Request {
        let target = format!("/{hash}");
        Request { root: Root::Files, ..Request::new(Method::GET, target) }
    }

    /// Refuses a request that cannot be sent, or that a server would refuse for its size, before it is sent.
    pub(super) fn check_size(&self, call: &Call<'_>) -> Result<(), DustErr> {
        if self.target.len() > MAX_TARGET {
            return Err(call.invalid(&format!(
                "its URL would have {} bytes, and {MAX_TARGET} are the most that any can have; use shorter paths",
                self.target.len()
            )));
        }
        match self.body.as_ref().map_or(0, Bytes::len) {
            size if size > MAX_BODY => Err(call.invalid(&format!(
                "the body is {size} bytes, and a server takes at most {MAX_BODY}; write less at a time"
            ))),
            _ => Ok(()),
        }
    }
}

fn list_options(request: &ListRequest) -> impl Iterator<Item = (&'static str, &'static str)> {
    let order = (request.order == Order::Descending).then_some(("order", "desc"));
    let select = match request.select {
        Select::Entries => None,
        Select::Keys => Some(("select", "keys")),
        Select::Prefixes => Some(("select", "prefixes")),
    };
    order.into_iter().chain(select)
}

/// A path as the rest of a URL. `None` if no URL can hold it.
///
/// A URL cannot hold a segment `.` or `..`: URL libraries and proxies resolve these, and `%2E` too, and would request
/// another path. Nor can it hold a path that is too long for a request line. Such paths are sent in a body or in a
/// query.
fn target(path: &Path) -> Option<String> {
    if path.as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
        return None;
    }
    let mut target = String::with_capacity(path.as_str().len() + 8);
    target.push('/');
    percent_encode_into(path.as_str(), &mut target);
    (target.len() < LONG_TARGET).then_some(target)
}

/// True if a server would misread a body that is only this value: of an object with a member `_json` it keeps that
/// member only. An escape may spell that name, too.
fn is_misread(value: &RawJson) -> bool {
    value.is_object() && (value.as_str().contains("_json") || value.as_str().contains("\\u"))
}

/// Appends `name=value` to a query. Encodes everything but unreserved characters, so that nothing is left to interpret:
/// a `+` would be read as a space.
fn parameter(query: &mut String, name: &str, value: &str) {
    if query.len() > 1 {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    percent_encode_into(value, query);
}
