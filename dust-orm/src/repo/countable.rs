//! Numbers that `increment` accepts.

use dust_protocol::RawJson;
use serde::Serialize;

use crate::entity::Counter;
use crate::error::DustErr;

/// A number for [`increment`](crate::DustRepo::increment): `i64` or `f64`. Not for implementation by other types.
pub trait Countable: Serialize + Send + Sized + private::Sealed {
    /// Returns the number as JSON, or an error if JSON does not have it.
    #[doc(hidden)]
    fn to_json(&self) -> Result<RawJson, DustErr>;

    /// Reads the number that a store returned.
    #[doc(hidden)]
    fn read(value: &RawJson) -> Result<Self, serde_json::Error>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
}

impl Countable for i64 {
    fn to_json(&self) -> Result<RawJson, DustErr> {
        RawJson::from_serialize(self).map_err(unserializable)
    }

    fn read(value: &RawJson) -> Result<i64, serde_json::Error> {
        value.to::<Counter>().map(Counter::get)
    }
}

impl Countable for f64 {
    fn to_json(&self) -> Result<RawJson, DustErr> {
        if !self.is_finite() {
            return Err(DustErr::invalid_params(format!("increment by {self}: JSON has no such number")));
        }
        RawJson::from_serialize(self).map_err(unserializable)
    }

    fn read(value: &RawJson) -> Result<f64, serde_json::Error> {
        value.to()
    }
}

/// The error for a value that JSON does not have.
pub(super) fn unserializable(error: serde_json::Error) -> DustErr {
    DustErr::invalid_params(format!("the value cannot be written as JSON: {error}")).with_source(error)
}
