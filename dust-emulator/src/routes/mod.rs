//! The routes of requests, and their handlers.

mod admin;
mod batch;
mod control;
mod entries;
mod files;
mod list;
mod log;
mod transfer;

use std::sync::Arc;

use dust_store::{Origin, Store};
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::auth::Token;
use crate::body::Body;
use crate::http::{Answer, Reply, Request};
use crate::limits::{Bucket, Verdict};
use crate::page;
use crate::state::State;
use crate::stores::Held;
use crate::uri::Params;

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Route {
    /// `GET` and `HEAD entries/*path`.
    Get,
    /// `GET entries`.
    List,
    /// `PUT entries/*path`.
    Put,
    /// `DELETE entries/*path`.
    Delete,
    /// `POST entries`, the path in the body.
    Create,
    /// `DELETE entries`, the path in the body.
    Destroy,
    /// `POST entries/batch`, which reads.
    Batch,
    /// `POST entries/batch_write`.
    BatchWrite,
    /// `GET log`.
    Log,
    /// `GET diff`.
    Diff,
    /// `GET export`.
    Export,
    /// `POST import`.
    Import,
    /// `POST clone`.
    Clone,
    /// `GET subscribe` and `GET watch`, which refer to the WebSocket.
    Realtime,
    /// `webhooks`, of which the emulator has none.
    Webhooks,
    /// `GET` and `POST /api/stores`.
    Stores,
    /// `/api/tokens`.
    Tokens,
    /// `GET /api/files/:hash`.
    File,
    /// The handshake of a WebSocket, `GET /ws/sync/websocket`.
    Socket,
    /// `phx_join` on a WebSocket.
    SocketJoin,
    /// `phx_leave` on a WebSocket.
    SocketLeave,
    /// `heartbeat` on a WebSocket.
    SocketHeartbeat,
    /// `write` on a WebSocket.
    SocketWrite,
    /// `put_file` on a WebSocket.
    SocketPutFile,
    /// `rollback` on a WebSocket.
    SocketRollback,
    /// `status` on a WebSocket.
    SocketStatus,
    /// Any other message on a WebSocket.
    SocketOther,
    /// `GET /healthz` and `GET /readyz`.
    Health,
    /// The emulator's own page.
    Page,
    /// The emulator's own endpoints below `/_emulator`.
    Control,
    /// None of these.
    Unknown,
}

impl Route {
    /// True if requests to it write.
    pub(crate) fn is_write(self) -> bool {
        use Route::*;
        let http = matches!(self, Put | Delete | Create | Destroy | BatchWrite | Import | Clone);
        http || matches!(self, SocketWrite | SocketPutFile | SocketRollback)
    }

    /// True for a message on a WebSocket.
    pub(crate) fn is_message(self) -> bool {
        use Route::*;
        let kept_open = matches!(self, SocketJoin | SocketLeave | SocketHeartbeat | SocketStatus | SocketOther);
        kept_open || matches!(self, SocketWrite | SocketPutFile | SocketRollback)
    }

    /// True if faults may affect it.
    pub(crate) fn can_fail(self) -> bool {
        !matches!(self, Route::Health | Route::Page | Route::Control)
    }
}

/// A route and the segments that its pattern matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) route: Route,
    org: String,
    store: String,
    /// The segments after the fixed ones.
    rest: Vec<String>,
}

impl Matched {
    pub(crate) fn of(method: &Method, segments: &[String]) -> Matched {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let plain = |route, rest: &[&str]| Matched {
            route,
            org: String::new(),
            store: String::new(),
            rest: rest.iter().map(|segment| (*segment).to_owned()).collect(),
        };
        match (method.as_str(), segments.as_slice()) {
            ("GET", []) => plain(Route::Page, &[]),
            ("GET", ["healthz" | "readyz"]) => plain(Route::Health, &segments),
            ("GET", ["ws", "sync", "websocket"]) => plain(Route::Socket, &[]),
            (_, ["_emulator", rest @ ..]) => plain(Route::Control, rest),
            ("GET", ["api", "files", hash]) => plain(Route::File, &[hash]),
            ("GET" | "POST", ["api", "stores"]) => plain(Route::Stores, &[]),
            ("GET" | "POST", ["api", "tokens"]) => plain(Route::Tokens, &[]),
            ("DELETE", ["api", "tokens", id]) => plain(Route::Tokens, &[id]),
            (method, ["api", "stores", org, store, rest @ ..]) => {
                let (route, rest) = in_store(method, rest);
                Matched { org: (*org).to_owned(), store: (*store).to_owned(), ..plain(route, rest) }
            }
            _ => plain(Route::Unknown, &[]),
        }
    }

