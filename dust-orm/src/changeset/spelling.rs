//! Converts the times of forms to the spellings that field types read.
//!
//! A browser sends `2026-11-22T20:30` for an input of the type `datetime-local` and `20:30` for `time`. The types of
//! chrono need the seconds; those of the crate `time` also need a fraction, and a space in place of the `T`.

/// The other spellings of a time; none if the text is not a time. For types that need an offset, a date and time
/// without one is in UTC, as in Ecto.
pub(super) fn spellings(text: &str) -> Vec<String> {
    read(text).map(spell).unwrap_or_default()
}

/// The parts of the text of a time.
struct Parts<'a> {
    date: Option<&'a str>,
    /// Hours and minutes.
    clock: &'a str,
    seconds: &'a str,
    /// The digits after the point; empty without a point.
    fraction: &'a str,
    /// `Z`, or hours and minutes with a sign.
    offset: Option<&'a str>,
}

fn spell(Parts { date, clock, seconds, fraction, offset }: Parts<'_>) -> Vec<String> {
    let point = if fraction.is_empty() { "" } else { "." };
    let time = format!("{clock}:{seconds}{point}{fraction}");
    let long = format!("{clock}:{seconds}.{}", if fraction.is_empty() { "0" } else { fraction });
    match (date, offset) {
        (None, _) => vec![time, long],
        (Some(date), None) => vec![
            format!("{date}T{time}"),
            format!("{date} {long}"),
            format!("{date}T{time}Z"),
            format!("{date} {long} +00:00:00"),
        ],
        (Some(date), Some("Z")) => vec![format!("{date}T{time}Z"), format!("{date} {long} +00:00:00")],
        (Some(date), Some(offset)) => vec![format!("{date}T{time}{offset}"), format!("{date} {long} {offset}:00")],
    }
}

fn read(text: &str) -> Option<Parts<'_>> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (Some(date).filter(|date| is_date(date)).map(Some)?, time),
        None => (None, text),
    };
    let (time, offset) = match (date, time.find(['Z', '+', '-'])) {
        (Some(_), Some(at)) => time.split_at_checked(at).map(|(time, offset)| (time, Some(offset)))?,
        _ => (time, None),
    };
    if offset.is_some_and(|offset| offset != "Z" && !is_clock(&offset[1..])) {
        return None;
    }
    let (clock, rest) = time.split_at_checked(5).filter(|(clock, _)| is_clock(clock))?;
    let (seconds, fraction) = match rest.strip_prefix(':') {
        Some(rest) => rest.split_once('.').unwrap_or((rest, "")),
        None if rest.is_empty() => ("00", ""),
        None => return None,
    };
    let is_time = seconds.len() == 2 && are_digits(seconds) && are_digits(fraction);
    is_time.then_some(Parts { date, clock, seconds, fraction, offset })
}

/// The digits after the seconds of a time in any spelling, without trailing zeros; `None` if the text has no time with
/// seconds.
pub(super) fn fraction(text: &str) -> Option<&str> {
    let is_second = |at: &usize| {
        let clock = at.checked_sub(5).and_then(|start| text.get(start..*at));
        clock.is_some_and(is_clock) && text.get(at + 1..at + 3).is_some_and(are_digits)
    };
    let colon = text.match_indices(':').map(|(at, _)| at).find(is_second)?;
    let Some(rest) = text[colon + 3..].strip_prefix('.') else { return Some("") };
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('0'))
}

/// `2026-11-22`
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [year, month, day] if year.len() >= 4 && month.len() == 2 && day.len() == 2)
        && parts.iter().all(|part| are_digits(part))
}

/// `20:30`
fn is_clock(text: &str) -> bool {
    let halves = text.split_once(':');
    halves.is_some_and(|(hours, minutes)| [hours, minutes].iter().all(|half| half.len() == 2 && are_digits(half)))
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::spellings;

    #[test]
    fn time_is_spelled_for_every_type() {
        assert_eq!(spellings("20:30"), ["20:30:00", "20:30:00.0"]);
        assert_eq!(spellings("20:30:15.5"), ["20:30:15.5", "20:30:15.5"]);
        assert_eq!(
            spellings("2026-11-22T20:30"),
            ["2026-11-22T20:30:00", "2026-11-22 20:30:00.0", "2026-11-22T20:30:00Z", "2026-11-22 20:30:00.0 +00:00:00"]
        );
        assert_eq!(spellings("2026-11-22T20:30Z"), ["2026-11-22T20:30:00Z", "2026-11-22 20:30:00.0 +00:00:00"]);
        assert_eq!(
            spellings("2026-11-22 20:30:01-02:30"),
            ["2026-11-22T20:30:01-02:30", "2026-11-22 20:30:01.0 -02:30:00"]
        );
    }

    #[test]
    fn text_that_is_not_a_time_has_no_spelling() {
        for text in [
            "",
            "T",
            "x",
            "2026-11-22",
            "20",
            "2:30",
            "20:3",
            "20:30:",
            "20:30:1",
            "20:30x",
            "20:30Z",
            "T20:30",
            "2026-11-22T",
            "2026-11-22Tx",
            "26-11-22T20:30",
            "2026-11-22T20:30+",
            "2026-11-22T20:30+0200",
            "2026-11-22T20:30Zx",
            "2026-11-22T20:30:00.1x",
            "é2026-11-22T20:30",
            "2026-11-22T20:30+é",
            "20:3é",
        ] {
            assert_eq!(spellings(text), [""; 0], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_does_not_panic(text in "[0-9é:TZ+. -]{0,24}|.{0,12}") {
            spellings(&text);
        }
    }
}
