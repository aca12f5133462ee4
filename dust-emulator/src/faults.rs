//! Faults on demand: what a test needs a server to do wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dust_protocol::JsonObject;
use serde::{Deserialize, Serialize};

use crate::http::{Answer, reason};
use crate::json::Object;
use crate::routes::Route;

/// Something that goes wrong: which requests it meets, how often, and what they get.
///
/// Without any of the narrowing methods it meets the next request of the API, once. Requests to the page, the health
/// checks and the emulator's own endpoints are never met.
///
/// The handshake of a WebSocket is a request ([`Route::Socket`]). A message on a WebSocket is met by the faults that say so,
/// and by [`close`](Fault::close) and [`delay`](Fault::delay) when their [`route`](Fault::route) is that of a message.
///
/// ```
/// use dust_emulator::{Fault, Route};
/// use std::time::Duration;
///
/// let refused = Fault::rate_limited(3).writes().times(2);
/// let lost = Fault::close().applied().route(Route::BatchWrite);
/// let slow = Fault::delay(Duration::from_millis(200)).method("GET").forever();
/// let offline = Fault::status(503).route(Route::Socket).times(3);
/// let silent = Fault::close().applied().route(Route::SocketWrite);
/// # let _ = (refused, lost, slow, offline, silent);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens to the answer.
    effect: Effect,
    /// How long the request waits first, in milliseconds.
    #[serde(default)]
    delay_ms: u64,
    /// Whether the request is done all the same, its answer thrown away.
    #[serde(default)]
    applied: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Route>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Only>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_contains: Option<String>,
    /// How many matching requests are let through first.
    #[serde(default)]
    skip: u64,
    /// How many are met after that; `null` is all of them.
    #[serde(default = "once")]
    times: Option<u64>,
}

/// What a fault does to the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// Nothing: the answer is late, not wrong.
    Delay,
    /// Another answer.
    Status(#[serde(deserialize_with = "JsonObject::field")] Other),
    /// The connection is closed instead.
    Close,
    /// The first bytes of the answer, then the connection is closed.
    Truncate(#[serde(deserialize_with = "JsonObject::field")] Cut),
    /// A message on a WebSocket is done, and its reply is not sent.
    SwallowReply,
    /// The event of a write on a WebSocket is sent to nobody.
    SwallowEvent,
    /// The event of a write on a WebSocket is sent twice to everybody.
    DuplicateEvent,
    /// The reply to a write on a WebSocket is sent before its event.
    ReplyFirst,
    /// The channel of a message crashes.
    Crash,
    /// The channel of a message reads neither that nor anything more, while the socket lives on.
    Hang,
    /// A join is answered, and its catch-up never comes.
    StallCatchUp,
    /// A `put_file` crashes the channel of a store that has a file.
    OneFile,
    /// A message is refused, with this as the body of the reply.
    Refuse(#[serde(deserialize_with = "JsonObject::field")] Reply),
}

/// An answer in the place of the true one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Other {
    status: u16,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    retry_after: Option<u64>,
}

/// The place where an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) bytes: usize,
}

/// The reply to a message that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) response: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Only {
    Reads,
    Writes,
}

fn once() -> Option<u64> {
    Some(1)
}

impl Fault {
    fn new(effect: Effect) -> Fault {
        Fault {
            effect,
            delay_ms: 0,
            applied: false,
            method: None,
            route: None,
            only: None,
            path_contains: None,
            skip: 0,
            times: once(),
        }
    }

    /// The request waits before it is done.
    pub fn delay(time: Duration) -> Fault {
        Fault::new(Effect::Delay).after(time)
    }

    /// The answer has this status, with the body that a server gives for it. The request is not done.
    pub fn status(status: u16) -> Fault {
        Fault::new(Effect::Status(Other { status, body: None, content_type: None, retry_after: None }))
    }