    pub(crate) fn rest(&self) -> &[String] {
        &self.rest
    }
}

fn in_store<'s>(method: &str, segments: &'s [&'s str]) -> (Route, &'s [&'s str]) {
    let route = match (method, segments) {
        ("GET", ["entries"]) => Route::List,
        ("POST", ["entries"]) => Route::Create,
        ("DELETE", ["entries"]) => Route::Destroy,
        ("POST", ["entries", "batch"]) => Route::Batch,
        ("POST", ["entries", "batch_write"]) => Route::BatchWrite,
        ("GET", ["entries", path @ ..]) => return (Route::Get, path),
        ("PUT", ["entries", path @ ..]) => return (Route::Put, path),
        ("DELETE", ["entries", path @ ..]) => return (Route::Delete, path),
        ("GET", ["log"]) => Route::Log,
        ("GET", ["diff"]) => Route::Diff,
        ("GET", ["export"]) => Route::Export,
        ("POST", ["import"]) => Route::Import,
        ("POST", ["clone"]) => Route::Clone,
        ("GET", ["subscribe" | "watch"]) => Route::Realtime,
        ("GET" | "POST", ["webhooks"]) => Route::Webhooks,
        _ => Route::Unknown,
    };
    (route, &[])
}

/// An authenticated request of the API.
pub(crate) struct Call<'c> {
    pub(crate) state: &'c State,
    pub(crate) request: &'c Request,
    pub(crate) matched: &'c Matched,
    pub(crate) body: &'c Body,
    pub(crate) query: &'c Params,
    pub(crate) token: Arc<Token>,
}

impl Call<'_> {
    /// The store of the address, if the token may use it and has the scope.
    fn store(&self, scope: &str) -> Result<Held, Answer> {
        if !self.token.sees_org(&self.matched.org) {
            return Err(Answer::not_found());
        }
        let held = self.state.stores.get(&self.matched.org, &self.matched.store).ok_or_else(Answer::not_found)?;
        if self.token.reaches(&held.name) && self.token.has_scope(scope) { Ok(held) } else { Err(Answer::forbidden()) }
    }

    fn readable(&self) -> Result<Store, Answer> {
        Ok(self.store("entries:read")?.store)
    }

    fn writable(&self) -> Result<Store, Answer> {
        Ok(self.store("entries:write")?.store)
    }

    fn origin(&self) -> Origin {
        Origin::new(format!("http:{}", self.token.id), self.request.id.as_str())
    }
}

