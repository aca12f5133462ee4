//! Prefixes of composite keys: their first parts.

use std::fmt::Display;

use dust_protocol::Path;

use super::key::{check_part_is_read, key_text, lookup_segments, writable_path};
use super::{DustEntity, KeyOf};
use crate::error::DustErr;

/// The first parts of a composite key `K`, in order, without the last one. One part is given as itself, several as a
/// tuple; each is anything that converts to the type of its part.
///
/// For a key `(String, String, i64)`, `"ada"` and `("ada", "rust")` are prefixes. The whole key is not, nor is a value
/// of another type. `Marker` is inferred; it only tells the implementations apart.
///
/// ```
/// use dust_orm::{DustRepo, entity::prelude::*, tests_cfg::bookmark};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// # let repo = DustRepo::embedded();
///
/// for (owner, id) in [("ada", 1), ("ada", 2), ("bob", 1)] {
///     repo.put(bookmark::Model { owner: owner.into(), id, url: "https://dustlayer.io".into() }).await?;
/// }
/// repo.delete_all::<bookmark::Entity>().within("ada").await?;
/// assert_eq!(repo.all::<bookmark::Entity>().await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a prefix of the key `{K}`",
    label = "must be the first parts of the key, without the last one",
    note = "of a key `(A, B, C)` the prefixes are `a` and `(a, b)`; a key of one part has none"
)]
pub trait KeyPrefix<K, Marker>: sealed::Segments<K, Marker> {}

#[diagnostic::do_not_recommend]
impl<K, Marker, P: sealed::Segments<K, Marker>> KeyPrefix<K, Marker> for P {}

/// The last parts of a composite key, of which the first are given by [`within`](crate::repo::Find::within). One part is
/// given as itself, several as a tuple; each is anything that converts to the type of its part, which are the items of
/// the tuple `Rest`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the rest of the key",
    label = "must be the parts of the key that `within` has not given",
    note = "of a key `(A, B, C)` within `a` the rest is `(b, c)`, within `(a, b)` it is `c`"
)]
pub trait KeyRest<Rest>: sealed::RestSegments<Rest> {}

#[diagnostic::do_not_recommend]
impl<Rest, K: sealed::RestSegments<Rest>> KeyRest<Rest> for K {}

mod sealed {
    /// The path segments of a prefix, one for each part, not escaped.
    pub trait Segments<K, Marker> {
        /// The types of the other parts, as a tuple.
        type Rest;

        fn segments(self) -> Vec<String>;
    }

    /// The path segments of the rest of a key, one for each part, not escaped.
    pub trait RestSegments<Rest> {
        fn rest_segments(self) -> Vec<String>;
    }

    /// The marker of prefixes with `N` parts.
    pub enum Parts<const N: usize> {}
}

use sealed::{Parts, RestSegments, Segments};

/// The path of everything below a prefix of the key.
///
/// # Errors
///
/// The reason why no record may have such a key.
pub(crate) fn prefix_path_of<E: DustEntity, Marker>(parts: impl KeyPrefix<KeyOf<E>, Marker>) -> Result<Path, DustErr> {
    let segments = parts.segments();
    segments.iter().enumerate().try_for_each(|(part, segment)| check_part_is_read::<E>(part, segment))?;
    writable_path::<E>(segments.iter().map(String::as_str))
}

/// The path of everything below a prefix of the key, to read from; `None` for a prefix that no key can have.
///
/// # Errors
///
/// A part holds a NUL character, which no transport sends.
pub(crate) fn lookup_prefix<E: DustEntity, Marker>(
    parts: impl KeyPrefix<KeyOf<E>, Marker>,
) -> Result<Option<Path>, DustErr> {
    lookup_segments::<E>(parts.segments().iter().map(String::as_str))
}

fn segment<K: Display + 'static>(given: impl Into<K>) -> String {
    key_text::<K>(&given.into()).into_owned()
}

