//! Errors: what can go wrong, and what a caller can do about it.

#[cfg(feature = "realtime")]
pub(crate) mod channel;
mod conversions;
#[cfg(feature = "http")]
pub(crate) mod http;
mod kind;
mod record;
mod validation;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DbErr, TransactionError};

pub use kind::ErrKind;
pub use record::InvalidRecord;
pub use validation::{Errors, FieldError, Param};

/// Everything a [`DustRepo`](crate::DustRepo) can answer instead of a result.
///
/// `?` carries it into SeaORM code (`From<DustErr> for DbErr`) and back (`From<DbErr> for DustErr`). Branch on
/// [`kind`](DustErr::kind), or match the variants; new ones may come.
///
/// | kind | when | what it tells | [retryable](DustErr::is_retryable) |
/// |---|---|---|---|
/// | `Network` | the server was not reached: nothing was applied | cause | yes |
/// | `Http` | an answer outside the protocol, such as a 5xx to a read | status, body | 5xx yes |
/// | `Conflict` | a guarded leaf has changed | path, current revision, op index | no: read again first |
/// | `Exists` | `if_absent`, and something is there | path, current revision | no |
/// | `NotSupported` | this transport cannot do it; nothing was sent | operation, way out | no |
/// | `NotImplemented` | the server lacks the route | operation | no |
/// | `NothingToWrite` | a write without any field | entity | no |
/// | `Timeout` | no clear answer: too late, lost, or a 5xx; the write **may have been applied** | operation | no |
/// | `Unauthorized` | token refused or scope missing | scope | no |
/// | `InvalidParams` | the request itself is wrong | which part, way out | no |
/// | `RateLimited` | too many requests | [`retry_after`](DustErr::retry_after), the limit, the way to need fewer | yes |
/// | `NotFound` | no such record, store or file | what | no |
/// | `Invalid` | the changeset has errors | [`Errors`] by field | no |
/// | `Decode` | a stored record does not fit the entity | [`InvalidRecord`] | no |
/// | `Fenced` | the lease named by the fence is lost | lease key | no |
/// | `Held` | somebody else holds the lease | lease key | yes |
/// | `NotHeld` | the lease to renew has expired, or was stolen or released | lease key | no |
/// | `Occupied` | something that is not a lease is in the lease's place | lease key | no |
/// | `Partial` | `insert_many` failed after some chunks | how many are written, with how many requests, the cause | no |
/// | `Damaged` | a file's bytes do not have their hash | which file | no |
/// | `TooLarge` | a server sends more than is taken into memory | what, and the limit | no |
/// | `Database` | a SeaORM hook, or SQL beside Dust, failed | the [`DbErr`] | no |
/// | `Storage` | the embedded store's file failed | cause | no |
/// | `Json` | the application's own JSON could not be written or read | the `serde_json::Error` | no |
///
/// `Debug` begins with the text, so that a `main` that answers a `DustErr` prints a sentence:
///
/// ```
/// let error = dust_orm::DustErr::NotFound { what: "`links/dust`".into() };
/// assert_eq!(format!("{error:?}"), "`links/dust` was not found [NotFound]");
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DustErr {
    /// The server was not reached; nothing was applied.
    #[error("the Dust server was not reached: {0}")]
    Network(String),
    /// An answer outside the protocol.
    #[error("the Dust server answered {status}: {message}")]
    Http {
        /// The HTTP status.
        status: u16,
        /// What the body said, shortened.
        message: String,
    },
    /// A guarded leaf has changed since it was read.
    #[error("conflict at `{path}`: {}; read the record again and retry", current_text(*.current))]
    Conflict {
        /// The leaf or record whose revision differs.
        path: String,
        /// Its revision now; `None` when it is gone.
        current: Option<u64>,
        /// Which op of a batch, counted from 0.
        op_index: Option<usize>,
    },
    /// Something is already there.
    #[error("`{path}` already exists ({})", current_text(*.current))]
    Exists {
        /// What exists.
        path: String,
        /// Its revision.
        current: Option<u64>,
    },
    /// The transport cannot do this; nothing was sent.
    #[error("{operation} is not supported by the {transport} transport: {hint}")]
    NotSupported {
        /// What was asked for.
        operation: String,
        /// Who cannot do it.
        transport: &'static str,
        /// The way out.
        hint: String,
    },
    /// The server lacks the route.
    #[error(
        "this Dust server does not implement {operation}: it is too old, or the path of its address (`base_url`, \
         DUST_BASE_URL) is wrong"
    )]
    NotImplemented {
        /// What was asked for.
        operation: String,
    },
    /// A write without any field to write.
    #[error("nothing to write for {what}: {hint}")]
    NothingToWrite {
        /// The record or batch.
        what: String,
        /// The way out.
        hint: String,
    },
    /// No clear answer. A write may have been applied or not.
    #[error("no clear answer to {operation}; it may have been applied")]
    Timeout {
        /// What was under way.
        operation: String,
    },
    /// The token was refused, or lacks a scope.
    #[error("unauthorized: {message}{}", scope_text(.scope.as_deref()))]
    Unauthorized {
        /// The scope that is missing, where the server says it.
        scope: Option<String>,
        /// What the server said.
        message: String,
    },
    /// The request itself is wrong.
    #[error("{0}")]
    InvalidParams(String),
    /// Too many requests.
    #[error("rate limited: {limit}; try again in {} s", .retry_after.as_secs())]
    RateLimited {
        /// The time to wait, at least one second.
        retry_after: Duration,
        /// The limit that was reached and, over HTTP, the requests that the call had sent and the way to need fewer.
        limit: String,
    },
    /// There is no such record, store or file.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The changeset has errors.
    #[error("{0}")]
    Invalid(Errors),
    /// A stored record does not fit the entity.
    #[error("{0}")]
    Decode(Box<InvalidRecord>),
    /// The lease named by the fence is not held any more.
    #[error("fenced: the lease at `{key}` is no longer held with this token")]
    Fenced {
        /// The lease.
        key: String,
    },
    /// Somebody holds the lease.
    #[error("the lease at `{key}` is held by someone else")]
    Held {
        /// The lease.
        key: String,
    },
    /// The lease is not held with this token.
    #[error("the lease at `{key}` is not held with this token: it expired, or was stolen or released")]
    NotHeld {
        /// The lease.
        key: String,
    },
    /// A value that is not a lease is in the lease's place.
    #[error("`{key}` holds a value that is not a lease")]
    Occupied {
        /// The lease.
        key: String,
    },
    /// A write of many records failed on the way: some are written.
    #[error("after {done} records were written, with {requests} requests: {cause}")]
    Partial {
        /// The number of records that are written, from the first on.
        done: usize,
        /// The number of HTTP requests that the call had sent, reads and retries included; 0 over a transport that
        /// sends none.
        requests: usize,
        /// The error that the next record met.
        cause: Box<DustErr>,
    },
    /// What was fetched is not what was stored.
    #[error("damaged: {what}")]
    Damaged {
        /// Which file, and what came instead.
        what: String,
    },
    /// More came than is taken into memory.
    #[error("too large: {what}")]
    TooLarge {
        /// What, and the limit.
        what: String,
    },
    /// A hook, or SQL beside Dust, failed.
    #[error(transparent)]
    Database(Box<DbErr>),
    /// The embedded store's file failed.
    #[error("the embedded store failed: {0}")]
    Storage(Arc<str>),
    /// The application's own JSON could not be written or read.
    #[error("JSON: {0}")]
    Json(#[source] Arc<serde_json::Error>),
}

