//! Numbers are cast and validated in the precision and the range of their own type, for Dust and for SQL alike.

#![allow(unreachable_pub, reason = "entities are written as in an application")]

use dust_orm::Changeset;
use dust_orm::changeset::Number;
use dust_orm::entity::prelude::*;
use serde_json::{Value, json};

/// A part of a JSON column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Place {
    /// Degrees.
    pub north: f32,
    /// Prices of the place.
    #[serde(default)]
    pub prices: Vec<Decimal>,
}

/// A list of decimals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Prices(pub Vec<Decimal>);

macro_rules! measures {
    ($module:ident: $derive:ident $($attribute:tt)*) => {
        mod $module {
            use dust_orm::entity::prelude::*;

            use super::{Place, Prices};

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, $derive, Serialize, Deserialize)]
            #[sea_orm(table_name = "measures")]
            $($attribute)*
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: String,
                pub single: Option<f32>,
                pub double: Option<f64>,
                pub price: Option<Decimal>,
                pub whole: Option<i32>,
                pub place: Option<Place>,
                #[serde(default, with = "floating")]
                pub rate: Decimal,
                pub at: Option<DateTimeWithTimeZone>,
                pub clock: Option<Time>,
                pub prices: Option<Prices>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            /// A decimal as a JSON number.
            mod floating {
                use super::*;

                pub fn serialize<S: serde::Serializer>(rate: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
                    f64::try_from(*rate).map_err(serde::ser::Error::custom)?.serialize(serializer)
                }

                pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
                    Deserialize::deserialize(deserializer)
                }
            }
        }
    };
}

