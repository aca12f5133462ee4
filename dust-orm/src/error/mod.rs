//! Errors, their kinds and causes.

#[cfg(feature = "realtime")]
pub(crate) mod channel;
mod constructors;
mod conversions;
mod display;
#[cfg(feature = "http")]
pub(crate) mod http;
mod kind;
#[cfg(feature = "http")]
mod reason;
mod record;
#[cfg(feature = "http")]
mod scheme;
mod status;
mod validation;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DbErr, TransactionError};

pub use kind::ErrKind;
#[cfg(feature = "http")]
pub(crate) use reason::Reason;
#[cfg(feature = "realtime")]
pub(crate) use reason::no_connection;
pub use record::{InvalidRecord, Undecodable};
#[cfg(all(test, feature = "http"))]
pub(crate) use scheme::wrong_port;
#[cfg(feature = "http")]
pub(crate) use scheme::wrong_scheme_hint;
pub use validation::{Errors, FieldError, Param};

/// The cause of an error, shared by its clones.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// An error of a [`DustRepo`](crate::DustRepo), a transport or a cache.
///
/// `?` carries it into SeaORM code (`From<DustErr> for DbErr`) and back (`From<DbErr> for DustErr`). Branch on
/// [`kind`](DustErr::kind), or match the variants with `..`: variants and fields can be added. Each kind that code
/// outside of this crate may have to return, such as a transport of its own, has a constructor.
///
/// | kind | when | contents | [retryable](DustErr::is_retryable) | [status](DustErr::http_status) |
/// |---|---|---|---|---|
/// | `Network` | the server was not reached: nothing was applied | cause | yes | 503 |
/// | `Http` | an answer outside the protocol, such as a 5xx to a read | status, body | 5xx yes | 503, else 502 |
/// | `Conflict` | a guarded leaf has changed | path, current revision, op index | no: read again first | 412 |
/// | `Exists` | `if_absent`, and something is there | path, current revision | no | 409 |
/// | `NotSupported` | this transport cannot do it; nothing was sent | operation, way out | no | 500 |
/// | `NotImplemented` | the server lacks the route | operation | no | 500 |
/// | `NothingToWrite` | a write without any field | entity | no | 400 |
/// | `Timeout` | no clear answer: too late, lost, or a 5xx; the write **may have been applied** | operation | no | 504 |
/// | `Unauthorized` | token refused or scope missing | scope | no | 500 |
/// | `InvalidParams` | the request itself is wrong | which part, way out | no | 400 |
/// | `RateLimited` | too many requests | [`retry_after`](DustErr::retry_after), the limit, the way to need fewer | yes | 429 |
/// | `NotFound` | no such record, store or file | what | no | 404 |
/// | `Invalid` | the changeset has errors | [`Errors`] by field | no | 422 |
/// | `Decode` | a stored record does not fit the entity | [`InvalidRecord`] | no | 500 |
/// | `Fenced` | the lease named by the fence is lost | lease key | no | 409 |
/// | `LeaseHeld` | another holder has the lease | lease key | yes | 503 |
/// | `LeaseLost` | the lease to renew has expired, or was stolen or released | lease key | no | 409 |
/// | `NotALease` | a value that is not a lease is at the lease's path | lease key | no | 500 |
/// | `PartiallyWritten` | `insert_many` failed after some chunks | number of records written and of requests, cause | no | 500 |
/// | `ChecksumMismatch` | a file's bytes do not have their hash | which file | no | 502 |
/// | `TooLarge` | a server sends more than is taken into memory | what, and the limit | no | 500 |
/// | `Database` | a SeaORM hook, or SQL beside Dust, failed | the [`DbErr`] | no | 500, 404 for `RecordNotFound` |
/// | `Storage` | the file of the embedded store, or of a cache, failed | cause | no | 500 |
/// | `Json` | the application's own JSON could not be written or read | the `serde_json::Error` | no | 500 |
///
/// [`source`](Error::source) returns the cause if there is one: the error of `reqwest`, of the socket or of the I/O
/// for `Network`, `Timeout` and `Http`, the store's error for the refusals of the embedded store as `Storage` or
/// `InvalidParams`, the [`DbErr`] of `Database`, serde's error for `Decode` and `Json`, the error of the next record
/// for `PartiallyWritten`. The message contains the cause's text.
///
/// `Debug` begins with the text, so that a `main` that returns a `DustErr` prints a sentence:
///
/// ```
/// let error = dust_orm::DustErr::not_found("`links/dust`");
/// assert_eq!(format!("{error:?}"), "`links/dust` was not found [NotFound]");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum DustErr {
    /// The server was not reached; nothing was applied.
    #[non_exhaustive]
    Network {
        /// The operation, and the reason.
        message: String,
        /// The cause.
        source: Option<Cause>,
    },
    /// An answer outside the protocol.
    #[non_exhaustive]
    Http {
        /// The HTTP status.
        status: u16,
        /// The text of the body, shortened.
        message: String,
        /// The cause.
        source: Option<Cause>,
    },
    /// A guarded leaf has changed since it was read.
    #[non_exhaustive]
    Conflict {
        /// The leaf or record whose revision differs.
        path: String,
        /// Its revision now; `None` when it is gone.
        current: Option<u64>,
        /// The position of the op in its batch, counted from 0.
        op_index: Option<usize>,
    },
    /// A record or leaf is already there.
    #[non_exhaustive]
    Exists {
        /// The path of the record or leaf.
        path: String,
        /// Its revision.
        current: Option<u64>,
    },
    /// The transport cannot do this; nothing was sent.
    #[non_exhaustive]
    NotSupported {
        /// The operation.
        operation: String,
        /// The name of the transport.
        transport: &'static str,
        /// The way out.
        hint: String,
    },
    /// The server lacks the route.
    #[non_exhaustive]
    NotImplemented {
        /// The operation.
        operation: String,
    },
    /// A write without any field to write.
    #[non_exhaustive]
    NothingToWrite {
        /// The record or batch.
        what: String,
        /// The way out.
        hint: String,
    },
    /// No clear answer. A write may have been applied or not.
    #[non_exhaustive]
    Timeout {
        /// The operation that was under way.
        operation: String,
        /// The cause.
        source: Option<Cause>,
    },
    /// The token was refused, or lacks a scope.
    #[non_exhaustive]
    Unauthorized {
        /// The scope that is missing, where the server names it.
        scope: Option<String>,
        /// The server's message.
        message: String,
    },
    /// The request itself is wrong.
    #[non_exhaustive]
    InvalidParams {
        /// The part that is wrong, and the way out.
        message: String,
        /// The cause.
        source: Option<Cause>,
    },
    /// Too many requests.
    #[non_exhaustive]
    RateLimited {
        /// The time to wait, at least one second.
        retry_after: Duration,
        /// The limit that was reached and, over HTTP, the requests that the call had sent and the way to need fewer.
        limit: String,
    },
    /// There is no such record, store or file.
    #[non_exhaustive]
    NotFound {
        /// The record, store or file.
        what: String,
    },
    /// The changeset has errors.
    #[non_exhaustive]
    Invalid {
        /// The errors by field.
        errors: Errors,
    },
    /// A stored record does not fit the entity.
    #[non_exhaustive]
    Decode {
        /// The record, and the fields that do not fit.
        record: Box<InvalidRecord>,
    },
    /// The lease named by the fence is not held any more.
    #[non_exhaustive]
    Fenced {
        /// The lease.
        key: String,
    },
    /// Another holder has the lease.
    #[non_exhaustive]
    LeaseHeld {
        /// The lease.
        key: String,
    },
    /// The lease is not held with this token.
    #[non_exhaustive]
    LeaseLost {
        /// The lease.
        key: String,
    },
    /// A value that is not a lease is at the lease's path.
    #[non_exhaustive]
    NotALease {
        /// The path of the lease.
        key: String,
    },
    /// A write of many records failed after some of them were written.
    #[non_exhaustive]
    PartiallyWritten {
        /// The number of records that are written, from the first on.
        done: usize,
        /// The number of HTTP requests that the call had sent, reads and retries included; 0 over a transport that
        /// sends none.
        requests: usize,
        /// The error of the next record.
        source: Box<DustErr>,
    },
    /// The bytes of a file do not have the hash of its reference.
    #[non_exhaustive]
    ChecksumMismatch {
        /// The file, and the hash of the bytes that came.
        what: String,
    },
    /// More came than is taken into memory.
    #[non_exhaustive]
    TooLarge {
        /// The answer or record, and the limit.
        what: String,
    },
    /// A hook, or SQL beside Dust, failed.
    #[non_exhaustive]
    Database {
        /// SeaORM's error.
        source: Box<DbErr>,
    },
    /// The file of the embedded store, or of a cache, failed.
    #[non_exhaustive]
    Storage {
        /// The file, and the reason.
        message: String,
        /// The cause.
        source: Option<Cause>,
    },
    /// The application's own JSON could not be written or read.
    #[non_exhaustive]
    Json {
        /// The error of `serde_json`.
        source: Arc<serde_json::Error>,
    },
}

