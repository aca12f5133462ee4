//! What is asked for, as HTTP: method, URL, preconditions and body.

use std::fmt::Write as _;

use bytes::Bytes;
use dust_protocol::http::{Condition, MAX_BODY, batch_body, batch_write_body, delete_body, put_body};
use dust_protocol::path::percent_encode_into;
use dust_protocol::{BatchOp, ListRequest, Order, Path, RawJson, Select, Selector};
use reqwest::Method;

use super::window::Window;
use crate::error::DustErr;
use crate::error::http::Call;

/// A request, without what is the same for all: the base URL and the store.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) root: Root,
    /// What follows the root in the URL: a `/` and a path, a `?` and a query, or nothing.
    pub(super) target: String,
    pub(super) condition: Option<Condition>,
    pub(super) body: Option<Bytes>,
}

/// What a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The entries of the store.
    Entries,
    /// The files of all stores.
    Files,
}

/// From this length on, in bytes, a path goes into the body: servers and proxies limit the request line to 8 or 10 kB.
pub(super) const LONG_TARGET: usize = 7_000;

/// The most bytes that follow the root in a URL: HTTP clients refuse one of 65,535 bytes.
const MAX_TARGET: usize = 60_000;

impl Request {
    fn new(method: Method, target: String) -> Request {
        Request { method, root: Root::Entries, target, condition: None, body: None }
    }

    fn post(target: &str, body: String) -> Request {
        Request { body: Some(body.into()), ..Request::new(Method::POST, target.to_owned()) }
    }

    /// A list as it is asked for.
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

    /// A page of whole leaves by a range that fits into a URL.
    pub(super) fn between(window: &Window<'_>, limit: usize) -> Request {
        let (from, to) = window.bounds();
        Request::page(&[("from", from), ("to", to)], limit, None, window.after())
    }

    /// A page of the leaves that match a pattern, after a cursor.
    pub(super) fn below(pattern: &str, limit: usize, after: Option<&str>) -> Request {
        Request::page(&[("pattern", pattern)], limit, None, after)
    }

    fn page<'a>(
        selected: &[(&str, &str)],
        limit: usize,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        after: Option<&str>,
    ) -> Request {
        // The page's size and order, and a pattern of which a few characters are encoded.
        let size: usize = selected.iter().map(|(_, value)| value.len()).sum();
        let mut query = String::with_capacity(64 + size + after.map_or(0, str::len));
        query.push('?');
        selected.iter().for_each(|(name, value)| parameter(&mut query, name, value));
        // A string takes whatever is written, and a number needs no encoding.
        let _ = write!(query, "&limit={limit}");
        options.into_iter().for_each(|(name, value)| parameter(&mut query, name, value));
        if let Some(after) = after {
            parameter(&mut query, "after", after);
        }
        Request::new(Method::GET, query)
    }

    /// `None` when the path cannot be in a URL.
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

    pub(super) fn batch_write(ops: &[BatchOp]) -> Request {
        Request::post("/batch_write", batch_write_body(ops))
    }

    pub(super) fn fetch_file(hash: &str) -> Request {
        let target = format!("/{hash}");
        Request { root: Root::Files, ..Request::new(Method::GET, target) }
    }

    /// Refuses what cannot be sent, or a server would refuse for its size, before it is sent.
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

/// A path as the rest of a URL, if it can be there.
///
/// It cannot when a segment is `.` or `..`: URL libraries and proxies resolve these, and `%2E` too, and would ask for another
/// path. Nor when it is too long for a request line. Such paths travel in a body, or in a query.
fn target(path: &Path) -> Option<String> {
    if path.as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
        return None;
    }
    let mut target = String::with_capacity(path.as_str().len() + 8);
    target.push('/');
    percent_encode_into(path.as_str(), &mut target);
    (target.len() < LONG_TARGET).then_some(target)
}

/// Whether a server would take something else from a body that is nothing but this value: of an object with a member
/// `_json` it keeps that member only. An escape may spell that name, too.
fn is_misread(value: &RawJson) -> bool {
    value.is_object() && (value.as_str().contains("_json") || value.as_str().contains("\\u"))
}

/// Appends `name=value` to a query. Everything but unreserved characters is encoded, so that nothing is left to interpret;
/// a `+` would be read as a space.
fn parameter(query: &mut String, name: &str, value: &str) {
    if query.len() > 1 {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    percent_encode_into(value, query);
}
