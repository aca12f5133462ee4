//! Digests of leaves, for entity tags.

use std::borrow::Cow;
use std::fmt;

use dust_protocol::value::{comparable, is_integer};
use dust_protocol::{RawJson, envelope};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The first 128 bits of a SHA-256, as 32 hexadecimal digits in text.
///
/// It is the same in every process and version: browsers and forms hold digests for days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentDigest(u128);

/// The first byte of what is hashed, so that digests of different things differ.
const VALUE: u8 = b'v';
const REVISION: u8 = b'r';
const RECORD: u8 = b'R';

impl ContentDigest {
    /// The digest of a leaf: its name relative to the record, and its value.
    ///
    /// Equal values have one digest, in every form in which transports deliver them: with white space or escapes, `1.0`
    /// or `1.00`, a decimal or datetime in its envelope or as the bare string.
    pub(crate) fn of_value(name: &str, value: &str) -> ContentDigest {
        ContentDigest::of_leaf(VALUE, name, canonical(value).as_bytes())
    }

    /// The digest of a leaf whose value is unknown.
    pub(crate) fn of_revision(name: &str, revision: u64) -> ContentDigest {
        ContentDigest::of_leaf(REVISION, name, &revision.to_be_bytes())
    }

    /// The digest of a record: those of its leaves, in the order of their names.
    pub(crate) fn of_all(leaves: impl Iterator<Item = ContentDigest>) -> ContentDigest {
        let mut hash = begin(RECORD);
        leaves.for_each(|ContentDigest(leaf)| hash.update(leaf.to_be_bytes()));
        finish(hash)
    }

    fn of_leaf(kind: u8, name: &str, content: &[u8]) -> ContentDigest {
        let mut hash = begin(kind);
        // The length separates the name from the content.
        hash.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(name);
        hash.update(content);
        finish(hash)
    }
}

fn begin(kind: u8) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash
}

fn finish(hash: Sha256) -> ContentDigest {
    let hash: [u8; 32] = hash.finalize().into();
    ContentDigest(hash.iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte)))
}

/// The canonical text of a value; the text itself if it cannot be read.
fn canonical(value: &str) -> Cow<'_, str> {
    let is_canonical = match value.as_bytes().first() {
        Some(b'"') => !value.contains('\\'),
        Some(b'0'..=b'9' | b'-') => value.len() < 300 && is_integer(value) && value != "-0",
        Some(b'{' | b'[') => false,
        _ => true,
    };
    if is_canonical {
        return Cow::Borrowed(value);
    }
    let plain = value.starts_with('{').then(|| envelope::to_plain(&RawJson::from_trusted(value)));
    let plain = plain.as_ref().map_or(value, RawJson::as_str);
    Cow::Owned(comparable(plain).unwrap_or_else(|_| plain.to_owned()))
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ContentDigest, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = if is_digest { u128::from_str_radix(&text, 16).ok() } else { None };
        digest.map(ContentDigest).ok_or_else(|| D::Error::custom("a digest has 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_digest() {
        let same = [
            vec!["1.0", "1.00", "10e-1"],
            vec!["0", "-0"],
            vec![r#""é\n""#, "\"\\u00e9\\u000a\""],
            vec![r#"{"_type":"decimal","_typed":"1E+3"}"#, r#"{ "_typed":"1000", "_type":"decimal" }"#, r#""1000""#],
            vec![
                r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05+02:00"}"#,
                r#"{"_type":"datetime","_typed":"2026-01-02T01:04:05Z"}"#,
                r#""2026-01-02T01:04:05Z""#,
            ],
            vec![r#"[1, {"b":2,"a":1}]"#, r#"[1,{"a":1,"b":2}]"#],
            vec!["1"],
            vec!["\"1\""],
            vec!["null"],
        ];
        let digests: Vec<ContentDigest> = same.iter().map(|texts| ContentDigest::of_value("x", texts[0])).collect();
        for (texts, digest) in same.iter().zip(&digests) {
            assert!(texts.iter().all(|text| ContentDigest::of_value("x", text) == *digest), "{texts:?}");
        }
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{:?}", same[index]);
        }
    }

    #[test]
    fn digest_is_the_same_in_every_version() {
        // printf 'v\0\0\0\0\0\0\0\5title"Dust"' | sha256sum
        assert_eq!(ContentDigest::of_value("title", "\"Dust\"").to_string(), "027eabaccb907191918d9d4a127958af");
    }

    #[test]
    fn name_and_value_are_separate() {
        assert_ne!(ContentDigest::of_value("a1", "2"), ContentDigest::of_value("a", "12"));
        assert_ne!(ContentDigest::of_value("a", "1"), ContentDigest::of_revision("a", 1));
    }

    #[test]
    fn digest_that_is_no_hexadecimal_number_is_refused() {
        let digest = ContentDigest::of_revision("a", 1);
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<ContentDigest>(&text).unwrap(), digest);
        for wrong in ["\"\"", "7", "\"+0000000000000000000000000000001\"", "\"000000000000000000000000000000éx\""] {
            assert!(serde_json::from_str::<ContentDigest>(wrong).is_err(), "{wrong}");
        }
    }
}
