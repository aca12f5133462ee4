//! A call: a request with its retries, its deadline and its trace.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dust_protocol::http::Unreadable;

use super::HttpTransport;
use super::attempt::{Limits, Response, SendError, attempt};
use super::budget::Cost;
use super::request::Request;
use super::trace::Trace;
use crate::error::http::{Call, Refusal, parse_retry_after};
use crate::error::{DustErr, Reason};
use crate::random::backoff;
use crate::runtime::jitter;

/// Maximum random addition to a pause that the server requests, so that waiting callers do not all return at once.
const RATE_LIMIT_JITTER: Duration = Duration::from_millis(500);

/// A moment of the [`Runtime`](crate::runtime::Runtime)'s time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Duration);

/// A call that has begun. Its requests share one deadline and are counted.
#[derive(Debug)]
pub(super) struct Begun {
    deadline: Deadline,
    pub(super) requests: AtomicUsize,
    /// The number of requests that the rate limit counts as writes.
    writes: AtomicUsize,
}

impl Begun {
    fn count(&self, call: &Call<'_>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if call.operation.counts_as_write() {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn text(&self) -> String {
        let (requests, writes) = (self.requests.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed));
        format!("; this call has sent {requests} requests, of which {writes} count as writes")
    }
}

/// The next step after an attempt that failed.
enum RetryDecision {
    /// No further attempt: it would fail again, or the request may have been applied.
    GiveUp,
    /// Another attempt, because nothing was applied.
    Retry(Cost),
    /// Another attempt once the server accepts requests again.
    Wait(Duration),
}

impl HttpTransport {
    /// The moment by which an operation that begins now must end, with all its requests.
    pub(super) fn deadline(&self) -> Deadline {
        self.begun.as_ref().map_or_else(|| self.later(), |begun| begun.deadline)
    }

    fn later(&self) -> Deadline {
        Deadline(self.world.now().saturating_add(self.config.deadline()))
    }

    /// The same transport for the requests of one call.
    pub(crate) fn begin(&self) -> HttpTransport {
        let begun = Begun { deadline: self.later(), requests: AtomicUsize::new(0), writes: AtomicUsize::new(0) };
        HttpTransport { begun: Some(Arc::new(begun)), ..self.clone() }
    }

    /// Sends a request, with its retries and within its deadline, and reads the answer.
    pub(super) async fn call<T>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<T, DustErr> {
        request.check_size(&call)?;
        let id = self.request_id();
        let mut trace = Trace::start(&*self.world, &self.config, &call, &request, &id);
        let result = match self.answer(&call, deadline, &request, &id, &mut trace).await {
            Ok(answer) => read(&answer.body).map_err(|why| {
                let why = why.map(|text| self.config.token().redact(text));
                call.unreadable(answer.status, why)
            }),
            Err(error) => Err(error),
        };
        trace.finish(result.as_ref().err());
        result
    }

    async fn answer(
        &self,
        call: &Call<'_>,
        Deadline(deadline): Deadline,
        request: &Request,
        id: &str,
        trace: &mut Trace<'_>,
    ) -> Result<Response, DustErr> {
        let policy = self.config.retry();
        let mut tries = 0;
        loop {
            self.pace(call, deadline).await?;
            tries += 1;
            let limits = Limits {
                connect: self.config.connect_timeout(),
                answer: self.config.request_timeout(),
                deadline,
                bytes: self.config.max_answer(),
            };
            if self.world.now() >= deadline {
                return Err(call.network("its deadline was over before it was sent"));
            }
            if let Some(begun) = &self.begun {
                begun.count(call);
            }
            let client = self.clients.current(&self.config)?;
            let request_to = (request, call.operation.writes());
            let outcome = attempt(&client, self.url(request), request_to, id, limits, &self.world).await;
            let (error, next) = match outcome {
                Ok(answer) => {
                    trace.status(answer.status);
                    self.observe(call, &answer);
                    if answer.is_success() {
                        self.budget.success();
                        return Ok(answer);
                    }
                    self.refused(call, request, &answer)
                }
                Err(lost) => without_answer(call, lost, limits),
            };
            let pause = match next {
                RetryDecision::GiveUp => return Err(error),
                RetryDecision::Wait(_) if policy.max_tries == 1 => return Err(error),
                RetryDecision::Wait(duration) => {
                    // The rate limit counts these attempts; `max_tries` does not.
                    tries -= 1;
                    duration.saturating_add(jitter(&*self.world, RATE_LIMIT_JITTER))
                }
                RetryDecision::Retry(_) if tries >= policy.max_tries => return Err(error),
                RetryDecision::Retry(cost) if !self.budget.pay(cost) => return Err(error),
                RetryDecision::Retry(_) => {
                    jitter(&*self.world, backoff(tries - 1, policy.base_delay, policy.max_delay))
                }
            };
            if self.world.now().saturating_add(pause) >= deadline {
                return Err(error);
            }
            trace.retry();
            self.world.pause(pause).await;
        }
    }

