//! Mutations of valid input.

use chaos::dice::Dice;

/// Replacements for a number.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345",
    "1e999",
    "-0.0",
    "1.5",
    "null",
    "\"7\"",
];

/// Replacements for a string.
const STRINGS: [&str; 24] = [
    "",
    "/",
    "~",
    "~2",
    "~1",
    "a//b",
    "*",
    "**",
    "\\\\*",
    "..",
    "links/../other",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "LINKS/DUST",
    "event",
    "snapshot",
    "phx_reply",
    "set",
    "put_file",
    "x:18446744073709551615",
    "2026-99-99T99:99:99Z",
    "sha256:zz",
    "$json",
];

/// Generates arbitrary bytes.
pub fn noise(dice: &mut Dice, most: usize) -> Vec<u8> {
    let len = dice.index(most + 1);
    // Most parsers read JSON.
    let signs = b"[]{}\",:\\0123456789eE+-.tfn ~/*";
    (0..len)
        .map(|_| if dice.percent(60) { signs[dice.index(signs.len())] } else { dice.below(256).to_le_bytes()[0] })
        .collect()
}

/// Mutates a text at some places, or at none.
pub fn mutate(dice: &mut Dice, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..dice.within(0, 4) {
        change(dice, &mut bytes, other);
    }
    bytes
}

/// Mutates a text that stays UTF-8, like the frames of a WebSocket.
pub fn mutate_text(dice: &mut Dice, text: &str, other: &str) -> String {
    String::from_utf8_lossy(&mutate(dice, text.as_bytes(), other.as_bytes())).into_owned()
}

fn change(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    let kind = dice.below(12);
    if bytes.is_empty() {
        bytes.extend(noise(dice, 20));
        return;
    }
    let at = dice.index(bytes.len());
    match kind {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes.truncate(at),
        2 => {
            let some = noise(dice, 12);
            bytes.splice(at..at, some);
        }
        3 => {
            let end = (at + 1 + dice.index(30)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let end = (at + 1 + dice.index(60)).min(bytes.len());
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        // Joins the beginning of one text and the end of another.
        5 if !other.is_empty() => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[dice.index(other.len())..]);
        }
        6..=7 => replace(dice, bytes, at, number_around, |dice| NUMBERS[dice.index(NUMBERS.len())].as_bytes().to_vec()),
        8..=9 => replace(dice, bytes, at, string_around, |dice| {
            if dice.percent(5) {
                let len = 1 + dice.index(50_000);
                return vec![b'x'; len];
            }
            STRINGS[dice.index(STRINGS.len())].as_bytes().to_vec()
        }),
        // Removes or doubles a member.
        10 => {
            if let Some((from, to)) = member_around(bytes, at) {
                if dice.percent(50) {
                    bytes.drain(from..to);
                } else {
                    let again = bytes[from..to].to_vec();
                    bytes.splice(from..from, again);
                }
            }
        }
        // Nests a value deeply.
        _ => replace(dice, bytes, at, number_around, |dice| {
            let depth = [3, 60, 126, 127, 128, 129, 1_000, 30_000][dice.index(8)];
            if dice.percent(50) {
                [vec![b'['; depth], b"1".to_vec(), vec![b']'; depth]].concat()
            } else {
                [r#"{"a":"#.repeat(depth).into_bytes(), b"1".to_vec(), vec![b'}'; depth]].concat()
            }
        }),
    }
}

fn replace(
    dice: &mut Dice,
    bytes: &mut Vec<u8>,
    at: usize,
    around: impl Fn(&[u8], usize) -> Option<(usize, usize)>,
    by: impl Fn(&mut Dice) -> Vec<u8>,
) {
    if let Some((from, to)) = around(bytes, at) {
        bytes.splice(from..to, by(dice));
    }
}

/// The range of the number at a position, or of the next one after it.
fn number_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
    let before = bytes[..from].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let after = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((from - before, from + after))
}

/// The range of the next string's content, up to an escape.
fn string_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = at + 1 + bytes[at..].iter().position(|byte| *byte == b'"')?;
    let len = bytes[from..].iter().position(|byte| *byte == b'"')?;
    Some((from, from + len))
}

/// The range between two commas.
fn member_around(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let from = at + bytes[at..].iter().position(|byte| *byte == b',')?;
    let len = 1 + bytes[from + 1..].iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?;
    Some((from, from + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_makes_same_change_and_every_kind_happens() {
        let good = br#"{"path":"links/dust","value":{"n":17},"revision":3,"items":[1,2,3]}"#;
        let all = |seed| {
            let mut dice = Dice::new(seed);
            (0..2_000).map(|_| mutate(&mut dice, good, b"[4,5]")).collect::<Vec<_>>()
        };
        let made = all(1);
        assert_eq!(made, all(1));
        assert_ne!(made, all(2));
        let has = |part: &[u8]| made.iter().any(|bytes| bytes.windows(part.len()).any(|window| window == part));
        for part in [
            &b"18446744073709551616"[..],
            b"[[[[[[[",
            b"{\"a\":{\"a\":",
            b"\\ud800",
            b"revision\":3,\"items\":[1,2,2,3]",
        ] {
            assert!(has(part), "{}", String::from_utf8_lossy(part));
        }
        assert!(made.iter().any(|bytes| bytes == good) && made.iter().any(|bytes| bytes.len() < 10));
        assert!(made.iter().any(|bytes| serde_json::from_slice::<serde_json::Value>(bytes).is_ok() && bytes != good));
    }
}
