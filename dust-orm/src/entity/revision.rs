//! Revisions of records, for compare-and-swap.

use std::collections::BTreeMap;
use std::sync::Arc;

use dust_protocol::flatten::flatten;
use dust_protocol::value::ValueError;
use dust_protocol::{JsonObject, LeafRef, Op, Path, PathError};
use serde::{Deserialize, Serialize};

use super::content_digest::ContentDigest;
use super::entity_tag;
use super::record::RecordRef;

/// The revision of a record at the time it was read, for `if_match` and for `ETag` headers.
///
/// It holds the revision of the record, and the revision and a digest of the content of every leaf that was read,
/// because a store compares leaves, not records. It has two text forms:
///
/// - [`etag`](Revision::etag), 34 bytes whatever the record: a browser sends it back, and
///   [`matches`](Revision::matches) compares it with what the handler has just read.
/// - The serialized form, some 60 bytes for each leaf: an HTML form can carry it, and `if_match` accepts it later.
///   The form of earlier versions, without digests, is still read; its tag differs from that of every read.
///
/// A bare number, such as another client's revision of the whole record, converts into a `Revision`; `if_match`
/// accepts that one in map mode only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "JsonObject<RevisionJson>")]
pub struct Revision {
    record: u64,
    /// The leaves; `None` for a bare number.
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

/// The leaves of a record. Every write that a revision guards shares them.
type LeafRevisions = Arc<[LeafRevision]>;

/// The revision and the content of one leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LeafRevision {
    /// The path relative to the record, in rendered form.
    name: String,
    revision: u64,
    /// A digest of the name and the value.
    digest: ContentDigest,
}

/// Serializes [`LeafRevisions`] as a list of lists: name, revision, digest.
mod as_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{ContentDigest, LeafRevision, LeafRevisions};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum LeafJson {
        WithDigest(String, u64, ContentDigest),
        /// The form of earlier versions.
        WithoutDigest(String, u64),
    }

    pub(super) fn serialize<S: Serializer>(leaves: &Option<LeafRevisions>, serializer: S) -> Result<S::Ok, S::Error> {
        let list = |leaves: &LeafRevisions| -> Vec<_> {
            leaves.iter().map(|leaf| (leaf.name.clone(), leaf.revision, leaf.digest)).collect()
        };
        leaves.as_ref().map(list).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LeafRevisions>, D::Error> {
        let leaves = Option::<Vec<LeafJson>>::deserialize(deserializer)?;
        let leaf = |leaf| match leaf {
            LeafJson::WithDigest(name, revision, digest) => LeafRevision { name, revision, digest },
            LeafJson::WithoutDigest(name, revision) => {
                LeafRevision { digest: ContentDigest::of_revision(&name, revision), name, revision }
            }
        };
        Ok(leaves.map(|leaves| leaves.into_iter().map(leaf).collect()))
    }
}

