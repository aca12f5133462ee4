//! Errors of Dust as statuses and messages for visitors of the site.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dust_orm::{DustErr, ErrKind};
use serde_json::json;

/// The status for an error.
pub(crate) fn status(error: &DustErr) -> StatusCode {
    StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The message for visitors. The details for operators are in the error itself.
pub(crate) fn message(error: &DustErr) -> &'static str {
    match error.kind() {
        ErrKind::Invalid => "Please look at the fields below.",
        ErrKind::NotFound => "This link does not exist any more.",
        ErrKind::Conflict => "Someone else has changed this link meanwhile. Open it again to see its current content.",
        ErrKind::RateLimited => "There are too many changes just now. Please try again in a minute.",
        ErrKind::Network => {
            "The store cannot be reached just now, and nothing was saved. Please try again in a moment."
        }
        ErrKind::Timeout => "The store did not answer in time. Please look whether it was saved before you try again.",
        _ => "Something went wrong here, and nothing was saved.",
    }
}

/// An error of the JSON API: `{"message": …}`, and for a refused changeset `{"message": …, "errors": {field: […]}}`.
pub(crate) struct Failure(DustErr);

impl From<DustErr> for Failure {
    fn from(error: DustErr) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure(error) = self;
        let mut body = json!({"message": message(&error)});
        if let Some(errors) = error.errors() {
            body["errors"] = json!(errors);
        }
        let mut response = (status(&error), Json(body)).into_response();
        if let Some(wait) = error.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}
