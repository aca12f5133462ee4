//! The channels of a client, independent of the transport: frames in, a queue of frames out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dust_protocol::RawJson;
use tokio::sync::watch;

use super::channel::{self, Channel};
use super::connection::Client;
use super::frame::{Frame, Outgoing};
use super::hub::Order;
use super::message_context::{self, Crash, Failure, MessageContext, Refused, ReplyFault};
use super::queue::{Queue, Waiting};
use super::{put_file, rollback, status, write};
use crate::json::Object;
use crate::state::State;
use crate::uri::Params;

/// A message that its channel has not read.
pub(super) struct Unread {
    /// The id of the message on its socket.
    pub(super) id: u64,
    pub(super) frame: Frame,
    pub(super) reply_fault: ReplyFault,
}

/// The joined channels of a client, and its outgoing frames.
pub(super) struct ClientChannels {
    state: Arc<State>,
    client: Client,
    channels: BTreeMap<String, Channel>,
    /// Messages that the socket has read and their channels have not, in order. A channel that is joined again or
    /// crashes loses its messages.
    unread: VecDeque<Unread>,
    next_unread: u64,
    queue: Queue,
    orders: Waiting,
    /// True if a separate thread may wait for the disk.
    threads: bool,
}

impl ClientChannels {
    pub(super) fn new(state: Arc<State>, client: Client, threads: bool) -> ClientChannels {
        let (queue, orders) = Queue::new();
        ClientChannels {
            state,
            client,
            channels: BTreeMap::new(),
            unread: VecDeque::new(),
            next_unread: 0,
            queue,
            orders,
            threads,
        }
    }

    /// Waits for the next frame to the client.
    pub(super) async fn next(&mut self) -> Outgoing {
        loop {
            match self.orders.recv().await {
                Some(Order::Send(frame)) => return frame,
                Some(Order::Crash(id)) => self.crash_id(id),
                // Cannot happen: this struct holds the other end too.
                None => std::future::pending().await,
            }
        }
    }

    /// The next frame to the client, if there is one.
    pub(super) fn try_next(&mut self) -> Option<Outgoing> {
        loop {
            match self.orders.try_recv()? {
                Order::Send(frame) => return Some(frame),
                Order::Crash(id) => self.crash_id(id),
            }
        }
    }

    /// Becomes true if too much waits for the client.
    pub(super) fn overflown(&self) -> watch::Receiver<bool> {
        self.queue.overflown()
    }

    /// A channel with an unfinished catch-up, except those that have sent `hold` events.
    pub(super) fn catching_up(&self, hold: Option<usize>) -> Option<String> {
        let channel = self.channels.values().find(|channel| channel.catch_up.is_some() && !channel.is_held(hold));
        channel.map(|channel| channel.topic.to_string())
    }

    /// The `join_ref` of a joined topic.
    pub(super) fn join_ref(&self, topic: &str) -> Option<&RawJson> {
        self.channels.get(topic).map(|channel| &channel.join_ref)
    }

    fn crash_id(&mut self, id: u64) {
        let topic = self.channels.values().find(|channel| channel.membership.id == id);
        if let Some(topic) = topic.map(|channel| channel.topic.to_string()) {
            self.crash(&topic, &Crash("on demand".to_owned()));
        }
    }

    /// Appends a frame to the queue.
    fn queue(&self, frame: Outgoing) {
        self.queue.send(Order::Send(frame));
    }

    /// True if a channel reads the frame. The socket itself reads heartbeats, joins, and frames to topics that are not
    /// joined.
    pub(super) fn is_for_channel(&self, frame: &Frame) -> bool {
        frame.event != "phx_join" && self.channels.contains_key(&frame.topic)
    }

    /// Queues a message for its channel.
    pub(super) fn leave_unread(&mut self, frame: Frame, reply_fault: ReplyFault) {
        self.unread.push_back(Unread { id: self.next_unread, frame, reply_fault });
        self.next_unread += 1;
    }

    /// The number of unread messages.
    pub(super) fn unread(&self) -> usize {
        self.unread.len()
    }

    /// The number of messages that the channel of a topic can still read; 0 if it hangs.
    pub(super) fn readable(&self, topic: &str) -> usize {
        self.unread.iter().filter(|unread| unread.frame.topic == topic && self.is_read(&unread.frame)).count()
    }

    /// The message that a channel reads next.
    pub(super) fn next_unread(&self) -> Option<&Unread> {
        self.unread.iter().find(|unread| self.is_read(&unread.frame))
    }

    /// Removes the message that a channel reads next, of one topic or of any.
    pub(super) fn take_unread(&mut self, topic: Option<&str>) -> Option<Unread> {
        let is_next =
            |unread: &Unread| topic.is_none_or(|topic| unread.frame.topic == topic) && self.is_read(&unread.frame);
        let at = self.unread.iter().position(is_next)?;
        self.unread.remove(at)
    }

    fn is_read(&self, frame: &Frame) -> bool {
        self.channels.get(&frame.topic).is_some_and(|channel| !channel.hangs)
    }

    /// Makes a channel hang, as one that waits forever.
    pub(super) fn hang(&mut self, topic: &str) {
        if let Some(channel) = self.channels.get_mut(topic) {
            channel.hangs = true;
        }
    }