impl Revision {
    pub(crate) fn of<'a>(record: impl Into<RecordRef<'a>>) -> Revision {
        let record = record.into();
        let leaf = |leaf: LeafRef<'a>| {
            let name = record.name(leaf);
            LeafRevision {
                name: name.to_owned(),
                revision: leaf.revision,
                digest: ContentDigest::of_value(name, leaf.value),
            }
        };
        Revision::from_leaves(record.leaves().map(leaf).collect())
    }

    fn from_leaves(leaves: LeafRevisions) -> Revision {
        Revision { record: leaves.iter().map(|leaf| leaf.revision).max().unwrap_or(0), leaves: Some(leaves) }
    }

    /// The revision of a record after a write, from its revision before and the ops in their order, each with its
    /// `store_seq`. Ops of other records change nothing, as in a store.
    ///
    /// # Errors
    ///
    /// A value that no store accepts.
    pub(crate) fn after<'o>(
        before: Option<&Revision>,
        record: &Path,
        ops: impl IntoIterator<Item = (&'o Op, u64)>,
    ) -> Result<Revision, ValueError> {
        let before = before.and_then(|before| before.leaves.as_deref()).unwrap_or_default();
        let mut leaves: BTreeMap<String, (u64, ContentDigest)> =
            before.iter().map(|leaf| (leaf.name.clone(), (leaf.revision, leaf.digest))).collect();
        for (op, revision) in ops {
            let path = op.path.as_str();
            if op.path == *record
                || op.path.is_ancestor_ignoring_case(record)
                || path.eq_ignore_ascii_case(record.as_str())
            {
                leaves.clear();
            } else if record.is_ancestor_ignoring_case(&op.path) {
                // A store removes the leaf at the path, exact in case, and those below it, in any case.
                let inside = &path[record.as_str().len() + 1..];
                let is_leaf = record.is_above(path);
                leaves.retain(|name, _| !((is_leaf && name == inside) || is_below_ignoring_case(inside, name)));
            }
            let Some(value) = op.value() else { continue };
            for (leaf, value) in flatten(&op.path, value)? {
                if record.is_above(leaf.as_str()) {
                    let name = &leaf.as_str()[record.as_str().len() + 1..];
                    leaves.insert(name.to_owned(), (revision, ContentDigest::of_value(name, value.as_str())));
                }
            }
        }
        let leaf = |(name, (revision, digest))| LeafRevision { name, revision, digest };
        Ok(Revision::from_leaves(leaves.into_iter().map(leaf).collect()))
    }

    /// The revision of the record: the largest revision of its leaves.
    pub fn number(&self) -> u64 {
        self.record
    }

    /// A strong entity tag for an `ETag` header, with its quotes: 34 bytes, the same if and only if the leaves of the
    /// record are the same.
    ///
    /// It is made of the names and values of the leaves, not of their revisions: every process, transport and mirror
    /// gives the same tag for the same content, and a write of the values that are already there does not change it.
    /// Leaves that belong to no field of the entity count too.
    ///
    /// The tag of a bare number is that number in quotes, which is the `ETag` of a Dust server. The tag of a revision
    /// that was serialized by an earlier version, without digests, is made of revisions and differs from that of every
    /// read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, Revision, tests_cfg::link};
    /// # let repo = DustRepo::embedded();
    /// # let dust = link::Model { slug: "dust".into(), title: "Dust".into(), url: "u".into(), note: None };
    /// # repo.put(dust).await?;
    /// let seen = repo.get_versioned::<link::Entity>("dust").await?;
    /// let etag: String = seen.revision.etag();
    /// assert_eq!(etag.len(), 34);
    /// assert_eq!(Revision::from(7).etag(), "\"7\"");
    /// # Ok(())
    /// # }
    /// ```
    pub fn etag(&self) -> String {
        match &self.leaves {
            Some(leaves) => format!("\"{}\"", ContentDigest::of_all(leaves.iter().map(|leaf| leaf.digest))),
            None => format!("\"{}\"", self.record),
        }
    }

    /// True if an `If-Match` header, a form field or the like names the content of this revision: the browser saw what
    /// was just read.
    ///
    /// `if_match` is one [tag](Revision::etag) with its quotes, a list of tags separated by commas, or `*`, which
    /// matches any record that exists. White space around tags is ignored. Anything else does not match.
    ///
    /// A weak tag, `W/"…"`, matches as the strong one does, unlike RFC 9110 says for `If-Match`: proxies make a tag
    /// weak when they compress a response, and this tag identifies the content of the record, not the bytes of the
    /// response.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, tests_cfg::link};
    /// # let repo = DustRepo::embedded();
    /// # let dust = link::Model { slug: "dust".into(), title: "Dust".into(), url: "u".into(), note: None };
    /// # repo.put(dust).await?;
    /// let seen = repo.get_versioned::<link::Entity>("dust").await?;
    /// let etag = seen.revision.etag();
    /// assert!(seen.revision.matches(&etag));
    /// assert!(seen.revision.matches(&format!("\"other\", W/{etag}")));
    /// assert!(seen.revision.matches("*"));
    /// assert!(!seen.revision.matches("\"other\""));
    /// # Ok(())
    /// # }
    /// ```
    pub fn matches(&self, if_match: &str) -> bool {
        entity_tag::contains(if_match, &self.etag())
    }

    /// True if the record has a leaf.
    pub(crate) fn has_leaves(&self) -> bool {
        self.leaves.as_ref().is_some_and(|leaves| !leaves.is_empty())
    }

    /// True if this is a bare number, without revisions of leaves.
    pub(crate) fn is_bare(&self) -> bool {
        self.leaves.is_none()
    }

    /// True if a leaf was read at or below `path`, which is the path of the record or below it.
    pub(crate) fn has_read(&self, path: &Path, record: &Path) -> bool {
        let Some(inside) = path.as_str().strip_prefix(record.as_str()) else { return false };
        let inside = inside.strip_prefix('/').unwrap_or(inside);
        self.leaves.iter().flat_map(|leaves| leaves.iter()).any(|leaf| {
            let rest = leaf.name.strip_prefix(inside);
            inside.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The revisions of the leaves below a record, by path; `None` for a bare number.
    pub(crate) fn leaves(&self, record: &Path) -> Result<Option<Vec<(Path, u64)>>, PathError> {
        let Some(leaves) = &self.leaves else { return Ok(None) };
        let path = |name: &str| Path::try_from([record.as_str(), "/", name].concat());
        let paths = leaves.iter().map(|leaf| Ok((path(&leaf.name)?, leaf.revision)));
        paths.collect::<Result<_, _>>().map(Some)
    }
}

fn is_below_ignoring_case(above: &str, name: &str) -> bool {
    let (above, name) = (above.as_bytes(), name.as_bytes());
    name.get(above.len()) == Some(&b'/') && name[..above.len()].eq_ignore_ascii_case(above)
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
mod tests;
