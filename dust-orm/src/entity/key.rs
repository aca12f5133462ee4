//! Keys: which strings may name a record, and where the record is.

use super::{DustEntity, KeyCase};
use crate::error::DustErr;
use crate::protocol::Path;

/// The path at which to look for the record with this key; `None` for a key that can name none.
///
/// A key is one segment, whatever it contains: it is escaped and can never reach outside of its prefix.
///
/// Fails for a key that holds a NUL character, which no transport sends.
pub(crate) fn lookup_path<E: DustEntity>(segment: &str) -> Result<Option<Path>, DustErr> {
    match segment {
        "" | "\\*" | "\\**" => Ok(None),
        _ if segment.contains('\0') => Err(refused::<E>(segment, NUL)),
        _ => Ok(Path::within(E::PREFIX, segment).map(Some)?),
    }
}

const NUL: &str = "it holds a NUL character, and a server loses leaves whose path has one; use a key without it";

fn refused<E: DustEntity>(segment: &str, reason: &str) -> DustErr {
    let prefix = E::PREFIX.join("/");
    DustErr::InvalidParams(format!("{segment:?} cannot be a key under `{prefix}`: {reason}"))
}

/// The path at which to write the record with this key. Refuses a key that must not name one, and says why.
pub(crate) fn record_path<E: DustEntity>(segment: &str) -> Result<Path, DustErr> {
    let refuse = |reason: &str| Err(refused::<E>(segment, reason));
    match segment {
        "" => refuse("a key needs at least one character"),
        "\\*" | "\\**" => refuse("no pattern can name it, so the record could not be read"),
        _ if segment.contains('\0') => refuse(NUL),
        _ if E::KEY_CASE == KeyCase::Lower && segment.bytes().any(|byte| byte.is_ascii_uppercase()) => refuse(
            "it has upper-case letters, and the server ignores case when it removes a record, so that keys which differ \
             in case destroy each other; use lower case, or `#[dust(key_case = \"any\")]` if no two keys differ in case",
        ),
        _ => Ok(Path::within(E::PREFIX, segment)?),
    }
}

/// The path at which to write the record that an ActiveModel is about.
pub(crate) fn active_path<E: DustEntity>(model: &E::ActiveModel) -> Result<Path, DustErr> {
    match E::key_segment(model) {
        Some(segment) => record_path::<E>(&segment),
        None => Err(DustErr::InvalidParams(format!(
            "the primary key is not set: a record under `{}` is named by it",
            E::PREFIX.join("/")
        ))),
    }
}