    /// Handles a frame.
    pub(super) async fn handle(&mut self, frame: &Frame, reply_fault: ReplyFault) {
        let topic = frame.topic.as_str();
        let is_store = topic.starts_with("store:");
        match (frame.event.as_str(), self.channels.get(topic)) {
            ("heartbeat", _) if topic == "phoenix" => {
                if !reply_fault.no_reply {
                    self.answer(frame, None, true, "{}");
                }
            }
            ("phx_join", _) if is_store => self.join(frame, reply_fault).await,
            ("phx_leave", None) => self.answer(frame, Some(frame.join_ref.clone()), true, "{}"),
            (_, None) => {
                let unmatched = Object::new().string("reason", "unmatched topic").end();
                self.answer(frame, None, false, &unmatched);
            }
            ("phx_leave", Some(channel)) if channel.join_ref == frame.join_ref => {
                if !reply_fault.no_reply {
                    self.answer(frame, Some(channel.join_ref.clone()), true, "{}");
                }
                self.queue(channel.ended("phx_close"));
                self.remove(topic);
            }
            // A message of an earlier join.
            ("phx_leave", Some(_)) => {}
            (_, Some(channel)) => {
                let context = MessageContext {
                    state: Arc::clone(&self.state),
                    token: Arc::clone(&self.client.token),
                    device_id: Arc::clone(&self.client.device_id),
                    held: channel.held.clone(),
                    topic: Arc::clone(&channel.topic),
                    join_ref: channel.join_ref.clone(),
                    reference: frame.reference.clone(),
                    queue: self.queue.clone(),
                    reply_fault,
                };
                let message = frame.clone();
                let crashed = off_thread(self.threads, move || dispatch(&context, &message)).await;
                if let Err(crash) = crashed.unwrap_or_else(|| Err(Crash("a panic".to_owned()))) {
                    self.crash(topic, &crash);
                }
            }
        }
    }

    async fn join(&mut self, frame: &Frame, reply_fault: ReplyFault) {
        let (state, client) = (Arc::clone(&self.state), self.client.clone());
        let (queue, message) = (self.queue.clone(), frame.clone());
        // The channel ends with its unread messages, which are neither applied nor answered.
        let old = self.remove(&frame.topic);
        let old_end = old.as_ref().map(|channel| channel.ended("phx_close"));
        // From here on no op is pushed to it.
        drop(old);
        let joined =
            off_thread(self.threads, move || channel::join(&state, &client, &message, &queue, reply_fault.no_reply))
                .await;
        match joined {
            Some(Ok(mut channel)) => {
                if reply_fault.no_catch_up {
                    channel.catch_up = None;
                }
                self.channels.insert(frame.topic.clone(), channel);
            }
            Some(Err(Refused(response))) => self.answer(frame, Some(frame.join_ref.clone()), false, &response),
            None => {}
        }
        if let Some(end) = old_end {
            self.queue(end);
        }
    }

    /// Removes a channel with its unread messages.
    fn remove(&mut self, topic: &str) -> Option<Channel> {
        self.unread.retain(|unread| unread.frame.topic != topic);
        self.channels.remove(topic)
    }

    /// Sends the next part of a catch-up.
    pub(super) async fn catch_up(&mut self, topic: &str, hold: Option<usize>) {
        let Some(mut channel) = self.channels.remove(topic) else { return };
        let vsn = self.client.vsn;
        let stepped = off_thread(self.threads, move || {
            let mut frames = Vec::new();
            let stepped = channel.step(vsn, hold, &mut frames);
            (channel, frames, stepped)
        });
        let Some((channel, frames, stepped)) = stepped.await else { return };
        self.channels.insert(topic.to_owned(), channel);
        frames.into_iter().for_each(|frame| self.queue(frame));
        if let Err(crash) = stepped {
            self.crash(topic, &crash);
        }
    }

    /// Continues a catch-up by a number of ops.
    pub(super) async fn catch_up_by(&mut self, ops: usize) {
        let Some(topic) = self.catching_up(None) else { return };
        let sent = self.channels.get(&topic).and_then(|channel| channel.catch_up.as_ref()).map_or(0, |at| at.sent);
        self.catch_up(&topic, Some(sent.saturating_add(ops))).await;
    }

    /// The joined topics, in order.
    pub(super) fn topics(&self) -> Vec<String> {
        self.channels.keys().cloned().collect()
    }

    /// Ends a channel as crashed.
    pub(super) fn crash(&mut self, topic: &str, Crash(reason): &Crash) {
        if let Some(channel) = self.remove(topic) {
            tracing::warn!(target: "dust_emulator", topic, reason, "the channel crashed");
            self.queue(channel.ended("phx_error"));
        }
    }

    /// Answers a frame that no channel answers.
    pub(super) fn answer(&self, frame: &Frame, join_ref: Option<RawJson>, ok: bool, response: &str) {
        self.queue(message_context::reply(
            join_ref,
            frame.reference.clone(),
            &frame.topic.as_str().into(),
            ok,
            response,
        ));
    }
}

/// A message to a joined channel.
fn dispatch(context: &MessageContext, frame: &Frame) -> Result<(), Crash> {
    let unknown = || Crash(format!("the event `{}` with this payload crashes the channel", frame.event));
    let payload = frame.payload.to::<Params>().map_err(|_| unknown());
    let done = match frame.event.as_str() {
        "write" => write::write(context, &payload?, frame.not_utf8.as_deref()),
        "put_file" => put_file::put_file(context, &payload?),
        "rollback" => rollback::rollback(context, &payload?),
        "ack_seq" if payload?.contains_key("seq") => {
            context.reply(true, "{}");
            Ok(())
        }
        "status" => match status::status(context) {
            Ok(status) => {
                context.reply(true, &status);
                Ok(())
            }
            Err(error) => Err(Crash(error.to_string()).into()),
        },
        _ => return Err(unknown()),
    };
    match done {
        Ok(()) => Ok(()),
        Err(Failure::Refused(Refused(response))) => {
            context.reply(false, &response);
            Ok(())
        }
        Err(Failure::Crash(crash)) => Err(crash),
    }
}

/// Runs a function; with threads on one that may wait for the disk. `None` if it panicked there.
async fn off_thread<T: Send + 'static>(threads: bool, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !threads {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}
