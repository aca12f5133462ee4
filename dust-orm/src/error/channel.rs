//! Errors of calls over the WebSocket: the error for each refusal of a channel.

use std::time::Duration;

use dust_protocol::channel::Refusal;
use dust_protocol::excerpt::excerpt;
use dust_protocol::{OpKind, Path};

use super::{DustErr, retry_after};

/// A write that a channel refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// The path of the write.
    pub(crate) path: &'a Path,
    /// The kind of op.
    pub(crate) op: OpKind,
    /// The key of the lease that fenced it.
    pub(crate) fence: Option<&'a Path>,
    /// The revision of the leaf that the writer knows: a refusal does not contain it.
    pub(crate) current: Option<u64>,
}

impl Attempt<'_> {
    /// The error of the write, given the server's refusal.
    pub(crate) fn refused(&self, refusal: &Refusal) -> DustErr {
        let path = || self.path.to_string();
        let what = || format!("{} of `{}`", self.op.name(), self.path);
        match refusal.reason.as_str() {
            "conflict" => DustErr::Conflict { path: path(), current: self.current, op_index: None },
            "exists" => DustErr::Exists { path: path(), current: self.current },
            "held" => DustErr::LeaseHeld { key: path() },
            "not_held" => DustErr::LeaseLost { key: path() },
            "occupied" => DustErr::NotALease { key: path() },
            "fenced" => DustErr::Fenced { key: self.fence.unwrap_or(self.path).to_string() },
            "rate_limited" => rate_limited(refusal),
            "missing_scope" | "store_not_allowed" | "unauthorized" => unauthorized(refusal, &what()),
            "unmatched topic" => DustErr::network(format!("{}: the channel of the store was not open", what())),
            // The server's writer did not answer the channel in time, and may still apply the write.
            reason if reason.starts_with("{:writer_unavailable") => {
                DustErr::timeout(format!("{} (the server's writer did not answer it)", what()))
            }
            _ => DustErr::invalid_params(format!("{}: {}", what(), refusal.summary())),
        }
    }
}

/// The error of a join that was refused, of the store named `org/name`.
pub(crate) fn join_refused(refusal: &Refusal, store: &str) -> DustErr {
    match refusal.reason.as_str() {
        "unauthorized" => DustErr::NotFound { what: format!("the store `{store}`") },
        "store_not_allowed" | "missing_scope" => unauthorized(refusal, &format!("the store `{store}`")),
        "rate_limited" => rate_limited(refusal),
        _ => DustErr::http(500, format!("the store `{store}`: {}", refusal.summary())),
    }
}

fn rate_limited(refusal: &Refusal) -> DustErr {
    let pause = Duration::from_millis(refusal.retry_after_ms.unwrap_or(0));
    let limit = "the requests that a token may make in a minute are used up, HTTP and WebSocket together (100 \
                 writes unless the server says otherwise)";
    DustErr::RateLimited { retry_after: retry_after(pause), limit: limit.to_owned() }
}

fn unauthorized(refusal: &Refusal, what: &str) -> DustErr {
    let said = excerpt(refusal.message.as_deref().unwrap_or(&refusal.reason));
    DustErr::Unauthorized { scope: refusal.scope.as_deref().map(excerpt), message: format!("{what}: {said}") }
}

#[cfg(test)]
mod tests;
