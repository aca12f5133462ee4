//! Base64 of files, in the standard alphabet with padding.

/// The bytes, or `None` for a text that is not base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let mut word = 0;
    let digits = &bytes[..bytes.len() - padding];
    for (at, byte) in digits.iter().enumerate() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        // Two digits make the first byte of a group, and each further digit one more.
        match at % 4 {
            1 => out.push((word >> 4) as u8),
            2 => out.push((word >> 2) as u8),
            3 => out.push(word as u8),
            _ => {}
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base64_is_decoded() {
        let table = [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("aGVsbG8=", "hello"), ("aGk=", "hi")];
        for (text, expected) in table {
            assert_eq!(decode(text).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(decode("+//+").unwrap(), [0xfb, 0xff, 0xfe]);
    }

    #[test]
    fn invalid_base64_is_refused() {
        for text in ["!!!", "Zg", "Zg=", "Zg=x", "Z===", "====", "Zm9v\n", "Zm-_", "=Zg="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
