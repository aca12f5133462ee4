//! The byte stream below a socket, with counts of its bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::message_start::MessageStart;

/// A stream of bytes, with or without TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Time in which the beginning of a message that is not read arrives.
const BEGINNING: Duration = Duration::from_secs(1);

/// A stream that counts its bytes, as a socket returns a frame only when it is complete.
///
/// It wraps the decrypted stream, because it also keeps the beginning of the latest message. So the TLS of tungstenite,
/// which would be between the two, cannot be used (`tls.rs`).
pub(super) struct Counted {
    wire: Box<dyn Wire>,
    counts: Counts,
    /// The beginning of the message that arrives, once the stream is that of a socket.
    beginning: Option<MessageStart>,
}

impl Counted {
    pub(super) fn new(wire: Box<dyn Wire>) -> Counted {
        Counted { wire, counts: Counts::default(), beginning: None }
    }

    /// Keeps the beginning of each message from now on: the handshake of the socket is complete.
    pub(super) fn follow_messages(&mut self) {
        self.beginning = Some(MessageStart::default());
    }

    /// The first bytes of the latest message, which is not read otherwise.
    pub(super) async fn beginning_of_message(&mut self) -> Vec<u8> {
        let read = async {
            let mut bytes = [0; 512];
            while self.beginning.as_ref().is_some_and(MessageStart::wants_more) {
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = poll_fn(|context| Pin::new(&mut *self).poll_read(context, &mut buffer)).await;
                if read.is_err() || buffer.filled().is_empty() {
                    break;
                }
            }
        };
        // After the timeout the bytes that have arrived are used.
        let _ = timeout(BEGINNING, read).await;
        self.beginning.as_ref().map(|beginning| beginning.message().to_vec()).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }
}

/// The number of bytes of a stream so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) read: u64,
    /// Bytes that the system has accepted.
    pub(super) written: u64,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.wire).poll_read(cx, buffer);
        let this = &mut *self;
        let fresh = &buffer.filled()[before..];
        this.counts.read += fresh.len() as u64;
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
            self.counts.written += *count as u64;
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