    /// 429 with `Retry-After`, in seconds.
    pub fn rate_limited(retry_after: u64) -> Fault {
        Fault::new(Effect::Status(Other {
            status: 429,
            body: None,
            content_type: None,
            retry_after: Some(retry_after),
        }))
    }

    /// 400 with the detail of a writer that did not answer in time, which leaves open whether the write was applied. Add
    /// [`applied`](Fault::applied) to have it applied.
    pub fn writer_unavailable() -> Fault {
        let detail = "{:writer_unavailable, {:timeout, {GenServer, :call, [\"writer\", :write, 5000]}}}";
        Fault::status(400).body(Object::new().string("detail", detail).string("error", "invalid_params").end())
    }

    /// The connection is closed without an answer. The request is not done unless [`applied`](Fault::applied) says so.
    pub fn close() -> Fault {
        Fault::new(Effect::Close)
    }

    /// The request is done, and the connection is closed after this many bytes of the body, although `Content-Length`
    /// promised all of them. An answer that is not longer is cut by one byte.
    pub fn truncate(bytes: usize) -> Fault {
        let mut fault = Fault::new(Effect::Truncate(Cut { bytes }));
        fault.applied = true;
        fault
    }

    /// On a WebSocket: the message is done and its reply is lost.
    pub fn swallow_reply() -> Fault {
        Fault::new(Effect::SwallowReply)
    }

    /// On a WebSocket: the write is done, and its event is lost on every socket.
    pub fn swallow_event() -> Fault {
        Fault::new(Effect::SwallowEvent).writes()
    }

    /// On a WebSocket: the write is done, and its event comes twice on every socket.
    pub fn duplicate_event() -> Fault {
        Fault::new(Effect::DuplicateEvent).writes()
    }

    /// On a WebSocket: the write is done, and its reply comes before its event.
    pub fn reply_first() -> Fault {
        Fault::new(Effect::ReplyFirst).writes()
    }

    /// On a WebSocket: the channel crashes with `phx_error`. The message is not done unless [`applied`](Fault::applied) says
    /// so.
    pub fn crash() -> Fault {
        Fault::new(Effect::Crash)
    }

    /// On a WebSocket: the channel of the message reads neither that message nor any that follows, until the store is joined
    /// again. Its socket, the pushes of others and the other channels go on.
    pub fn hang() -> Fault {
        Fault::new(Effect::Hang)
    }

    /// On a WebSocket: a join is answered, and nothing of its catch-up ever comes.
    pub fn stall_catch_up() -> Fault {
        Fault::new(Effect::StallCatchUp).route(Route::SocketJoin)
    }

    /// On a WebSocket: every `put_file` into a store that has a file already crashes its channel, as it does on Dust 0.1.
    pub fn one_file() -> Fault {
        Fault::new(Effect::OneFile).route(Route::SocketPutFile).forever()
    }

    /// On a WebSocket: the message is not done, and refused for this reason.
    pub fn refuse(reason: &str) -> Fault {
        Fault::new(Effect::Refuse(Reply { response: Object::new().string("reason", reason).end() }))
    }

    /// Has the request done before the fault happens to its answer.
    pub fn applied(mut self) -> Fault {
        self.applied = true;
        self
    }

    /// Another body for [`status`](Fault::status). One that begins with `{` is sent as JSON, any other as HTML.
    pub fn body(mut self, text: impl Into<String>) -> Fault {
        if let Effect::Status(Other { body, .. }) = &mut self.effect {
            *body = Some(text.into());
        }
        self
    }