measures!(dust: DeriveDustEntity #[dust(prefix = "measures")]);
measures!(sql: DeriveChangeset);

/// Runs the same code on the changesets of both entities.
macro_rules! both {
    (|$cast:ident, $column:ident| $body:block) => {{
        {
            use dust::{ActiveModel, Column as $column};
            let $cast = |params: Value| {
                use $column::*;
                Changeset::cast(
                    ActiveModel::new(),
                    params,
                    [Single, Double, Price, Whole, Place, Rate, At, Clock, Prices],
                )
            };
            $body
        }
        {
            use sql::{ActiveModel, Column as $column};
            let $cast = |params: Value| {
                use $column::*;
                Changeset::cast(
                    ActiveModel::new(),
                    params,
                    [Single, Double, Price, Whole, Place, Rate, At, Clock, Prices],
                )
            };
            $body
        }
    }};
}

#[test]
fn cast_beyond_range_of_type_is_invalid() {
    both!(|cast, Column| {
        let _ = Column::Single;
        for params in [
            json!({"single": "1e39"}),
            json!({"single": 1e39}),
            json!({"single": "-3.5e38"}),
            json!({"single": "1e-60"}),
            json!({"single": 1e-60}),
            json!({"double": "1e309"}),
            json!({"double": "1e-400"}),
            json!({"double": "1_000.5"}),
            json!({"single": "1_000"}),
            json!({"whole": "1_000"}),
            json!({"whole": "2147483648"}),
            json!({"price": "1_000"}),
            json!({"price": "1_000.50"}),
            json!({"rate": "1_000"}),
            json!({"price": "0.12345678901234567890123456789"}),
            json!({"price": "1.00000000000000000000000000000000001"}),
            json!({"price": "79228162514264337593543950336"}),
            json!({"price": "1.2345678901234567890123456789012e2"}),
            json!({"price": 12_345_678_901_234_567_890.5}),
            json!({"price": 100_000_000_000_000_000_000.0}),
            json!({"price": 0.123_456_789_012_345_67}),
            json!({"place": {"north": 1e39}}),
            json!({"place": {"north": 1, "prices": ["0.12345678901234567890123456789"]}}),
            json!({"place": {"north": 1, "prices": [1, 12_345_678_901_234_567_890.5]}}),
            json!({"place": {"north": 1, "prices": ["1_000"]}}),
            json!({"at": "2020-01-01T00:00:00.1234567891Z"}),
            json!({"at": "2020-01-01T00:00:00.0000000001+02:00"}),
            json!({"clock": "23:59:59.9999999999"}),
        ] {
            let changeset = cast(params.clone());
            let field = params.as_object().unwrap().keys().next().unwrap();
            assert_eq!(json!(changeset.errors()), json!({field: ["is invalid"]}), "{params}");
            assert_eq!(changeset.errors().get(field)[0].code(), "cast");
            assert!(changeset.changes().is_empty(), "{params}");
        }
    });
}

#[test]
fn cast_keeps_every_accepted_digit() {
    both!(|cast, Column| {
        let _ = Column::Single;
        for (params, expected) in [
            (json!({"single": "0.1", "double": "0.1"}), json!({"single": 0.1, "double": 0.1})),
            (json!({"single": 0.1}), json!({"single": 0.1})),
            (json!({"single": "3.4e38"}), json!({"single": 3.4e38})),
            (json!({"single": "-0"}), json!({"single": -0.0})),
            (json!({"price": "1234567890123456789.012345678"}), json!({"price": "1234567890123456789.012345678"})),
            (json!({"price": "0.1000000000000000000000000000000"}), json!({"price": "0.1000000000000000000000000000"})),
            (json!({"price": "1.5e3"}), json!({"price": "1500"})),
            (json!({"price": 12.5}), json!({"price": "12.5"})),
            (json!({"price": 18_446_744_073_709_551_615_u64}), json!({"price": "18446744073709551615"})),
            (json!({"price": -7}), json!({"price": "-7"})),
            (json!({"rate": 0.25}), json!({"rate": 0.25})),
            (json!({"clock": "23:59:59.12345678900"}), json!({"clock": "23:59:59.123456789"})),
            (json!({"at": "2020-01-01T00:00:00.500+02:00"}), json!({"at": "2020-01-01T00:00:00.500+02:00"})),
            (json!({"place": {"north": 0.1}}), json!({"place": {"north": 0.1, "prices": []}})),
            (
                json!({"place": {"north": 1, "prices": ["0.50", 2]}}),
                json!({"place": {"north": 1.0, "prices": ["0.50", "2"]}}),
            ),
        ] {
            let changeset = cast(params.clone());
            assert!(changeset.is_valid(), "{params}: {}", changeset.errors());
            assert_eq!(Value::Object(changeset.changes()), expected, "{params}");
        }
    });
}

#[test]
fn narrow_float_is_compared_in_its_precision() {
    both!(|cast, Column| {
        let single = |number: Number| cast(json!({"single": "0.1"})).validate_number(Column::Single, number);
        for within in [
            Number::from(..=0.1),
            (0.1..).into(),
            Number::equal_to(0.1),
            Number::equal_to(0.1_f32),
            (..=0.1_f32).into(),
            (0..1).into(),
            Number::less_than(f64::INFINITY).and(Number::greater_than(f32::NEG_INFINITY)),
            Number::less_than(1e300),
        ] {
            assert!(single(within).is_valid(), "{within:?}");
        }
        for (outside, message) in [
            (Number::less_than(0.1), "single must be less than 0.1"),
            (Number::greater_than(0.1_f32), "single must be greater than 0.1"),
            (Number::not_equal_to(0.1), "single must be not equal to 0.1"),
            (Number::greater_than(0.3_f32), "single must be greater than 0.3"),
        ] {
            assert_eq!(single(outside).errors().to_string(), message);
        }
        // A bound of 32 bits is compared by its digits with a number of 64 bits too.
        let double = cast(json!({"double": 0.1, "price": "0.1"}));
        let double = double.validate_number(Column::Double, Number::equal_to(0.1_f32));
        let both = double.validate_number(Column::Price, Number::equal_to(0.1_f32));
        assert!(both.is_valid(), "{}", both.errors());
        let chosen = cast(json!({"single": "0.1"})).validate_inclusion(Column::Single, [0.1, 0.2]);
        assert!(chosen.validate_inclusion(Column::Single, [0.1_f32]).is_valid());
        let refused = cast(json!({"single": "0.1"})).validate_inclusion(Column::Single, [0.2_f32, 0.3]);
        let refused = refused.message("is none of %{enum}");
        assert_eq!(refused.errors().to_string(), "single is none of 0.2, 0.3");
        let put = cast(json!({})).put_change(Column::Double, 0.1_f32).put_change(Column::Price, 0.1_f32);
        assert_eq!(json!(put.changes()), json!({"double": 0.1, "price": "0.1"}));
    });
}

#[test]
fn infinite_bound_of_decimal_is_ignored() {
    both!(|cast, Column| {
        let priced = |number: Number| cast(json!({"price": "-12.50"})).validate_number(Column::Price, number);
        let all = Number::greater_than(f64::NEG_INFINITY).and(Number::less_than_or_equal_to(f64::INFINITY));
        assert!(priced(all).is_valid(), "{}", priced(all).errors());
        assert!(priced((f64::NEG_INFINITY..=-12.5).into()).is_valid());
        assert!(priced((..1e300).into()).is_valid());
        assert_eq!(
            priced(Number::from(0.0..f64::INFINITY)).errors().to_string(),
            "price must be greater than or equal to 0"
        );
    });
}

#[test]
fn wide_decimal_is_compared_digit_by_digit() {
    both!(|cast, Column| {
        let params = json!({"price": "9007199254740992.000000000001"});
        let priced = |number: Number| cast(params.clone()).validate_number(Column::Price, number).is_valid();
        assert!(priced(Number::greater_than(9_007_199_254_740_992_i64)));
        assert!(!priced(Number::equal_to(9_007_199_254_740_992.0)));
    });
}

#[test]
fn inclusion_compares_decimals_by_value() {
    both!(|cast, Column| {
        let prices = || cast(json!({"prices": ["0.50", "7"]}));
        for allowed in [[json!("0.5"), json!("7.00")], [json!(0.5), json!(7)]] {
            let chosen = prices().validate_subset(Column::Prices, allowed);
            assert!(chosen.is_valid(), "{}", chosen.errors());
        }
        assert!(!prices().validate_subset(Column::Prices, [0.5, 0.7]).is_valid());
        let price = |price: &str| cast(json!({"price": price}));
        // As `validate_number` compares them.
        assert!(!price("100000000000000000000").validate_exclusion(Column::Price, [1e20]).is_valid());
        assert!(price("0.12345678901234568").validate_inclusion(Column::Price, [0.12345678901234568]).is_valid());
    });
}