    fn refused(&self, call: &Call<'_>, request: &Request, answer: &Response) -> (DustErr, RetryDecision) {
        let token = self.config.token();
        let body = token.redact(String::from_utf8_lossy(&answer.body).into_owned());
        let location = answer.header("location").map(|location| token.redact(location.to_owned()));
        let refusal = Refusal {
            status: answer.status,
            retry_after: answer.header("retry-after"),
            location: location.as_deref(),
            body: body.as_bytes(),
            sent: request.body.as_ref().map_or(0, |body| body.len()),
            now: self.world.unix_time(),
        };
        let error = match refusal.error(call) {
            DustErr::RateLimited { retry_after, limit } => self.rate_limited(call, &limit, retry_after),
            error => error,
        };
        let next = match &error {
            DustErr::RateLimited { retry_after, .. } => RetryDecision::Wait(*retry_after),
            DustErr::Http { status: 500.., .. } if !call.operation.writes() => RetryDecision::Retry(Cost::Retry),
            _ => RetryDecision::GiveUp,
        };
        (error, next)
    }

    fn rate_limited(&self, call: &Call<'_>, limit: &str, retry_after: Duration) -> DustErr {
        let sent = self.begun.as_ref().map(|begun| begun.text()).unwrap_or_default();
        let limit = format!("{}: {limit}{sent}; to need fewer, {}", call.text(), call.fewer_requests());
        DustErr::RateLimited { retry_after, limit }
    }

    /// Delays a write while the writes of this minute are used up, if pacing is enabled and the deadline is later.
    async fn pace(&self, call: &Call<'_>, deadline: Duration) -> Result<(), DustErr> {
        let Some(pacer) = self.pacer.as_ref().filter(|_| call.operation.counts_as_write()) else { return Ok(()) };
        while let Err(wait) = pacer.take(self.world.unix_time()) {
            let pause = wait.saturating_add(jitter(&*self.world, RATE_LIMIT_JITTER));
            if self.world.now().saturating_add(pause) >= deadline {
                return Err(self.rate_limited(call, call.rate_limit(), wait.max(Duration::from_secs(1))));
            }
            self.world.pause(pause).await;
        }
        Ok(())
    }

    /// Passes the rate limit that an answer states to the pacer.
    fn observe(&self, call: &Call<'_>, answer: &Response) {
        let Some(pacer) = self.pacer.as_ref().filter(|_| call.operation.counts_as_write()) else { return };
        let number = |name| answer.header(name).and_then(|number| number.trim().parse::<u32>().ok());
        let now = self.world.unix_time();
        let asked_for = answer.header("retry-after").and_then(|header| parse_retry_after(header, now));
        let refused_for = (answer.status == 429).then(|| asked_for.unwrap_or_default().max(Duration::from_secs(1)));
        pacer.observe(now, number("x-ratelimit-remaining"), refused_for);
    }

    /// A new id for the server's log. It is as long as the UUID that a server generates, because it is stored with
    /// every op. A server replaces an id of fewer than 20 characters.
    fn request_id(&self) -> String {
        let mut id = String::with_capacity(self.ids.len() + 15);
        id.push_str(&self.ids);
        // Writing to a string does not fail.
        let _ = write!(id, "{:015x}", self.world.random() >> 4);
        id
    }
}

/// The prefix of the ids of a transport's requests.
pub(super) fn request_ids(mark: u64) -> Arc<str> {
    format!("dust-orm-{:012x}", mark >> 16).into()
}

fn without_answer(call: &Call<'_>, lost: SendError, limits: Limits) -> (DustErr, RetryDecision) {
    let writes = call.operation.writes();
    let unreached = |why: &Reason| call.network(why.text()).with_cause(why.source());
    match lost {
        SendError::Impossible(why) => {
            let error = call.invalid(&format!("no request can be made of it: {}", why.text()));
            (error.with_cause(why.source()), RetryDecision::GiveUp)
        }
        SendError::NotSent(why) => (unreached(&why), RetryDecision::Retry(Cost::Retry)),
        SendError::TimedOut(why) | SendError::Unanswered(why) if writes => {
            (call.unknown_outcome(why.text()).with_cause(why.source()), RetryDecision::GiveUp)
        }
        SendError::TimedOut(why) => (unreached(&why), RetryDecision::Retry(Cost::AfterTimeout)),
        SendError::Unanswered(why) => (unreached(&why), RetryDecision::Retry(Cost::Retry)),
        SendError::TooLarge => {
            let why = format!("the answer is larger than the {} bytes of `max_answer`", limits.bytes);
            let error =
                if writes { call.unknown_outcome(&why) } else { DustErr::too_large(format!("{}: {why}", call.text())) };
            (error, RetryDecision::GiveUp)
        }
    }
}
