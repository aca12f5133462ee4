use std::cmp::Ordering;
use std::fmt;
use std::ops::{Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive};

use crate::changeset::decimal::Decimal;
use crate::changeset::value::{View, widen};
use crate::changeset::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::{FieldError, Param};

/// The accepted numbers, for [`validate_number`](Changeset::validate_number): a range, or comparisons joined with
/// [`and`](Number::and).
///
/// ```
/// use dust_orm::changeset::Number;
///
/// let price = Number::greater_than(0).and(Number::less_than(9.99));
/// let stars = Number::from(1..=5);
/// assert_eq!(stars, Number::greater_than_or_equal_to(1).and(Number::less_than_or_equal_to(5)));
/// # assert_ne!(price, stars);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number {
    /// One bound per comparison, in the order of [`COMPARISONS`].
    bounds: [Option<Amount>; COMPARISONS.len()],
}

/// An integer or floating-point number to compare with. Every number type but `u128` converts into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(Inner);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Inner {
    Int(i128),
    Float(f64),
}

struct Comparison {
    kind: &'static str,
    message: &'static str,
    holds: fn(Ordering) -> bool,
}

const LESS: usize = 0;
const GREATER: usize = 1;
const AT_MOST: usize = 2;
const AT_LEAST: usize = 3;
const EQUAL: usize = 4;
const NOT_EQUAL: usize = 5;

const COMPARISONS: [Comparison; 6] = [
    Comparison { kind: "less_than", message: "must be less than %{number}", holds: Ordering::is_lt },
    Comparison { kind: "greater_than", message: "must be greater than %{number}", holds: Ordering::is_gt },
    Comparison {
        kind: "less_than_or_equal_to",
        message: "must be less than or equal to %{number}",
        holds: Ordering::is_le,
    },
    Comparison {
        kind: "greater_than_or_equal_to",
        message: "must be greater than or equal to %{number}",
        holds: Ordering::is_ge,
    },
    Comparison { kind: "equal_to", message: "must be equal to %{number}", holds: Ordering::is_eq },
    Comparison { kind: "not_equal_to", message: "must be not equal to %{number}", holds: Ordering::is_ne },
];

impl Number {
    /// Accepts values below a number.
    pub fn less_than(number: impl Into<Amount>) -> Number {
        Number::only(LESS, number)
    }

    /// Accepts values above a number.
    pub fn greater_than(number: impl Into<Amount>) -> Number {
        Number::only(GREATER, number)
    }

    /// Accepts a number and values below it.
    pub fn less_than_or_equal_to(number: impl Into<Amount>) -> Number {
        Number::only(AT_MOST, number)
    }

    /// Accepts a number and values above it.
    pub fn greater_than_or_equal_to(number: impl Into<Amount>) -> Number {
        Number::only(AT_LEAST, number)
    }

    /// Accepts only one number.
    pub fn equal_to(number: impl Into<Amount>) -> Number {
        Number::only(EQUAL, number)
    }

    /// Accepts every value but one number.
    pub fn not_equal_to(number: impl Into<Amount>) -> Number {
        Number::only(NOT_EQUAL, number)
    }

    /// Joins two conditions. Of two comparisons of the same kind the one of `other` counts.
    pub fn and(mut self, other: Number) -> Number {
        for (bound, more) in self.bounds.iter_mut().zip(other.bounds) {
            *bound = more.or(*bound);
        }
        self
    }

    fn only(comparison: usize, number: impl Into<Amount>) -> Number {
        let mut number_rule = Number::default();
        number_rule.bounds[comparison] = Some(number.into());
        number_rule
    }

    fn check(self, value: View<'_>) -> Option<FieldError> {
        for (comparison, bound) in COMPARISONS.iter().zip(self.bounds) {
            let Some(bound) = bound else { continue };
            let Some(order) = compare(value, bound) else {
                return Some(FieldError::new("is invalid", "number"));
            };
            if !(comparison.holds)(order) {
                let error = FieldError::new(comparison.message, "number").with("kind", comparison.kind);
                return Some(error.with("number", bound));
            }
        }
        None
    }
}

