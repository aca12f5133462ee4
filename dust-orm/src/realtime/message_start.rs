//! The beginning of the message that is arriving: it names the topic, even if the message is too long to be read.

/// Maximum number of bytes of a message that are stored. The topic is its third element, behind two short numbers.
const KEPT: usize = 512;
/// Maximum size of the header of a frame, in bytes: two bytes, eight of its length, four of a mask.
const HEADER: usize = 14;

/// A parser that follows the frames in a stream of bytes, and stores the first bytes of the latest message.
#[derive(Debug, Default)]
pub(super) struct MessageStart {
    header: [u8; HEADER],
    /// The number of received bytes of a header.
    have: usize,
    /// The number of bytes of the frame that are still missing.
    left: u64,
    is_message: bool,
    message: Vec<u8>,
}

impl MessageStart {
    /// The first bytes of the latest message.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// True if further bytes of the message would be stored.
    pub(super) fn wants_more(&self) -> bool {
        self.message.len() < KEPT && (self.left > 0 || self.have > 0)
    }

    /// Consumes the next bytes of the stream.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if self.left > 0 {
                let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (payload, rest) = bytes.split_at(count);
                if self.is_message {
                    let room = KEPT.saturating_sub(self.message.len());
                    self.message.extend_from_slice(&payload[..count.min(room)]);
                }
                self.left -= count as u64;
                bytes = rest;
                continue;
            }
            self.header[self.have] = *first;
            self.have += 1;
            bytes = &bytes[1..];
            self.begin_frame();
        }
    }

    /// Begins a frame if its header is complete.
    fn begin_frame(&mut self) {
        let [first, second, ..] = self.header;
        let (short, mask) = (second & 0x7f, if second & 0x80 == 0 { 0 } else { 4 });
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.have < 2 + extended + mask {
            return;
        }
        let length = self.header[2..2 + extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        self.left = if extended == 0 { u64::from(short) } else { length };
        self.have = 0;
        match first & 0x0f {
            // A further part of the message before.
            0 => self.is_message = true,
            1 | 2 => {
                self.is_message = true;
                self.message.clear();
            }
            // Pings and other control frames may come between the parts of a message.
            _ => self.is_message = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(short as u8),
            middle @ 126..0x1_0000 => {
                frame.push(126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn the_beginning_of_the_latest_message_is_kept_however_its_bytes_come() {
        let long = [b"[1,2,\"store:a/b\"".as_slice(), &[b'x'; 70_000]].concat();
        let stream = [
            frame(0x81, b"[null]"),
            frame(0x81, &[b'y'; 300]),
            frame(0x01, &long[..3]),
            frame(0x89, b"ping"),
            frame(0x00, &long[3..9]),
            frame(0x80, &long[9..]),
        ]
        .concat();
        for pieces in [1, 2, 7, 8_192, stream.len()] {
            let mut beginning = MessageStart::default();
            stream.chunks(pieces).for_each(|piece| beginning.take(piece));
            assert_eq!(beginning.message(), &long[..KEPT], "{pieces}");
            assert!(!beginning.wants_more());
            beginning.take(&frame(0x82, b"short"));
            assert_eq!(beginning.message(), b"short");
        }
    }

    #[test]
    fn more_is_wanted_as_long_as_a_frame_is_not_complete() {
        let mut beginning = MessageStart::default();
        assert!(!beginning.wants_more());
        let frame = frame(0x81, &[b'x'; 1_000]);
        beginning.take(&frame[..3]);
        assert!(beginning.wants_more());
        beginning.take(&frame[3..100]);
        assert!(beginning.wants_more());
        beginning.take(&frame[100..600]);
        assert!(!beginning.wants_more());
    }
}
