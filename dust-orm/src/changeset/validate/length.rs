use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use crate::changeset::value::View;
use crate::changeset::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::FieldError;

/// The accepted lengths of a value, for [`validate_length`](Changeset::validate_length): a range or an exact count, and
/// the unit in which a text is counted.
///
/// A range or a number without a unit counts characters.
///
/// ```
/// use dust_orm::Changeset;
/// use dust_orm::changeset::Length;
/// use dust_orm::tests_cfg::link::{ActiveModel, Column};
///
/// let link = Changeset::change(ActiveModel::default())
///     .put_change(Column::Slug, "été")
///     .put_change(Column::Title, "Dust")
///     .validate_length(Column::Slug, 3)
///     .validate_length(Column::Slug, Length::bytes(..=3))
///     .validate_length(Column::Title, 5..=200);
/// assert_eq!(link.errors().to_string(), "slug should be at most 3 byte(s); title should be at least 5 character(s)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    min: Option<usize>,
    max: Option<usize>,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Characters,
    Codepoints,
    Bytes,
}

impl Length {
    /// A range of characters (extended grapheme clusters): `é` is one, composed or decomposed.
    pub fn characters(range: impl RangeBounds<usize>) -> Length {
        Length::new(range, Unit::Characters)
    }

    /// A range of Unicode code points, the unit of most databases.
    pub fn codepoints(range: impl RangeBounds<usize>) -> Length {
        Length::new(range, Unit::Codepoints)
    }

    /// A range of bytes in UTF-8.
    pub fn bytes(range: impl RangeBounds<usize>) -> Length {
        Length::new(range, Unit::Bytes)
    }

    fn new(range: impl RangeBounds<usize>, unit: Unit) -> Length {
        let min = match range.start_bound() {
            Bound::Included(min) => Some(*min),
            Bound::Excluded(below) => Some(below.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let max = match range.end_bound() {
            Bound::Included(max) => Some(*max),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        Length { min, max, unit }
    }

    /// The kind and the value of the first bound that a length violates.
    fn missed(self, length: usize) -> Option<(&'static str, usize)> {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => (length != max).then_some(("is", max)),
            (Some(min), _) if length < min => Some(("min", min)),
            (_, Some(max)) if length > max => Some(("max", max)),
            _ => None,
        }
    }

    fn check(self, value: View<'_>) -> Option<FieldError> {
        let (kind_of_value, length) = match (value, self.unit) {
            (View::Str(text), Unit::Characters) => ("string", characters(text)),
            (View::Str(text), Unit::Codepoints) => ("string", text.chars().count()),
            (View::Str(text), Unit::Bytes) => ("binary", text.len()),
            (View::Json(Value::Array(items)), _) => ("list", items.len()),
            (View::Json(Value::Object(entries)), _) => ("map", entries.len()),
            _ => return Some(FieldError::new("is invalid", "length")),
        };
        let (kind, count) = self.missed(length)?;
        let template = match (kind_of_value, kind) {
            ("string", "is") => "should be %{count} character(s)",
            ("string", "min") => "should be at least %{count} character(s)",
            ("string", _) => "should be at most %{count} character(s)",
            ("binary", "is") => "should be %{count} byte(s)",
            ("binary", "min") => "should be at least %{count} byte(s)",
            ("binary", _) => "should be at most %{count} byte(s)",
            (_, "is") => "should have %{count} item(s)",
            (_, "min") => "should have at least %{count} item(s)",
            _ => "should have at most %{count} item(s)",
        };
        let error = FieldError::new(template, "length");
        Some(error.with("count", count).with("kind", kind).with("type", kind_of_value))
    }
}

/// The number of extended grapheme clusters. In ASCII only `\r\n` has more than one byte.
fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() - text.matches("\r\n").count() } else { text.graphemes(true).count() }
}

/// Exactly `count` characters.
impl From<usize> for Length {
    fn from(count: usize) -> Length {
        Length::characters(count..=count)
    }
}

macro_rules! from_ranges {
    ($($range:ty)*) => {
        $(impl From<$range> for Length {
            fn from(range: $range) -> Length {
                Length::characters(range)
            }
        })*
    };
}

from_ranges! { Range<usize> RangeInclusive<usize> RangeFrom<usize> RangeTo<usize> RangeToInclusive<usize> RangeFull }
from_ranges! { (Bound<usize>, Bound<usize>) }

impl<A: Fields> Changeset<A> {
    /// Requires a length of a text, list or map: `should be at least %{count} character(s)` and similar messages.
    ///
    /// The length is a range or a number of characters, or a [`Length`] in other units; lists and maps are measured in
    /// items, with every unit. A field that is none of these gets the error `is invalid`.
    pub fn validate_length(self, column: ColumnOf<A>, length: impl Into<Length>) -> Self {
        let length = length.into();
        self.check(column, |value| length.check(value))
    }
}
