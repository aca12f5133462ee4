use super::*;

#[test]
fn get_many_returns_exact_leaves_in_order() {
    let store = Store::in_memory().unwrap();
    store.set("rec", r#"{"n":1,"price":{"_type":"decimal","_typed":"9.90"}}"#);
    let paths: Vec<Path> = ["rec/price", "rec", "nope", "REC/n", "rec/n"].iter().map(|at| path(at)).collect();
    let read = store.get_many(&paths).unwrap();
    let seen: Vec<Option<String>> = read.iter().map(|e| e.as_ref().map(|e| e.value.to_string())).collect();
    assert_eq!(seen, [Some("\"9.90\"".to_owned()), None, None, None, Some("1".to_owned())]);
    assert_eq!(read[4].as_ref().unwrap().path, paths[4]);
    assert_eq!(store.get_many(&[]).unwrap(), []);
    let error = store.get_many(&vec![path("x"); 1001]).unwrap_err();
    assert_eq!(error.to_string(), "maximum 1000 paths per read, got 1001; split it");
}

#[test]
fn exists_is_exact_in_case() {
    let store = Store::in_memory().unwrap();
    store.set("links/dust/title", "1");
    store.set("links-2/x", "1");
    for there in ["links", "links/dust", "links-2"] {
        assert!(store.exists(&path(there)).unwrap(), "{there}");
    }
    for not_there in ["Links", "links/DUST", "links/dust/title", "link", "links/dus"] {
        assert!(!store.exists(&path(not_there)).unwrap(), "{not_there}");
    }
}

#[test]
fn interior_read_ignores_case() {
    let store = Store::in_memory().unwrap();
    store.set("Foo/a", "1");
    store.set("fOO/b", "2");
    store.set("foo/A", "3");
    store.set("fooo/x", "4");
    for at in ["foo", "FOO", "Foo"] {
        assert_eq!(store.seen(at).unwrap(), (r#"{"A":3,"a":1,"b":2}"#.to_owned(), "map", 3));
    }
    assert_eq!(store.seen("bar"), None);
}

#[test]
fn very_deep_path_is_read_and_removed() {
    let store = Store::in_memory().unwrap();
    let deep = format!("p{}", "/d".repeat(50_000));
    store.set(&deep, "1");
    assert!(store.value("p").starts_with(r#"{"d":{"d":"#));
    store.delete("P/D");
    assert_eq!(store.entry_count().unwrap(), 0);
}

#[test]
fn reader_sees_whole_batches() {
    let store = Store::in_memory().unwrap();
    let write = |round: usize| {
        let ops = (0..200).map(|i| Op::set(path(&format!("r/{i:03}")), raw(&round.to_string())));
        store.try_batch(ops.collect()).unwrap();
    };
    write(0);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 20 {
                        let seen: Vec<u64> =
                            leaves(&store).iter().map(|(_, value, ..)| value.parse().unwrap()).collect();
                        assert_eq!(seen.len(), 200);
                        assert!(seen.iter().all(|value| *value == seen[0]), "{seen:?}");
                        assert!(seen[0] >= last);
                        last = seen[0];
                    }
                })
            })
            .collect();
        for round in 1..=20 {
            write(round);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn reader_does_not_wait_for_writer() {
    let store = Store::in_memory().unwrap();
    store.set("a", "1");
    let writer = store.inner.writer();
    let txn = store.inner.begin_write().unwrap();
    assert_eq!(store.value("a"), "1");
    assert_eq!((store.current_seq(), store.entry_count().unwrap()), (1, 1));
    assert_eq!(leaves(&store).len(), 1);
    drop((txn, writer));
}