    /// Waits before the fault happens.
    pub fn after(mut self, time: Duration) -> Fault {
        self.delay_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Meets only requests with this method; HEAD and GET are different here.
    pub fn method(mut self, method: &str) -> Fault {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Meets only requests of one route.
    pub fn route(mut self, route: Route) -> Fault {
        self.route = Some(route);
        self
    }

    /// Meets only requests that change something: PUT, DELETE and POST, but for `entries/batch`, which reads.
    pub fn writes(mut self) -> Fault {
        self.only = Some(Only::Writes);
        self
    }

    /// Meets only requests that change nothing.
    pub fn reads(mut self) -> Fault {
        self.only = Some(Only::Reads);
        self
    }

    /// Meets only requests whose path and query, as they were sent, contain a text.
    pub fn path_contains(mut self, text: impl Into<String>) -> Fault {
        self.path_contains = Some(text.into());
        self
    }

    /// Lets this many matching requests through first.
    pub fn skip(mut self, requests: u64) -> Fault {
        self.skip = requests;
        self
    }

    /// Meets this many requests; one without it.
    pub fn times(mut self, requests: u64) -> Fault {
        self.times = Some(requests);
        self
    }

    /// Meets every matching request from then on.
    pub fn forever(mut self) -> Fault {
        self.times = None;
        self
    }

    fn matches(&self, met: &Met<'_>) -> bool {
        let fits = match &self.effect {
            // A message has no status and no body.
            Effect::Status(_) | Effect::Truncate(_) => !met.route.is_message(),
            Effect::Close | Effect::Delay => !met.route.is_message() || self.route.is_some(),
            _ => met.route.is_message(),
        };
        fits && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(met.method))
            && self.route.is_none_or(|route| route == met.route)
            && self.only.is_none_or(|only| (only == Only::Writes) == met.route.is_write())
            && self.path_contains.as_ref().is_none_or(|text| met.target.contains(text.as_str()))
    }

    pub(crate) fn effect(&self) -> &Effect {
        &self.effect
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Whether the request is done, whatever becomes of its answer.
    pub(crate) fn lets_through(&self) -> bool {
        match self.effect {
            Effect::Status(_) | Effect::Close | Effect::Crash => self.applied,
            Effect::Refuse(_) | Effect::Hang => false,
            _ => true,
        }
    }

    /// For the log of requests.
    pub(crate) fn name(&self) -> String {
        match self.effect {
            Effect::Delay => "delay".to_owned(),
            Effect::Status(Other { status, .. }) => format!("status {status}"),
            Effect::Close => "close".to_owned(),
            Effect::Truncate(Cut { bytes }) => format!("truncate {bytes}"),
            // A message is not in the log.
            _ => "on a message".to_owned(),
        }
    }
}

impl Effect {
    /// The answer in place of the right one, if there is another.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let Effect::Status(Other { status, body, content_type, retry_after }) = self else { return None };
        let mut answer = match (body, status) {
            (Some(body), _) if body.starts_with('{') => Answer::json(*status, body.clone()),
            (Some(body), _) => Answer::html(*status, body.clone()),
            (None, 401) => Answer::error(401, "unauthorized"),
            (None, 403) => Answer::forbidden(),
            (None, 404) => Answer::not_found(),
            (None, 429) => Answer::error(429, "rate_limited"),
            (None, 500..) => Answer::broken(*status),
            (None, _) => Answer::html(*status, reason(*status).to_owned()),
        };
        if let Some(content_type) = content_type {
            answer.headers.retain(|(name, _)| *name != "content-type");
            answer = answer.with("content-type", content_type.clone());
        }
        if let Some(seconds) = retry_after {
            answer = answer.with("retry-after", seconds.to_string());
        }
        Some(answer)
    }
}

/// What of a request a fault looks at.
pub(crate) struct Met<'r> {
    pub(crate) method: &'r str,
    pub(crate) route: Route,
    pub(crate) target: &'r str,
}

/// The faults of an emulator, in the order they were added. A request is met by the first that matches.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The faults that have not happened as often as they should.
    pub fn pending(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// The fault that meets a request, counted.
    pub(crate) fn meet(&self, met: &Met<'_>) -> Option<Fault> {
        let mut faults = self.lock();
        let (at, fault) =
            faults.iter_mut().enumerate().find(|(_, fault)| fault.times != Some(0) && fault.matches(met))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let happens = fault.clone();
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                faults.remove(at);
            }
        }
        Some(happens)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        // Counters change in one step, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
