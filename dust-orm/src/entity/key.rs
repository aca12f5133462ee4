//! Keys: the texts that may name a record, and the paths of records.
//!
//! A key has one or more parts, each of which is one path segment. Its *rendered* form is the part of the record's path
//! below the prefix, `ada/a~1b` for `("ada", "a/b")`: escaped, so that two keys never have the same text.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;

use dust_protocol::Path;
use dust_protocol::path::{escape_into, unescape};
use sea_orm::ActiveModelTrait;

use super::{DustEntity, Fields, KeyCase, KeyOf, key_fields};
use crate::error::{DustErr, Undecodable};

/// The text of a key, or of one part of it.
pub(crate) fn key_text<K: Display + 'static>(key: &K) -> Cow<'_, str> {
    // The compiler decides whether the key is a text already.
    match (key as &dyn Any).downcast_ref::<String>() {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(key.to_string()),
    }
}

/// The rendered form of a key, without an allocation for a key of one part that has nothing to escape.
pub(crate) fn render_key<'s>(segments: &'s [Cow<'_, str>]) -> Cow<'s, str> {
    if let [only] = segments
        && !only.bytes().any(|byte| matches!(byte, b'/' | b'~'))
    {
        return Cow::Borrowed(only);
    }
    let mut rendered = String::with_capacity(segments.iter().map(|segment| segment.len() + 1).sum());
    for (part, segment) in segments.iter().enumerate() {
        if part > 0 {
            rendered.push('/');
        }
        escape_into(segment, &mut rendered);
    }
    Cow::Owned(rendered)
}

/// Parses a key in its rendered form. `None` if it is not a key of the entity.
pub(crate) fn parse_key<E: DustEntity>(rendered: &str) -> Option<KeyOf<E>> {
    let mut active = <E::ActiveModel as ActiveModelTrait>::default();
    set_key::<E>(&mut active, rendered).ok()?;
    E::take_key(&mut active)
}

/// Parses a key in its rendered form into an ActiveModel, as `Unchanged`.
///
/// # Errors
///
/// The first part that cannot be read, under the name of its field; under `key` if the key has one part.
pub(crate) fn set_key<E: DustEntity>(active: &mut E::ActiveModel, rendered: &str) -> Result<(), Undecodable> {
    for (part, segment) in rendered.split('/').enumerate() {
        E::set_key_part(active, part, &unescape(segment)).map_err(|reason| {
            let name = if E::KEY_PARTS == 1 { "key" } else { part_name::<E>(part) };
            Undecodable::new(name, reason)
        })?;
    }
    Ok(())
}

/// Stores a key in an ActiveModel, as `Unchanged`.
///
/// # Errors
///
/// A part that is not read as the same value.
pub(crate) fn set_whole_key<E: DustEntity>(active: &mut E::ActiveModel, key: &KeyOf<E>) -> Result<(), DustErr> {
    for (part, segment) in E::key_segments(key).as_ref().iter().enumerate() {
        E::set_key_part(active, part, segment).map_err(|reason| unreadable_part::<E>(part, segment, &reason))?;
    }
    Ok(())
}

/// The path to read the record with this key from; `None` for a key that no record can have.
///
/// Each part is escaped and is one segment, so the path is always below the prefix.
///
/// # Errors
///
/// A part holds a NUL character, which no transport sends.
pub(crate) fn lookup_path<E: DustEntity>(key: &KeyOf<E>) -> Result<Option<Path>, DustErr> {
    let segments = E::key_segments(key);
    lookup_segments::<E>(segments.as_ref().iter().map(|segment| &**segment))
}

/// The path to read from below the prefix of an entity: of a record, or of what the first parts of its key name.
pub(super) fn lookup_segments<'s, E: DustEntity>(
    segments: impl Iterator<Item = &'s str> + Clone,
) -> Result<Option<Path>, DustErr> {
    for (part, segment) in segments.clone().enumerate() {
        match KeyFault::of::<E>(segment) {
            Some(KeyFault::Empty | KeyFault::Star) => return Ok(None),
            Some(fault @ KeyFault::Nul) => return Err(invalid_part::<E>(part, segment, fault.reason())),
            // Another client may have written a key with upper-case letters.
            Some(KeyFault::Case) | None => {}
        }
    }
    Ok(Some(Path::within(E::PREFIX, segments)?))
}

/// The name of the field of one part of the key.
fn part_name<E: DustEntity>(part: usize) -> &'static str {
    key_fields::<E::ActiveModel>().nth(part).map_or("key", |(_, field)| field.name)
}

