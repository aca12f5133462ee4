//! A socket without a network.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_tungstenite::tungstenite::Message;

use super::connection::Client;
use super::desk::{Desk, Unread};
use super::frame::Vsn;
use super::seat::{Crash, Twist};
use crate::auth::Token;
use crate::state::State;

/// One client's WebSocket without a network: its frames are taken and given one at a time, in the thread of the caller and
/// when the caller says so. Made by [`Unplugged::connect`](crate::Unplugged::connect). Dropping it is what the server sees
/// of a connection that is gone.
pub struct Line {
    desk: Desk,
}

impl Line {
    pub(crate) fn new(state: &Arc<State>, token: Arc<Token>, device_id: &str) -> Line {
        let client = Client { vsn: Vsn::Json, token, device_id: device_id.into() };
        Line { desk: Desk::new(Arc::clone(state), client, false) }
    }

    /// Reads a frame of text, and does what it asks for. `false` where a server closes the connection, because the text is
    /// no frame.
    ///
    /// A message comes after those that its channel has not [read](Line::read) yet. A join ends the channel that there is
    /// with all of these: they are neither done nor answered.
    #[must_use]
    pub fn receive(&mut self, text: &str, twist: Twist) -> bool {
        let Some(frame) = Vsn::decode_text(text) else { return false };
        while self.desk.is_for_channel(&frame) && self.desk.readable(&frame.topic) > 0 {
            self.read_of(Some(&frame.topic));
        }
        // Without threads there is nothing to wait for.
        self.desk.handle(&frame, twist).now_or_never().is_some()
    }

    /// Takes a message off the wire and leaves it to its channel, which [reads](Line::read) it later. `false` if it is none
    /// to a channel that is joined, and was not taken.
    #[must_use]
    pub fn leave_unread(&mut self, text: &str, twist: Twist) -> bool {
        let Some(frame) = Vsn::decode_text(text).filter(|frame| self.desk.is_for_channel(frame)) else { return false };
        self.desk.leave_unread(frame, twist);
        true
    }

    /// How many messages the channels have not read.
    pub fn unread(&self) -> usize {
        self.desk.unread()
    }

    /// Has a channel read the first message that was left to one, and do what it asks for.
    pub fn read(&mut self) {
        self.read_of(None);
    }

    fn read_of(&mut self, topic: Option<&str>) {
        if let Some(Unread { frame, twist, .. }) = self.desk.take_unread(topic) {
            // Without threads there is nothing to wait for.
            self.desk.handle(&frame, twist).now_or_never();
        }
    }

    /// Has every channel hang: it reads nothing more, until it is joined again.
    pub fn hang(&mut self) {
        for topic in self.desk.topics() {
            self.desk.hang(&topic);
        }
    }

    /// The next frame for the client, if there is one.
    pub fn next_frame(&mut self) -> Option<String> {
        let frame = self.desk.try_next()?;
        match Vsn::Json.encode(&frame) {
            Ok(Message::Text(text)) => Some(text.as_str().to_owned()),
            // JSON is text, and its members are JSON already.
            Ok(_) | Err(_) => None,
        }
    }

    /// Whether a catch-up is under way.
    pub fn is_catching_up(&self) -> bool {
        self.desk.catching_up(None).is_some()
    }

    /// Goes on with a catch-up: a snapshot if there has to be one, and up to so many ops.
    pub fn catch_up(&mut self, ops: usize) {
        self.desk.catch_up_by(ops).now_or_never();
    }

    /// Crashes every channel: the client gets `phx_error`.
    pub fn crash(&mut self) {
        for topic in self.desk.topics() {
            self.desk.crash(&topic, &Crash("on demand".to_owned()));
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("joined", &self.desk.topics()).finish_non_exhaustive()
    }
}
