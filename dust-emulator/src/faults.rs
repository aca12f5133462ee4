//! Injected faults for tests.

mod effect;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::json::Object;
use crate::routes::Route;
pub(crate) use effect::{Cut, Effect, Other, Reply};

/// A fault: the requests that it matches, how often, and its effect.
///
/// Without further conditions it matches the next request of the API, once. Requests to the page, the health checks and
/// the emulator's own endpoints never match.
///
/// The handshake of a WebSocket is a request ([`Route::Socket`]). A message on a WebSocket is matched by the faults
/// that are for messages, and by [`close`](Fault::close) and [`delay`](Fault::delay) with the [`route`](Fault::route)
/// of a message.
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
    /// The effect on the answer.
    effect: Effect,
    /// The delay before the request, in milliseconds.
    #[serde(default)]
    delay_ms: u64,
    /// True if the request is applied and its answer is dropped.
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
    /// The number of matching requests that pass first.
    #[serde(default)]
    skip: u64,
    /// The number of requests that are affected after that; `null` for all.
    #[serde(default = "once")]
    times: Option<u64>,
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

    /// Delays the request.
    pub fn delay(time: Duration) -> Fault {
        Fault::new(Effect::Delay).after(time)
    }

    /// Answers with this status and the body of a server for it. The request is not applied.
    pub fn status(status: u16) -> Fault {
        Fault::new(Effect::Status(Other { status, body: None, content_type: None, retry_after: None }))
    }

    /// Answers 429 with `Retry-After`, in seconds.
    pub fn rate_limited(retry_after: u64) -> Fault {
        Fault::new(Effect::Status(Other {
            status: 429,
            body: None,
            content_type: None,
            retry_after: Some(retry_after),
        }))
    }

    /// Answers 400 with the detail of a server whose writer did not answer in time, after which the write may be
    /// applied or not. Here it is applied only with [`applied`](Fault::applied).
    pub fn writer_unavailable() -> Fault {
        let detail = "{:writer_unavailable, {:timeout, {GenServer, :call, [\"writer\", :write, 5000]}}}";
        Fault::status(400).body(Object::new().string("detail", detail).string("error", "invalid_params").end())
    }

    /// Closes the connection without an answer. The request is applied only with [`applied`](Fault::applied).
    pub fn close() -> Fault {
        Fault::new(Effect::Close)
    }

    /// Applies the request and closes the connection after this many bytes of the body, although `Content-Length` is
    /// that of the whole. A shorter answer is cut by one byte.
    pub fn truncate(bytes: usize) -> Fault {
        let mut fault = Fault::new(Effect::Truncate(Cut { bytes }));
        fault.applied = true;
        fault
    }

    /// On a WebSocket: applies the message and drops its reply.
    pub fn swallow_reply() -> Fault {
        Fault::new(Effect::SwallowReply)
    }

    /// On a WebSocket: applies the write and drops its event on every socket.
    pub fn swallow_event() -> Fault {
        Fault::new(Effect::SwallowEvent).writes()
    }

    /// On a WebSocket: applies the write and sends its event twice on every socket.
    pub fn duplicate_event() -> Fault {
        Fault::new(Effect::DuplicateEvent).writes()
    }

    /// On a WebSocket: applies the write and sends its reply before its event.
    pub fn reply_first() -> Fault {
        Fault::new(Effect::ReplyFirst).writes()
    }

    /// On a WebSocket: crashes the channel with `phx_error`. The message is applied only with
    /// [`applied`](Fault::applied).
    pub fn crash() -> Fault {
        Fault::new(Effect::Crash)
    }

    /// On a WebSocket: the channel reads neither this message nor a later one, until the store is joined again. Its
    /// socket, the pushes of other writers and the other channels continue.
    pub fn hang() -> Fault {
        Fault::new(Effect::Hang)
    }

    /// On a WebSocket: answers a join and never sends its catch-up.
    pub fn stall_catch_up() -> Fault {
        Fault::new(Effect::StallCatchUp).route(Route::SocketJoin)
    }

    /// On a WebSocket: every `put_file` into a store with a file crashes its channel, as on Dust 0.1.
    pub fn one_file() -> Fault {
        Fault::new(Effect::OneFile).route(Route::SocketPutFile).forever()
    }

    /// On a WebSocket: refuses the message for this reason.
    pub fn refuse(reason: &str) -> Fault {
        Fault::new(Effect::Refuse(Reply { response: Object::new().string("reason", reason).end() }))
    }

    /// Applies the request before the fault affects its answer.
    pub fn applied(mut self) -> Fault {
        self.applied = true;
        self
    }

    /// Sets the body of [`status`](Fault::status). A body that begins with `{` is sent as JSON, any other as HTML.
    pub fn body(mut self, text: impl Into<String>) -> Fault {
        if let Effect::Status(Other { body, .. }) = &mut self.effect {
            *body = Some(text.into());
        }
        self
    }

    /// Delays the fault.
    pub fn after(mut self, time: Duration) -> Fault {
        self.delay_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Matches only requests with this method; HEAD and GET are different here.
    pub fn method(mut self, method: &str) -> Fault {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Matches only requests of one route.
    pub fn route(mut self, route: Route) -> Fault {
        self.route = Some(route);
        self
    }

    /// Matches only requests that write: PUT, DELETE and POST, except `entries/batch`, which reads.
    pub fn writes(mut self) -> Fault {
        self.only = Some(Only::Writes);
        self
    }

    /// Matches only requests that read.
    pub fn reads(mut self) -> Fault {
        self.only = Some(Only::Reads);
        self
    }

    /// Matches only requests whose path and query, as they were sent, contain a text.
    pub fn path_contains(mut self, text: impl Into<String>) -> Fault {
        self.path_contains = Some(text.into());
        self
    }

    /// Lets this many matching requests pass first.
    pub fn skip(mut self, requests: u64) -> Fault {
        self.skip = requests;
        self
    }

    /// Sets the number of affected requests (default: 1).
    pub fn times(mut self, requests: u64) -> Fault {
        self.times = Some(requests);
        self
    }

    /// Affects every matching request.
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

    /// True if the request is applied.
    pub(crate) fn lets_through(&self) -> bool {
        match self.effect {
            Effect::Status(_) | Effect::Close | Effect::Crash => self.applied,
            Effect::Refuse(_) | Effect::Hang => false,
            _ => true,
        }
    }

    /// The text for the log of requests.
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

/// The parts of a request that a fault compares.
pub(crate) struct Met<'r> {
    pub(crate) method: &'r str,
    pub(crate) route: Route,
    pub(crate) target: &'r str,
}

/// The faults of an emulator, in the order in which they were added. The first that matches a request affects it.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The faults that still affect later requests.
    pub fn pending(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Returns the fault for a request and counts it.
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
        // Counters change in one step, so that a panic elsewhere cannot leave them inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