/// The error for a text that cannot be one part of a key.
fn invalid_part<E: DustEntity>(part: usize, segment: &str, reason: &str) -> DustErr {
    let prefix = E::PREFIX.join("/");
    DustErr::invalid_params(match E::KEY_PARTS {
        1 => format!("{segment:?} cannot be a key under `{prefix}`: {reason}"),
        _ => format!("{segment:?} cannot be `{}` in a key under `{prefix}`: {reason}", part_name::<E>(part)),
    })
}

/// The error for one part of a key that is not read as the same value.
fn unreadable_part<E: DustEntity>(part: usize, segment: &str, reason: &str) -> DustErr {
    invalid_part::<E>(part, segment, &format!("no read would find it: {reason}"))
}

/// Checks that a text can be one part of the key of a record that is written.
pub(super) fn check_part<E: DustEntity>(part: usize, segment: &str) -> Result<(), DustErr> {
    match KeyFault::of::<E>(segment) {
        Some(fault) => Err(invalid_part::<E>(part, segment, fault.reason())),
        None => Ok(()),
    }
}

/// Checks that one part of a key is read as a value that has the same text, for types that may lose something.
pub(super) fn check_part_is_read<E: DustEntity>(part: usize, segment: &str) -> Result<(), DustErr> {
    if !key_fields::<E::ActiveModel>().nth(part).is_some_and(|(_, field)| field.read_back) {
        return Ok(());
    }
    let mut read = <E::ActiveModel as ActiveModelTrait>::default();
    E::set_key_part(&mut read, part, segment).map_err(|reason| unreadable_part::<E>(part, segment, &reason))
}

/// The path under which an entity writes its records.
///
/// # Errors
///
/// The prefix violates [`KeyCase`]. The derive checks that at compile time; this covers a handwritten `DustEntity`.
pub(crate) fn writable_prefix<E: DustEntity>() -> Result<Path, DustErr> {
    match E::PREFIX.iter().find(|segment| violates_case::<E>(segment)) {
        None => Ok(E::prefix_path()?),
        Some(segment) => Err(DustErr::invalid_params(format!(
            "the prefix `{}` of the entity `{}` has upper-case letters in {segment:?}, and the server ignores case \
             when it removes a subtree, so that prefixes which differ in case destroy each other's records; use \
             lower case, or `KeyCase::Any` if no two prefixes and no two keys differ in case",
            E::PREFIX.join("/"),
            E::default().table_name(),
        ))),
    }
}

/// True if the segment violates [`KeyCase::Lower`]: the server may confuse it with one that differs only in case.
fn violates_case<E: DustEntity>(segment: &str) -> bool {
    E::KEY_CASE == KeyCase::Lower && segment.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The reason why a text cannot be the key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    Empty,
    Star,
    Nul,
    Case,
}

impl KeyFault {
    pub(crate) fn of<E: DustEntity>(segment: &str) -> Option<KeyFault> {
        match segment {
            "" => Some(KeyFault::Empty),
            "\\*" | "\\**" => Some(KeyFault::Star),
            _ if segment.contains('\0') => Some(KeyFault::Nul),
            _ => violates_case::<E>(segment).then_some(KeyFault::Case),
        }
    }

    fn reason(self) -> &'static str {
        match self {
            KeyFault::Empty => "a key needs at least one character",
            KeyFault::Star => "no pattern can name it, so the record could not be read",
            KeyFault::Nul => {
                "it holds a NUL character, and a server loses leaves whose path has one; use a key without it"
            }
            KeyFault::Case => {
                "it has upper-case letters, and the server ignores case when it removes a record, so that keys which \
                 differ in case destroy each other; use lower case, or `#[dust(key_case = \"any\")]` if no two keys \
                 differ in case"
            }
        }
    }
}

/// The path to write the record with this key to.
///
/// # Errors
///
/// The reason why no record may have this key.
pub(crate) fn record_path<E: DustEntity>(key: &KeyOf<E>) -> Result<Path, DustErr> {
    let segments = E::key_segments(key);
    writable_path::<E>(segments.as_ref().iter().map(|segment| &**segment))
}

/// The path to write to below the prefix of an entity: of a record, or of what the first parts of its key name.
pub(super) fn writable_path<'s, E: DustEntity>(
    segments: impl Iterator<Item = &'s str> + Clone,
) -> Result<Path, DustErr> {
    segments.clone().enumerate().try_for_each(|(part, segment)| check_part::<E>(part, segment))?;
    writable_prefix::<E>()?;
    Ok(Path::within(E::PREFIX, segments)?)
}

