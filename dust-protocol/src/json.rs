//! JSON kept as text.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value kept as its text: always valid, cheap to clone, and exact, because no digit of a number is lost on the
/// way between a field and the wire.
///
/// Equality is that of the text.
///
/// ```
/// use dust_protocol::RawJson;
///
/// let value = RawJson::parse("123456789012345678901234567890")?;
/// assert_eq!(value.as_str(), "123456789012345678901234567890");
/// assert_eq!(RawJson::from_serialize(&["a", "b"])?.as_str(), r#"["a","b"]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Arc<str>);

impl RawJson {
    /// Checks and keeps a JSON text. White space around it is dropped, inside it is kept.
    pub fn parse(text: &str) -> Result<RawJson, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(|raw| RawJson(raw.get().into()))
    }

    /// The JSON text of any serializable value. `serde_json` writes `null` for a float that is not finite.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<RawJson, serde_json::Error> {
        serde_json::to_string(value).map(|text| RawJson(text.into()))
    }

    /// Keeps a text that the caller has just written as valid JSON.
    pub fn from_trusted(text: impl Into<Arc<str>>) -> RawJson {
        RawJson(text.into())
    }

    /// `null`.
    pub fn null() -> RawJson {
        RawJson("null".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the text into a type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// True if the text is `null`.
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// True if the text is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }
}

impl From<&serde_json::Value> for RawJson {
    fn from(value: &serde_json::Value) -> RawJson {
        RawJson(value.to_string().into())
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> RawJson {
        RawJson::from(&value)
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawJson, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(RawJson(raw.get().into()))
    }
}
