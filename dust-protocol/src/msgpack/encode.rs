use super::{MAX_DEPTH, Moment};

/// Why a JSON text cannot be told in MessagePack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// An integer that takes more than 64 bits.
    #[error("the integer {0} takes more than 64 bits, which MessagePack does not have")]
    WideInteger(String),
    /// It is nested deeper than a store takes.
    #[error("it is nested too deep")]
    TooDeep,
    /// It is longer than what MessagePack can count.
    #[error("it is too long")]
    TooLong,
    /// It is not JSON.
    #[error("byte {0} is not JSON")]
    NotJson(usize),
}

/// Appends a JSON text. Integers stay integers and floats stay floats, to the last digit that they have as such; on error
/// what was appended is of no use.
pub fn encode(json: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_with_moment(json, None, out)
}

/// Appends a JSON text; the member `value` of the object that it is becomes a moment, where one is given.
pub fn encode_with_moment(json: &str, moment: Option<Moment>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    // No string in it is longer, and nothing in it has more members.
    if u32::try_from(json.len()).is_err() {
        return Err(EncodeError::TooLong);
    }
    let mut writer = Writer { json, at: 0, moment, out };
    writer.value(0)?;
    writer.skip_space();
    if writer.at == json.len() { Ok(()) } else { Err(writer.not_json()) }
}

struct Writer<'j, 'o> {
    json: &'j str,
    /// How much of it has been read; never in the middle of a character.
    at: usize,
    moment: Option<Moment>,
    out: &'o mut Vec<u8>,
}

impl<'j> Writer<'j, '_> {
    fn not_json(&self) -> EncodeError {
        EncodeError::NotJson(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Goes on behind a byte if it comes next, white space aside.
    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), EncodeError> {
        if self.accept(byte) { Ok(()) } else { Err(self.not_json()) }
    }

    fn value(&mut self, depth: usize) -> Result<(), EncodeError> {
        if depth > MAX_DEPTH {
            return Err(EncodeError::TooDeep);
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", 0xc0),
            Some(b'f') => self.word("false", 0xc2),
            Some(b't') => self.word("true", 0xc3),
            _ => Err(self.not_json()),
        }
    }

    fn word(&mut self, word: &str, byte: u8) -> Result<(), EncodeError> {
        if !self.json.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.not_json());
        }
        self.at += word.len();
        self.out.push(byte);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), EncodeError> {
        self.expect(b'[')?;
        let (start, mut count) = (self.out.len(), 0);
        if !self.accept(b']') {
            loop {
                self.value(depth + 1)?;
                count += 1;
                if self.accept(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.put_before(start, count, (0x90, 16), &[(0xdc, 2), (0xdd, 4)]);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), EncodeError> {
        self.expect(b'{')?;
        let (start, mut count) = (self.out.len(), 0);
        if !self.accept(b'}') {
            loop {
                self.skip_space();
                let is_value = self.string()?;
                self.expect(b':')?;
                let value = self.out.len();
                self.value(depth + 1)?;
                if let Some(moment) = self.moment.filter(|_| depth == 0 && is_value) {
                    self.out.truncate(value);
                    self.put_moment(moment);
                }
                count += 1;
                if self.accept(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.put_before(start, count, (0x80, 16), &[(0xde, 2), (0xdf, 4)]);
        Ok(())
    }

    /// Appends a string; whether it is `value`.
    fn string(&mut self) -> Result<bool, EncodeError> {
        let start = self.at;
        let rest = self.json[start..].strip_prefix('"').ok_or_else(|| self.not_json())?;
        let (mut is_escaped, mut has_escapes) = (false, false);
        let length = rest.bytes().position(|byte| match byte {
            _ if is_escaped => {
                is_escaped = false;
                false
            }
            b'\\' => {
                (is_escaped, has_escapes) = (true, true);
                false
            }
            _ => byte == b'"',
        });
        let length = length.ok_or_else(|| self.not_json())?;
        self.at += length + 2;
        if has_escapes {
            let unescaped: Result<String, _> = serde_json::from_str(&self.json[start..self.at]);
            let unescaped = unescaped.map_err(|_| EncodeError::NotJson(start))?;
            self.put_text(&unescaped);
            return Ok(unescaped == "value");
        }
        self.put_text(&rest[..length]);
        Ok(&rest[..length] == "value")
    }

    fn number(&mut self) -> Result<(), EncodeError> {
        let rest = &self.json[self.at..];
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let token = &rest[..rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len())];
        let digits = token.strip_prefix('-').unwrap_or(token);
        if digits.len() > 1 && digits.starts_with('0') && !digits[1..].starts_with(['.', 'e', 'E']) {
            return Err(self.not_json());
        }
        if token.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            let float: f64 = serde_json::from_str(token).map_err(|_| self.not_json())?;
            self.out.push(0xcb);
            self.out.extend_from_slice(&float.to_be_bytes());
        } else if let Ok(number) = token.parse() {
            self.put_unsigned(number);
        } else if let Ok(number) = token.parse::<i64>() {
            // `-0` is 0, as it is to a server.
            match u64::try_from(number) {
                Ok(number) => self.put_unsigned(number),
                Err(_) => self.put_negative(number),
            }
        } else {
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_integer { EncodeError::WideInteger(shortened(token)) } else { self.not_json() });
        }
        self.at += token.len();
        Ok(())
    }

    fn put_unsigned(&mut self, number: u64) {
        let bytes = number.to_be_bytes();
        let (marker, length) = match number {
            0..0x80 => (bytes[7], 0),
            0x80..0x100 => (0xcc, 1),
            0x100..0x1_0000 => (0xcd, 2),
            0x1_0000..0x1_0000_0000 => (0xce, 4),
            _ => (0xcf, 8),
        };
        self.out.push(marker);
        self.out.extend_from_slice(&bytes[8 - length..]);
    }

    fn put_negative(&mut self, number: i64) {
        let bytes = number.to_be_bytes();
        let (marker, length) = match number {
            -0x20.. => (bytes[7], 0),
            -0x80..-0x20 => (0xd0, 1),
            -0x8000..-0x80 => (0xd1, 2),
            -0x8000_0000..-0x8000 => (0xd2, 4),
            _ => (0xd3, 8),
        };
        self.out.push(marker);
        self.out.extend_from_slice(&bytes[8 - length..]);
    }

    fn put_text(&mut self, text: &str) {
        let start = self.out.len();
        self.put_before(start, text.len(), (0xa0, 32), &[(0xd9, 1), (0xda, 2), (0xdb, 4)]);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn put_moment(&mut self, (seconds, nanos): Moment) {
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

    /// Puts a marker and a length, in as many bytes as it needs, in front of what was appended since.
    fn put_before(&mut self, start: usize, length: usize, short: (u8, usize), longer: &[(u8, usize)]) {
        let bytes = length.to_be_bytes();
        if length < short.1 {
            self.out.splice(start..start, [short.0 | length as u8]);
            return;
        }
        let fitting = longer.iter().find(|(_, width)| *width == 4 || length < 1 << (8 * width));
        if let Some((marker, width)) = fitting {
            self.out.splice(start..start, std::iter::once(*marker).chain(bytes[bytes.len() - width..].iter().copied()));
        }
    }
}

/// A number that is not too long to be read.
fn shortened(token: &str) -> String {
    if token.len() > 40 { format!("{}…", &token[..40]) } else { token.to_owned() }
}
