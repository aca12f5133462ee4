//! Typed envelopes, which are decimals and datetimes written as objects, and the wrappers of values in snapshots.

use super::json::RawJson;
use super::value::{self, Members, ValueError};

/// The largest absolute value of a decimal's exponent: the plain form of a larger one would fill the memory.
const MAX_EXPONENT: i64 = 6144;

/// The value of a leaf as HTTP and catch-ups return it: a decimal or datetime envelope becomes its bare string (a
/// decimal without exponent, a datetime in UTC), anything else stays what it is. An envelope that does not parse stays,
/// too.
///
/// ```
/// use dust_protocol::{RawJson, envelope};
///
/// let stored = RawJson::parse(r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05+02:00"}"#)?;
/// assert_eq!(envelope::to_plain(&stored).as_str(), r#""2026-01-02T01:04:05Z""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn to_plain(value: &RawJson) -> RawJson {
    if !value.is_object() {
        return value.clone();
    }
    match value::members(value.as_str()).map(|members| read(&members)) {
        Ok(Some(Ok(text))) => {
            let mut out = String::with_capacity(text.len() + 2);
            value::push_string(&text, &mut out);
            RawJson::from_trusted(out)
        }
        _ => value.clone(),
    }
}

/// The wrapped form of a leaf's value in a snapshot: `{"_scalar": value}`, or the envelope as it is.
pub fn to_snapshot_leaf(value: &RawJson) -> RawJson {
    if value.is_object() { value.clone() } else { RawJson::from_trusted(format!(r#"{{"_scalar":{value}}}"#)) }
}

/// The value inside the wrapper of a snapshot.
pub fn unwrap(wrapped: &RawJson) -> RawJson {
    if !wrapped.is_object() {
        return wrapped.clone();
    }
    match value::members(wrapped.as_str()) {
        Ok(members) => match members.get("_scalar") {
            Some(scalar) => RawJson::from_trusted(scalar.get()),
            None => wrapped.clone(),
        },
        Err(_) => wrapped.clone(),
    }
}

/// Refuses a decimal or datetime envelope that servers store and cannot read.
pub fn check(members: &Members<'_>) -> Result<(), ValueError> {
    read(members).map_or(Ok(()), |result| result.map(|_| ()))
}

/// The bare text of a decimal or datetime envelope; `None` for every other object.
fn read(members: &Members<'_>) -> Option<Result<String, ValueError>> {
    let typed = members.get("_typed")?.get();
    let kind: String = serde_json::from_str(members.get("_type")?.get()).ok()?;
    let (kind, hint, parse): (_, _, fn(&str) -> Option<String>) = match kind.as_str() {
        "decimal" => ("decimal", "write digits such as \"12.50\", in a string", plain_decimal),
        "datetime" => ("datetime", "write ISO 8601 with an offset, such as \"2026-01-02T03:04:05Z\"", utc_datetime),
        _ => return None,
    };
    let parsed = serde_json::from_str::<String>(typed).ok().and_then(|text| parse(&text));
    Some(parsed.ok_or_else(|| ValueError::BadEnvelope { kind, text: typed.chars().take(60).collect(), hint }))
}

/// The plain form of a decimal, with as many digits after the point as written: `1.20` stays, `1E+3` is `1000`.
fn plain_decimal(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    match unsigned.to_ascii_lowercase().as_str() {
        "nan" => return Some(format!("{sign}NaN")),
        "inf" | "infinity" => return Some(format!("{sign}Infinity")),
        _ => {}
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = exponent - i64::try_from(fraction.len()).ok()?;
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let plain = match usize::try_from(scale) {
        Ok(_) if digits == "0" => digits.to_owned(),
        Ok(zeros) => format!("{digits}{}", "0".repeat(zeros)),
        Err(_) => {
            let after = usize::try_from(scale.unsigned_abs()).ok()?;
            let padded = format!("{digits:0>width$}", width = after + 1);
            let (whole, fraction) = padded.split_at(padded.len() - after);
            format!("{whole}.{fraction}")
        }
    };
    Some(format!("{sign}{plain}"))
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|exponent: &i64| exponent.abs() <= MAX_EXPONENT)
}

/// The seconds from 1970 to an ISO 8601 date and time with an offset, and the nanoseconds of its fraction, of which
/// microseconds are kept.
///
/// ```
/// use dust_protocol::envelope::unix_time;
///
/// assert_eq!(unix_time("1970-01-01T01:00:01.12+01:00"), Some((1, 120_000_000)));
/// assert_eq!(unix_time("1970-01-01"), None);
/// ```
pub fn unix_time(text: &str) -> Option<(i64, u32)> {
    let Timestamp { minutes, second, fraction } = moment(text)?;
    Some((minutes * 60 + second, format!("{fraction:0<9}").parse().ok()?))
}

/// A date and time in UTC.
struct Timestamp<'a> {
    /// Seconds since 1970.
    minutes: i64,
    second: i64,
    /// At most six digits of the fraction of a second.
    fraction: &'a str,
}

/// An ISO 8601 date and time with an offset, shifted to UTC; up to six digits of the fraction stay.
fn utc_datetime(text: &str) -> Option<String> {
    let Timestamp { minutes, second, fraction } = moment(text)?;
    let (year, month, day) = civil_from_days(minutes.div_euclid(1440));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute) = (minutes.rem_euclid(1440) / 60, minutes.rem_euclid(60));
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{fraction}Z"))
}

fn moment(text: &str) -> Option<Timestamp<'_>> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', ' '])?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if hour > 23
        || minute > 59
        || second > 59
        || !(1..=12).contains(&month)
        || !(1..=month_days(year, month)).contains(&day)
    {
        return None;
    }
    let (fraction, offset) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            (&rest[..digits.min(6)], &rest[digits..])
        }
        None => ("", rest),
    };
    let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset_minutes(offset)?;
    Some(Timestamp { minutes, second, fraction })
}

