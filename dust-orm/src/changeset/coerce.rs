//! Reads a value into a field: as it is (`put_change`), or with the leniency that form posts need (`cast`).

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

/// What became of reading a value into a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    /// The field holds the value.
    Value,
    /// The value is nothing, and the field's type has no word for that.
    Nothing,
    /// The value is not of the field's type; its name, where known.
    Mismatch(Option<&'static str>),
}

/// The field is a list, and the value is none, or a list of something else.
const NO_LIST: Read = Read::Mismatch(Some("array"));

/// How strict the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Only values of the field's own type.
    Strict,
    /// Blank texts are nothing; texts that say a number, a truth value or a time are read as one.
    Lenient,
    /// As lenient, and one text may be a list, and the last of several texts a value: a form names a field as often as it
    /// has values.
    Form,
}

impl Strictness {
    fn is_lenient(self) -> bool {
        self != Strictness::Strict
    }
}

/// Reads a value into a field, which keeps what it had unless the answer is [`Read::Value`].
pub(super) fn read_field<A: Fields>(model: &mut A, position: usize, view: View<'_>, manner: Strictness) -> Read {
    // Most fields had nothing.
    let before = (model.state(position) != FieldState::NotSet).then(|| {
        let mut before: A = untouched();
        before.copy_field(model, position);
        before
    });
    let read = read_into(model, position, view, manner);
    match before {
        _ if read == Read::Value => {}
        Some(before) => model.copy_field(&before, position),
        None => model.set_state(position, FieldState::NotSet),
    }
    read
}

fn read_into<A: Fields>(model: &mut A, position: usize, view: View<'_>, manner: Strictness) -> Read {
    let read = read_as_it_is(model, position, view, manner);
    if read == Read::Value || manner == Strictness::Strict {
        return read;
    }
    let mut again = |view: View<'_>, manner| read_as_it_is(model, position, view, manner);
    let is_read = match (read, view) {
        // A list in which nothing is chosen. What takes any text, as JSON does, is no list.
        (Read::Nothing, View::Str(_)) if manner == Strictness::Form && again(view, Strictness::Strict) == NO_LIST => {
            again(View::Json(&Value::Array(Vec::new())), manner) == Read::Value
        }
        (NO_LIST, View::Str(text)) if manner == Strictness::Form => {
            again(View::Json(&json!([text])), manner) == Read::Value
        }
        (Read::Mismatch(_), View::Str(text)) => {
            spellings(text).iter().any(|spelling| again(View::Str(spelling), manner) == Read::Value)
        }
        // A list of which one item is wrong is not the last item.
        (Read::Mismatch(_), View::Json(Value::Array(items))) if manner == Strictness::Form && read != NO_LIST => {
            match items.last().map(View::of) {
                Some(last) => return read_into(model, position, last, Strictness::Lenient),
                None => false,
            }
        }
        _ => false,
    };
    if is_read { Read::Value } else { read }
}

fn read_as_it_is<A: Fields>(model: &mut A, position: usize, view: View<'_>, manner: Strictness) -> Read {
    if manner.is_lenient() && view.is_blank() {
        return read_nothing(model, position);
    }
    let expected = Cell::new(None);
    match model.deserialize_field(position, Reader { view, manner, expected: &expected }) {
        Ok(()) if is_kept(model, position, view) => Read::Value,
        Ok(()) => Read::Mismatch(expected.get()),
        Err(Mismatch) if view == View::Null => read_nothing(model, position),
        Err(Mismatch) => Read::Mismatch(expected.get()),
    }
}

fn read_nothing<A: Fields>(model: &mut A, position: usize) -> Read {
    if model.set_absent(position) { Read::Value } else { Read::Nothing }
}

/// Reads a value as any type, strictly.
pub(super) fn read<T: de::DeserializeOwned>(view: View<'_>) -> Option<T> {
    T::deserialize(Reader { view, manner: Strictness::Strict, expected: &Cell::new(None) }).ok()
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
    manner: Strictness,
    /// The name of the type that asked first.
    expected: &'c Cell<Option<&'static str>>,
}

impl<'de> Reader<'de, '_> {
    fn expect(&self, name: &'static str) {
        if self.expected.get().is_none() {
            self.expected.set(Some(name));
        }
    }

    /// The text from which a number or a truth value may be read.
    fn lenient_text(&self) -> Option<&'de str> {
        match self.view {
            View::Str(text) if self.manner.is_lenient() => Some(text),
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

    /// A number of 32 bits, which has a range of its own.
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

/// Not every number type accepts a 128-bit number, so the narrowest call is made.
fn visit_int<'de, V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, Mismatch> {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => visitor.visit_i64(number),
        (_, Ok(number)) => visitor.visit_u64(number),
        _ => visitor.visit_i128(number),
    }
}

/// JSON has no word for a number that is not finite, so it is refused here, not turned into null later.
fn visit_float<'de, V: Visitor<'de>>(number: f64, visitor: V) -> Result<V::Value, Mismatch> {
    if number.is_finite() { visitor.visit_f64(number) } else { Err(Mismatch) }
}

/// Whether a number that is not zero was read as zero, because it is too small for the type.
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

/// Compound values are read by `serde_json`, after the name of the type is noted.
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
            // `on` is what a browser sends for a checkbox without a value of its own.
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
            // A form sends one blank entry for a list in which nothing is chosen.
            View::Json(Value::Array(items)) if self.manner.is_lenient() => {
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
