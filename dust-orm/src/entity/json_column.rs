//! SeaORM's traits for a field type that is a JSON column in SQL.

/// Implements SeaORM's conversions of a type to and from a JSON value, through serde.
///
/// SeaORM's own derive supports only types without parameters, and panics if the value cannot be serialized; here such
/// a value becomes `NULL`.
macro_rules! json_column {
    (impl [$($generics:tt)*] $type:ty, $name:literal) => {
        impl<$($generics)*> sea_orm::TryGetableFromJson for $type {}

        impl<$($generics)*> From<$type> for sea_orm::Value {
            fn from(value: $type) -> sea_orm::Value {
                sea_orm::Value::Json(serde_json::to_value(&value).ok().map(Box::new))
            }
        }

        impl<$($generics)*> sea_orm::sea_query::ValueType for $type {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                match value {
                    sea_orm::Value::Json(Some(json)) => {
                        serde_json::from_value(*json).map_err(|_| sea_orm::sea_query::ValueTypeErr)
                    }
                    _ => Err(sea_orm::sea_query::ValueTypeErr),
                }
            }

            fn type_name() -> String {
                $name.to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                sea_orm::sea_query::ArrayType::Json
            }

            fn column_type() -> sea_orm::sea_query::ColumnType {
                sea_orm::sea_query::ColumnType::Json
            }
        }

        impl<$($generics)*> sea_orm::sea_query::Nullable for $type {
            fn null() -> sea_orm::Value {
                sea_orm::Value::Json(None)
            }
        }

        impl<$($generics)*> sea_orm::IntoActiveValue<$type> for $type {
            fn into_active_value(self) -> sea_orm::ActiveValue<$type> {
                sea_orm::ActiveValue::Set(self)
            }
        }
    };
}

pub(super) use json_column;
