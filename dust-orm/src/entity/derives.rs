//! Documentation of the derive macros.

/// Makes a SeaORM entity a Dust entity: derive it on `Model`, beside `DeriveEntityModel`.
///
/// It adds `impl DustEntity for Entity` and `impl Fields for ActiveModel`, and repeats nothing that SeaORM generates,
/// so the same `ActiveModel` can be written to SQL and to Dust.
///
/// ```
/// use dust_orm::entity::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
/// #[sea_orm(table_name = "links")]
/// #[dust(prefix = "links")]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub slug: String,
///     pub title: String,
///     pub note: Option<String>,
/// }
/// #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// pub enum Relation {}
/// impl ActiveModelBehavior for ActiveModel {}
///
/// // A link is stored below links/<slug>, as the leaves links/<slug>/title and links/<slug>/note.
/// assert_eq!(Entity::PREFIX, ["links"]);
/// let link = ActiveModel { slug: Set("dust".into()), ..Default::default() };
/// assert_eq!(Entity::active_key_segments(&link).as_ref()[0].as_deref(), Some("dust"));
/// ```
///
/// # Attributes
///
/// | `#[dust(..)]` on the struct | |
/// |---|---|
/// | `prefix = "links"`, `prefix("reading", "links")` | The path of the records: one segment, or several. Required. |
/// | `mode = "flat"` (default), `mode = "map"` | The form of a record: [`StorageMode`](crate::entity::StorageMode). |
/// | `required(note, ..)` | Fields that are required although their type is an `Option` or they have a default. |
/// | `key_case = "lower"` (default), `key_case = "any"` | The case of keys: [`KeyCase`](crate::entity::KeyCase). |
/// | `crate = "path"` | The path of `dust-orm`, if it is only re-exported by another crate. |
///
/// # Fields
///
/// * The key is the field with `#[sea_orm(primary_key)]`, or several such fields, at most 12: a composite key is one
///   path segment for each of them, in their order. With the fields `owner` and `slug` a record is stored below
///   `links/<owner>/<slug>`, and verbs take the tuple `("ada", "dust")`.
/// * The type of each part of a key writes itself as a path segment with `ToString` and reads itself with `FromStr`. A
///   segment that differs from the one that the parsed key writes (`007` for the number 7) is not a key.
///   A newtype also implements SeaORM's `TryFromU64`, which its `DeriveValueType` gives to numbers only.
/// * Every other field is a leaf. Its type implements serde's `Serialize` and `Deserialize` (both directions pass
///   through them, never through SeaORM's `Value`). The leaf has serde's name: `#[serde(rename)]` on the field and
///   `#[serde(rename_all)]` on the struct are followed, and so are `with`, `serialize_with` and `deserialize_with`.
/// * Types of `chrono`, `time`, `uuid` and `rust_decimal` need the features `with-chrono`, `with-time`, `with-uuid` and
///   `with-rust_decimal`, and are written as strings. `time` writes `2026-01-02 03:04:05.0 +00:00:00`: for the form
///   that other readers of the store expect, add `#[serde(with = "time::serde::rfc3339")]` to an `OffsetDateTime`.
/// * `Vec<String>` needs SeaORM's feature `postgres-array`. A list or struct in a type of its own, with
///   `FromJsonQueryResult`, does not, but that derive needs `serde_json` among the dependencies.
/// * A field is required unless its type is an `Option`, or serde gives it a value by `default` or `skip`.
/// * An absent leaf is read as `None`, or as the value of `#[serde(default)]`. With `#[serde(skip)]` there is no leaf.
/// * With `#[serde(alias = "..")]` a value is also read under that name, if the record has none under the field's own:
///   so a field can be renamed without rewriting its records. A write of the field deletes the leaf under the alias.
/// * A field with `#[sea_orm(ignore)]` is neither a column nor a leaf.
/// * `Option` is recognised by its name: a type alias of it is not recognised.
///
/// The model need not derive serde's traits itself, unless it uses `#[serde(..)]`. An unsupported declaration is a
/// compile error: `flatten`, `skip_serializing_if`, names that differ between reading and writing, attributes that
/// change the shape of the whole struct, a key of more than 12 fields, fields whose names or aliases differ only in
/// ASCII case.
pub use dust_orm_macros::DeriveDustEntity;

/// Makes an entity that is stored only in SQL usable in changesets: derive it on `Model`, beside `DeriveEntityModel`.
///
/// It adds `impl Fields for ActiveModel` and `Entity::required_columns()`. [`DeriveDustEntity`] has both.
///
/// ```
/// use dust_orm::entity::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
/// #[sea_orm(table_name = "users")]
/// #[dust(required(nickname))]
/// pub struct Model {
///     #[sea_orm(primary_key)]
///     pub id: i32,
///     pub email: String,
///     pub nickname: Option<String>,
/// }
/// #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// pub enum Relation {}
/// impl ActiveModelBehavior for ActiveModel {}
///
/// let names: Vec<_> = Entity::required_columns().iter().map(|column| column.as_str()).collect();
/// assert_eq!(names, ["email", "nickname"]);
/// ```
///
/// `#[dust(..)]` is optional and takes `required(..)` and `crate = ".."`. Serde's attributes have the same effect as
/// with [`DeriveDustEntity`]. Every primary key is accepted, also a composite one; a key that the database generates is
/// not required.
pub use dust_orm_macros::DeriveChangeset;