/// Compares a value with a number, exactly; `None` if the value is not a number.
fn compare(value: View<'_>, with: Amount) -> Option<Ordering> {
    match (value, with.0) {
        (View::Int(one), Inner::Int(other)) => Some(one.cmp(&other)),
        (View::Float(one), Inner::Float(other)) => one.partial_cmp(&other),
        (View::Int(one), Inner::Float(other)) => compare_mixed(one, other),
        (View::Float(one), Inner::Int(other)) => compare_mixed(other, one).map(Ordering::reverse),
        (View::Single(one), Inner::Int(other)) => compare_mixed(other, one.into()).map(Ordering::reverse),
        // The `f32` 0.1 and the `f64` 0.1 differ; the bound 0.1 of an `f32` field means the `f32`.
        (View::Single(one), Inner::Float(other)) => one.partial_cmp(&(other as f32)),
        // Decimals serialize as texts, which preserve every digit.
        (View::Str(text), Inner::Float(bound)) if bound.is_infinite() => {
            Decimal::read(text).map(|_| if bound > 0.0 { Ordering::Less } else { Ordering::Greater })
        }
        (View::Str(text), _) => Some(Decimal::read(text)?.compare(&Decimal::read(&with.to_string())?)),
        _ => None,
    }
}

/// Compares without rounding either number to the type of the other.
pub(super) fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    // 2^127, which is exact as a float: every i128 is less than it, and at least its negative.
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = int.cmp(&(float.trunc() as i128));
    Some(whole.then(0.0_f64.partial_cmp(&float.fract())?))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Inner::Int(number) => number.fmt(f),
            Inner::Float(number) => number.fmt(f),
        }
    }
}

impl From<Amount> for Param {
    fn from(amount: Amount) -> Param {
        match amount.0 {
            Inner::Float(number) => Param::Float(number),
            Inner::Int(number) => i64::try_from(number).map_or_else(|_| Param::from(number.to_string()), Param::Int),
        }
    }
}

macro_rules! from_ints {
    ($($int:ty)*) => {
        $(impl From<$int> for Amount {
            fn from(number: $int) -> Amount {
                Amount(Inner::Int(number.into()))
            }
        })*
    };
}

from_ints! { i8 i16 i32 i64 i128 u8 u16 u32 u64 }

/// Converts `isize` and `usize`, for which `i128` has no `From`. No pointer has more than 128 bits.
macro_rules! from_sizes {
    ($($int:ty)*) => {
        $(impl From<$int> for Amount {
            fn from(number: $int) -> Amount {
                Amount(Inner::Int(number as i128))
            }
        })*
    };
}

from_sizes! { isize usize }

impl From<f32> for Amount {
    fn from(number: f32) -> Amount {
        Amount(Inner::Float(widen(number)))
    }
}

impl From<f64> for Amount {
    fn from(number: f64) -> Amount {
        Amount(Inner::Float(number))
    }
}

impl<T: Into<Amount>> From<RangeInclusive<T>> for Number {
    fn from(range: RangeInclusive<T>) -> Number {
        let (min, max) = range.into_inner();
        Number::greater_than_or_equal_to(min).and(Number::less_than_or_equal_to(max))
    }
}

impl<T: Into<Amount>> From<Range<T>> for Number {
    fn from(range: Range<T>) -> Number {
        Number::greater_than_or_equal_to(range.start).and(Number::less_than(range.end))
    }
}

impl<T: Into<Amount>> From<RangeFrom<T>> for Number {
    fn from(range: RangeFrom<T>) -> Number {
        Number::greater_than_or_equal_to(range.start)
    }
}

impl<T: Into<Amount>> From<RangeTo<T>> for Number {
    fn from(range: RangeTo<T>) -> Number {
        Number::less_than(range.end)
    }
}

impl<T: Into<Amount>> From<RangeToInclusive<T>> for Number {
    fn from(range: RangeToInclusive<T>) -> Number {
        Number::less_than_or_equal_to(range.end)
    }
}

impl<A: Fields> Changeset<A> {
    /// Requires that a number is within bounds: `must be greater than %{number}` and similar messages, for the first
    /// bound that it violates.
    ///
    /// The bounds are a range, or a [`Number`]. Integers and floating-point numbers are compared exactly, and so are
    /// decimals, which serialize as texts; any other field gets the error `is invalid`. For an `f32` field a
    /// floating-point bound is rounded to an `f32`, like the value: `0.1` is within `..=0.1`. An infinite bound does
    /// not restrict the value.
    pub fn validate_number(self, column: ColumnOf<A>, number: impl Into<Number>) -> Self {
        let number = number.into();
        self.check(column, |value| number.check(value))
    }
}
