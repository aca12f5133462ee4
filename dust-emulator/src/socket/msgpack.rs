//! MessagePack and back, by way of JSON text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json;
use crate::time;

/// How deep a frame may be nested: a value as deep as a store takes, and what is around it.
const MAX_DEPTH: usize = 120;

/// A moment: seconds since 1970, and nanoseconds.
pub(super) type Moment = (i64, u32);

/// A frame as JSON, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) json: String,
    /// How a server words that a string in it is not UTF-8, which it finds out when it stores it.
    pub(super) not_utf8: Option<String>,
}

/// Reads one value. `None` if the bytes are none, or more.
pub(super) fn decode(bytes: &[u8]) -> Option<Decoded> {
    let mut reader = Reader { rest: bytes, decoded: Decoded { json: String::new(), not_utf8: None } };
    reader.value(0)?;
    reader.rest.is_empty().then_some(reader.decoded)
}

struct Reader<'b> {
    rest: &'b [u8],
    decoded: Decoded,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// A big-endian number of so many bytes.
    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, length: usize) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(length).ok()?;
        Some((self.number(length)? << unused) as i64 >> unused)
    }

    fn length(&mut self, length: usize) -> Option<usize> {
        usize::try_from(self.number(length)?).ok()
    }

    fn push(&mut self, text: &str) {
        self.decoded.json.push_str(text);
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let marker = *self.take(1)?.first()?;
        match marker {
            0x00..=0x7f => self.push(&marker.to_string()),
            0x80..=0x8f => self.map((marker & 0x0f).into(), depth)?,
            0x90..=0x9f => self.array((marker & 0x0f).into(), depth)?,
            0xa0..=0xbf => self.text((marker & 0x1f).into())?,
            0xc0 => self.push("null"),
            0xc1 => return None,
            0xc2 => self.push("false"),
            0xc3 => self.push("true"),
            0xc4..=0xc6 => {
                let length = self.length(1 << (marker - 0xc4))?;
                self.text(length)?;
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (marker - 0xc7))?;
                self.extension(length)?;
            }
            0xca => {
                let bits = u32::try_from(self.number(4)?).ok()?;
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
        Some(())
    }

    fn array(&mut self, length: usize, depth: usize) -> Option<()> {
        self.push("[");
        for at in 0..length {
            if at > 0 {
                self.push(",");
            }
            self.value(depth + 1)?;
        }
        self.push("]");
        Some(())
    }

    fn map(&mut self, length: usize, depth: usize) -> Option<()> {
        self.push("{");
        for at in 0..length {
            if at > 0 {
                self.push(",");
            }
            // A key is a string once it is stored, whatever it was.
            let start = self.decoded.json.len();
            self.value(MAX_DEPTH)?;
            if !self.decoded.json[start..].starts_with('"') {
                let key = self.decoded.json.split_off(start);
                json::push_string(&key, &mut self.decoded.json);
            }
            self.push(":");
            self.value(depth + 1)?;
        }
        self.push("}");
        Some(())
    }

    fn text(&mut self, length: usize) -> Option<()> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => json::push_string(text, &mut self.decoded.json),
            Err(error) => {
                let wrong = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                let shown: Vec<String> = bytes.iter().map(u8::to_string).collect();
                let message = format!("invalid byte 0x{wrong:02X} in <<{}>>", shown.join(", "));
                let mut reason = String::from("%Jason.EncodeError{message: ");
                json::inspect_string(&message, &mut reason);
                reason.push('}');
                self.decoded.not_utf8.get_or_insert(reason);
                json::push_string(&String::from_utf8_lossy(bytes), &mut self.decoded.json);
            }
        }
        Some(())
    }

    fn float(&mut self, float: f64) -> Option<()> {
        float.is_finite().then(|| json::push_float(float, &mut self.decoded.json))
    }

    /// A moment becomes the envelope of one; other extensions mean nothing here.
    fn extension(&mut self, length: usize) -> Option<()> {
        let kind = self.signed(1)?;
        let (seconds, nanos) = match (kind, length) {
            (-1, 4) => (i64::try_from(self.number(4)?).ok()?, 0),
            (-1, 8) => {
                let bits = self.number(8)?;
                (i64::try_from(bits & 0x3_ffff_ffff).ok()?, bits >> 34)
            }
            (-1, 12) => {
                let nanos = self.number(4)?;
                (self.signed(8)?, nanos)
            }
            _ => return None,
        };
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        let text = time::iso_moment(seconds, nanos)?;
        self.push(&format!(r#"{{"_type":"datetime","_typed":"{text}"}}"#));
        Some(())
    }
}

/// Appends a JSON text. An integer beyond 64 bits becomes a float.
pub(super) fn encode(json: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    encode_with_moment(json, None, out)
}

/// Appends a JSON text; the member `value` of the object that it is becomes a moment, where one is given.
pub(super) fn encode_with_moment(
    json: &str,
    moment: Option<Moment>,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Writer { out, moment }.deserialize(&mut deserializer)
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    moment: Option<Moment>,
}

impl Writer<'_> {
    /// A marker, and a length in as many bytes as it needs.
    fn header(&mut self, length: usize, short: (u8, usize), longer: &[(u8, u32)]) {
        if length < short.1 {
            self.out.push(short.0 | length as u8);
            return;
        }
        for (marker, bytes) in longer {
            if *bytes == 4 || length < 1 << (8 * bytes) {
                self.out.push(*marker);
                self.out.extend_from_slice(&(length as u32).to_be_bytes()[4 - *bytes as usize..]);
                return;
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.header(text.len(), (0xa0, 32), &[(0xd9, 1), (0xda, 2), (0xdb, 4)]);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn moment(&mut self, (seconds, nanos): Moment) {
        match (u32::try_from(seconds), u64::try_from(seconds)) {
            (Ok(seconds), _) if nanos == 0 => {
                self.out.extend_from_slice(&[0xd6, 0xff]);
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
            (_, Ok(seconds)) if seconds < 1 << 34 => {
                self.out.extend_from_slice(&[0xd7, 0xff]);
                self.out.extend_from_slice(&(u64::from(nanos) << 34 | seconds).to_be_bytes());
            }
            _ => {
                self.out.extend_from_slice(&[0xc7, 12, 0xff]);
                self.out.extend_from_slice(&nanos.to_be_bytes());
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push(0xc0);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push(0xc2 | u8::from(value));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        let bytes = number.to_be_bytes();
        match number {
            0..0x80 => self.out.push(number as u8),
            0x80..0x100 => self.out.extend_from_slice(&[0xcc, bytes[7]]),
            0x100..0x1_0000 => self.out.extend_from_slice(&[0xcd, bytes[6], bytes[7]]),
            0x1_0000..0x1_0000_0000 => {
                self.out.push(0xce);
                self.out.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.out.push(0xcf);
                self.out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        let bytes = number.to_be_bytes();
        match number {
            -0x20..0 => self.out.push(bytes[7]),
            -0x80..-0x20 => self.out.extend_from_slice(&[0xd0, bytes[7]]),
            -0x8000..-0x80 => self.out.extend_from_slice(&[0xd1, bytes[6], bytes[7]]),
            -0x8000_0000..-0x8000 => {
                self.out.push(0xd2);
                self.out.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.out.push(0xd3);
                self.out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn visit_f64<E>(self, float: f64) -> Result<(), E> {
        self.out.push(0xcb);
        self.out.extend_from_slice(&float.to_be_bytes());
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let (mut body, mut count) = (Vec::new(), 0);
        while items.next_element_seed(Writer { out: &mut body, moment: None })?.is_some() {
            count += 1;
        }
        self.header(count, (0x90, 16), &[(0xdc, 2), (0xdd, 4)]);
        self.out.extend_from_slice(&body);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let (mut body, mut count) = (Vec::new(), 0);
        while let Some(key) = members.next_key::<String>()? {
            let mut writer = Writer { out: &mut body, moment: None };
            writer.text(&key);
            match self.moment {
                Some(moment) if key == "value" => {
                    members.next_value::<IgnoredAny>()?;
                    writer.moment(moment);
                }
                _ => members.next_value_seed(writer)?,
            }
            count += 1;
        }
        if u32::try_from(count).is_err() {
            return Err(A::Error::custom("an object of too many members"));
        }
        self.header(count, (0x80, 16), &[(0xde, 2), (0xdf, 4)]);
        self.out.extend_from_slice(&body);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