/// The text, and in brackets the kind and the details that the text lacks.
impl fmt::Debug for DustErr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}", self.kind())?;
        match self {
            DustErr::Conflict { op_index: Some(index), .. } => write!(f, ", op {index} of the batch")?,
            DustErr::PartiallyWritten { source, .. } => write!(f, ", {:?}", source.kind())?,
            DustErr::Database { source } => write!(f, ", {source:?}")?,
            _ => {}
        }
        f.write_str("]")
    }
}

/// The shortest pause after too many requests: a server sends `0` a moment before the window opens.
#[cfg(feature = "http")]
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest pause that is accepted from a server.
#[cfg(feature = "http")]
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after too many requests, given the server's value.
#[cfg(feature = "http")]
fn retry_after(answer: Duration) -> Duration {
    answer.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER)
}

impl DustErr {
    /// True if the same call may be repeated unchanged. Never true for a write that may have been applied.
    pub fn is_retryable(&self) -> bool {
        match self {
            DustErr::Network { .. } | DustErr::RateLimited { .. } | DustErr::LeaseHeld { .. } => true,
            DustErr::Http { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// The time to wait before another try, where the server gave one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            DustErr::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The validation errors of a refused changeset.
    ///
    /// ```
    /// use dust_orm::{DustErr, Errors, FieldError};
    ///
    /// let mut errors = Errors::default();
    /// errors.add("title", FieldError::new("can't be blank", "required"));
    /// let error = DustErr::from(errors);
    /// assert_eq!(error.errors().unwrap().get("title")[0].message(), "can't be blank");
    /// ```
    pub fn errors(&self) -> Option<&Errors> {
        match self {
            DustErr::Invalid { errors } => Some(errors),
            _ => None,
        }
    }
}

/// Converts errors of `serde_json`; [`source`](std::error::Error::source) is the error itself.
///
/// ```
/// use std::error::Error;
///
/// fn options(text: &str) -> Result<serde_json::Value, dust_orm::DustErr> {
///     Ok(serde_json::from_str(text)?)
/// }
/// assert!(options("{").unwrap_err().source().unwrap().is::<serde_json::Error>());
/// ```
impl From<serde_json::Error> for DustErr {
    fn from(error: serde_json::Error) -> DustErr {
        DustErr::Json { source: Arc::new(error) }
    }
}

impl From<Errors> for DustErr {
    fn from(errors: Errors) -> DustErr {
        DustErr::Invalid { errors }
    }
}

impl From<InvalidRecord> for DustErr {
    fn from(record: InvalidRecord) -> DustErr {
        DustErr::Decode { record: Box::new(record) }
    }
}

/// Converts errors of SeaORM to [`DustErr::Database`], also a [`DbErr::Custom`] that was made from a `DustErr`.
impl From<DbErr> for DustErr {
    fn from(error: DbErr) -> DustErr {
        DustErr::Database { source: Box::new(error) }
    }
}

/// Converts errors of SeaORM's `transaction`. An error of the closure stays as it is.
///
/// ```
/// use dust_orm::{DustErr, ErrKind, sea_orm::TransactionError};
///
/// let missing = DustErr::not_found("links/dust");
/// assert_eq!(DustErr::from(TransactionError::Transaction(missing)).kind(), ErrKind::NotFound);
/// ```
impl From<TransactionError<DustErr>> for DustErr {
    fn from(error: TransactionError<DustErr>) -> DustErr {
        match error {
            TransactionError::Connection(error) => error.into(),
            TransactionError::Transaction(error) => error,
        }
    }
}

impl From<DustErr> for DbErr {
    fn from(error: DustErr) -> DbErr {
        match error {
            DustErr::Database { source } => *source,
            DustErr::NotFound { what } => DbErr::RecordNotFound(what),
            other => DbErr::Custom(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
