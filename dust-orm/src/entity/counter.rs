//! [`Counter`]: an integer field that many writers increment at once.

use std::fmt;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ActiveValue, ColIdx, IntoActiveValue, QueryResult, TryGetError, TryGetable, Value};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// An integer field that is changed with [`increment`](crate::DustRepo::increment): concurrent increments add up,
/// whereas of concurrent writes that set the number only the last one remains.
///
/// It holds an `i64` and is a `BIGINT` in SQL. With `#[serde(default)]` the field of a record without the leaf is 0;
/// without that attribute the field is required like any other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// use dust_orm::DustRepo;
///
/// mod page {
///     use dust_orm::entity::prelude::*;
///
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
///     #[sea_orm(table_name = "pages")]
///     #[dust(prefix = "pages")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub slug: String,
///         pub title: String,
///         #[serde(default)]
///         pub hits: Counter,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl ActiveModelBehavior for ActiveModel {}
/// }
/// use dust_orm::entity::prelude::*;
///
/// let repo = DustRepo::embedded();
/// repo.insert(page::ActiveModel { slug: Set("home".into()), title: Set("Home".into()), ..Default::default() }).await?;
/// repo.increment("home", page::Column::Hits, 2).await?;
/// assert_eq!(repo.increment("home", page::Column::Hits, 1).await?, 3);
/// assert_eq!(repo.get::<page::Entity>("home").await?.hits, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Writes that overwrite a count
///
/// A write that sets the field discards the increments since the field was read: an insert or update in which it is
/// `Set`, [`put`](crate::DustRepo::put), and in map mode every update, which writes the whole record. Leave the field
/// out of such writes, or guard them with `if_match`.
///
/// # Numbers that do not fit
///
/// Other clients can add fractions. A number with a fraction of zero (`3.0`) is read as an integer. A number with
/// another fraction, or beyond the range of `i64`, is not a `Counter`, and the record does not fit its entity: the
/// error of [`get`](crate::DustRepo::get) names the field and the number, and an [`update`](crate::DustRepo::update)
/// that sets the field repairs the record. `increment` itself never leaves such a number. Declare the field as `f64` if
/// fractions are intended; `increment` accepts that type too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(i64);

impl Counter {
    /// Creates a counter with this value.
    pub const fn new(number: i64) -> Counter {
        Counter(number)
    }

    /// The value.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for Counter {
    fn from(number: i64) -> Counter {
        Counter(number)
    }
}

impl From<Counter> for i64 {
    fn from(counter: Counter) -> i64 {
        counter.0
    }
}

impl PartialEq<i64> for Counter {
    fn eq(&self, number: &i64) -> bool {
        self.0 == *number
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Counter, D::Error> {
        deserializer.deserialize_i64(WholeNumber).map(Counter)
    }
}

/// The size up to which an `f64` represents every integer exactly: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of 64 bits")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        number.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 && number.abs() <= MAX_EXACT {
            Ok(number as i64)
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
}

impl From<Counter> for Value {
    fn from(counter: Counter) -> Value {
        Value::BigInt(Some(counter.0))
    }
}

impl TryGetable for Counter {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Counter, TryGetError> {
        i64::try_get_by(row, index).map(Counter)
    }
}

impl ValueType for Counter {
    fn try_from(value: Value) -> Result<Counter, ValueTypeErr> {
        <i64 as ValueType>::try_from(value).map(Counter)
    }

    fn type_name() -> String {
        "Counter".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::BigInt
    }

    fn column_type() -> ColumnType {
        ColumnType::BigInteger
    }
}

impl Nullable for Counter {
    fn null() -> Value {
        Value::BigInt(None)
    }
}

impl IntoActiveValue<Counter> for Counter {
    fn into_active_value(self) -> ActiveValue<Counter> {
        ActiveValue::Set(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<i64> {
        serde_json::from_str(text).ok().map(Counter::get)
    }

    #[test]
    fn whole_number_in_any_notation_is_read() {
        assert_eq!(read("3.0"), Some(3));
        assert_eq!(read("-2e0"), Some(-2));
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        for other in ["3.5", "9223372036854775808", "1e300", "\"3\"", "null", "[3]", "9007199254740994.0"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn counter_round_trips_through_json_and_sql(number: i64) {
            let counter = Counter::new(number);
            prop_assert_eq!(serde_json::to_string(&counter).unwrap(), number.to_string());
            prop_assert_eq!(read(&number.to_string()), Some(number));
            let value = Value::from(counter);
            prop_assert_eq!(<Counter as ValueType>::try_from(value.clone()).unwrap(), counter);
            prop_assert_eq!(<Option<Counter> as ValueType>::try_from(value).unwrap(), Some(counter));
            prop_assert_eq!(<Option<Counter> as ValueType>::try_from(Counter::null()).unwrap(), None);
        }
    }
}
