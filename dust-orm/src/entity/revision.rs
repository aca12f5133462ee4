//! Revisions of records, for compare-and-swap.

use std::sync::Arc;

use dust_protocol::{JsonObject, Path, PathError};
use serde::{Deserialize, Serialize};

use super::record::RecordRef;

/// The state in which a record was read, to be handed to `if_match`.
///
/// Opaque: it remembers the revision of the record and of every leaf that was read, because a store compares leaves, not
/// records. It serializes, so that it can travel in a form and come back. A bare number, such as another client's
/// revision of the whole record, converts into one; it can be matched in map mode only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "JsonObject<Wire>")]
pub struct Revision {
    record: u64,
    /// The leaves by their rendered name inside the record; `None` for a bare number.
    #[serde(serialize_with = "shared::serialize")]
    leaves: Option<Leaves>,
}

/// A revision as it travels.
#[derive(Deserialize)]
struct Wire {
    record: u64,
    #[serde(default, deserialize_with = "shared::deserialize")]
    leaves: Option<Leaves>,
}

impl From<JsonObject<Wire>> for Revision {
    fn from(JsonObject(Wire { record, leaves }): JsonObject<Wire>) -> Revision {
        Revision { record, leaves }
    }
}

/// Shared, as a revision is handed on with every write that it guards.
type Leaves = Arc<[(String, u64)]>;

/// How they travel: as a list.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Leaves;

    pub(super) fn serialize<S: Serializer>(leaves: &Option<Leaves>, serializer: S) -> Result<S::Ok, S::Error> {
        leaves.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Leaves>, D::Error> {
        Ok(Option::<Vec<(String, u64)>>::deserialize(deserializer)?.map(Into::into))
    }
}

impl Revision {
    pub(crate) fn of<'a>(record: impl Into<RecordRef<'a>>) -> Revision {
        let record = record.into();
        let leaves = record.leaves().map(|leaf| (record.name(leaf).to_owned(), leaf.revision)).collect();
        Revision { record: record.leaves().map(|leaf| leaf.revision).max().unwrap_or(0), leaves: Some(leaves) }
    }

    /// The revision of the record: the largest of its leaves'.
    pub fn number(&self) -> u64 {
        self.record
    }

    /// Whether this is a bare number, which names no leaves.
    pub(crate) fn is_bare(&self) -> bool {
        self.leaves.is_none()
    }

    /// Whether a leaf was read at or below a path, which is that of the record or below it.
    pub(crate) fn has_read(&self, path: &Path, record: &Path) -> bool {
        let Some(inside) = path.as_str().strip_prefix(record.as_str()) else { return false };
        let inside = inside.strip_prefix('/').unwrap_or(inside);
        self.leaves.iter().flat_map(|leaves| leaves.iter()).any(|(name, _)| {
            let rest = name.strip_prefix(inside);
            inside.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The revisions of the leaves below a record, with their paths; `None` for a bare number.
    pub(crate) fn leaves(&self, record: &Path) -> Result<Option<Vec<(Path, u64)>>, PathError> {
        let Some(leaves) = &self.leaves else { return Ok(None) };
        let path = |name: &str| Path::try_from([record.as_str(), "/", name].concat());
        let paths = leaves.iter().map(|(name, revision)| Ok((path(name)?, *revision)));
        paths.collect::<Result<_, _>>().map(Some)
    }
}

impl From<u64> for Revision {
    fn from(record: u64) -> Revision {
        Revision { record, leaves: None }
    }
}

impl From<&Revision> for Revision {
    fn from(revision: &Revision) -> Revision {
        revision.clone()
    }
}

/// A Model together with the state in which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<M> {
    /// The record.
    pub model: M,
    /// Its revision.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_no_revision() {
        let revision = Revision { record: 7, leaves: Some(vec![("title".to_owned(), 7)].into()) };
        let text = serde_json::to_string(&revision).unwrap();
        assert_eq!(text, r#"{"record":7,"leaves":[["title",7]]}"#);
        assert_eq!(serde_json::from_str::<Revision>(&text).unwrap(), revision);
        assert_eq!(serde_json::from_str::<Revision>(r#"{"record":7}"#).unwrap(), Revision::from(7));
        assert!(serde_json::from_str::<Revision>(r#"[7,[["title",7]]]"#).is_err());
        assert!(serde_json::from_str::<Revision>("[7,null]").is_err());
    }

    #[test]
    fn it_knows_what_was_read() {
        let path = |text: &str| Path::parse(text).unwrap();
        let leaves = ["title", "tags/a", "titles"].map(|name| (name.to_owned(), 1)).to_vec();
        let read = Revision { record: 1, leaves: Some(leaves.into()) };
        let has_read = |at: &str| read.has_read(&path(at), &path("links/dust"));
        assert!(has_read("links/dust") && has_read("links/dust/title") && has_read("links/dust/tags"));
        assert!(!has_read("links/dust/ti") && !has_read("links/dust/tag") && !has_read("links/dust/title/x"));
        assert!(!Revision::from(1).has_read(&path("links/dust"), &path("links/dust")));
    }
}
