//! The numbers that a field can be incremented by.

use dust_protocol::RawJson;
use serde::Serialize;

use super::field::unserializable;
use crate::entity::Counter;
use crate::error::DustErr;

/// What [`increment`](crate::DustRepo::increment) takes: `i64` and `f64`.
pub trait Countable: Serialize + Send + Sized + private::Sealed {
    /// Its JSON text; an error when it has none.
    #[doc(hidden)]
    fn to_json(&self) -> Result<RawJson, DustErr>;

    /// Reads what a store has made.
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
