//! Times as text.

pub(crate) use dust_protocol::envelope::iso;

/// Parses an ISO 8601 time in UTC to the seconds since 1970 and nanoseconds.
pub(crate) fn moment(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked("2026-01-02T03:04:05".len())?;
    let number = |at: std::ops::Range<usize>| {
        let digits = whole.get(at)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let nanos = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits:0<9}").parse().ok()?
        }
        _ => return None,
    };
    // A year that begins in March ends with its leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_time_parses_to_itself() {
        for seconds in [0, -1, 951_782_400, 1_795_332_467, 253_402_300_799, -62_167_219_200, 68_169_600] {
            let text = iso(seconds * 1000, 3);
            assert_eq!(moment(&text), Some((seconds, 0)), "{text}");
        }
        assert_eq!(moment("1970-01-01T00:00:01.120000Z"), Some((1, 120_000_000)));
        for text in
            ["", "Z", "1970-01-01T00:00:01", "1970-01-01T00:00:01.Z", "1970-01-01Tx0:00:01Z", "é970-01-01T00:00:01Z"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
