//! The cache returns exactly the leaves that were written.

use dust_emulator::Emulator;
use dust_orm::realtime::cache::{Cache, Cursor};
use dust_protocol::{Entry, LeafKind, Mutation, Path};

use crate::support::*;

fn entry(path: Path, value: &str, kind: LeafKind, revision: u64) -> Entry {
    Entry::new(path, raw(value), kind, revision)
}

#[tokio::test]
async fn paths_and_values_read_back_exactly() {
    everywhere("letter", async |db| {
        let long = "x".repeat(5000);
        let long_segment = |end: &str| Path::from_segments(["long", &format!("{long}{end}")]).unwrap();
        let large = format!("\"{}\"", "ä".repeat(1_500_000));
        let mut entries = vec![
            entry(path("n/decimal"), "1.10", LeafKind::Float, 1),
            entry(path("n/exponent"), "-1.0e+03", LeafKind::Float, 2),
            entry(path("n/large"), "123456789012345678901234567890", LeafKind::Integer, 3),
            entry(path("n/small"), "0.1000000000000000055511151231257827", LeafKind::Float, 4),
            entry(path("envelope"), r#"{"_type":"decimal","_typed":"1.20"}"#, LeafKind::Decimal, 5),
            entry(path("file"), r#"{"_type":"file", "size": 1,  "hash":"h"}"#, LeafKind::File, 6),
            entry(path("array"), r#"[1, 1.0, "\u0000\n", {"b":1,"a":{}}]"#, LeafKind::Set, 7),
            entry(path("text"), r#""\\ ' \" ` ; -- % \u00e9 é 🦀 \ud83e\udd80 ""#, LeafKind::String, u64::MAX),
            entry(path("null"), "null", LeafKind::Null, 9),
            entry(path("counter"), "-3", LeafKind::Counter, 10),
            entry(path("lease"), r#"{"_type":"lease","token":1}"#, LeafKind::Lease, 11),
            entry(path("Case"), "1", LeafKind::Integer, 12),
            entry(path("case"), "2", LeafKind::Integer, 13),
            entry(path("trailing "), "3", LeafKind::Integer, 14),
            entry(path("trailing"), "4", LeafKind::Integer, 15),
            entry(path("é"), "5", LeafKind::Integer, 16),
            entry(path("e"), "6", LeafKind::Integer, 17),
            entry(
                Path::from_segments(["a/b~c", "~2", "nul\0nul", "🦀", "'\"`\\"]).unwrap(),
                "7",
                LeafKind::Integer,
                18,
            ),
            entry(long_segment("a"), "8", LeafKind::Integer, 19),
            entry(long_segment("b"), "9", LeafKind::Integer, 20),
            entry(path("large"), &large, LeafKind::String, 21),
        ];
        let cache = db.cache().await;
        let mut cursor = Cursor::new("wss://dust/ws", u64::MAX);
        cursor.last_op_id = Some("é-1".into());
        cursor.inexact_through = 7;
        let finished = cursor.clone();
        cursor.unfinished = Some("w/1".into());
        let mut change = cache.write("acme/Main").await.unwrap();
        assert_eq!(change.cursor().await.unwrap(), None);
        change.change(entries.clone(), vec![]).await.unwrap();
        change.commit(cursor.clone()).await.unwrap();

        let (found, mut kept) = try_kept(&db.cache().await, "acme/Main").await.unwrap();
        let by_path = |left: &Entry, right: &Entry| left.path.cmp(&right.path);
        kept.sort_by(by_path);
        entries.sort_by(by_path);
        assert_eq!((found.as_ref(), &kept), (Some(&cursor), &entries));
        assert_eq!(try_kept(&cache, "acme/main").await.unwrap(), (None, vec![]), "names of stores are case-sensitive");

        // Written again, and removed by their exact paths.
        let mut change = cache.write("acme/Main").await.unwrap();
        assert_eq!(change.cursor().await.unwrap().as_ref(), Some(&cursor));
        let removed = vec![path("Case"), path("e"), path("trailing "), path("absent"), long_segment("a")];
        let replaced =
            vec![entry(path("case"), "2.0", LeafKind::Float, 22), entry(path("large"), "0", LeafKind::Integer, 23)];
        change.change(replaced.clone(), removed.clone()).await.unwrap();
        change.commit(cursor.clone()).await.unwrap();
        entries.retain(|entry| !removed.contains(&entry.path));
        for replaced in replaced {
            let old = entries.iter_mut().find(|entry| entry.path == replaced.path).unwrap();
            *old = replaced;
        }
        let mut kept = try_kept(&cache, "acme/Main").await.unwrap().1;
        kept.sort_by(by_path);
        assert_eq!(kept, entries);

        // An uncommitted write has no effect.
        let mut change = cache.write("acme/Main").await.unwrap();
        assert!(!change.clear(entries.len()).await.unwrap());
        assert!(!change.clear(usize::MAX).await.unwrap());
        drop(change);
        assert_eq!(try_kept(&cache, "acme/Main").await.unwrap().1.len(), entries.len());
        // Some leaves are removed, and then others.
        let mut change = cache.write("acme/Main").await.unwrap();
        assert!(change.clear(7).await.unwrap());
        assert!(change.clear(3).await.unwrap());
        change.commit(finished).await.unwrap();
        let (found, left) = try_kept(&cache, "acme/Main").await.unwrap();
        assert_eq!((found.unwrap().unfinished, left.len()), (None, entries.len() - 10));
        assert!(left.iter().all(|leaf| entries.contains(leaf)));
        cache.clear("acme/main").await.unwrap();
        assert_eq!(try_kept(&cache, "acme/Main").await.unwrap().1.len(), entries.len() - 10);
        cache.clear("acme/Main").await.unwrap();
        assert_eq!(try_kept(&cache, "acme/Main").await.unwrap(), (None, vec![]));
    })
    .await;
}

#[tokio::test]
async fn subtree_is_removed_in_any_case() {
    everywhere("subtrees", async |db| {
        let emulator = Emulator::start().await.unwrap();
        for at in ["links/Abc/x", "links/abc/Y", "LINKS/abc/z", "links/abcd", "links/ABC", "a/b/c"] {
            set(&emulator, at, "1");
        }
        let client = client(&emulator).cache(db.cache().await).start().await.unwrap();
        client.flush_cache().await.unwrap();
        let cache = db.cache().await;
        assert_eq!(kept(&cache, &emulator.store()).await, (6, stored(&emulator).await));
        let steps = [
            ("links/aBc", Mutation::Delete),
            ("a", Mutation::Set(raw(r#"{"B":{"d":1},"e":{"_type":"decimal","_typed":"1.5"}}"#))),
            ("a/b", Mutation::Merge(raw(r#"{"x":{},"y":[1]}"#))),
            ("n", Mutation::Increment(raw("2"))),
            ("s", Mutation::Add(raw("\"m\""))),
            ("absent", Mutation::Delete),
            ("links", Mutation::Set(raw("{}"))),
        ];
        for (at, op) in steps {
            let seq = write(&emulator, at, op);
            caught_up(&client, seq).await;
            assert_eq!(kept(&cache, &emulator.store()).await, (seq, stored(&emulator).await), "{at}");
            assert_eq!(mirrored(&client).await, stored(&emulator).await, "{at}");
        }
    })
    .await;
}
