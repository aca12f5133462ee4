//! Decimal numbers of arbitrary precision, read from text without rounding.

use std::cmp::Ordering;

/// A number of any size and precision: `0.d1d2d3… × 10^point`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// The digits from the first to the last that is not zero; empty for zero.
    digits: String,
    /// The number of digits before the decimal point; negative if zeros follow the point.
    point: i64,
}

impl Decimal {
    /// Reads an optional sign, digits with an optional point, and an optional exponent, as in `-12.50` and `1e-7`.
    pub(super) fn read(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            // With an exponent of at most 32 bits, `point` below cannot overflow.
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut all = whole.bytes().chain(fraction.bytes());
        if !all.all(|byte| byte.is_ascii_digit()) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let written = [whole, fraction].concat();
        let significant = written.trim_start_matches('0');
        let leading = written.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, point: 0 });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + exponent;
        Some(Decimal { negative, digits, point })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The number of significant digits: from the first to the last digit that is not zero.
    pub(super) fn significant(&self) -> usize {
        self.digits.len()
    }

    pub(super) fn compare(&self, other: &Decimal) -> Ordering {
        let sign = |number: &Decimal| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then(if self.negative { size.reverse() } else { size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_compare_by_their_digits() {
        let order =
            ["-1e40", "-10.5", "-10", "-0.01", "0", "1e-30", "0.0999", "0.1", "1", "9.99", "10", "1E+30", "1e31"];
        for (index, one) in order.iter().enumerate() {
            for (other_index, other) in order.iter().enumerate() {
                let (one, other) = (Decimal::read(one).unwrap(), Decimal::read(other).unwrap());
                assert_eq!(one.compare(&other), index.cmp(&other_index), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn equal_numbers_in_different_notation_are_equal() {
        for (one, other) in [
            ("12.50", "12.5"),
            ("0012", "+12."),
            (".5", "0.5"),
            ("-0.0", "0"),
            ("0e9", "-.0"),
            ("1e3", "1000"),
            ("1.5e-2", "0.015"),
        ] {
            assert_eq!(Decimal::read(one), Decimal::read(other), "{one} {other}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_is_refused() {
        for text in ["", "-", ".", "1_000", " 1", "1 ", "--1", "1e", "1e1.5", "e5", "0x1", "inf", "NaN", "1.2.3", "١"]
        {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
    }
}
