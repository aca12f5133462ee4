//! A request body that knows whether it was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::world::World;

const WAITING: u64 = 0;
const GIVEN_UP: u64 = 1;
/// From here on: when the body began to leave, in nanoseconds after the world began.
const SENDING: u64 = 2;

/// Whether and when a body has begun to leave. As long as it has not, the server cannot have applied the request.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    state: Arc<AtomicU64>,
    world: Arc<dyn World>,
}

impl Progress {
    pub(super) fn new(world: Arc<dyn World>) -> Progress {
        Progress { state: Arc::new(AtomicU64::new(WAITING)), world }
    }

    /// When the body began to leave; `None` when it has not.
    pub(super) fn begun(&self) -> Option<Duration> {
        self.state.load(Ordering::Acquire).checked_sub(SENDING).map(Duration::from_nanos)
    }

    /// Forbids the body to leave. `true` when it had not begun to, and so never will.
    pub(super) fn give_up(&self) -> bool {
        self.leave_waiting(GIVEN_UP) == GIVEN_UP
    }

    /// Notes that the body leaves now. `false` when it must not.
    fn begin(&self) -> bool {
        let nanoseconds = u64::try_from(self.world.now().as_nanos()).unwrap_or(u64::MAX);
        self.leave_waiting(nanoseconds.saturating_add(SENDING)) != GIVEN_UP
    }

    /// Takes the only step there is, away from waiting; the state after it.
    fn leave_waiting(&self, to: u64) -> u64 {
        match self.state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => to,
            Err(before) => before,
        }
    }
}

/// A body of one frame that tells its [`Progress`].
#[derive(Debug)]
pub(super) struct WatchedBody {
    data: Option<Bytes>,
    progress: Progress,
}

impl WatchedBody {
    pub(super) fn new(data: Bytes, progress: Progress) -> WatchedBody {
        WatchedBody { data: Some(data), progress }
    }
}

/// The caller has given up before the body began to leave.
#[derive(Debug, thiserror::Error)]
#[error("given up before it was sent")]
pub(super) struct GivenUp;

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        if self.data.is_some() && !self.progress.begin() {
            return Poll::Ready(Some(Err(GivenUp)));
        }
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::RealWorld;

    async fn frame(body: &mut WatchedBody) -> Option<Result<Bytes, GivenUp>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    fn watched() -> (WatchedBody, Progress) {
        let progress = Progress::new(Arc::new(RealWorld::new()));
        (WatchedBody::new(Bytes::from_static(b"1"), progress.clone()), progress)
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