/// The answer to a request.
pub(crate) fn answer(state: &State, matched: &Matched, request: &Request) -> Answer {
    match run(state, matched, request) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn run(state: &State, matched: &Matched, request: &Request) -> Reply {
    let query = request.query.as_ref().map_err(|_| Answer::plain(400))?;
    let body = Body::of(request)?;
    if request.segments.is_err() {
        return Err(Answer::invalid("the path is not UTF-8 once it is decoded; encode each segment as UTF-8"));
    }
    match matched.route {
        Route::Unknown => return Err(Answer::plain(404)),
        Route::Page => return page::answer(state, query),
        Route::Control => return control::answer(state, matched, request),
        _ => accepts_json(request)?,
    }
    if matched.route == Route::Health {
        return Ok(Answer::ok(match matched.rest.first().map(String::as_str) {
            Some("readyz") => r#"{"checks":{"database":"ok","pubsub":"ok"},"status":"ok"}"#.to_owned(),
            _ => r#"{"status":"ok"}"#.to_owned(),
        }));
    }
    let now_ms = state.clock.wall_ms();
    let token = state.tokens.of(request, now_ms)?;
    let bucket = if request.method == Method::GET { Bucket::Reads } else { Bucket::Writes };
    let verdict = state.limits.hit(&token.id, bucket, now_ms);
    if let Verdict::Denied { limit, seconds } = verdict {
        let answer = Answer::error(429, "rate_limited");
        return Err(limited(answer, limit, 0)
            .with("x-ratelimit-reset", seconds.to_string())
            .with("retry-after", seconds.to_string()));
    }
    let call = Call { state, request, matched, body: &body, query, token };
    let answer = match dispatch(&call) {
        Ok(answer) | Err(answer) => answer,
    };
    Ok(match verdict {
        Verdict::Allowed { limit, remaining } => limited(answer, limit, remaining),
        _ => answer,
    })
}

fn dispatch(call: &Call<'_>) -> Reply {
    match call.matched.route {
        Route::Get => entries::get(call),
        Route::Put => entries::put(call),
        Route::Delete => entries::delete(call),
        Route::Create => entries::create(call),
        Route::Destroy => entries::destroy(call),
        Route::List => list::list(call),
        Route::Batch => batch::read(call),
        Route::BatchWrite => batch::write(call),
        Route::Log => log::log(call),
        Route::Diff => log::diff(call),
        Route::Export => transfer::export(call),
        Route::Import => transfer::import(call),
        Route::Clone => transfer::clone(call),
        Route::Realtime => admin::realtime(call),
        Route::Webhooks => admin::webhooks(call),
        Route::Stores => admin::stores(call),
        Route::Tokens => admin::tokens(call),
        Route::File => files::get(call),
        // Other routes are answered before this.
        _ => Err(Answer::plain(404)),
    }
}

fn limited(answer: Answer, limit: u32, remaining: u32) -> Answer {
    answer.with("x-ratelimit-limit", limit.to_string()).with("x-ratelimit-remaining", remaining.to_string())
}

/// Answers 406 if there is an `Accept` header without JSON.
fn accepts_json(request: &Request) -> Result<(), Answer> {
    let Some(accept) = request.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match range.split_once('/') {
            Some(("*", "*") | ("application", "*" | "json")) => true,
            Some((_, subtype)) => subtype.ends_with("+json"),
            None => false,
        }
    });
    if fits { Ok(()) } else { Err(Answer::plain(406)) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::HeaderMap;

    use super::*;
    use crate::http::Payload;

    fn route(method: &str, path: &str) -> (Route, Vec<String>) {
        let segments = crate::uri::segments(path).unwrap();
        let matched = Matched::of(&Method::from_bytes(method.as_bytes()).unwrap(), &segments);
        (matched.route, matched.rest)
    }

    #[test]
    fn request_is_routed() {
        let at = |rest: &str| format!("/api/stores/acme/main{rest}");
        let table = [
            ("GET", "/entries", Route::List),
            ("GET", "/entries/", Route::List),
            ("POST", "/entries", Route::Create),
            ("DELETE", "/entries", Route::Destroy),
            ("POST", "/entries/batch", Route::Batch),
            ("GET", "/entries/batch", Route::Get),
            ("PUT", "/entries", Route::Put),
            ("PUT", "//entries//a", Route::Put),
            ("POST", "/entries/a", Route::Unknown),
            ("PATCH", "/entries/a", Route::Unknown),
            ("OPTIONS", "/entries", Route::Unknown),
            ("GET", "/watch", Route::Realtime),
            ("GET", "", Route::Unknown),
        ];
        for (method, rest, expected) in table {
            assert_eq!(route(method, &at(rest)).0, expected, "{method} {rest}");
        }
        assert_eq!(route("GET", &at("/entries/a/b%2Fc")), (Route::Get, vec!["a".to_owned(), "b/c".to_owned()]));
        assert_eq!(route("GET", "/"), (Route::Page, vec![]));
        assert_eq!(route("GET", dust_protocol::channel::SOCKET_PATH).0, Route::Socket);
        assert_eq!(route("GET", "/api/nope").0, Route::Unknown);
        assert_eq!(route("DELETE", "/api/tokens/x").0, Route::Tokens);
    }

    #[test]
    fn accept_without_json_is_refused() {
        let accepts = |accept: &str| {
            let headers = HeaderMap::from_iter([(hyper::header::ACCEPT, accept.parse().unwrap())]);
            accepts_json(&Request::new(Method::GET, "/", headers, Payload::Whole(Bytes::new()))).is_ok()
        };
        for accept in
            ["*/*", "application/json", "text/html, application/json;q=0.5", "application/*", "Application/JSON"]
        {
            assert!(accepts(accept), "{accept}");
        }
        for accept in ["text/html", "application/msgpack", "text/*", "nonsense"] {
            assert!(!accepts(accept), "{accept}");
        }
    }
}
