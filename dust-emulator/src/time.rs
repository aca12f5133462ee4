//! Moments as text.

/// A moment in ISO 8601, UTC, with as many digits of the second as are asked for (3 or 6).
pub(crate) fn iso(wall_ms: i64, digits: usize) -> String {
    let (days, ms) = (wall_ms.div_euclid(86_400_000), wall_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let zeros = "0".repeat(digits.saturating_sub(3));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}{zeros}Z")
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, u32, u32) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // 400 years have a fixed number of days; within them, walk.
    let mut year = 1970 + 400 * days.div_euclid(146_097);
    let mut left = days.rem_euclid(146_097);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(iso(0, 3), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_795_332_467_168, 6), "2026-11-22T07:27:47.168000Z");
        assert_eq!(iso(951_782_400_000, 3), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(-1, 3), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso(253_402_300_799_999, 3), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso(4_102_444_800_000, 3), "2100-01-01T00:00:00.000Z");
    }
}
