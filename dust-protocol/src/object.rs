//! Messages that are read from JSON objects only: [`JsonObject`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value that is read from a JSON object only.
///
/// The `Deserialize` that serde derives for a struct also accepts an array of the members' values in their order, so
/// that `[7,{}]` is read as a snapshot of an empty store. Each message of the protocol, and each object in one, is read
/// through this type. A binary format, in which a struct is a sequence, is read as `T` reads it.
///
/// ```
/// use dust_protocol::JsonObject;
///
/// #[derive(serde::Deserialize)]
/// struct Applied {
///     store_seq: u64,
/// }
///
/// let JsonObject(applied) = serde_json::from_str::<JsonObject<Applied>>(r#"{"store_seq":7}"#)?;
/// assert_eq!(applied.store_seq, 7);
/// assert!(serde_json::from_str::<Applied>("[7]").is_ok());
/// assert!(serde_json::from_str::<JsonObject<Applied>>("[7]").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonObject<T>(pub T);

impl<T> JsonObject<T> {
    /// Reads a member that is an object and takes it out of its wrapper.
    ///
    /// ```
    /// use dust_protocol::JsonObject;
    ///
    /// #[derive(Debug, serde::Deserialize)]
    /// struct Joined {
    ///     #[serde(deserialize_with = "JsonObject::field")]
    ///     permissions: Permissions,
    /// }
    ///
    /// #[derive(Debug, serde::Deserialize)]
    /// struct Permissions {
    ///     write: bool,
    /// }
    ///
    /// assert!(serde_json::from_str::<Joined>(r#"{"permissions":{"write":true}}"#)?.permissions.write);
    /// assert!(serde_json::from_str::<Joined>(r#"{"permissions":[true]}"#).is_err());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The member is not an object, or `T` cannot be read from it.
    pub fn field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
    {
        JsonObject::deserialize(deserializer).map(|JsonObject(value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonObject<T>, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        match deserializer.is_human_readable() {
            true => deserializer.deserialize_map(Object(PhantomData)),
            false => T::deserialize(deserializer),
        }
        .map(JsonObject)
    }
}