/// The path to write the record of an ActiveModel to.
///
/// # Errors
///
/// A part of the key is `NotSet`, or the reason why no record may have the key.
pub(crate) fn active_path<E: DustEntity>(model: &E::ActiveModel) -> Result<Path, DustErr> {
    let segments = E::active_key_segments(model);
    let segments = segments.as_ref();
    if let Some(unset) = segments.iter().position(Option::is_none) {
        let prefix = E::PREFIX.join("/");
        return Err(DustErr::invalid_params(match E::KEY_PARTS {
            1 => format!("the primary key is not set: a record under `{prefix}` is named by it"),
            _ => format!(
                "`{}` of the primary key is not set: a record under `{prefix}` is named by every part of its key",
                part_name::<E>(unset)
            ),
        }));
    }
    let segments = segments.iter().flatten().map(|segment| &**segment);
    check_key::<E>(model, segments.clone())?;
    writable_path::<E>(segments)
}

/// Refuses a key whose path is parsed as another key, or not at all.
fn check_key<'s, E: DustEntity>(
    model: &E::ActiveModel,
    segments: impl Iterator<Item = &'s str>,
) -> Result<(), DustErr> {
    let parts = key_fields::<E::ActiveModel>().zip(segments).enumerate();
    let mut parts = parts.filter(|(_, ((_, field), _))| field.read_back).peekable();
    if parts.peek().is_none() {
        return Ok(());
    }
    let mut read = <E::ActiveModel as ActiveModelTrait>::default();
    for (part, ((position, _), segment)) in parts {
        let reason = match E::set_key_part(&mut read, part, segment) {
            Ok(()) if read.same_value(model, position) => continue,
            Ok(()) => "it is read as another key".to_owned(),
            Err(reason) => reason,
        };
        return Err(unreadable_part::<E>(part, segment, &reason));
    }
    Ok(())
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use std::borrow::Cow;

    use sea_orm::EntityTrait;

    use crate::DustRepo;
    use crate::entity::{DustEntity, KeyCase, KeyFrom, KeyOf, StorageMode};
    use crate::error::ErrKind;

    /// An entity whose `DustEntity` is written by hand, without the checks of the derive.
    mod shouting {
        use crate::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveChangeset)]
        #[sea_orm(table_name = "links")]
        #[dust(crate = "crate")]
        pub(super) struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub slug: String,
            pub title: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub(super) enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    impl DustEntity for shouting::Entity {
        const PREFIX: &'static [&'static str] = &["app", "Links"];
        const MODE: StorageMode = StorageMode::Flat;
        const KEY_CASE: KeyCase = KeyCase::Lower;

        const KEY_PARTS: usize = 1;

        fn key_segments(key: &KeyOf<Self>) -> impl AsRef<[Cow<'_, str>]> {
            [Cow::Borrowed(&**key)]
        }

        fn active_key_segments(model: &<Self as EntityTrait>::ActiveModel) -> impl AsRef<[Option<Cow<'_, str>>]> {
            [model.slug.try_as_ref().map(|slug| Cow::Borrowed(&**slug))]
        }

        fn set_key_part(model: &mut <Self as EntityTrait>::ActiveModel, _: usize, segment: &str) -> Result<(), String> {
            model.slug = sea_orm::Unchanged(segment.to_owned());
            Ok(())
        }

        fn take_key(model: &mut <Self as EntityTrait>::ActiveModel) -> Option<String> {
            model.slug.take()
        }
    }

    impl<K: Into<String>> KeyFrom<K> for shouting::Entity {
        fn key_from(given: K) -> String {
            given.into()
        }
    }

    #[tokio::test]
    async fn upper_case_prefix_written_by_hand_is_refused_by_every_write() {
        let repo = DustRepo::embedded();
        let link = || shouting::Model { slug: "a".into(), title: "A".into() };
        let refused = [
            repo.put(link()).await.unwrap_err(),
            repo.delete_by_id::<shouting::Entity>("a").await.unwrap_err(),
            repo.delete_all::<shouting::Entity>().await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrKind::InvalidParams);
            let text = error.to_string();
            assert!(text.contains("`app/Links`") && text.contains("`links`") && text.contains("\"Links\""), "{text}");
            assert!(text.contains("lower case") && text.contains("`KeyCase::Any`"), "{text}");
        }
        assert_eq!(repo.find_by_id::<shouting::Entity>("a").await.unwrap(), None);
    }
}