/// Implements the prefixes with some number of parts, for keys with each number of further parts.
///
/// `prefixes!(2, (P, Q), [A P p, B Q q], C D)` implements `(P, Q)` for the keys `(A, B, C)` and `(A, B, C, D)`.
macro_rules! prefixes {
    ($count:literal, $given:ty, $named:pat, [$($part:ident $input:ident $name:ident),+], $($rest:ident)+) => {
        prefixes!(@keys $count, $given, $named, [$($part $input $name),+], [] $($rest)+);
    };
    (@keys $count:literal, $given:ty, $named:pat, [$($part:ident $input:ident $name:ident),+], [$($done:ident)*]) => {};
    (
        @keys $count:literal, $given:ty, $named:pat, [$($part:ident $input:ident $name:ident),+],
        [$($done:ident)*] $next:ident $($rest:ident)*
    ) => {
        #[diagnostic::do_not_recommend]
        impl<$($part: Display + 'static, $input: Into<$part>,)+ $($done,)* $next>
            Segments<($($part,)+ $($done,)* $next,), Parts<$count>> for $given
        {
            type Rest = ($($done,)* $next,);

            fn segments(self) -> Vec<String> {
                let $named = self;
                vec![$(segment::<$part>($name)),+]
            }
        }
        prefixes!(@keys $count, $given, $named, [$($part $input $name),+], [$($done)* $next] $($rest)*);
    };
}

prefixes!(1, InA, a, [A InA a], B C D E F G H I J K L);
prefixes!(2, (InA, InB), (a, b), [A InA a, B InB b], C D E F G H I J K L);
prefixes!(3, (InA, InB, InC), (a, b, c), [A InA a, B InB b, C InC c], D E F G H I J K L);
prefixes!(4, (InA, InB, InC, InD), (a, b, c, d), [A InA a, B InB b, C InC c, D InD d], E F G H I J K L);
prefixes!(5, (InA, InB, InC, InD, InE), (a, b, c, d, e), [A InA a, B InB b, C InC c, D InD d, E InE e], F G H I J K L);
prefixes!(6, (InA, InB, InC, InD, InE, InF), (a, b, c, d, e, f), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f
], G H I J K L);
prefixes!(7, (InA, InB, InC, InD, InE, InF, InG), (a, b, c, d, e, f, g), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f, G InG g
], H I J K L);
prefixes!(8, (InA, InB, InC, InD, InE, InF, InG, InH), (a, b, c, d, e, f, g, h), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f, G InG g, H InH h
], I J K L);
prefixes!(9, (InA, InB, InC, InD, InE, InF, InG, InH, InI), (a, b, c, d, e, f, g, h, i), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f, G InG g, H InH h,
    I InI i
], J K L);
prefixes!(10, (InA, InB, InC, InD, InE, InF, InG, InH, InI, InJ), (a, b, c, d, e, f, g, h, i, j), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f, G InG g, H InH h,
    I InI i, J InJ j
], K L);
prefixes!(11, (InA, InB, InC, InD, InE, InF, InG, InH, InI, InJ, InK), (a, b, c, d, e, f, g, h, i, j, k), [
    A InA a, B InB b, C InC c, D InD d, E InE e, F InF f, G InG g, H InH h,
    I InI i, J InJ j, K InK k
], L);

#[diagnostic::do_not_recommend]
impl<A: Display + 'static, InA: Into<A>> RestSegments<(A,)> for InA {
    fn rest_segments(self) -> Vec<String> {
        vec![segment::<A>(self)]
    }
}

/// Implements the rest of a key for tuples of two parts and more.
macro_rules! rests {
    ([$($part:ident $input:ident $name:ident),+]) => {};
    ([$($part:ident $input:ident $name:ident),+] $next:ident $next_input:ident $next_name:ident $(, $($more:tt)*)?) => {
        rests!(@tuple $($part $input $name,)+ $next $next_input $next_name);
        rests!([$($part $input $name,)+ $next $next_input $next_name] $($($more)*)?);
    };
    (@tuple $($part:ident $input:ident $name:ident),+) => {
        #[diagnostic::do_not_recommend]
        impl<$($part: Display + 'static, $input: Into<$part>),+> RestSegments<($($part,)+)> for ($($input,)+) {
            fn rest_segments(self) -> Vec<String> {
                let ($($name,)+) = self;
                vec![$(segment::<$part>($name)),+]
            }
        }
    };
}

rests!([A InA a] B InB b, C InC c, D InD d, E InE e, F InF f, G InG g, H InH h, I InI i, J InJ j, K InK k);

#[cfg(test)]
#[cfg(feature = "macros")]
mod tests {
    use super::*;
    use crate::error::ErrKind;
    use crate::tests_cfg::bookmark;

    fn path(owner: &str) -> Result<String, DustErr> {
        prefix_path_of::<bookmark::Entity, _>(owner).map(|path| path.to_string())
    }

    #[test]
    fn prefix_is_path_above_records() {
        for (owner, rendered) in [("ada", "bookmarks/ada"), ("a/b~", "bookmarks/a~1b~0"), ("*", "bookmarks/*")] {
            assert_eq!(path(owner).unwrap(), rendered);
        }
    }

    #[test]
    fn invalid_part_is_refused_with_its_field() {
        for owner in ["", "\\*", "\\**", "a\0", "Ada"] {
            let error = path(owner).unwrap_err();
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            assert!(error.to_string().contains("`owner` in a key under `bookmarks`"), "{error}");
        }
    }

    #[test]
    fn prefix_of_longer_keys_takes_each_type_of_part() {
        fn segments<K, Marker>(prefix: impl KeyPrefix<K, Marker>) -> Vec<String> {
            prefix.segments()
        }
        type Key = (String, i64, u8, String);
        assert_eq!(segments::<Key, _>("a"), ["a"]);
        assert_eq!(segments::<Key, _>(("a".to_owned(), -7)), ["a", "-7"]);
        assert_eq!(segments::<Key, _>(("a", 7_i32, 8)), ["a", "7", "8"]);
    }
}
