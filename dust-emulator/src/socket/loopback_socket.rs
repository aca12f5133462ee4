//! A socket without a network.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_tungstenite::tungstenite::Message;

use super::client_channels::{ClientChannels, Unread};
use super::connection::Client;
use super::frame::Vsn;
use super::message_context::{Crash, ReplyFault};
use crate::auth::Token;
use crate::state::State;

/// A client's WebSocket without a network: the caller passes and receives its frames one at a time, on its own thread.
/// Made by [`InProcessServer::connect`](crate::InProcessServer::connect). Dropping it closes the connection.
pub struct LoopbackSocket {
    channels: ClientChannels,
}

impl LoopbackSocket {
    pub(crate) fn new(state: &Arc<State>, token: Arc<Token>, device_id: &str) -> LoopbackSocket {
        let client = Client { vsn: Vsn::Json, token, device_id: device_id.into() };
        LoopbackSocket { channels: ClientChannels::new(Arc::clone(state), client, false) }
    }

    /// Handles a text frame. Returns `false` if a server closes the connection, because the text is not a frame.
    ///
    /// A message is queued after those that its channel has not [read](LoopbackSocket::read). A join ends the existing
    /// channel with these messages, which are neither applied nor answered.
    #[must_use]
    pub fn receive(&mut self, text: &str, reply_fault: ReplyFault) -> bool {
        let Some(frame) = Vsn::decode_text(text) else { return false };
        while self.channels.is_for_channel(&frame) && self.channels.readable(&frame.topic) > 0 {
            self.read_of(Some(&frame.topic));
        }
        // Without threads the handler is ready at its first poll.
        self.channels.handle(&frame, reply_fault).now_or_never().is_some()
    }

    /// Queues a message for its channel, which [reads](LoopbackSocket::read) it later. Returns `false` and ignores it
    /// if it is not for a joined channel.
    #[must_use]
    pub fn leave_unread(&mut self, text: &str, reply_fault: ReplyFault) -> bool {
        let Some(frame) = Vsn::decode_text(text).filter(|frame| self.channels.is_for_channel(frame)) else {
            return false;
        };
        self.channels.leave_unread(frame, reply_fault);
        true
    }

    /// The number of unread messages of all channels.
    pub fn unread(&self) -> usize {
        self.channels.unread()
    }

    /// Reads and handles the first unread message.
    pub fn read(&mut self) {
        self.read_of(None);
    }

    fn read_of(&mut self, topic: Option<&str>) {
        if let Some(Unread { frame, reply_fault, .. }) = self.channels.take_unread(topic) {
            // Without threads the handler is ready at its first poll.
            self.channels.handle(&frame, reply_fault).now_or_never();
        }
    }

    /// Makes every channel hang: it reads no message until it is joined again.
    pub fn hang(&mut self) {
        for topic in self.channels.topics() {
            self.channels.hang(&topic);
        }
    }

    /// The next frame for the client, if there is one.
    pub fn next_frame(&mut self) -> Option<String> {
        let frame = self.channels.try_next()?;
        match Vsn::Json.encode(&frame) {
            Ok(Message::Text(text)) => Some(text.as_str().to_owned()),
            // A JSON frame is text, and its members are JSON already.
            Ok(_) | Err(_) => None,
        }
    }

    /// True if a catch-up is running.
    pub fn is_catching_up(&self) -> bool {
        self.channels.catching_up(None).is_some()
    }

    /// Continues a catch-up: sends a snapshot if there has to be one, and at most `ops` ops.
    pub fn catch_up(&mut self, ops: usize) {
        self.channels.catch_up_by(ops).now_or_never();
    }

    /// Crashes every channel: the client receives `phx_error`.
    pub fn crash(&mut self) {
        for topic in self.channels.topics() {
            self.channels.crash(&topic, &Crash("on demand".to_owned()));
        }
    }
}

impl fmt::Debug for LoopbackSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackSocket").field("joined", &self.channels.topics()).finish_non_exhaustive()
    }
}
