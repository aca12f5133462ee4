//! Reads a value into a field: strictly (`put_change`), or with the conversions that forms need (`cast`).

use std::cell::Cell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Value, json};

use super::decimal::Decimal;
use super::faithful::is_kept;
use super::spelling::spellings;
use super::value::{View, untouched, widen};
use crate::entity::{FieldState, Fields};

/// The outcome of reading a value into a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ReadOutcome {
    /// The field holds the value.
    Value,
    /// The value is empty, and the field's type has no empty value.
    Empty,
    /// The value is not of the field's type, whose name is given if known.
    Mismatch(Option<&'static str>),
}

/// The field is a list, and the value is not a list, or a list of items of another type.
const NOT_A_LIST: ReadOutcome = ReadOutcome::Mismatch(Some("array"));

/// The conversions that are allowed when a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// None: the value must be of the field's own type.
    Strict,
    /// A blank text is empty; a text that represents a number, a boolean or a time is read as one.
    Lenient,
    /// Those of `Lenient`; in addition a single text is read as a list, and the last of several texts as a value,
    /// because a form repeats the name of a field for each of its values.
    Form,
}

impl Strictness {
    fn is_lenient(self) -> bool {
        self != Strictness::Strict
    }
}

/// Reads a value into a field. The field changes only if the outcome is [`ReadOutcome::Value`].
pub(super) fn read_field<A: Fields>(
    model: &mut A,
    position: usize,
    view: View<'_>,
    strictness: Strictness,
) -> ReadOutcome {
    // Most fields are `NotSet`, and need no copy.
    let before = (model.state(position) != FieldState::NotSet).then(|| {
        let mut before: A = untouched();
        before.copy_field(model, position);
        before
    });
    let read = read_into(model, position, view, strictness);
    match before {
        _ if read == ReadOutcome::Value => {}
        Some(before) => model.copy_field(&before, position),
        None => model.set_state(position, FieldState::NotSet),
    }
    read
}

fn read_into<A: Fields>(model: &mut A, position: usize, view: View<'_>, strictness: Strictness) -> ReadOutcome {
    let read = read_once(model, position, view, strictness);
    if read == ReadOutcome::Value || strictness == Strictness::Strict {
        return read;
    }
    let mut again = |view: View<'_>, strictness| read_once(model, position, view, strictness);
    let is_read = match (read, view) {
        // A blank text for a list means that no item is chosen. A field that accepts any text, such as JSON, is not a
        // list.
        (ReadOutcome::Empty, View::Str(_))
            if strictness == Strictness::Form && again(view, Strictness::Strict) == NOT_A_LIST =>
        {
            again(View::Json(&Value::Array(Vec::new())), strictness) == ReadOutcome::Value
        }
        (NOT_A_LIST, View::Str(text)) if strictness == Strictness::Form => {
            again(View::Json(&json!([text])), strictness) == ReadOutcome::Value
        }
        (ReadOutcome::Mismatch(_), View::Str(text)) => {
            spellings(text).iter().any(|spelling| again(View::Str(spelling), strictness) == ReadOutcome::Value)
        }
        // For a field that is a list, one wrong item makes the whole list invalid.
        (ReadOutcome::Mismatch(_), View::Json(Value::Array(items)))
            if strictness == Strictness::Form && read != NOT_A_LIST =>
        {
            match items.last().map(View::of) {
                Some(last) => return read_into(model, position, last, Strictness::Lenient),
                None => false,
            }
        }
        _ => false,
    };
    if is_read { ReadOutcome::Value } else { read }
}

fn read_once<A: Fields>(model: &mut A, position: usize, view: View<'_>, strictness: Strictness) -> ReadOutcome {
    if strictness.is_lenient() && view.is_blank() {
        return read_empty(model, position);
    }
    let expected = Cell::new(None);
    match model.deserialize_field(position, Reader { view, strictness, expected: &expected }) {
        Ok(()) if is_kept(model, position, view) => ReadOutcome::Value,
        Ok(()) => ReadOutcome::Mismatch(expected.get()),
        Err(Mismatch) if view == View::Null => read_empty(model, position),
        Err(Mismatch) => ReadOutcome::Mismatch(expected.get()),
    }
}

fn read_empty<A: Fields>(model: &mut A, position: usize) -> ReadOutcome {
    if model.set_absent(position) { ReadOutcome::Value } else { ReadOutcome::Empty }
}

/// Reads a value as any type, strictly.
pub(super) fn read<T: de::DeserializeOwned>(view: View<'_>) -> Option<T> {
    T::deserialize(Reader { view, strictness: Strictness::Strict, expected: &Cell::new(None) }).ok()
}

/// The value is not of the type. Which part of it, and why, is of no use to the person who filled in a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mismatch;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is invalid")
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(_: T) -> Mismatch {
        Mismatch
    }
}

struct Reader<'de, 'c> {
    view: View<'de>,
    strictness: Strictness,
    /// The name of the type that asked first.
    expected: &'c Cell<Option<&'static str>>,
}

