use std::collections::BTreeMap;

use dust_protocol::{Entry, LeafKind, RawJson};
use proptest::prelude::*;

use super::*;
use crate::entity::record::StoredRecord;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

/// The revision of a record at `links/dust` with these names, values and revisions.
fn revision(leaves: &[(&str, &str, u64)]) -> Revision {
    let leaves: BTreeMap<&str, (&str, u64)> =
        leaves.iter().map(|(name, value, revision)| (*name, (*value, *revision))).collect();
    let entry = |(name, (value, revision)): (&str, (&str, u64))| {
        let value = raw(value);
        Entry::new(path(&format!("links/dust/{name}")), value.clone(), LeafKind::of(&value), revision)
    };
    Revision::of(&StoredRecord { path: path("links/dust"), leaves: leaves.into_iter().map(entry).collect() })
}

#[test]
fn revision_round_trips_and_array_is_refused() {
    let revision = revision(&[("title", "\"Dust\"", 7)]);
    let text = serde_json::to_string(&revision).unwrap();
    let digest = ContentDigest::of_value("title", "\"Dust\"");
    assert_eq!(text, format!(r#"{{"record":7,"leaves":[["title",7,"{digest}"]]}}"#));
    assert_eq!(serde_json::from_str::<Revision>(&text).unwrap(), revision);
    assert_eq!(serde_json::from_str::<Revision>(r#"{"record":7}"#).unwrap(), Revision::from(7));
    assert!(serde_json::from_str::<Revision>(r#"[7,[["title",7]]]"#).is_err());
    assert!(serde_json::from_str::<Revision>("[7,null]").is_err());
    assert!(serde_json::from_str::<Revision>(r#"{"record":7,"leaves":[["title",7,"x"]]}"#).is_err());
}

#[test]
fn revision_without_digests_is_read_and_matches_no_content() {
    let read = |text: &str| serde_json::from_str::<Revision>(text).unwrap();
    let old = read(r#"{"record":7,"leaves":[["title",7],["url",3]]}"#);
    assert_eq!(
        old.leaves(&path("links/dust")).unwrap().unwrap(),
        [(path("links/dust/title"), 7), (path("links/dust/url"), 3)]
    );
    let now = revision(&[("title", "7", 7), ("url", "3", 3)]);
    assert!(!now.matches(&old.etag()) && !old.matches(&now.etag()) && old.matches("*"));
    assert!(old.matches(&read(r#"{"record":7,"leaves":[["title",7],["url",3]]}"#).etag()));
    assert!(!old.matches(&read(r#"{"record":7,"leaves":[["title",7],["url",4]]}"#).etag()));
    let again = read(&serde_json::to_string(&old).unwrap());
    assert_eq!(again, old);
}

#[test]
fn etag_is_short_and_quoted_whatever_the_record() {
    let names: Vec<String> = (0..500).map(|number| format!("options/{number:03}")).collect();
    let large: Vec<(&str, &str, u64)> = names.iter().map(|name| (name.as_str(), "\"value\"", 9)).collect();
    for revision in [revision(&large), revision(&[("title", "1", u64::MAX)]), revision(&[])] {
        let etag = revision.etag();
        assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        assert!(etag[1..33].bytes().all(|byte| byte.is_ascii_hexdigit()), "{etag}");
    }
    assert_eq!(Revision::from(u64::MAX).etag(), format!("\"{}\"", u64::MAX));
}

#[test]
fn etag_is_of_the_content_and_not_of_revisions() {
    let seen = revision(&[("title", "\"Dust\"", 7), ("url", "\"u\"", 3)]);
    assert!(seen.matches(&revision(&[("title", "\"Dust\"", 90), ("url", "\"u\"", 90)]).etag()));
    for other in [
        revision(&[("title", "\"Dust\"", 7)]),
        revision(&[("title", "\"Rust\"", 7), ("url", "\"u\"", 3)]),
        revision(&[("title", "\"Dust\"", 7), ("link", "\"u\"", 3)]),
        revision(&[("title", "\"u\"", 7), ("url", "\"Dust\"", 3)]),
        revision(&[("title", "\"Dust\"", 7), ("url", "\"u\"", 3), ("note", "null", 3)]),
        Revision::from(7),
    ] {
        assert!(!seen.matches(&other.etag()), "{other:?}");
    }
}

#[test]
fn has_read_compares_whole_segments() {
    let read = revision(&[("title", "1", 1), ("tags/a", "1", 1), ("titles", "1", 1)]);
    let has_read = |at: &str| read.has_read(&path(at), &path("links/dust"));
    assert!(has_read("links/dust") && has_read("links/dust/title") && has_read("links/dust/tags"));
    assert!(!has_read("links/dust/ti") && !has_read("links/dust/tag") && !has_read("links/dust/title/x"));
    assert!(!Revision::from(1).has_read(&path("links/dust"), &path("links/dust")));
}

fn op() -> impl Strategy<Value = Op> {
    let at = prop_oneof![
        Just("links/dust"),
        Just("links/DUST"),
        Just("links"),
        Just("links/dust/a"),
        Just("links/dust/A"),
        Just("links/DUST/a"),
        Just("links/dust/a/b"),
        Just("links/dust/B"),
        Just("links/dust-2/a"),
    ];
    let value = prop_oneof![
        Just(None),
        Just(Some("1.50")),
        Just(Some(r#"{"a":{"b":1,"C":{}},"b":[1]}"#)),
        Just(Some(r#"{"a":1,"A":2}"#)),
        Just(Some(r#"{"_type":"decimal","_typed":"1E1"}"#)),
        Just(Some("{}")),
    ];
    (at, value).prop_map(|(at, value)| match value {
        Some(value) => Op::set(path(at), raw(value)),
        None => Op::delete(path(at)),
    })
}

proptest! {
    /// The store itself is the model: what it has after the ops is what the ops are computed to leave.
    #[cfg(feature = "embedded")]
    #[test]
    fn revision_after_ops_is_that_of_a_read(
        first in prop::collection::vec(op(), 0..5),
        then in prop::collection::vec(op(), 0..5),
    ) {
        let store = dust_store::Store::in_memory().unwrap();
        let record = path("links/dust");
        let read = || {
            let leaves = store.below(&record, None).unwrap().leaves;
            Revision::of(&crate::entity::StoredRecord { path: record.clone(), leaves })
        };
        let write = |ops: &[Op]| -> Vec<u64> {
            let origin = dust_store::Origin::new("test", "1");
            ops.iter().map(|op| store.write(op.clone(), None, &origin).unwrap().unwrap().store_seq).collect()
        };
        write(&first);
        let before = read();
        let revisions = write(&then);
        let after = Revision::after(Some(&before), &record, then.iter().zip(revisions)).unwrap();
        let now = read();
        prop_assert_eq!(after.etag() == before.etag(), now.etag() == before.etag());
        prop_assert_eq!(after, now);
    }

    #[test]
    fn etags_are_equal_if_and_only_if_leaves_are_equal(
        a in prop::collection::btree_map("[ab]{1,2}(/[ab])?", "[01]|\"[ab]{0,2}\"", 0..3),
        b in prop::collection::btree_map("[ab]{1,2}(/[ab])?", "[01]|\"[ab]{0,2}\"", 0..3),
        revisions in (0_u64..3, 0_u64..3),
    ) {
        let of = |leaves: &BTreeMap<String, String>, number: u64| {
            let leaves: Vec<_> = leaves.iter().map(|(name, value)| (name.as_str(), value.as_str(), number)).collect();
            revision(&leaves)
        };
        let (of_a, of_b) = (of(&a, revisions.0), of(&b, revisions.1));
        prop_assert_eq!(of_a.etag() == of_b.etag(), a == b);
        prop_assert_eq!(of_a.matches(&of_b.etag()), a == b);
        let text = serde_json::to_string(&of_a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Revision>(&text).unwrap(), of_a);
    }
}
