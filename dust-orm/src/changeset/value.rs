//! Borrowed views of values through serde, so that rules can read fields of any type.

use std::fmt;

use sea_orm::ActiveModelTrait;
use serde::ser::{self, Impossible, Serialize, Serializer};
use serde_json::Value;

use crate::entity::{Fields, Finite};

/// A value in serde's data model. Scalars are copied, texts are borrowed, lists and maps are converted to JSON first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum View<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// A floating-point number of 32 bits.
    Single(f32),
    Str(&'a str),
    /// A list or a map.
    Json(&'a Value),
}

impl<'a> View<'a> {
    pub(super) fn of(value: &'a Value) -> View<'a> {
        match value {
            Value::Null => View::Null,
            Value::Bool(flag) => View::Bool(*flag),
            Value::String(text) => View::Str(text),
            Value::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(int), _) => View::Int(int),
                (None, Some(float)) => View::Float(float),
                (None, None) => View::Json(value),
            },
            Value::Array(_) | Value::Object(_) => View::Json(value),
        }
    }

    /// True for a text of white space only.
    pub(super) fn is_blank(self) -> bool {
        matches!(self, View::Str(text) if text.trim_start().is_empty())
    }
}

/// Passes the view of a value to a function.
pub(super) fn view<T: Serialize + ?Sized, R>(value: &T, visit: impl FnOnce(View<'_>) -> R) -> Result<R, Opaque> {
    let mut visit = Some(visit);
    match value.serialize(Probe(&mut visit)) {
        Err(Opaque) => visit_json(visit, to_json(value)),
        seen => seen,
    }
}

/// Passes the view of a field's value to a function.
///
/// # Errors
///
/// The field is `NotSet`, or its value cannot be serialized.
pub(super) fn view_field<A: Fields, R>(
    model: &A,
    position: usize,
    visit: impl FnOnce(View<'_>) -> R,
) -> Result<R, Opaque> {
    let mut visit = Some(visit);
    match model.serialize_field(position, Probe(&mut visit)) {
        Err(Opaque) => visit_json(visit, field_to_json(model, position)),
        seen => seen,
    }
}

/// Converts a value to JSON through its text, so that the `f32` 0.1 becomes `0.1`, and not the `f64` of equal value.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Value, serde_json::Error> {
    serde_json::from_str(&serde_json::to_string(value)?)
}

/// Converts a field's value to JSON.
///
/// # Errors
///
/// The field is `NotSet`, cannot be serialized, or holds a number that is not finite.
pub(super) fn field_to_json<A: Fields>(model: &A, position: usize) -> Result<Value, serde_json::Error> {
    let mut text = Vec::new();
    model.serialize_field(position, Finite(&mut serde_json::Serializer::new(&mut text)))?;
    serde_json::from_slice(&text)
}

/// The `f64` with the same decimal text as an `f32`: 0.1 for 0.1.
pub(super) fn widen(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// A model whose fields are all `NotSet`. `Default::default` would run the application's
/// `ActiveModelBehavior::new`.
pub(super) fn untouched<A: Fields>() -> A {
    <A as ActiveModelTrait>::default()
}

fn visit_json<R>(
    visit: Option<impl FnOnce(View<'_>) -> R>,
    value: Result<Value, serde_json::Error>,
) -> Result<R, Opaque> {
    match (visit, value) {
        (Some(visit), Ok(value)) => Ok(visit(View::of(&value))),
        _ => Err(Opaque),
    }
}

/// The value is not a scalar, or could not be serialized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opaque;

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not a scalar, or cannot be serialized")
    }
}

impl std::error::Error for Opaque {}

impl ser::Error for Opaque {
    fn custom<T: fmt::Display>(_: T) -> Opaque {
        Opaque
    }
}

/// A serializer that passes a scalar to a closure, and fails on every other value without calling it.
struct Probe<'f, F>(&'f mut Option<F>);

impl<F> Probe<'_, F> {
    fn show<R>(self, view: View<'_>) -> Result<R, Opaque>
    where
        F: FnOnce(View<'_>) -> R,
    {
        self.0.take().map(|visit| visit(view)).ok_or(Opaque)
    }
}

macro_rules! show {
    ($($method:ident($type:ty) => $view:expr;)*) => {
        $(fn $method(self, value: $type) -> Result<R, Opaque> {
            let view: fn($type) -> View<'static> = $view;
            self.show(view(value))
        })*
    };
}

impl<R, F: FnOnce(View<'_>) -> R> Serializer for Probe<'_, F> {
    type Ok = R;
    type Error = Opaque;
    type SerializeSeq = Impossible<R, Opaque>;
    type SerializeTuple = Impossible<R, Opaque>;
    type SerializeTupleStruct = Impossible<R, Opaque>;
    type SerializeTupleVariant = Impossible<R, Opaque>;
    type SerializeMap = Impossible<R, Opaque>;
    type SerializeStruct = Impossible<R, Opaque>;
    type SerializeStructVariant = Impossible<R, Opaque>;

    show! {
        serialize_bool(bool) => View::Bool;
        serialize_i8(i8) => |number| View::Int(number.into());
        serialize_i16(i16) => |number| View::Int(number.into());
        serialize_i32(i32) => |number| View::Int(number.into());
        serialize_i64(i64) => |number| View::Int(number.into());
        serialize_i128(i128) => View::Int;
        serialize_u8(u8) => |number| View::Int(number.into());
        serialize_u16(u16) => |number| View::Int(number.into());
        serialize_u32(u32) => |number| View::Int(number.into());
        serialize_u64(u64) => |number| View::Int(number.into());
        serialize_f32(f32) => View::Single;
        serialize_f64(f64) => View::Float;
    }

    fn serialize_u128(self, value: u128) -> Result<R, Opaque> {
        let view = i128::try_from(value).map(View::Int).map_err(|_| Opaque)?;
        self.show(view)
    }

    fn serialize_char(self, value: char) -> Result<R, Opaque> {
        self.show(View::Str(value.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, value: &str) -> Result<R, Opaque> {
        self.show(View::Str(value))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<R, Opaque> {
        Err(Opaque)
    }

    fn serialize_none(self) -> Result<R, Opaque> {
        self.show(View::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<R, Opaque> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<R, Opaque> {
        self.show(View::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<R, Opaque> {
        self.show(View::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<R, Opaque> {
        self.show(View::Str(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<R, Opaque> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<R, Opaque> {
        Err(Opaque)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Opaque> {
        Err(Opaque)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Opaque> {
        Err(Opaque)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Opaque> {
        Err(Opaque)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Opaque> {
        Err(Opaque)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Opaque> {
        Err(Opaque)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Opaque> {
        Err(Opaque)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Opaque> {
        Err(Opaque)
    }
}
