//! A request body that knows whether it was sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

const WAITING: u8 = 0;
const SENDING: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Whether a body has begun to leave. As long as it has not, the server cannot have applied the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<(AtomicU8, Notify)>);

impl Progress {
    /// Forbids the body to leave. `true` when it had not begun to, and so never will.
    pub(super) fn give_up(&self) -> bool {
        self.step(GIVEN_UP) == GIVEN_UP
    }

    /// Ends when the body begins to leave.
    pub(super) async fn sending(&self) {
        let Progress(shared) = self;
        let (state, notify) = &**shared;
        loop {
            // `notify_one` keeps a permit, so a change between the look and the wait is not missed.
            if state.load(Ordering::Acquire) == SENDING {
                return;
            }
            notify.notified().await;
        }
    }

    /// Takes the first step away from waiting; the state after it.
    fn step(&self, to: u8) -> u8 {
        let (state, notify) = &*self.0;
        match state.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                notify.notify_one();
                to
            }
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
        if self.data.is_some() && self.progress.step(SENDING) == GIVEN_UP {
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

    async fn frame(body: &mut WatchedBody) -> Option<Result<Bytes, GivenUp>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn a_body_that_was_sent_cannot_be_given_up() {
        let progress = Progress::default();
        let mut body = WatchedBody::new(Bytes::from_static(b"1"), progress.clone());
        assert_eq!(body.size_hint().exact(), Some(1));
        assert_eq!(frame(&mut body).await.unwrap().unwrap(), "1");
        assert!(frame(&mut body).await.is_none());
        progress.sending().await;
        assert!(!progress.give_up());
    }

    #[tokio::test]
    async fn a_body_that_was_given_up_is_not_sent() {
        let progress = Progress::default();
        let mut body = WatchedBody::new(Bytes::from_static(b"1"), progress.clone());
        assert!(progress.give_up());
        assert!(progress.give_up(), "again");
        assert!(frame(&mut body).await.unwrap().is_err());
    }
}
