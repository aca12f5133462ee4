use super::MAX_DEPTH;
use crate::channel::MAX_INCOMING;
use crate::envelope::iso;
use crate::value::{push_float, push_string};

/// What becomes of a moment, which JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moments {
    /// A string of ISO 8601, as a server writes it in JSON frames.
    Text,
    /// A datetime envelope, as a store keeps it.
    Envelope,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The JSON text.
    pub json: String,
    /// The first string that is not UTF-8; in the text its bad bytes are replaced.
    pub not_utf8: Option<NotUtf8>,
}

/// A string that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Where the first bad one is.
    pub bad_at: usize,
}

/// Why bytes are not one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MessagePack that cannot be read: {what}, {left} bytes before the end")]
pub struct DecodeError {
    what: &'static str,
    left: usize,
}

/// Reads one value.
///
/// Refuses what is cut off or followed by something, bytes that mean nothing, floats that are not finite, extensions other
/// than a moment, values nested too deep, and what would be more than [`MAX_INCOMING`] bytes of JSON. A key that is not a
/// string becomes one.
pub fn decode(bytes: &[u8], moments: Moments) -> Result<Decoded, DecodeError> {
    decode_within(bytes, moments, MAX_INCOMING)
}

pub(super) fn decode_within(bytes: &[u8], moments: Moments, most: usize) -> Result<Decoded, DecodeError> {
    let json = String::with_capacity(bytes.len().saturating_mul(2).min(most));
    let mut reader = Reader { rest: bytes, moments, most, decoded: Decoded { json, not_utf8: None } };
    match reader.value(0) {
        Ok(()) if reader.rest.is_empty() => Ok(reader.decoded),
        Ok(()) => Err(DecodeError { what: "something follows", left: reader.rest.len() }),
        Err(what) => Err(DecodeError { what, left: reader.rest.len() }),
    }
}

struct Reader<'b> {
    rest: &'b [u8],
    moments: Moments,
    /// How long the text may become.
    most: usize,
    decoded: Decoded,
}

