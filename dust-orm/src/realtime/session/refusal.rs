//! Stores that are not followed, as what their server sends is not taken here.

use std::time::Duration;

use dust_protocol::channel::FrameError;

use super::channel::Phase;
use super::{STEADY, Session, StoreId};
use crate::error::DustErr;

/// How often the pause is doubled before a store is asked again whose mirror is too large: up to eight times as long.
const MAX_DOUBLINGS: u32 = 3;
/// The same where asking costs all stores their connection: up to 128 times as long, about an hour.
const MAX_DOUBLINGS_OF_FRAMES: u32 = 7;
/// A frame that cannot be read and is longer than this is not asked for again at once.
const LONG_FRAME: usize = 1 << 20;

impl Session {
    /// What was handed out for a store was not taken, for this reason: its mirror stays as of the op `seq`. It is asked for
    /// again as late as a store that is refused by the server, and after each further refusal twice as late, up to eight times.
    pub fn refuse(&mut self, now: Duration, store: StoreId, seq: u64, error: DustErr) {
        if store.0 < self.channels.len() {
            self.leave_for_long(store.0, now, error, MAX_DOUBLINGS);
            self.channels[store.0].rewind_to(seq);
        }
    }

    /// A frame was longer than may be read: `length` bytes, of `limit`. `beginning` is the beginning of its text, which names its
    /// store. The connection is of no use after that and has to be [lost](Session::lost) next; on the next one this store is
    /// left alone, for half a minute at first and for an hour at last, and the others go on.
    pub fn oversized(&mut self, now: Duration, beginning: &[u8], length: usize, limit: usize) {
        let Some(store) = self.sender_of(beginning) else {
            tracing::warn!(length, limit, "a frame is too long, and of no store that is known");
            return;
        };
        let name = &self.channels[store].name;
        let error = DustErr::TooLarge {
            what: format!(
                "a frame of the store `{name}`: the server sends {length} bytes or more, of {limit} that are read (a snapshot \
                 is one frame); use the store over HTTP, or keep less in it"
            ),
        };
        self.leave_for_long(store, now, error, MAX_DOUBLINGS_OF_FRAMES);
    }

    /// A frame has arrived that cannot be read, for this reason. A short one is [ignored](Session::unreadable); a long one, which
    /// would be downloaded again and again, has its store refused.
    pub fn unreadable_frame(&mut self, now: Duration, frame: &[u8], error: FrameError) {
        let store = if frame.len() > LONG_FRAME { self.sender_of(&frame[..512]) } else { None };
        let Some(store) = store else { return self.unreadable(now, error) };
        let error = error.map(|text| self.hide(text));
        let name = &self.channels[store].name;
        let what = format!("a frame of {} bytes of the store `{name}`, which cannot be read: {error}", frame.len());
        self.leave_for_long(store, now, DustErr::TooLarge { what }, MAX_DOUBLINGS);
    }

    /// The store that a frame is of, by its beginning. If that does not tell, it is the only one that is joining or catching up.
    fn sender_of(&self, beginning: &[u8]) -> Option<usize> {
        // Ids and references, which come before, are numbers.
        let text: Vec<u8> = beginning.iter().copied().filter(|byte| *byte != b'\\').collect();
        let at = text.windows(6).position(|bytes| bytes == b"store:");
        let named = at.and_then(|at| {
            let stores = self.channels.iter().enumerate();
            let stores = stores.filter(|(_, channel)| text[at..].starts_with(channel.topic.as_bytes()));
            // `acme/main2` begins as `acme/main` does.
            stores.max_by_key(|(_, channel)| channel.topic.len()).map(|(store, _)| store)
        });
        named.or_else(|| {
            let is_coming =
                |store: &usize| matches!(self.channels[*store].phase, Phase::Joining { .. } | Phase::CatchingUp { .. });
            let mut coming = (0..self.channels.len()).filter(is_coming);
            coming.next().filter(|_| coming.next().is_none())
        })
    }

    /// Refuses a store over what is likely to come again, longer each time.
    fn leave_for_long(&mut self, store: usize, now: Duration, error: DustErr, max_doublings: u32) {
        let channel = &mut self.channels[store];
        // Reset the count if the store was live for a while.
        if channel.useful_since.is_some_and(|since| since + STEADY <= now) {
            channel.overflows = 0;
        }
        if channel.overflows == 0 {
            tracing::warn!(
                store = %channel.name, %error,
                "a mirror stays as it was; its store is asked again with growing pauses"
            );
        }
        let pause = self.timing.refused.saturating_mul(1 << channel.overflows.min(max_doublings));
        channel.overflows = channel.overflows.saturating_add(1);
        self.suspend(store, now, pause, error);
        if let Phase::Refused { is_lasting, .. } = &mut self.channels[store].phase {
            *is_lasting = true;
        }
    }
}