/// The text, and in brackets the kind and what the text does not say.
impl fmt::Debug for DustErr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}", self.kind())?;
        match self {
            DustErr::Conflict { op_index: Some(index), .. } => write!(f, ", op {index} of the batch")?,
            DustErr::Partial { cause, .. } => write!(f, ", {:?}", cause.kind())?,
            DustErr::Database(error) => write!(f, ", {error:?}")?,
            _ => {}
        }
        f.write_str("]")
    }
}

/// The shortest pause after too many requests: a server answers `0` a moment before the window opens.
#[cfg(feature = "http")]
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest pause that is taken from a server.
#[cfg(feature = "http")]
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after too many requests, given the server's answer.
#[cfg(feature = "http")]
fn retry_after(answer: Duration) -> Duration {
    answer.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER)
}

fn current_text(current: Option<u64>) -> String {
    match current {
        Some(revision) => format!("the revision is now {revision}"),
        None => "it is no longer there".to_owned(),
    }
}

fn scope_text(scope: Option<&str>) -> String {
    scope.map(|scope| format!(" (the token lacks the scope `{scope}`)")).unwrap_or_default()
}

impl DustErr {
    /// Whether the same call may simply be made again. Never true for a write that may have been applied.
    pub fn is_retryable(&self) -> bool {
        match self {
            DustErr::Network(_) | DustErr::RateLimited { .. } | DustErr::Held { .. } => true,
            DustErr::Http { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// How long to wait before another try, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            DustErr::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The validation errors of a refused changeset.
    ///
    /// ```
    /// use dust_orm::{DustErr, Errors};
    ///
    /// let mut errors = Errors::default();
    /// errors.add("title", "can't be blank", "required");
    /// let error = DustErr::from(errors);
    /// assert_eq!(error.errors().unwrap().get("title")[0].message(), "can't be blank");
    /// ```
    pub fn errors(&self) -> Option<&Errors> {
        match self {
            DustErr::Invalid(errors) => Some(errors),
            _ => None,
        }
    }
}

/// So that `?` takes what `serde_json` answers; [`source`](std::error::Error::source) is the error itself.
///
/// ```
/// use std::error::Error;
///
/// fn options(text: &str) -> Result<serde_json::Value, dust_orm::DustErr> {
///     Ok(serde_json::from_str(text)?)
/// }
/// assert!(options("{").unwrap_err().source().unwrap().is::<std::sync::Arc<serde_json::Error>>());
/// ```
impl From<serde_json::Error> for DustErr {
    fn from(error: serde_json::Error) -> DustErr {
        DustErr::Json(Arc::new(error))
    }
}

impl From<Errors> for DustErr {
    fn from(errors: Errors) -> DustErr {
        DustErr::Invalid(errors)
    }
}

impl From<InvalidRecord> for DustErr {
    fn from(record: InvalidRecord) -> DustErr {
        DustErr::Decode(Box::new(record))
    }
}

/// A `DustErr` that travelled through SeaORM code as [`DbErr::Custom`] comes back as [`DustErr::Database`].
impl From<DbErr> for DustErr {
    fn from(error: DbErr) -> DustErr {
        DustErr::Database(Box::new(error))
    }
}

/// What SeaORM's `transaction` answers, so that `?` takes that as well, with the error of the closure as it was.
///
/// ```
/// use dust_orm::{DustErr, ErrKind, sea_orm::TransactionError};
///
/// let missing = DustErr::NotFound { what: "links/dust".into() };
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
            DustErr::Database(error) => *error,
            DustErr::NotFound { what } => DbErr::RecordNotFound(what),
            other => DbErr::Custom(other.to_string()),
        }
    }
}
