use super::*;

#[test]
fn reopened_file_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    let clock = Arc::new(ManualClock::new(1_000));
    let open = || Store::builder().clock(clock.clone()).open(&file).unwrap();
    let before = {
        let store = open();
        store.set("links/Dust", r#"{"title":"T","n":1.50}"#);
        store.run("lock", Mutation::Lease { holder: None, ttl_ms: 5_000 });
        store.run("ctr", Mutation::Increment(raw("1")));
        (leaves(&store), store.ops_since(0, 10).unwrap())
    };
    let store = open();
    assert_eq!((leaves(&store), store.ops_since(0, 10).unwrap()), before);
    // The deadlines on the monotonic clock are lost: the wall clock decides.
    assert_eq!(store.refuse("lock", Mutation::Lease { holder: None, ttl_ms: 1 }).name(), "held");
    clock.set_wall(6_000);
    store.run("lock", Mutation::Lease { holder: None, ttl_ms: 1 });
    assert_eq!(store.current_seq(), 4);
    store.delete("LINKS");
    assert_eq!(paths(&store), ["ctr", "lock"]);
    store.compact().unwrap();
    drop(store);
    let store = open();
    assert_eq!((store.current_seq(), store.snapshot().unwrap().unwrap().seq), (5, 5));
    assert_eq!(store.set("x", "1"), 6);
}

#[test]
fn file_opens_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    let store = Store::open(&file).unwrap();
    let refused = Store::open(&file).unwrap_err();
    assert_eq!(refused.name(), "locked");
    assert!(refused.to_string().contains("dev.redb"), "{refused}");
    drop(store);
    Store::open(&file).unwrap();
}

#[test]
fn wrong_path_is_named_with_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let said = |file: &std::path::Path| Store::open(file).unwrap_err().to_string();
    let folder = dir.path().display();
    assert_eq!(
        said(dir.path()),
        format!(
            "the storage failed: cannot open {folder}: it is a folder; name a file in it, such as {folder}/dev.redb"
        )
    );
    assert_eq!(
        said(&dir.path().join("no/dev.redb")),
        format!(
            "the storage failed: cannot open {folder}/no/dev.redb: its folder does not exist; create the folder first"
        )
    );
    assert_eq!(said("".as_ref()), "the storage failed: the path of the store is empty; name a file, such as dev.redb");
    std::fs::write(dir.path().join("notes"), "x").unwrap();
    for wrong in ["notes/dev.redb".to_owned(), "x".repeat(300), "a\0b".to_owned()] {
        let error = said(&dir.path().join(&wrong));
        assert!(error.ends_with("; choose another file") && error.contains(&wrong), "{error}");
    }
}

#[test]
fn begin_of_file_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    drop(Store::open(&file).unwrap());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..100]).unwrap();
    let refused = Store::open(&file).unwrap_err();
    assert_eq!(refused.name(), "damaged", "{refused}");
    assert!(refused.to_string().ends_with("restore a copy of it, or delete it to begin with an empty store"));
}

/// The superuser, who may run the tests, may write every file.
#[test]
fn missing_permission_is_named_with_way_out() {
    for kind in [std::io::ErrorKind::PermissionDenied, std::io::ErrorKind::ReadOnlyFilesystem] {
        let error = crate::StoreError::from(crate::not_opened(&kind.into(), "data/dev.redb".to_owned())).to_string();
        assert!(error.starts_with("the storage failed: cannot open data/dev.redb: "), "{error}");
        assert!(error.contains("give this process write access to the file and its folder"), "{error}");
    }
}

#[test]
fn other_file_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    for content in ["hello\n".to_owned(), "x".repeat(100_000)] {
        std::fs::write(&text, &content).unwrap();
        let refused = Store::open(&text).unwrap_err();
        assert_eq!(refused.name(), "not_a_store", "{refused}");
        assert_eq!(std::fs::read_to_string(&text).unwrap(), content);
    }

    let other = dir.path().join("other.redb");
    let db = redb::Database::create(&other).unwrap();
    let table: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("theirs");
    let txn = db.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(Store::open(&other).unwrap_err().name(), "not_a_store");

    let theirs: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("meta");
    let db = redb::Database::open(&other).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(theirs).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(Store::open(&other).unwrap_err().name(), "not_a_store");
    assert_eq!(Store::open(dir.path().join("no/such/dir")).unwrap_err().name(), "storage");
    assert_eq!(Store::open(dir.path()).unwrap_err().name(), "storage");
}

#[test]
fn newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    drop(Store::open(&file).unwrap());
    let db = redb::Database::open(&file).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(FORMAT, 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    let refused = Store::open(&file).unwrap_err();
    assert_eq!(refused.name(), "newer_format");
    assert!(refused.to_string().contains("has store format 2, this version reads up to 1"), "{refused}");
}

