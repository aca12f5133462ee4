//! Messages and causes.

use std::error::Error;
use std::fmt;

use super::{Cause, DustErr};

impl fmt::Display for DustErr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DustErr::Network { message, .. } => write!(f, "the Dust server was not reached: {message}"),
            DustErr::Http { status, message, .. } => write!(f, "the Dust server answered {status}: {message}"),
            DustErr::Conflict { path, current, .. } => {
                write!(f, "conflict at `{path}`: {}; read the record again and retry", Current(*current))
            }
            DustErr::Exists { path, current } => write!(f, "`{path}` already exists ({})", Current(*current)),
            DustErr::NotSupported { operation, transport, hint } => {
                write!(f, "{operation} is not supported by the {transport} transport: {hint}")
            }
            DustErr::NotImplemented { operation } => write!(
                f,
                "this Dust server does not implement {operation}: it is too old, or the path of its address \
                 (`base_url`, DUST_BASE_URL) is wrong"
            ),
            DustErr::NothingToWrite { what, hint } => write!(f, "nothing to write for {what}: {hint}"),
            DustErr::Timeout { operation, .. } => {
                write!(f, "no clear answer to {operation}; it may have been applied")
            }
            DustErr::Unauthorized { scope: None, message } => write!(f, "unauthorized: {message}"),
            DustErr::Unauthorized { scope: Some(scope), message } => {
                write!(f, "unauthorized: {message} (the token lacks the scope `{scope}`)")
            }
            DustErr::InvalidParams { message, .. } => f.write_str(message),
            DustErr::RateLimited { retry_after, limit } => {
                write!(f, "rate limited: {limit}; try again in {} s", retry_after.as_secs())
            }
            DustErr::NotFound { what } => write!(f, "{what} was not found"),
            DustErr::Invalid { errors } => errors.fmt(f),
            DustErr::Decode { record } => record.fmt(f),
            DustErr::Fenced { key } => write!(f, "fenced: the lease at `{key}` is no longer held with this token"),
            DustErr::LeaseHeld { key } => write!(f, "the lease at `{key}` is held by someone else"),
            DustErr::LeaseLost { key } => {
                write!(f, "the lease at `{key}` is not held with this token: it expired, or was stolen or released")
            }
            DustErr::NotALease { key } => write!(f, "`{key}` holds a value that is not a lease"),
            DustErr::PartiallyWritten { done, requests, source } => {
                write!(f, "after {done} records were written, with {requests} requests: {source}")
            }
            DustErr::ChecksumMismatch { what } => write!(f, "checksum mismatch: {what}"),
            DustErr::TooLarge { what } => write!(f, "too large: {what}"),
            DustErr::Database { source } => source.fmt(f),
            DustErr::Storage { message, .. } => write!(f, "the storage failed: {message}"),
            DustErr::Json { source } => write!(f, "JSON: {source}"),
        }
    }
}

impl Error for DustErr {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DustErr::Network { source, .. }
            | DustErr::Http { source, .. }
            | DustErr::Timeout { source, .. }
            | DustErr::InvalidParams { source, .. }
            | DustErr::Storage { source, .. } => as_error(source),
            DustErr::Decode { record } => record.source(),
            DustErr::PartiallyWritten { source, .. } => Some(&**source),
            DustErr::Database { source } => Some(&**source),
            DustErr::Json { source } => Some(&**source),
            _ => None,
        }
    }
}

fn as_error(source: &Option<Cause>) -> Option<&(dyn Error + 'static)> {
    let cause = source.as_deref()?;
    Some(cause)
}

/// The text of the revision that a record has now.
struct Current(Option<u64>);

impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(revision) => write!(f, "the revision is now {revision}"),
            None => f.write_str("it is no longer there"),
        }
    }
}
