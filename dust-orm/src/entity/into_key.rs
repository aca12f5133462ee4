//! Conversion of the key that a caller passes to a verb.

use sea_orm::EntityTrait;

use super::{DustEntity, KeyOf};

/// The conversion of a `T` to a key of this entity, which the derive implements: `From` does not have it for tuples.
#[doc(hidden)]
pub trait KeyFrom<T>: EntityTrait {
    fn key_from(given: T) -> KeyOf<Self>;
}

/// A key of the entity `E`, as verbs accept it: anything that converts to the type of the key. For a composite key it
/// is a tuple with one such value for each part, in the order of the fields.
///
/// ```
/// use dust_orm::entity::IntoKey;
/// use dust_orm::tests_cfg::{bookmark, link};
///
/// fn key_of_link(key: impl IntoKey<link::Entity>) -> String {
///     key.into_key()
/// }
/// fn key_of_bookmark(key: impl IntoKey<bookmark::Entity>) -> (String, i64) {
///     key.into_key()
/// }
///
/// assert_eq!(key_of_link("dust"), "dust");
/// assert_eq!(key_of_bookmark(("ada", 7)), ("ada".to_owned(), 7));
/// ```
///
/// Every [`KeyOf<E>`](KeyOf) implements it, also in code that is generic over the entity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of `{E}`",
    label = "must have a value for each field with `primary_key`, in their order",
    note = "a key of one field takes anything that converts to its type: `\"dust\"` for a `String`",
    note = "a key of several fields takes a tuple of such values: `(\"ada\", 7)` for a `String` and an `i64`"
)]
pub trait IntoKey<E: DustEntity> {
    /// Converts the value to a key.
    fn into_key(self) -> KeyOf<E>;
}

#[diagnostic::do_not_recommend]
impl<E: DustEntity + KeyFrom<T>, T> IntoKey<E> for T {
    fn into_key(self) -> KeyOf<E> {
        E::key_from(self)
    }
}
