//! The HTTP status by which a handler answers an error.

use sea_orm::DbErr;

use super::DustErr;

impl DustErr {
    /// The HTTP status for the response of a handler that met this error.
    ///
    /// | status | of |
    /// |---|---|
    /// | 400 Bad Request | `InvalidParams`, `NothingToWrite` |
    /// | 404 Not Found | `NotFound`, and `Database` with [`DbErr::RecordNotFound`] |
    /// | 409 Conflict | `Exists`, `Fenced`, `LeaseLost` |
    /// | 412 Precondition Failed | `Conflict` |
    /// | 422 Unprocessable Content | `Invalid`: send [`errors`](DustErr::errors) with it |
    /// | 429 Too Many Requests | `RateLimited`: send [`retry_after`](DustErr::retry_after) as `Retry-After` |
    /// | 502 Bad Gateway | `Http` below 500, `ChecksumMismatch`: the Dust server's answer is of no use |
    /// | 503 Service Unavailable | the other errors that are [retryable](DustErr::is_retryable): `Network`, `Http` from 500 on, `LeaseHeld` |
    /// | 504 Gateway Timeout | `Timeout`: the write may have been applied |
    /// | 500 Internal Server Error | all others |
    ///
    /// `Conflict` is 412 because a revision is what `If-Match` carries (RFC 9110, 13.1.1); `Exists` is 409, the answer
    /// to a `POST` of a key that is taken. A handler that takes `If-None-Match: *` answers 412 for `Exists` as well.
    /// `Unauthorized` is 500: the token that Dust refuses is the application's, not that of its user. No error is 428
    /// Precondition Required: a handler that insists on `If-Match` answers it before it calls the repo.
    ///
    /// ```
    /// use dust_orm::{DustErr, Errors, FieldError};
    ///
    /// let mut errors = Errors::default();
    /// errors.add("title", FieldError::new("can't be blank", "required"));
    /// assert_eq!(DustErr::from(errors).http_status(), 422);
    /// assert_eq!(DustErr::conflict("links/dust/title", Some(7)).http_status(), 412);
    /// assert_eq!(DustErr::network("connection refused").http_status(), 503);
    /// ```
    pub fn http_status(&self) -> u16 {
        match self {
            DustErr::InvalidParams { .. } | DustErr::NothingToWrite { .. } => 400,
            DustErr::NotFound { .. } => 404,
            DustErr::Database { source } if matches!(**source, DbErr::RecordNotFound(_)) => 404,
            DustErr::Exists { .. } | DustErr::Fenced { .. } | DustErr::LeaseLost { .. } => 409,
            DustErr::Conflict { .. } => 412,
            DustErr::Invalid { .. } => 422,
            DustErr::RateLimited { .. } => 429,
            DustErr::Timeout { .. } => 504,
            error if error.is_retryable() => 503,
            DustErr::Http { .. } | DustErr::ChecksumMismatch { .. } => 502,
            _ => 500,
        }
    }
}
