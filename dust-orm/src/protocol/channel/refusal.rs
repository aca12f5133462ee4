use std::time::Duration;

use serde::Deserialize;

use crate::error::DustErr;
use crate::protocol::said::{self, shorten};
use crate::protocol::{JsonObject, OpKind, Path};

/// Why a server refused a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Refusal {
    /// The server's name for it (`conflict`, `missing_scope`, …), or an exception of its own as text.
    pub reason: String,
    /// A sentence.
    pub message: Option<String>,
    /// The scope that the token lacks.
    pub scope: Option<String>,
    /// How long to wait, in milliseconds: always the full window.
    pub retry_after_ms: Option<u64>,
    /// The limit of the plan that is reached, such as `keys`.
    pub dimension: Option<String>,
    /// That limit.
    pub limit: Option<u64>,
}

/// The write that was refused, as far as the error tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Where.
    pub path: &'a Path,
    /// What.
    pub op: OpKind,
    /// The lease it was fenced with.
    pub fence: Option<&'a Path>,
    /// The revision of the leaf as far as the writer knows: a refusal does not tell it.
    pub current: Option<u64>,
}

impl Refusal {
    /// Reads the body of an error reply. What is not one is a reason in itself.
    pub(in crate::protocol::channel) fn read(body: &str) -> Refusal {
        serde_json::from_str(body)
            .map_or_else(|_| Refusal { reason: body.to_owned(), ..Refusal::default() }, |JsonObject(refusal)| refusal)
    }

    /// The same, its texts as a function makes them.
    #[cfg(feature = "realtime")]
    pub(crate) fn map(self, change: impl Fn(String) -> String) -> Refusal {
        Refusal {
            reason: change(self.reason),
            message: self.message.map(&change),
            scope: self.scope.map(&change),
            dimension: self.dimension.map(&change),
            ..self
        }
    }

    /// Whether the channel was not joined, so that nothing happened.
    pub fn is_not_joined(&self) -> bool {
        self.reason == "unmatched topic"
    }

    /// Whether joining again soon cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self.reason.as_str(), "unauthorized" | "store_not_allowed" | "missing_scope" | "store_archived")
    }

    /// The error of a join that was refused.
    pub fn of_join(&self, store: &str) -> DustErr {
        match self.reason.as_str() {
            "unauthorized" => DustErr::NotFound { what: format!("the store `{store}`") },
            "store_not_allowed" | "missing_scope" => self.unauthorized(&format!("the store `{store}`")),
            "rate_limited" => self.rate_limited(),
            _ => DustErr::Http { status: 500, message: format!("the store `{store}`: {}", self.said()) },
        }
    }

    /// The error of a write that was refused.
    pub fn of_write(&self, attempt: &Attempt<'_>) -> DustErr {
        let path = || attempt.path.to_string();
        let what = || format!("{} of `{}`", attempt.op.name(), attempt.path);
        match self.reason.as_str() {
            "conflict" => DustErr::Conflict { path: path(), current: attempt.current, op_index: None },
            "exists" => DustErr::Exists { path: path(), current: attempt.current },
            "held" => DustErr::Held { key: path() },
            "not_held" => DustErr::NotHeld { key: path() },
            "occupied" => DustErr::Occupied { key: path() },
            "fenced" => DustErr::Fenced { key: attempt.fence.unwrap_or(attempt.path).to_string() },
            "rate_limited" => self.rate_limited(),
            "missing_scope" | "store_not_allowed" | "unauthorized" => self.unauthorized(&what()),
            "unmatched topic" => DustErr::Network(format!("{}: the channel of the store was not open", what())),
            // The writer did not answer the channel in time, and may apply the write all the same.
            reason if reason.starts_with("{:writer_unavailable") => {
                DustErr::Timeout { operation: format!("{} (the server's writer did not answer it)", what()) }
            }
            _ => DustErr::InvalidParams(format!("{}: {}", what(), self.said())),
        }
    }

    fn rate_limited(&self) -> DustErr {
        let told = Duration::from_millis(self.retry_after_ms.unwrap_or(0));
        let limit = "the requests that a token may make in a minute are used up, HTTP and WebSocket together (100 \
                     writes unless the server says otherwise)";
        DustErr::RateLimited { retry_after: said::retry_after(told), limit: limit.to_owned() }
    }

    fn unauthorized(&self, what: &str) -> DustErr {
        let said = shorten(self.message.as_deref().unwrap_or(&self.reason));
        DustErr::Unauthorized { scope: self.scope.as_deref().map(shorten), message: format!("{what}: {said}") }
    }

    /// What the server said, short.
    fn said(&self) -> String {
        let reason = shorten(&self.reason);
        match (&self.message, &self.dimension, self.limit) {
            (Some(message), _, _) => format!("{} ({reason})", shorten(message)),
            (None, Some(dimension), Some(limit)) => {
                format!("{reason} (the plan allows {limit} {})", shorten(dimension))
            }
            _ if reason.is_empty() => "refused without a reason".to_owned(),
            _ => reason,
        }
    }
}