/// Parses numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parsed = [0; N];
    let mut parts = text.split(separator);
    for (slot, width) in parsed.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(parsed)
}

fn offset_minutes(offset: &str) -> Option<i64> {
    if offset == "Z" {
        return Some(0);
    }
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &offset[1..];
    let [hours, minutes] = match digits.len() {
        2 => numbers(digits, ':', [2]).map(|[hours]| [hours, 0])?,
        4 => [numbers::<1>(digits.get(..2)?, ':', [2])?[0], numbers::<1>(digits.get(2..)?, ':', [2])?[0]],
        _ => numbers(digits, ':', [2, 2])?,
    };
    // ISO 8601 has no negative zero offset, and neither has the server.
    if hours > 23 || minutes > 59 || (sign < 0 && hours == 0 && minutes == 0) {
        return None;
    }
    Some(sign * (hours * 60 + minutes))
}

/// The ISO 8601 form in UTC of a time in milliseconds since 1970, with 3 or 6 digits of the fraction of a second, as a
/// server writes it.
///
/// ```
/// use dust_protocol::envelope::iso;
///
/// assert_eq!(iso(1_795_332_467_168, 6), "2026-11-22T07:27:47.168000Z");
/// ```
pub fn iso(wall_ms: i64, digits: usize) -> String {
    let (year, month, day) = civil_from_days(wall_ms.div_euclid(86_400_000));
    let ms = wall_ms.rem_euclid(86_400_000);
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let zeros = "0".repeat(digits.saturating_sub(3));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}{zeros}Z")
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_has_three_or_six_digits_of_a_second() {
        assert_eq!(iso(0, 3), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_000, 3), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(-1, 3), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso(253_402_300_799_999, 3), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso(4_102_444_800_000, 6), "2100-01-01T00:00:00.000000Z");
        assert!(iso(i64::MAX, 3).ends_with('Z') && iso(i64::MIN, 3).ends_with('Z'));
    }

    #[test]
    fn plain_decimal_loses_only_its_exponent() {
        let table = [
            ("1.20", "1.20"),
            ("1E+3", "1000"),
            ("1e3", "1000"),
            ("1.5E-2", "0.015"),
            ("1.50E1", "15.0"),
            ("-0.10", "-0.10"),
            ("+7", "7"),
            ("007.50", "7.50"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0E+5", "0"),
            ("-0", "-0"),
            ("NaN", "NaN"),
            ("-inf", "-Infinity"),
            ("123456789012345678901234567890.12", "123456789012345678901234567890.12"),
        ];
        for (written, plain) in table {
            assert_eq!(plain_decimal(written).as_deref(), Some(plain), "{written}");
        }
        for wrong in ["", "-", ".", "abc", "1.2.3", "1e", "e5", "1e+", "1e9999999", "1 ", "1,5", "--1", "٣"] {
            assert_eq!(plain_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn datetime_is_shifted_to_utc() {
        let table = [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02T03:04:05.120000Z", "2026-01-02T03:04:05.120000Z"),
            ("2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
            ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"),
            ("2024-02-28T23:30:00-0100", "2024-02-29T00:30:00Z"),
            ("2026-01-02 03:04:05+05", "2026-01-01T22:04:05Z"),
        ];
        for (written, utc) in table {
            assert_eq!(utc_datetime(written).as_deref(), Some(utc), "{written}");
        }
        for wrong in [
            "nope",
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-13-02T03:04:05Z",
            "2025-02-29T03:04:05Z",
            "2026-01-00T03:04:05Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+1",
            "2026-01-02T03:04:05-00:00",
            "2026-01-02T03:04:05Zx",
            "0000-01-01T00:00:00+01:00",
            "éééééé-01-02T03:04:05Z",
        ] {
            assert_eq!(utc_datetime(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bare_form_changes_only_decimals_and_datetimes() {
        let raw = |text: &str| RawJson::parse(text).unwrap();
        assert_eq!(to_plain(&raw(r#"{"_type":"decimal","_typed":"1.20","extra":1}"#)), raw("\"1.20\""));
        for text in [
            r#"{"_type":"other","_typed":"x"}"#,
            r#"{"_type":"file"}"#,
            r#"{"_type":"decimal","_typed":"abc"}"#,
            r#"[{"_type":"decimal","_typed":"1.20"}]"#,
            "1",
            "null",
        ] {
            assert_eq!(to_plain(&raw(text)), raw(text));
        }
    }

    #[test]
    fn snapshot_wraps_all_but_envelopes() {
        let raw = |text: &str| RawJson::parse(text).unwrap();
        assert_eq!(to_snapshot_leaf(&raw("[1]")), raw(r#"{"_scalar":[1]}"#));
        assert_eq!(to_snapshot_leaf(&raw("null")), raw(r#"{"_scalar":null}"#));
        assert_eq!(to_snapshot_leaf(&raw(r#"{"_type":"lease"}"#)), raw(r#"{"_type":"lease"}"#));
        for text in ["null", "1", "\"x\"", "[{}]", r#"{"_type":"decimal","_typed":"1"}"#] {
            assert_eq!(unwrap(&to_snapshot_leaf(&raw(text))), raw(text));
        }
    }

    proptest! {
        #[test]
        fn days_count_there_and_back(days in -800_000_i64..3_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert!((1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day));
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            let _ = (plain_decimal(&text), utc_datetime(&text));
        }

        #[test]
        fn plain_decimals_stay(whole in 0_u64.., fraction in "[0-9]{0,12}") {
            let text = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            prop_assert_eq!(plain_decimal(&text), Some(text));
        }
    }
}
