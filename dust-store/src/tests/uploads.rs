use dust_protocol::FileUpload;

use super::*;

const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn upload(at: &str, content: &str) -> FileUpload {
    FileUpload::new(path(at), content.into()).with_filename(Some("h.txt".into()))
}

fn put(store: &Store, at: &str) -> CommittedOp {
    store.put_file(upload(at, "hello"), None, &origin()).unwrap()
}

fn is_referred_to(store: &Store) -> bool {
    store.file_reference(HELLO).unwrap().is_some()
}

fn is_kept(store: &Store) -> bool {
    store.file_content(HELLO).unwrap().is_some_and(|content| content == b"hello")
}

#[test]
fn reference_equals_that_of_a_server() {
    let clock = Arc::new(ManualClock::new(1_795_332_415_777));
    let store = Store::builder().clock(clock).in_memory().unwrap();
    assert!(!is_referred_to(&store) && !is_kept(&store));
    let op = put(&store, "f2");
    assert_eq!((op.op, op.store_seq), (OpKind::PutFile, 1));
    let text = format!(
        r#"{{"_type":"file","content_type":"application/octet-stream","filename":"h.txt","hash":"{HELLO}","size":5,"uploaded_at":"2026-11-22T07:26:55.777000Z"}}"#
    );
    assert_eq!(op.value.as_str(), text);
    let entry = store.fetch("f2").unwrap();
    assert_eq!((entry.kind.name(), entry.value.as_str(), entry.revision), ("file", text.as_str(), 1));
    assert_eq!(store.file_reference(HELLO).unwrap().unwrap().as_str(), text);
    assert!(is_kept(&store));
}

#[test]
fn bytes_are_readable_while_referenced() {
    let store = Store::in_memory().unwrap();
    put(&store, "a/F");
    put(&store, "b/f");
    store.delete("a/f");
    assert!(is_referred_to(&store));
    store.delete("A");
    assert!(is_referred_to(&store), "b/f is left");
    store.set("b", r#"{"f":1}"#);
    assert!(!is_referred_to(&store) && is_kept(&store));
    put(&store, "b/f");
    assert!(is_referred_to(&store));
    store.put_file(upload("b/f", "other"), None, &origin()).unwrap();
    assert!(!is_referred_to(&store));
}

#[test]
fn reference_written_by_set_is_a_plain_value() {
    let store = Store::in_memory().unwrap();
    let reference = put(&store, "f").value;
    store.set("copy", reference.as_str());
    store.delete("f");
    assert!(!is_referred_to(&store));
    // A reference without bytes in this store has no content.
    let elsewhere = r#"{"_type":"file","hash":"sha256:elsewhere"}"#;
    store.run("g", Mutation::PutFile(raw(elsewhere)));
    assert_eq!(store.file_reference("sha256:elsewhere").unwrap().unwrap().as_str(), elsewhere);
    assert_eq!(store.file_content("sha256:elsewhere").unwrap(), None);
    assert_eq!(store.file_reference("sha256:else").unwrap(), None);
}

#[test]
fn compaction_removes_unreferenced_files() {
    let store = Store::in_memory().unwrap();
    put(&store, "a");
    put(&store, "b");
    store.delete("a");
    store.compact().unwrap();
    assert!(is_referred_to(&store) && is_kept(&store));
    store.delete("b");
    assert!(is_kept(&store));
    store.compact().unwrap();
    assert!(!is_kept(&store));
    put(&store, "a");
    assert!(is_referred_to(&store) && is_kept(&store));
}

#[test]
fn reopened_store_has_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dev.redb");
    put(&Store::open(&file).unwrap(), "a");
    let store = Store::open(&file).unwrap();
    assert!(is_referred_to(&store) && is_kept(&store));
}

#[test]
fn refused_file_is_not_stored() {
    let store = Store::in_memory().unwrap();
    let fence = Some(Fence { key: path("lock"), token: 1 });
    assert_eq!(store.put_file(upload("a", "hello"), fence, &origin()).unwrap_err().name(), "fenced");
    assert!(!is_kept(&store) && store.current_seq() == 0);
    let token = store.run("lock", Mutation::Lease { holder: None, ttl_ms: 60_000 }).store_seq;
    let fence = Some(Fence { key: path("lock"), token });
    store.put_file(upload("a", "hello"), fence, &origin()).unwrap();
    assert!(is_referred_to(&store));
}