impl<'de> Reader<'de, '_> {
    fn expect(&self, name: &'static str) {
        if self.expected.get().is_none() {
            self.expected.set(Some(name));
        }
    }

    /// The text, if it may be converted to a number or a boolean.
    fn lenient_text(&self) -> Option<&'de str> {
        match self.view {
            View::Str(text) if self.strictness.is_lenient() => Some(text),
            _ => None,
        }
    }

    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.expect("integer");
        match self.lenient_text() {
            Some(text) => visit_int(text.parse().map_err(|_| Mismatch)?, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.expect("float");
        match self.lenient_text() {
            Some(text) => {
                let number: f64 = text.parse().map_err(|_| Mismatch)?;
                if vanishes(number == 0.0, text) { Err(Mismatch) } else { visit_float(number, visitor) }
            }
            None => self.deserialize_any(visitor),
        }
    }

    /// Reads a number of 32 bits, whose range differs from that of 64 bits.
    fn single<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.expect("float");
        let number: f32 = match (self.lenient_text(), self.view) {
            (Some(text), _) => {
                let number = text.parse().map_err(|_| Mismatch)?;
                if vanishes(number == 0.0, text) { Err(Mismatch)? } else { number }
            }
            (None, View::Single(number)) => number,
            (None, View::Float(wide)) => {
                let number = wide as f32;
                if number == 0.0 && wide != 0.0 { Err(Mismatch)? } else { number }
            }
            (None, _) => return self.deserialize_any(visitor),
        };
        if number.is_finite() { visitor.visit_f32(number) } else { Err(Mismatch) }
    }
}

/// Visits an integer with the narrowest method, because not every number type accepts a 128-bit integer.
fn visit_int<'de, V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, Mismatch> {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => visitor.visit_i64(number),
        (_, Ok(number)) => visitor.visit_u64(number),
        _ => visitor.visit_i128(number),
    }
}

/// Visits a float. A float that is not finite is refused, because JSON would represent it as `null`.
fn visit_float<'de, V: Visitor<'de>>(number: f64, visitor: V) -> Result<V::Value, Mismatch> {
    if number.is_finite() { visitor.visit_f64(number) } else { Err(Mismatch) }
}

/// True if a number that is not zero was read as zero, because it is too small for the type.
fn vanishes(is_zero: bool, text: &str) -> bool {
    is_zero && Decimal::read(text).is_some_and(|number| !number.is_zero())
}

macro_rules! numbers {
    ($reader:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            self.$reader(visitor)
        })*
    };
}

/// Methods for compound values: they record the name of the expected type, and delegate to `serde_json`.
macro_rules! compounds {
    ($($method:ident($($arg:ident: $type:ty),*) $name:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, Mismatch> {
            self.expect($name);
            match self.view {
                View::Json(value) => value.$method($($arg,)* visitor).map_err(|_| Mismatch),
                _ => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.view {
            View::Null => visitor.visit_unit(),
            View::Bool(flag) => visitor.visit_bool(flag),
            View::Int(number) => visit_int(number, visitor),
            View::Float(number) => visit_float(number, visitor),
            View::Single(number) => visit_float(widen(number), visitor),
            View::Str(text) => visitor.visit_borrowed_str(text),
            View::Json(value) => value.deserialize_any(visitor).map_err(|_| Mismatch),
        }
    }

    numbers! { integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 }
    numbers! { integer: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    numbers! { single: deserialize_f32 }
    numbers! { float: deserialize_f64 }

    compounds! {
        deserialize_bytes() "bytes";
        deserialize_byte_buf() "bytes";
        deserialize_tuple(len: usize) "array";
        deserialize_tuple_struct(name: &'static str, len: usize) "array";
        deserialize_map() "map";
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) "map";
        deserialize_char() "string";
        deserialize_str() "string";
        deserialize_string() "string";
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.expect("boolean");
        match self.lenient_text() {
            // A browser sends `on` for a checkbox without a `value` attribute.
            Some("true" | "1" | "on") => visitor.visit_bool(true),
            Some("false" | "0" | "off") => visitor.visit_bool(false),
            Some(_) => Err(Mismatch),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.view {
            View::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.expect("array");
        match self.view {
            // A form sends one blank entry for a list without a chosen item.
            View::Json(Value::Array(items)) if self.strictness.is_lenient() => {
                let filled = items.iter().map(View::of).filter(|item| !item.is_blank());
                let items = filled.map(|view| Reader { view, ..self });
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            View::Json(value) => value.deserialize_seq(visitor).map_err(|_| Mismatch),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.expect("enum");
        match self.view {
            View::Str(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            View::Json(value) => value.deserialize_enum(name, variants, visitor).map_err(|_| Mismatch),
            _ => Err(Mismatch),
        }
    }

    serde::forward_to_deserialize_any! { unit unit_struct identifier ignored_any }
}

impl<'de, 'c> IntoDeserializer<'de, Mismatch> for Reader<'de, 'c> {
    type Deserializer = Reader<'de, 'c>;

    fn into_deserializer(self) -> Reader<'de, 'c> {
        self
    }
}
