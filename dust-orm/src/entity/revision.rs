//! Revisions of records, for compare-and-swap.

use std::sync::Arc;

use dust_protocol::{JsonObject, Path, PathError};
use serde::{Deserialize, Serialize};

use super::record::RecordRef;

/// The revision of a record at the time it was read, for `if_match`.
///
/// It holds the revision of the record and of every leaf that was read, because a store compares leaves, not records.
/// It is serializable, so that an HTML form can carry it. A bare number, such as another client's revision of the whole
/// record, converts into a `Revision`; `if_match` accepts that one in map mode only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "JsonObject<RevisionJson>")]
pub struct Revision {
    record: u64,
    /// The revisions of the leaves; `None` for a bare number.
    #[serde(serialize_with = "as_list::serialize")]
    leaves: Option<LeafRevisions>,
}

/// The serialized form of a revision.
#[derive(Deserialize)]
struct RevisionJson {
    record: u64,
    #[serde(default, deserialize_with = "as_list::deserialize")]
    leaves: Option<LeafRevisions>,
}

impl From<JsonObject<RevisionJson>> for Revision {
    fn from(JsonObject(RevisionJson { record, leaves }): JsonObject<RevisionJson>) -> Revision {
        Revision { record, leaves }
    }
}

/// The revision of each leaf by its path relative to the record, in rendered form. Every write that a revision guards
/// shares them.
type LeafRevisions = Arc<[(String, u64)]>;

/// Serializes [`LeafRevisions`] as a list of pairs.
mod as_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LeafRevisions;

    pub(super) fn serialize<S: Serializer>(leaves: &Option<LeafRevisions>, serializer: S) -> Result<S::Ok, S::Error> {
        leaves.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeafRevisions>, D::Error> {
        Ok(Option::<Vec<(String, u64)>>::deserialize(deserializer)?.map(Into::into))
    }
}

impl Revision {
    pub(crate) fn of<'a>(record: impl Into<RecordRef<'a>>) -> Revision {
        let record = record.into();
        let leaves = record.leaves().map(|leaf| (record.name(leaf).to_owned(), leaf.revision)).collect();
        Revision { record: record.leaves().map(|leaf| leaf.revision).max().unwrap_or(0), leaves: Some(leaves) }
    }

    /// The revision of the record: the largest revision of its leaves.
    pub fn number(&self) -> u64 {
        self.record
    }

    /// True if this is a bare number, without revisions of leaves.
    pub(crate) fn is_bare(&self) -> bool {
        self.leaves.is_none()
    }

    /// True if a leaf was read at or below `path`, which is the path of the record or below it.
    pub(crate) fn has_read(&self, path: &Path, record: &Path) -> bool {
        let Some(inside) = path.as_str().strip_prefix(record.as_str()) else { return false };
        let inside = inside.strip_prefix('/').unwrap_or(inside);
        self.leaves.iter().flat_map(|leaves| leaves.iter()).any(|(name, _)| {
            let rest = name.strip_prefix(inside);
            inside.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The revisions of the leaves below a record, by path; `None` for a bare number.
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

/// A Model with the revision at which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<M> {
    /// The decoded record.
    pub model: M,
    /// The revision of the record.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_round_trips_and_array_is_refused() {
        let revision = Revision { record: 7, leaves: Some(vec![("title".to_owned(), 7)].into()) };
        let text = serde_json::to_string(&revision).unwrap();
        assert_eq!(text, r#"{"record":7,"leaves":[["title",7]]}"#);
        assert_eq!(serde_json::from_str::<Revision>(&text).unwrap(), revision);
        assert_eq!(serde_json::from_str::<Revision>(r#"{"record":7}"#).unwrap(), Revision::from(7));
        assert!(serde_json::from_str::<Revision>(r#"[7,[["title",7]]]"#).is_err());
        assert!(serde_json::from_str::<Revision>("[7,null]").is_err());
    }

    #[test]
    fn has_read_compares_whole_segments() {
        let path = |text: &str| Path::parse(text).unwrap();
        let leaves = ["title", "tags/a", "titles"].map(|name| (name.to_owned(), 1)).to_vec();
        let read = Revision { record: 1, leaves: Some(leaves.into()) };
        let has_read = |at: &str| read.has_read(&path(at), &path("links/dust"));
        assert!(has_read("links/dust") && has_read("links/dust/title") && has_read("links/dust/tags"));
        assert!(!has_read("links/dust/ti") && !has_read("links/dust/tag") && !has_read("links/dust/title/x"));
        assert!(!Revision::from(1).has_read(&path("links/dust"), &path("links/dust")));
    }
}