type Read<T> = Result<T, &'static str>;

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Read<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it is cut off")?;
        self.rest = rest;
        Ok(taken)
    }

    /// A big-endian number of at most eight bytes.
    fn number(&mut self, length: usize) -> Read<u64> {
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, length: usize) -> Read<i64> {
        let unused = 64 - 8 * length;
        Ok((self.number(length)? << unused) as i64 >> unused)
    }

    fn length(&mut self, length: usize) -> Read<usize> {
        usize::try_from(self.number(length)?).map_err(|_| "it is longer than memory")
    }

    fn push(&mut self, text: &str) {
        self.decoded.json.push_str(text);
    }

    fn value(&mut self, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep");
        }
        let marker = self.number(1)? as u8;
        match marker {
            0x00..=0x7f => self.push(&marker.to_string()),
            0x80..=0x8f => self.map((marker & 0x0f).into(), depth)?,
            0x90..=0x9f => self.array((marker & 0x0f).into(), depth)?,
            0xa0..=0xbf => self.text((marker & 0x1f).into())?,
            0xc0 => self.push("null"),
            0xc1 => return Err("a byte that means nothing"),
            0xc2 => self.push("false"),
            0xc3 => self.push("true"),
            // Bytes, which a server takes for text.
            0xc4..=0xc6 => {
                let length = self.length(1 << (marker - 0xc4))?;
                self.text(length)?;
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (marker - 0xc7))?;
                self.extension(length)?;
            }
            0xca => {
                let bits = self.number(4)? as u32;
                self.float(f32::from_bits(bits).into())?;
            }
            0xcb => {
                let bits = self.number(8)?;
                self.float(f64::from_bits(bits))?;
            }
            0xcc..=0xcf => {
                let number = self.number(1 << (marker - 0xcc))?;
                self.push(&number.to_string());
            }
            0xd0..=0xd3 => {
                let number = self.signed(1 << (marker - 0xd0))?;
                self.push(&number.to_string());
            }
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let length = self.length(1 << (marker - 0xd9))?;
                self.text(length)?;
            }
            0xdc | 0xdd => {
                let length = self.length(2 << (marker - 0xdc))?;
                self.array(length, depth)?;
            }
            0xde | 0xdf => {
                let length = self.length(2 << (marker - 0xde))?;
                self.map(length, depth)?;
            }
            0xe0..=0xff => self.push(&(marker as i8).to_string()),
        }
        if self.decoded.json.len() > self.most { Err("it is too long") } else { Ok(()) }
    }

    fn array(&mut self, length: usize, depth: usize) -> Read<()> {
        self.push("[");
        for at in 0..length {
            if at > 0 {
                self.push(",");
            }
            self.value(depth + 1)?;
        }
        self.push("]");
        Ok(())
    }

    fn map(&mut self, length: usize, depth: usize) -> Read<()> {
        self.push("{");
        for at in 0..length {
            if at > 0 {
                self.push(",");
            }
            let start = self.decoded.json.len();
            // A key holds nothing.
            self.value(MAX_DEPTH)?;
            if !self.decoded.json[start..].starts_with('"') {
                let key = self.decoded.json.split_off(start);
                push_string(&key, &mut self.decoded.json);
            }
            self.push(":");
            self.value(depth + 1)?;
        }
        self.push("}");
        Ok(())
    }

    fn text(&mut self, length: usize) -> Read<()> {
        let bytes = self.take(length)?;
        self.check_room(bytes)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => push_string(text, &mut self.decoded.json),
            Err(error) => {
                let not_utf8 = || NotUtf8 { bytes: bytes.to_vec(), bad_at: error.valid_up_to() };
                self.decoded.not_utf8.get_or_insert_with(not_utf8);
                push_string(&String::from_utf8_lossy(bytes), &mut self.decoded.json);
            }
        }
        Ok(())
    }

    /// Refuses a string that would be too long once it is escaped, before it is.
    fn check_room(&self, bytes: &[u8]) -> Read<()> {
        let room = self.most.saturating_sub(self.decoded.json.len());
        let escaped = |byte: &u8| match byte {
            0..0x20 => 6,
            b'"' | b'\\' => 2,
            0x20..0x80 => 1,
            // If it is not UTF-8, another character stands in its place.
            0x80.. => 3,
        };
        // Nothing grows more than that.
        if bytes.len() <= room / 6 || bytes.iter().map(escaped).sum::<usize>() <= room {
            return Ok(());
        }
        Err("it is too long")
    }

    fn float(&mut self, float: f64) -> Read<()> {
        if !float.is_finite() {
            return Err("a float that is not finite");
        }
        push_float(float, &mut self.decoded.json);
        Ok(())
    }

    fn extension(&mut self, length: usize) -> Read<()> {
        let kind = self.signed(1)?;
        let (seconds, nanos) = match (kind, length) {
            (-1, 4) => (self.number(4)? as i64, 0),
            (-1, 8) => {
                let bits = self.number(8)?;
                ((bits & 0x3_ffff_ffff) as i64, bits >> 34)
            }
            (-1, 12) => {
                let nanos = self.number(4)?;
                (self.signed(8)?, nanos)
            }
            _ => return Err("an extension that is not known"),
        };
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        let text = nanos.and_then(|nanos| iso_text(seconds, nanos)).ok_or("a moment beyond the calendar")?;
        match self.moments {
            Moments::Text => push_string(&text, &mut self.decoded.json),
            Moments::Envelope => self.push(&format!(r#"{{"_type":"datetime","_typed":"{text}"}}"#)),
        }
        Ok(())
    }
}

/// A moment in ISO 8601, UTC, with the digits of the second that it has, down to microseconds. `None` outside the years 0
/// to 9999.
fn iso_text(seconds: i64, nanos: u32) -> Option<String> {
    let whole = iso(seconds.checked_mul(1000)?, 3);
    let whole = whole.strip_suffix(".000Z").filter(|whole| whole.len() == "2026-01-02T03:04:05".len())?;
    let micros = format!("{:06}", nanos / 1000);
    let fraction = micros.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{whole}Z") } else { format!("{whole}.{fraction}Z") })
}
