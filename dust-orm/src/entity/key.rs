//! Keys: the texts that may name a record, and the paths of records.

use dust_protocol::Path;
use sea_orm::ActiveModelTrait;

use super::{DustEntity, Fields, KeyCase};
use crate::error::DustErr;

/// The path to read the record with this key from; `None` for a key that no record can have.
///
/// A key is always one segment: it is escaped, so its path is always below the prefix.
///
/// # Errors
///
/// The key holds a NUL character, which no transport sends.
pub(crate) fn lookup_path<E: DustEntity>(segment: &str) -> Result<Option<Path>, DustErr> {
    match KeyFault::of::<E>(segment) {
        Some(KeyFault::Empty | KeyFault::Star) => Ok(None),
        Some(fault @ KeyFault::Nul) => Err(invalid_key::<E>(segment, fault.reason())),
        // Another client may have written a key with upper-case letters.
        Some(KeyFault::Case) | None => Ok(Path::within(E::PREFIX, segment).map(Some)?),
    }
}

fn invalid_key<E: DustEntity>(segment: &str, reason: &str) -> DustErr {
    let prefix = E::PREFIX.join("/");
    DustErr::invalid_params(format!("{segment:?} cannot be a key under `{prefix}`: {reason}"))
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
pub(crate) fn record_path<E: DustEntity>(segment: &str) -> Result<Path, DustErr> {
    if let Some(fault) = KeyFault::of::<E>(segment) {
        return Err(invalid_key::<E>(segment, fault.reason()));
    }
    writable_prefix::<E>()?;
    Ok(Path::within(E::PREFIX, segment)?)
}

/// The path to write the record of an ActiveModel to.
///
/// # Errors
///
/// The key is `NotSet`, or the reason why no record may have it.
pub(crate) fn active_path<E: DustEntity>(model: &E::ActiveModel) -> Result<Path, DustErr> {
    match E::key_segment(model) {
        Some(segment) => {
            check_key::<E>(model, &segment)?;
            record_path::<E>(&segment)
        }
        None => Err(DustErr::invalid_params(format!(
            "the primary key is not set: a record under `{}` is named by it",
            E::PREFIX.join("/")
        ))),
    }
}

/// Refuses a key whose path segment parses as another key, or not at all.
fn check_key<E: DustEntity>(model: &E::ActiveModel, segment: &str) -> Result<(), DustErr> {
    let mut keys =
        E::ActiveModel::FIELDS.iter().enumerate().filter(|(_, field)| field.key && field.read_back).peekable();
    if keys.peek().is_none() {
        return Ok(());
    }
    let mut read = <E::ActiveModel as ActiveModelTrait>::default();
    let reason = match E::set_key(&mut read, segment) {
        Ok(()) if keys.all(|(position, _)| read.same_value(model, position)) => return Ok(()),
        Ok(()) => "it is read as another key".to_owned(),
        Err(reason) => reason,
    };
    let prefix = E::PREFIX.join("/");
    Err(DustErr::invalid_params(format!(
        "{segment:?} cannot be a key under `{prefix}`, as no read would find it: {reason}"
    )))
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use std::borrow::Cow;

    use sea_orm::EntityTrait;

    use crate::DustRepo;
    use crate::entity::{DustEntity, KeyCase, KeyOf, StorageMode};
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

        fn key_to_segment(key: &KeyOf<Self>) -> Cow<'_, str> {
            Cow::Borrowed(key)
        }

        fn key_segment(model: &<Self as EntityTrait>::ActiveModel) -> Option<String> {
            model.slug.try_as_ref().cloned()
        }

        fn set_key(model: &mut <Self as EntityTrait>::ActiveModel, segment: &str) -> Result<(), String> {
            model.slug = sea_orm::Unchanged(segment.to_owned());
            Ok(())
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