#[test]
fn damaged_file_is_refused_or_fails_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    let store = Store::open(&file).unwrap();
    for index in 0..50 {
        store.set(&format!("links/{index}"), &format!(r#"{{"title":"{}"}}"#, "x".repeat(500)));
    }
    drop(store);
    let mut bytes = std::fs::read(&file).unwrap();
    let damaged = dir.path().join("damaged.redb");
    for at in (1..20).map(|part| bytes.len() * part / 20) {
        std::fs::write(&damaged, &bytes[..at]).unwrap();
        let refused = Store::open(&damaged).unwrap_err();
        assert_eq!(refused.name(), "damaged", "{refused}");
    }

    // Every long run of the values' letter: in the leaves, in the log, and in unused pages.
    for at in 0..bytes.len() - 64 {
        if bytes[at..at + 64].iter().all(|byte| *byte == b'x') {
            bytes[at + 8] = 0xff;
        }
    }
    std::fs::write(&damaged, &bytes).unwrap();
    let failed = match Store::open(&damaged) {
        Ok(store) => store.list(&ListRequest::pattern(Pattern::parse("**").unwrap())).unwrap_err(),
        Err(refused) => refused,
    };
    assert!(["damaged", "storage"].contains(&failed.name()), "{failed}");
}

/// Checks that opening a changed file, and each later call, succeeds or returns an error with the name of the file.
/// redb panics at some of these files.
#[test]
fn altered_file_returns_errors() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.redb");
    {
        let store = Store::open(&good).unwrap();
        for number in 0..200 {
            let write = Op::set(path(&format!("Links/{number}/title")), raw("\"Dust\""));
            store.write(write, None, &Origin::new("d", number.to_string())).unwrap();
        }
        store.compact().unwrap();
    }
    let bytes = std::fs::read(&good).unwrap();
    let mut dice = 7_u64;
    let mut roll = |end: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % end
    };
    let (mut refused, mut given_up) = (0, 0);
    for round in 0..300 {
        let mut bytes = bytes.clone();
        // Often near the beginning, where most of the structure is.
        for _ in 0..=roll(4) {
            let near = if roll(2) == 0 { 4_096.min(bytes.len()) } else { bytes.len() };
            let at = roll(near);
            match roll(4) {
                0 => bytes[at] ^= 1 << roll(8),
                1 => bytes[at] = 0xff,
                2 => {
                    let end = (at + 1 + roll(4_096)).min(bytes.len());
                    bytes[at..end].fill(0);
                }
                _ => {
                    let end = (at + 1 + roll(512)).min(bytes.len());
                    let from = roll(bytes.len() - (end - at));
                    bytes.copy_within(from..from + (end - at), at);
                }
            }
        }
        let file = dir.path().join(format!("{round}.redb"));
        std::fs::write(&file, &bytes).unwrap();
        match Store::open(&file) {
            Ok(store) => given_up += usize::from(goes_on_or_ends(&store)),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains(&format!("{round}.redb")), "{error}");
            }
        }
    }
    assert!(refused > 50 && given_up > 5, "{refused} {given_up}");
}

/// Makes every kind of call on a store whose file may be damaged. Returns true if a panic of redb has made every call
/// an error.
fn goes_on_or_ends(store: &Store) -> bool {
    let origin = Origin::new("d", "c");
    let everything = || ListRequest::pattern(Pattern::parse("**").unwrap());
    let calls: [&dyn Fn() -> Result<(), StoreError>; 12] = [
        &|| store.get(&path("links/7")).map(drop),
        &|| store.get_many(&[path("Links/7/title")]).map(drop),
        &|| store.exists(&path("Links/7")).map(drop),
        &|| store.list(&everything()).map(drop),
        &|| store.below(&path("Links"), None).map(drop),
        &|| store.entry_count().map(drop),
        &|| store.ops_since(0, 1000).map(drop),
        &|| store.snapshot().map(drop),
        &|| store.file_content("sha256:0").map(drop),
        &|| store.write(Op::delete(path("Links/7")), None, &origin).map(drop),
        &|| store.batch_write(vec![Op::set(path("links/new"), raw("1"))], None, &origin).map(drop),
        &|| store.compact().map(drop),
    ];
    let mut end = None;
    for call in calls.iter().chain(&calls) {
        match (call(), &end) {
            (result, Some(end)) => assert_eq!(result.as_ref(), Err(end)),
            (Err(error), None) if error.name() == "damaged" => end = Some(error),
            (Err(error), None) => assert_eq!(error.name(), "storage", "{error}"),
            (Ok(()), None) => {}
        }
    }
    end.is_some()
}
