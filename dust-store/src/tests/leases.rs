use super::*;

fn store() -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let store = Store::builder().clock(clock.clone()).in_memory().unwrap();
    (store, clock)
}

fn lease(holder: Option<&str>, ttl_ms: i64) -> Mutation {
    Mutation::Lease { holder: holder.map(str::to_owned), ttl_ms }
}

fn fenced(store: &Store, at: &str, what: Mutation, key: &str, token: u64) -> Result<Option<CommittedOp>, StoreError> {
    store.write(op(at, what), Some(Fence { key: path(key), token }), &origin())
}

#[test]
fn lease_is_held_until_it_expires() {
    let (store, clock) = store();
    let taken = store.run("lock", lease(Some("me"), 60_000));
    assert_eq!(taken.value.as_str(), r#"{"_type":"lease","expires_at":1060000,"holder":"me","token":1}"#);
    assert_eq!(store.seen("lock").unwrap(), (taken.value.to_string(), "lease", 1));
    assert_eq!(store.refuse("lock", lease(Some("you"), 1000)).name(), "held");
    assert_eq!(store.refuse("lock", lease(Some("me"), 1000)).name(), "held");

    clock.advance(30_000);
    let renewed = store.run("lock", Mutation::Renew { token: 1, ttl_ms: 60_000 });
    assert_eq!(renewed.value.as_str(), r#"{"_type":"lease","expires_at":1090000,"holder":"me","token":1}"#);
    assert_eq!(store.refuse("lock", Mutation::Renew { token: 2, ttl_ms: 1 }).name(), "not_held");

    clock.advance(59_999);
    assert_eq!(store.refuse("lock", lease(None, 1)).name(), "held");
    clock.advance(1);
    assert_eq!(store.refuse("lock", Mutation::Renew { token: 1, ttl_ms: 1 }).name(), "not_held");
    let stolen = store.run("lock", lease(None, 500));
    assert_eq!(stolen.value.as_str(), r#"{"_type":"lease","expires_at":1090500,"holder":null,"token":3}"#);
}

#[test]
fn release_with_other_token_changes_nothing() {
    let (store, clock) = store();
    store.run("lock", lease(Some("h"), 50));
    assert_eq!(store.try_do(op("lock", Mutation::Release { token: 9 })), Ok(None));
    assert_eq!(store.current_seq(), 1);
    clock.advance(100);
    // An expired lease can be released too.
    let released = store.run("lock", Mutation::Release { token: 1 });
    assert_eq!((released.store_seq, released.op, released.value.as_str()), (2, OpKind::Release, "null"));
    assert_eq!(store.try_do(op("lock", Mutation::Release { token: 1 })), Ok(None));
    store.set("lock", "1");
    assert_eq!(store.try_do(op("lock", Mutation::Release { token: 1 })), Ok(None));
}

#[test]
fn lease_on_other_value_is_refused() {
    let (store, _clock) = store();
    store.set("leaf", "1");
    assert_eq!(store.refuse("leaf", lease(None, 1)).name(), "occupied");
    assert_eq!(store.refuse("leaf", Mutation::Renew { token: 1, ttl_ms: 1 }).name(), "not_held");
    assert_eq!(store.refuse("lock", Mutation::Renew { token: 1, ttl_ms: 1 }).name(), "not_held");
    assert_eq!(store.refuse("lock", lease(None, -1)).name(), "invalid_lease_op");
    // A lease may have leaves below it.
    store.set("lock/below", "1");
    let token = store.run("lock", lease(None, 10)).store_seq;
    store.run("lock", Mutation::Release { token });
    assert_eq!(paths(&store), ["leaf", "lock/below"]);
    // A lease of 0 ms has expired; the longest lease does not overflow.
    let taken = store.run("zero", lease(None, 0)).store_seq;
    assert_eq!(store.run("zero", lease(None, i64::MAX)).store_seq, taken + 1);
    assert_eq!(store.refuse("zero", lease(None, 1)).name(), "held");
}

#[test]
fn wall_clock_jump_ends_no_lease() {
    let (store, clock) = store();
    store.run("lock", lease(None, 1000));
    clock.set_wall(9_000_000);
    assert_eq!(store.refuse("lock", lease(None, 1000)).name(), "held");
    clock.set_wall(0);
    clock.advance(1000);
    store.run("lock", lease(None, 1000));
}

#[test]
fn fence_admits_only_the_holder() {
    let (store, clock) = store();
    let token = store.run("lock", lease(Some("me"), 1000)).store_seq;
    let set = || Mutation::Set(raw(r#"{"map":1}"#));
    fenced(&store, "w", set(), "lock", token).unwrap();
    let merge = Mutation::Merge(raw(r#"{"x":1}"#));
    fenced(&store, "w", merge, "lock", token).unwrap();
    for (key, token) in [("lock", token + 1), ("nolock", token), ("w/x", token)] {
        for what in [set(), Mutation::Delete, Mutation::Increment(raw("1"))] {
            let error = fenced(&store, "w", what, key, token).unwrap_err();
            assert_eq!((error.name(), error.path()), ("fenced", Some(&path("w"))));
            assert!(matches!(error.kind(), StoreErrorKind::Fenced { key: lost } if lost.as_str() == key));
        }
    }
    let fence = |token| Some(Fence { key: path("lock"), token });
    let batch = || vec![Op::set(path("b"), raw("1"))];
    assert_eq!(store.batch_write(batch(), fence(9), &origin()).unwrap_err().name(), "fenced");
    store.batch_write(batch(), fence(token), &origin()).unwrap();
    clock.advance(1000);
    assert_eq!(fenced(&store, "w", set(), "lock", token).unwrap_err().name(), "fenced");
    assert_eq!(store.batch_write(batch(), fence(token), &origin()).unwrap_err().name(), "fenced");
    let error = fenced(&store, "lock", lease(None, 1), "lock", token).unwrap_err();
    assert_eq!(error.name(), "invalid_precondition");
}

#[test]
fn lease_can_be_written_by_set() {
    let (store, clock) = store();
    let token = store.run("lock", lease(None, 60_000)).store_seq;
    store.set("lock", "\"overwritten\"");
    assert_eq!(store.try_do(op("lock", Mutation::Release { token })), Ok(None));
    assert_eq!(fenced(&store, "w", Mutation::Delete, "lock", token).unwrap_err().name(), "fenced");
    // After a `set`, `expires_at` counts and not the deadline of the previous lease.
    store.set("lock", r#"{"_type":"lease","token":77,"expires_at":1000005}"#);
    fenced(&store, "w", Mutation::Delete, "lock", 77).unwrap();
    clock.advance(5);
    store.run("lock", lease(None, 1));
    // A lease without parts is held forever, by no holder.
    store.set("odd", r#"{"_type":"lease","token":"x","expires_at":1.5}"#);
    clock.advance(1_000_000);
    assert_eq!(store.refuse("odd", lease(None, 1)).name(), "held");
    assert_eq!(store.try_do(op("odd", Mutation::Release { token: 0 })), Ok(None));
}

#[test]
fn deadlines_of_removed_leases_are_dropped() {
    let (store, _clock) = store();
    for index in 0..700 {
        store.run(&format!("locks/{index}"), lease(None, 60_000));
        if index % 100 == 99 {
            store.delete("locks");
        }
    }
    let kept = store.inner.writer().deadlines.len();
    assert!(kept <= 512, "{kept}");
    store.run("last", lease(None, 60_000));
    assert_eq!(store.refuse("last", lease(None, 1)).name(), "held");
}
