//! Tests that the mirror of a store returns the same as the store.

#![cfg(feature = "embedded")]

use dust_protocol::testing::{near_op, near_path};
use dust_protocol::{LeafKind, Op, OpKind, Order, Pattern, RawJson, Select, Selector};
use dust_store::{Origin, Store};
use proptest::prelude::*;

use super::*;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn committed(store_seq: u64, at: &str, value: RawJson) -> CommittedOp {
    CommittedOp::new(store_seq, OpKind::Set, path(at), value).written_by("d".into(), "c".into())
}

fn pattern(text: &str) -> Selector {
    Selector::Pattern(Pattern::parse(text).unwrap())
}

fn requests() -> Vec<ListRequest> {
    let selectors = [
        pattern("**"),
        pattern("a/**"),
        pattern("a/*"),
        pattern("*/a"),
        pattern("a"),
        pattern("nothing/**"),
        Selector::Range { from: path("A"), to: path("b") },
        Selector::Range { from: path("b"), to: path("a") },
    ];
    let mut requests = Vec::new();
    for selector in selectors {
        for select in [Select::Entries, Select::Keys, Select::Prefixes] {
            for order in [Order::Ascending, Order::Descending] {
                for (limit, after) in [(1000, None), (2, None), (2, Some("a/b")), (0, None)] {
                    let after = after.map(str::to_owned);
                    requests
                        .push(ListRequest::new(selector.clone()).limit(limit).order(order).select(select).after(after));
                }
            }
        }
    }
    requests
}

fn assert_same(mirror: &Mirror, store: &Store, paths: &[Path]) {
    assert_eq!(mirror.seq(), store.current_seq());
    assert_eq!(mirror.len() as u64, store.entry_count().unwrap());
    for request in requests() {
        match (mirror.list(&request), store.list(&request)) {
            (Ok(mirrored), Ok(stored)) => assert_eq!(mirrored, stored, "{request:?}"),
            (Err(mirrored), Err(stored)) => assert_eq!(mirrored.to_string(), DustErr::from(stored).to_string()),
            (mirrored, stored) => panic!("{request:?}: {mirrored:?}, {stored:?}"),
        }
    }
    for path in paths {
        assert_eq!(mirror.get(path), store.get(path).unwrap(), "{path}");
        assert_eq!(mirror.exists(path), store.exists(path).unwrap(), "{path}");
        for after in [None, Some("a/b"), Some("zz")] {
            let below = mirror.below(path, after);
            assert_eq!(below, store.below(path, after).unwrap(), "{path}");
            let mut request = ListRequest::pattern(Pattern::below(path).unwrap());
            request.after = after.map(str::to_owned);
            let listed = mirror.list(&request).unwrap().items.into_iter().filter_map(|item| item.into_entry());
            assert_eq!(below.leaves, listed.collect(), "{path}");
        }
        let vacant = store.get(path).unwrap().is_none();
        assert!(!vacant || mirror.is_vacant_below(path), "{path}");
    }
    assert_eq!(mirror.get_many(paths).unwrap(), store.get_many(paths).unwrap());
    for (folded, paths) in &mirror.folded {
        assert!(paths.iter().all(|path| mirror.leaves.get(path).is_some() && path.to_ascii_lowercase() == **folded));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_mirror_of_the_log_is_the_store(writes in prop::collection::vec((near_path(), near_op()), 1..30)) {
        let store = Store::in_memory().unwrap();
        let mut mirror = Mirror::default();
        let origin = Origin::new("d", "c");
        for (path, op) in &writes {
            // The log does not contain the ops that the store refuses.
            let _ = store.write(Op::new(path.clone(), op.clone()), None, &origin);
        }
        for op in store.ops_since(0, usize::MAX).unwrap() {
            mirror.apply(&op);
        }
        let paths: Vec<Path> = writes.into_iter().map(|(path, _)| path).collect();
        assert_same(&mirror, &store, &paths);

        let mut replaced = Mirror::default();
        let first = store.ops_since(0, 1).unwrap().pop();
        replaced.apply(&first.unwrap_or_else(|| committed(1, "z", RawJson::null())));
        let (seq, inexact) = (mirror.seq(), mirror.inexact_through());
        replaced.replace(seq, inexact, mirror.into_leaves().collect::<PackedLeaves>());
        assert_same(&replaced, &store, &paths);
    }
}

#[test]
fn a_snapshot_replaces_everything_and_blurs_revisions() {
    let mut mirror = Mirror::default();
    let entry = |at: &str, kind| Entry::new(path(at), RawJson::parse("1").unwrap(), kind, 7);
    mirror.replace(3, 3, vec![entry("old/A", LeafKind::Integer)]);
    mirror.replace(7, 7, vec![entry("new", LeafKind::Counter)]);
    assert_eq!((mirror.seq(), mirror.inexact_through(), mirror.len()), (7, 7, 1));
    assert!(mirror.get(&path("old/A")).is_none() && mirror.get(&path("OLD")).is_none());
    assert_eq!(mirror.get(&path("new")).unwrap().kind, LeafKind::Counter);
    assert_eq!(mirror.revision(&path("new")), Some(7));
    assert!(!mirror.is_empty());
}

#[test]
fn op_that_cannot_be_mirrored_removes_its_path() {
    let mut mirror = Mirror::default();
    let deep = RawJson::parse(&format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200))).unwrap();
    mirror.apply(&committed(1, "keep", RawJson::null()));
    mirror.apply(&committed(2, "deep", RawJson::null()));
    mirror.apply(&committed(3, "deep", deep));
    assert_eq!((mirror.seq(), mirror.len()), (3, 1));
    assert!(mirror.get(&path("deep")).is_none());
    let limit = vec![path("keep"); MAX_GET_MANY_PATHS + 1];
    assert!(mirror.get_many(&limit).unwrap_err().to_string().contains("maximum 1000 paths"));
}
