//! Typed access to the fields of an `ActiveModel`: what the derives generate.

use sea_orm::{ActiveModelTrait, EntityTrait};
use serde::{Deserializer, Serializer};

/// What a derive knows of one field.
#[derive(Clone, Copy, Debug)]
pub struct Field<Column: 'static> {
    /// The SeaORM column.
    pub column: Column,
    /// The serde name: the name of the leaf, of the JSON key that `cast` reads, and of the field in errors.
    pub name: &'static str,
    /// The names of `#[serde(alias)]`, under which a value is read as well; the first that is there counts, after
    /// [`name`](Field::name).
    pub aliases: &'static [&'static str],
    /// Whether a record without it is not one.
    pub required: bool,
    /// Whether its type is an `Option`: `null` and an absent leaf are both `None`.
    pub nullable: bool,
    /// Whether it is the primary key, which is the record's path and never a leaf.
    pub key: bool,
    /// Whether serde skips it: it is never written, and read as its default.
    pub skipped: bool,
    /// Whether a value is read back from its text before it is accepted: its type may write less than it holds. Never for a
    /// plain text, number or truth value, and for an entity that lives in SQL only for nothing but the key.
    pub read_back: bool,
}

impl<Column> Field<Column> {
    /// Every name under which a value is read, the first that is there counts.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<Column> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The place of a name among [`names`](Field::names).
    pub(crate) fn rank(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }
}

/// The state of one field of an `ActiveModel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldState {
    /// Untouched, value unknown.
    NotSet,
    /// As it was read.
    Unchanged,
    /// To be written.
    Set,
}

/// Typed access to the fields of an `ActiveModel`, by their position in [`FIELDS`](Fields::FIELDS).
///
/// `#[derive(DeriveDustEntity)]` generates it, and so does `#[derive(DeriveChangeset)]` for an entity that lives in SQL
/// only. Every value passes through serde as its own type (attributes such as `#[serde(with)]` included), never through
/// [`sea_orm::Value`], which disagrees with serde on enums, dates, decimals and bytes.
///
/// A position past the end is an error for the serde methods and changes nothing for the others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `ActiveModel` that dust-orm knows",
    label = "its `Model` needs a derive",
    note = "derive `DeriveDustEntity` on the `Model` of an entity that lives in Dust, or `DeriveChangeset` on that of \
            one that lives in SQL only, beside `DeriveEntityModel`"
)]
pub trait Fields: ActiveModelTrait {
    /// The fields, in the order in which the model declares them.
    const FIELDS: &'static [Field<<Self::Entity as EntityTrait>::Column>];

    /// The position of a column in [`FIELDS`](Fields::FIELDS).
    fn position(column: <Self::Entity as EntityTrait>::Column) -> usize;

    /// What is known of a field.
    fn state(&self, position: usize) -> FieldState;

    /// Serializes a field's value; an error when it is `NotSet`.
    fn serialize_field<S: Serializer>(&self, position: usize, serializer: S) -> Result<S::Ok, S::Error>;

    /// Deserializes a field's value and keeps it as `Set`.
    fn deserialize_field<'de, D: Deserializer<'de>>(
        &mut self,
        position: usize,
        deserializer: D,
    ) -> Result<(), D::Error>;

    /// Gives a field the value that it has when its leaf is absent, as `Set`: `None` for an `Option`, the default of
    /// `#[serde(default)]` or `#[serde(skip)]`. `false`, and nothing done, when there is no such value.
    fn set_absent(&mut self, position: usize) -> bool;

    /// Whether both have a value for the field and the values are equal.
    fn same_value(&self, other: &Self, position: usize) -> bool;

    /// Clones a field, value and state.
    fn copy_field(&mut self, from: &Self, position: usize);

    /// Makes a field `NotSet`, or a known value `Set` or `Unchanged`. A `NotSet` field stays as it is.
    fn set_state(&mut self, position: usize, state: FieldState);
}

/// The columns of the required fields.
pub(crate) fn required_columns<A: Fields>() -> Vec<<A::Entity as EntityTrait>::Column> {
    A::FIELDS.iter().filter(|field| field.required).map(|field| field.column).collect()
}
