//! Stores that are not followed because their content does not fit here.

use std::time::Duration;

use dust_protocol::channel::FrameError;

use super::phase::Phase;
use super::{STEADY, Session, StoreId};
use crate::error::DustErr;

/// Number of times that the pause doubles for a mirror that is too large: up to eight times as long, 4 minutes.
const MAX_DOUBLINGS: u32 = 3;
/// The same for a frame, whose request costs all stores their connection: up to 128 times as long, about an hour.
const MAX_DOUBLINGS_OF_FRAMES: u32 = 7;
/// Length in bytes above which the store of an unreadable frame is refused, so that the frame is not fetched again at
/// once.
const LONG_FRAME: usize = 1 << 20;

impl Session {
    /// Refuses a store whose outputs do not fit into its mirror, for this reason. The mirror stays as of the op `seq`.
    /// The store is joined again after [`Timing::refused`](super::Timing::refused), then after pauses that double, up
    /// to eight times.
    pub fn refuse(&mut self, now: Duration, store: StoreId, seq: u64, error: DustErr) {
        if store.0 < self.channels.len() {
            self.refuse_oversized(store.0, now, error, MAX_DOUBLINGS);
            self.channels[store.0].rewind_to(seq);
        }
    }

    /// Refuses the store of a frame that is too long: `length` bytes, of at most `limit`. `beginning` is the beginning
    /// of its text, which names its store. The driver has to call [`lost`](Session::lost) next, as the connection
    /// cannot be used any more. The other stores are joined on the next connection, this one after 30 s, then after
    /// pauses that double, up to about an hour.
    pub fn oversized(&mut self, now: Duration, beginning: &[u8], length: usize, limit: usize) {
        let Some(store) = self.sender_of(beginning) else {
            tracing::warn!(length, limit, "a frame is too long, and its store is not known");
            return;
        };
        let name = &self.channels[store].name;
        let error = DustErr::TooLarge {
            what: format!(
                "a frame of the store `{name}`: the server sends {length} bytes or more, of {limit} that are read (a \
                 snapshot is one frame); use the store over HTTP, or keep less in it"
            ),
        };
        self.refuse_oversized(store, now, error, MAX_DOUBLINGS_OF_FRAMES);
    }

    /// Processes a frame that cannot be read, for this reason. A short one is [ignored](Session::unreadable). The store
    /// of a long one is refused, so that the frame is not downloaded repeatedly.
    pub fn unreadable_frame(&mut self, now: Duration, frame: &[u8], error: FrameError) {
        let store = if frame.len() > LONG_FRAME { self.sender_of(&frame[..512]) } else { None };
        let Some(store) = store else { return self.unreadable(now, error) };
        let error = error.map(|text| self.hide(text));
        let name = &self.channels[store].name;
        let what = format!("a frame of {} bytes of the store `{name}`, which cannot be read: {error}", frame.len());
        self.refuse_oversized(store, now, DustErr::TooLarge { what }, MAX_DOUBLINGS);
    }

    /// The store of a frame, by the topic in its beginning; otherwise the only store that is joining or catching up.
    fn sender_of(&self, beginning: &[u8]) -> Option<usize> {
        // Ids and references, which come before, are numbers.
        let text: Vec<u8> = beginning.iter().copied().filter(|byte| *byte != b'\\').collect();
        let at = text.windows(6).position(|bytes| bytes == b"store:");
        let named = at.and_then(|at| {
            let stores = self.channels.iter().enumerate();
            let stores = stores.filter(|(_, channel)| text[at..].starts_with(channel.topic.as_bytes()));
            // The topic of `acme/main` is a prefix of that of `acme/main2`.
            stores.max_by_key(|(_, channel)| channel.topic.len()).map(|(store, _)| store)
        });
        named.or_else(|| {
            let is_fetching = |store: &usize| {
                let phase = &self.channels[*store].phase;
                matches!(phase, Phase::Joining { .. }) || phase.is_catching_up()
            };
            let mut fetching = (0..self.channels.len()).filter(is_fetching);
            fetching.next().filter(|_| fetching.next().is_none())
        })
    }

    /// Refuses a store whose content does not fit, for a pause that doubles each time.
    fn refuse_oversized(&mut self, store: usize, now: Duration, error: DustErr, max_doublings: u32) {
        let channel = &mut self.channels[store];
        // Reset the count if the store was live for `STEADY`.
        let was_steady = channel.useful_since.is_some_and(|since| since + STEADY <= now);
        let overflows = if was_steady { 0 } else { channel.failures.overflows };
        channel.failures.overflows = overflows.saturating_add(1);
        if overflows == 0 {
            tracing::warn!(
                store = %channel.name, %error,
                "a mirror keeps its content; its store is joined again with exponential back-off"
            );
        }
        let pause = self.timing.refused.saturating_mul(1 << overflows.min(max_doublings));
        self.suspend(store, now, pause, error);
        if let Phase::Refused { outlasts_connection, .. } = &mut self.channels[store].phase {
            *outlasts_connection = true;
        }
    }
}
