//! A request body that records whether its request was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::runtime::Runtime;

const WAITING: u64 = 0;
const GIVEN_UP: u64 = 1;
/// From this value on, the state is the moment at which the request began to leave, in nanoseconds of the [`Runtime`]'s
/// time, plus `SENDING`.
const SENDING: u64 = 2;

/// The moment at which a request began to leave, if it did. Until then the server cannot have applied the request.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    state: Arc<AtomicU64>,
    world: Arc<dyn Runtime>,
}

impl Progress {
    pub(super) fn new(world: Arc<dyn Runtime>) -> Progress {
        Progress { state: Arc::new(AtomicU64::new(WAITING)), world }
    }

    /// The moment at which the request began to leave; `None` if it did not.
    pub(super) fn begun(&self) -> Option<Duration> {
        self.state.load(Ordering::Acquire).checked_sub(SENDING).map(Duration::from_nanos)
    }

    /// Prevents the request from leaving. True if it had not begun to leave, and so never will.
    pub(super) fn give_up(&self) -> bool {
        self.leave_waiting(GIVEN_UP) == GIVEN_UP
    }

    fn is_given_up(&self) -> bool {
        self.state.load(Ordering::Acquire) == GIVEN_UP
    }

    /// Records that the request leaves now. False if it must not leave.
    fn begin(&self) -> bool {
        let nanoseconds = u64::try_from(self.world.now().as_nanos()).unwrap_or(u64::MAX);
        self.leave_waiting(nanoseconds.saturating_add(SENDING)) != GIVEN_UP
    }

    /// Makes the only transition that exists, away from `WAITING`, and returns the state after it.
    fn leave_waiting(&self, to: u64) -> u64 {
        match self.state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => to,
            Err(before) => before,
        }
    }
}

/// A body of one frame or none that updates its [`Progress`].
///
/// A connection calls `is_end_stream` when it writes the head of the request, and not before: until then the request
/// waits for a connection. This call marks the beginning of a request without a body, such as a `DELETE`.
#[derive(Debug)]
pub(super) struct WatchedBody {
    data: Option<Bytes>,
    progress: Progress,
}

impl WatchedBody {
    pub(super) fn new(data: Option<Bytes>, progress: Progress) -> WatchedBody {
        WatchedBody { data, progress }
    }
}

/// The error of a body whose caller gave up before the body began to leave.
#[derive(Debug, thiserror::Error)]
#[error("given up before it was sent")]
pub(super) struct GivenUp;

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        if !self.progress.begin() {
            return Poll::Ready(Some(Err(GivenUp)));
        }
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        // A body that fails prevents a request that was given up from leaving.
        self.progress.begin() && self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.data {
            Some(data) => SizeHint::with_exact(data.len() as u64),
            // The length is unknown, so that the body of a request that was given up is read and fails.
            None if self.progress.is_given_up() => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::SystemRuntime;

    async fn frame(body: &mut WatchedBody) -> Option<Result<Bytes, GivenUp>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    fn watched() -> (WatchedBody, Progress) {
        let progress = Progress::new(Arc::new(SystemRuntime::new()));
        (WatchedBody::new(Some(Bytes::from_static(b"1")), progress.clone()), progress)
    }

    #[tokio::test]
    async fn a_request_without_a_body_begins_when_its_head_is_written() {
        let progress = Progress::new(Arc::new(SystemRuntime::new()));
        let body = WatchedBody::new(None, progress.clone());
        assert_eq!((body.size_hint().exact(), progress.begun()), (Some(0), None));
        assert!(body.is_end_stream());
        assert!(progress.begun().is_some() && !progress.give_up());

        let progress = Progress::new(Arc::new(SystemRuntime::new()));
        let mut body = WatchedBody::new(None, progress.clone());
        assert!(progress.give_up());
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        assert!(frame(&mut body).await.unwrap().is_err());
        assert_eq!(progress.begun(), None);
    }

    #[tokio::test]
    async fn a_body_that_was_sent_cannot_be_given_up() {
        let (mut body, progress) = watched();
        assert_eq!(progress.begun(), None);
        assert_eq!(body.size_hint().exact(), Some(1));
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "1");
        assert!(frame(&mut body).await.is_none());
        assert!(progress.begun().is_some());
        assert!(!progress.give_up());
    }

    #[tokio::test]
    async fn a_body_that_was_given_up_is_not_sent() {
        let (mut body, progress) = watched();
        assert!(progress.give_up());
        assert!(progress.give_up(), "again");
        assert!(frame(&mut body).await.unwrap().is_err());
        assert_eq!(progress.begun(), None);
    }
}
