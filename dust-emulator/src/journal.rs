//! The log of requests, for tests and for the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::routes::Route;

/// The number of requests to keep.
const KEPT: usize = 10_000;

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Its place among all requests, counted from 1.
    pub number: u64,
    /// The time of receipt, in milliseconds since 1970 by the emulator's clock.
    pub at_ms: i64,
    /// The method as it was sent.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The route of the request.
    pub route: Route,
    /// `X-Request-Id`, or the generated id.
    pub request_id: String,
    /// The length of the body in bytes.
    pub body_bytes: usize,
    /// The status of the answer; `None` if the connection was closed instead.
    pub status: Option<u16>,
    /// The fault that affected it.
    pub fault: Option<String>,
}

/// The last requests, oldest first.
#[derive(Default)]
pub(crate) struct Journal(Mutex<(u64, VecDeque<RequestRecord>)>);

impl Journal {
    pub(crate) fn add(&self, mut record: RequestRecord) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        record.number = state.0;
        if state.1.len() == KEPT {
            state.1.pop_front();
        }
        state.1.push_back(record);
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}
