//! The stream of bytes below a socket.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::initial_mirror::Beginning;

/// A stream of bytes, with or without TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How long the beginning of a message that is not read may take to arrive.
const BEGINNING: Duration = Duration::from_secs(1);

/// A stream that counts what arrives and what is taken: a socket tells of a frame only when all of it is there.
pub(super) struct Counted {
    wire: Box<dyn Wire>,
    arrived: u64,
    taken: u64,
    /// Once it is a socket: of the message that is arriving.
    beginning: Option<Beginning>,
}

impl Counted {
    pub(super) fn new(wire: Box<dyn Wire>) -> Counted {
        Counted { wire, arrived: 0, taken: 0, beginning: None }
    }

    /// Follows the messages from now on: the stream has become that of a socket.
    pub(super) fn follow_messages(&mut self) {
        self.beginning = Some(Beginning::default());
    }

    /// The first bytes of the latest message, which nobody else will read.
    pub(super) async fn beginning_of_message(&mut self) -> Vec<u8> {
        let read = async {
            let mut bytes = [0; 512];
            while self.beginning.as_ref().is_some_and(Beginning::wants_more) {
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = poll_fn(|context| Pin::new(&mut *self).poll_read(context, &mut buffer)).await;
                if read.is_err() || buffer.filled().is_empty() {
                    break;
                }
            }
        };
        // Without it, what there is has to do.
        let _ = timeout(BEGINNING, read).await;
        self.beginning.as_ref().map(|beginning| beginning.message().to_vec()).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { arrived: self.arrived, taken: self.taken }
    }
}

/// The bytes of a stream so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Those that were read.
    pub(super) arrived: u64,
    /// Those that the system has taken to be sent.
    pub(super) taken: u64,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.wire).poll_read(cx, buffer);
        let this = &mut *self;
        let fresh = &buffer.filled()[before..];
        this.arrived += fresh.len() as u64;
        if let Some(beginning) = &mut this.beginning {
            beginning.take(fresh);
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.wire).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &polled {
            self.taken += *count as u64;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
