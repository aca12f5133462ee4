use super::*;

fn entry(value: &str, kind: &'static str, revision: u64) -> Option<(String, &'static str, u64)> {
    Some((value.to_owned(), kind, revision))
}

#[test]
fn object_becomes_leaves_with_one_revision() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.set("rec", r#"{"title":"T","n":1,"nested":{"x":true,"y":[1,2]}}"#), 1);
    assert_eq!(store.seen("rec"), entry(r#"{"n":1,"nested":{"x":true,"y":[1,2]},"title":"T"}"#, "map", 1));
    assert_eq!(store.seen("rec/title"), entry("\"T\"", "string", 1));
    assert_eq!(store.seen("rec/n"), entry("1", "integer", 1));
    assert_eq!(store.seen("rec/nested"), entry(r#"{"x":true,"y":[1,2]}"#, "map", 1));
    assert_eq!(store.seen("rec/nested/y"), entry("[1,2]", "string", 1));
    assert_eq!(paths(&store), ["rec/n", "rec/nested/x", "rec/nested/y", "rec/title"]);

    assert_eq!(store.set("rec/n", "2"), 2);
    assert_eq!(store.seen("rec").unwrap().2, 2);
    assert_eq!(store.seen("rec/title").unwrap().2, 1);

    assert_eq!(store.set("rec", r#"{"title":"T3"}"#), 3);
    assert_eq!(store.seen("rec"), entry(r#"{"title":"T3"}"#, "map", 3));
    assert_eq!(store.seen("rec/n"), None);
}

#[test]
fn leaf_may_have_leaves_below_it() {
    let store = Store::in_memory().unwrap();
    store.set("rec/title", "\"T\"");
    store.set("rec/title/deep", "1");
    assert_eq!(store.seen("rec/title"), entry("\"T\"", "string", 1));
    assert_eq!(store.seen("rec/title/deep"), entry("1", "integer", 2));
    // A server returns 500 here.
    assert_eq!(store.seen("rec"), entry(r#"{"title":"T"}"#, "map", 2));
    store.delete("rec/title");
    assert_eq!(paths(&store), [""; 0]);
}

#[test]
fn empty_object_has_no_leaves() {
    let store = Store::in_memory().unwrap();
    store.set("mm", r#"{"a":{"b":1},"c":{}}"#);
    assert_eq!(paths(&store), ["mm/a/b"]);
    assert_eq!(store.set("mm", "{}"), 2);
    assert_eq!(store.seen("mm"), None);
    store.set("x", "null");
    assert_eq!(store.seen("x"), entry("null", "null", 3));
    assert_eq!(store.set("x", "{}"), 4);
    assert_eq!(paths(&store), [""; 0]);
    assert_eq!(store.current_seq(), 4);
}

#[test]
fn key_holds_any_text_but_empty() {
    let store = Store::in_memory().unwrap();
    store.set("mk", r#"{"a/b":1,"c~d":2,"e.f":3,"g h":4,"*":6}"#);
    assert_eq!(paths(&store), ["mk/*", "mk/a~1b", "mk/c~0d", "mk/e.f", "mk/g h"]);
    assert_eq!(store.value("mk"), r#"{"*":6,"a/b":1,"c~d":2,"e.f":3,"g h":4}"#);
    let refused = store.refuse("mk", Mutation::Set(raw(r#"{"a":1,"":5}"#)));
    assert_eq!((refused.name(), refused.path()), ("empty_segment", Some(&path("mk"))));
    assert_eq!(store.refuse("mk", Mutation::Merge(raw(r#"{"":5}"#))).name(), "empty_segment");
    assert_eq!(store.refuse("mk", Mutation::Merge(raw(r#"{"x":{"":5}}"#))).name(), "empty_segment");
    assert_eq!(store.current_seq(), 1);
    // Inside an array keys are no path segments.
    store.set("ok", r#"[{"":1}]"#);
}

#[test]
fn value_keeps_type_and_every_digit() {
    let store = Store::in_memory().unwrap();
    let table = [
        ("null", "null", "null"),
        ("[]", "[]", "string"),
        ("\"\"", "\"\"", "string"),
        ("true", "true", "boolean"),
        ("-0", "0", "integer"),
        ("-0.0", "-0.0", "float"),
        ("1.0", "1.0", "float"),
        ("1e3", "1e3", "float"),
        ("123456789012345678901234567890", "123456789012345678901234567890", "integer"),
        ("9007199254740993", "9007199254740993", "integer"),
        ("-9223372036854775809", "-9223372036854775809", "integer"),
        ("[1,[2,{\"a\":null}],{}]", "[1,[2,{\"a\":null}],{}]", "string"),
        (r#""\u0000""#, r#""\u0000""#, "string"),
        (r#""\ud83d\ude00""#, "\"😀\"", "string"),
        (r#"{"a":{"b":{"c":{"d":1}}}}"#, r#"{"a":{"b":{"c":{"d":1}}}}"#, "map"),
        (r#"{"a":1,"a":2}"#, r#"{"a":1}"#, "map"),
        (r#"[{"_type":"decimal","_typed":"1.20"}]"#, r#"[{"_type":"decimal","_typed":"1.20"}]"#, "string"),
        (r#"{"_type":"decimal","_typed":"1.20"}"#, "\"1.20\"", "map"),
        (r#"{"_type":"decimal","_typed":"NaN"}"#, "\"NaN\"", "map"),
        (r#"{"_type":"decimal","_typed":"1E+3"}"#, "\"1000\"", "map"),
        (r#"{"_type":"decimal","_typed":"1.20","extra":1}"#, "\"1.20\"", "map"),
        (r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05.123456Z"}"#, "\"2026-01-02T03:04:05.123456Z\"", "map"),
        (r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05+02:00"}"#, "\"2026-01-02T01:04:05Z\"", "map"),
        (r#"{"_type":"other","_typed":"x"}"#, r#"{"_type":"other","_typed":"x"}"#, "map"),
        (r#"{"_type":"file"}"#, r#"{"_type":"file"}"#, "map"),
        (
            r#"{"_type":"lease","holder":"x","token":1,"expires_at":1}"#,
            r#"{"_type":"lease","expires_at":1,"holder":"x","token":1}"#,
            "lease",
        ),
        (r#"{"_scalar":5}"#, r#"{"_scalar":5}"#, "map"),
        (r#"{"_type":"map"}"#, r#"{"_type":"map"}"#, "map"),
    ];
    for (written, read, kind) in table {
        let seq = store.set("v", written);
        assert_eq!(store.seen("v"), entry(read, kind, seq), "{written}");
    }
    store.set(
        "v",
        r#"{"price":{"_type":"decimal","_typed":"9.90"},"at":{"_type":"datetime","_typed":"2026-01-02T03:04:05+02:00"},
            "n":null,"l":[],"m":{},"deep":{"p":{"_type":"decimal","_typed":"0.10"}}}"#,
    );
    let read = r#"{"at":"2026-01-02T01:04:05Z","deep":{"p":"0.10"},"l":[],"n":null,"price":"9.90"}"#;
    assert_eq!(store.value("v"), read);
    assert_eq!(store.value("v/price"), "\"9.90\"");
    // The log has the value as it was written.
    let op = store.ops_since(store.current_seq() - 1, 1).unwrap().remove(0);
    assert!(op.value.as_str().contains(r#""price":{"_type":"decimal","_typed":"9.90"}"#));
}

#[test]
fn unreadable_value_is_refused() {
    let store = Store::in_memory().unwrap();
    for value in [
        "1E400",
        r#""\ud800""#,
        r#"{"a":{"_type":"decimal","_typed":"abc"}}"#,
        r#"{"_type":"decimal","_typed":1.5}"#,
        r#"{"_type":"datetime","_typed":"nope"}"#,
        &format!("{}1{}", "[".repeat(101), "]".repeat(101)),
    ] {
        for op in
            [Mutation::Set(raw(value)), Mutation::Merge(raw(&format!(r#"{{"k":{value}}}"#))), Mutation::Add(raw(value))]
        {
            let refused = store.refuse("v", op);
            assert_eq!(refused.name(), "invalid_value", "{value}");
        }
    }
    assert_eq!((store.current_seq(), paths(&store).len()), (0, 0));
}

#[test]
fn delete_of_absent_path_takes_a_seq() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.delete("never"), 1);
    store.set("s", r#"{"a":1,"b":{"c":2}}"#);
    assert_eq!(store.delete("s"), 3);
    assert_eq!(store.seen("s/b/c"), None);
    assert_eq!(store.current_seq(), 3);
}

#[test]
fn only_subtree_ops_ignore_ascii_case() {
    let store = Store::in_memory().unwrap();
    store.set("foo", r#"{"a":1,"b":2}"#);
    assert_eq!(store.seen("Foo"), entry(r#"{"a":1,"b":2}"#, "map", 1));
    assert_eq!(store.seen("Foo/a"), None);
    store.set("FOO", "\"leaf\"");
    assert_eq!(paths(&store), ["FOO"]);

    store.set("bar/a", "1");
    store.delete("BAR");
    assert_eq!(store.seen("bar/a"), None);

    store.set("links/ABC/title", "1");
    store.set("links/abc/title", "2");
    store.set("Links/aBc/Url", "3");
    store.set("links/abcd", "4");
    store.set("LINKS/ABC", "5");
    assert_eq!(paths(&store), ["FOO", "LINKS/ABC", "links/abcd"]);
    // Only ASCII folds.
    store.set("é/x", "1");
    store.delete("É");
    assert_eq!(store.value("é/x"), "1");
    // And `_` is no wildcard.
    store.set("aXb/c", "1");
    store.set("a_b/c", "1");
    store.delete("a_b");
    assert_eq!(store.value("aXb/c"), "1");
    // The leaf itself is removed only in its own case.
    store.set("KEY", "1");
    store.delete("key");
    assert_eq!(store.value("KEY"), "1");
    store.delete("KEY");
    assert_eq!(store.value("KEY"), "absent");
}

#[test]
fn merge_sets_children_and_keeps_siblings() {
    let store = Store::in_memory().unwrap();
    store.set("m", r#"{"a":1,"b":{"x":9}}"#);
    let committed = store.run("m", Mutation::Merge(raw(r#"{"new":{"deep":1},"a":10}"#)));
    assert_eq!((committed.op, committed.value.as_str()), (OpKind::Merge, r#"{"a":10,"new":{"deep":1}}"#));
    assert_eq!(store.seen("m/b/x").unwrap().2, 1);
    assert_eq!(store.run("m", Mutation::Merge(raw("{}"))).store_seq, 3);
    store.run("m", Mutation::Merge(raw(r#"{"b":{}}"#)));
    assert_eq!(store.seen("m"), entry(r#"{"a":10,"new":{"deep":1}}"#, "map", 2));
    store.run("fresh", Mutation::Merge(raw(r#"{"q":null}"#)));
    assert_eq!(store.seen("fresh/q"), entry("null", "null", 5));
    // A scalar child replaces only its leaf.
    store.run("m", Mutation::Merge(raw(r#"{"new":7}"#)));
    assert_eq!(paths(&store), ["fresh/q", "m/a", "m/new", "m/new/deep"]);
    assert_eq!(store.refuse("m", Mutation::Merge(raw("\"str\""))).name(), "merge_requires_map_value");
    assert_eq!(store.refuse("m", Mutation::Merge(raw("[]"))).name(), "merge_requires_map_value");
}

#[test]
fn increment_of_absent_leaf_counts_from_zero() {
    let store = Store::in_memory().unwrap();
    let by = |at: &str, by: &str| store.run(at, Mutation::Increment(raw(by))).value.to_string();
    assert_eq!(by("ctr", "1"), "1");
    assert_eq!(by("ctr", "2.5"), "3.5");
    assert_eq!(by("ctr", "-1"), "2.5");
    assert_eq!(store.seen("ctr"), entry("2.5", "counter", 3));
    store.set("nul", "null");
    assert_eq!(by("nul", "4"), "4");
    store.set("big", "170141183460469231731687303715884105726");
    assert_eq!(by("big", "1"), "170141183460469231731687303715884105727");
    // An interior path gets its own leaf, and the leaves below it stay.
    store.set("m", r#"{"a":1}"#);
    assert_eq!(by("m", "1"), "1");
    assert_eq!(store.seen("m"), entry("1", "counter", store.current_seq()));
    assert_eq!(store.value("m/a"), "1");
}

#[test]
fn increment_without_a_number_is_refused() {
    let store = Store::in_memory().unwrap();
    store.set("leaf", "\"v\"");
    store.set("top", "170141183460469231731687303715884105727");
    store.set("float", "1.7e308");
    store.set("dec", r#"{"_type":"decimal","_typed":"1"}"#);
    for by in ["\"1\"", "null", "[1]", "{}"] {
        assert_eq!(store.refuse("ctr", Mutation::Increment(raw(by))).name(), "increment_requires_number_value");
    }
    assert_eq!(store.refuse("leaf", Mutation::Increment(raw("1"))).name(), "not_a_number");
    assert_eq!(store.refuse("dec", Mutation::Increment(raw("1"))).name(), "not_a_number");
    assert_eq!(store.refuse("top", Mutation::Increment(raw("1"))).name(), "number_out_of_range");
    assert_eq!(store.refuse("float", Mutation::Increment(raw("1e308"))).name(), "number_out_of_range");
    assert_eq!(store.refuse("ctr", Mutation::Increment(raw("1e400"))).name(), "number_out_of_range");
    assert_eq!(store.current_seq(), 4);
}

#[test]
fn set_is_newest_first_without_duplicates() {
    let store = Store::in_memory().unwrap();
    let add = |at: &str, member: &str| store.run(at, Mutation::Add(raw(member))).value.to_string();
    let remove = |at: &str, member: &str| store.run(at, Mutation::Remove(raw(member))).value.to_string();
    assert_eq!(add("s", "\"a\""), r#"["a"]"#);
    assert_eq!(add("s", "\"b\""), r#"["b","a"]"#);
    assert_eq!(add("s", "\"a\""), r#"["a","b"]"#);
    assert_eq!(add("s", r#"{"k":1,"l":2}"#), r#"[{"k":1,"l":2},"a","b"]"#);
    assert_eq!(add("s", r#"{"l":2,"k":1}"#), r#"[{"k":1,"l":2},"a","b"]"#);
    assert_eq!(remove("s", "\"a\""), r#"[{"k":1,"l":2},"b"]"#);
    assert_eq!(remove("s", "\"zzz\""), r#"[{"k":1,"l":2},"b"]"#);
    assert_eq!(store.seen("s"), entry(r#"[{"k":1,"l":2},"b"]"#, "set", 7));
    assert_eq!(remove("noset", "1"), "[]");
    store.set("leaf", "\"L\"");
    assert_eq!(add("leaf", "\"x\""), r#"["x"]"#);
    store.set("list", "[1,1.0,1,2]");
    assert_eq!(remove("list", "1"), "[1.0,1,2]");
    assert_eq!(add("list", "1.0"), "[1.0,1,2]");
    assert_eq!(store.refuse("s", Mutation::Add(raw("null"))).name(), "add_requires_value");
    assert_eq!(store.refuse("s", Mutation::Remove(raw("null"))).name(), "remove_requires_value");
}

#[test]
fn put_file_writes_a_reference() {
    let store = Store::in_memory().unwrap();
    store.set("f", r#"{"a":1}"#);
    let file = r#"{"_type":"file","hash":"sha256:x","size":5}"#;
    let committed = store.run("f", Mutation::PutFile(raw(file)));
    assert_eq!(committed.op.name(), "put_file");
    assert_eq!(store.seen("f"), entry(file, "file", 2));
    assert_eq!(paths(&store), ["f"]);
    assert_eq!(store.refuse("f", Mutation::PutFile(raw("\"x\""))).name(), "invalid_file");
    assert_eq!(store.refuse("f", Mutation::PutFile(raw(r#"{"hash":"x"}"#))).name(), "invalid_file");
}

#[test]
fn if_match_guards_a_leaf() {
    let store = Store::in_memory().unwrap();
    let on = Precondition::IfMatch;
    store.set("rec", r#"{"title":"T"}"#);
    store.set("leaf", "\"L1\"");
    assert_eq!(store.set_on("leaf", "\"L2\"", on(2)), Ok(3));
    let conflict = |at: &str, value: &str, revision: u64| {
        let error = store.set_on(at, value, on(revision)).unwrap_err();
        assert_eq!((error.name(), error.op_index()), ("conflict", None));
        error.current_revision()
    };
    assert_eq!(conflict("leaf", "1", 2), Some(3));
    assert_eq!(conflict("leaf", "1", 0), Some(3));
    assert_eq!(conflict("noent", "1", 1), None);
    // A subtree has a revision that can be read but not compared.
    assert_eq!(conflict("rec", "\"leaf\"", 1), Some(1));
    assert_eq!(conflict("rec", "[1]", 1), Some(1));
    let refused = |what, on| {
        let write = op("rec", what).on(on);
        store.try_do(write).unwrap_err().name()
    };
    assert_eq!(refused(Mutation::Set(raw(r#"{"title":1}"#)), on(1)), "if_match_multi_leaf");
    assert_eq!(refused(Mutation::Set(raw("{}")), on(1)), "if_match_multi_leaf");
    assert_eq!(refused(Mutation::Merge(raw(r#"{"title":1}"#)), on(1)), "if_match_unsupported_op");
    assert_eq!(refused(Mutation::Increment(raw("1")), on(1)), "if_match_unsupported_op");
    assert_eq!(refused(Mutation::Delete, on(1)), "conflict");
    // An envelope is one leaf.
    assert_eq!(store.set_on("rec/title", r#"{"_type":"decimal","_typed":"1.20"}"#, on(1)), Ok(4));

    let error = store.set_on("leaf", "1", on(9)).unwrap_err();
    assert_eq!(error.to_string(), "`leaf`: conflict: the revision is 3; read again and retry");
    assert_eq!((error.path(), error.current_revision(), error.op_index()), (Some(&path("leaf")), Some(3), None));
}

#[test]
fn if_match_guards_a_delete() {
    let store = Store::in_memory().unwrap();
    let delete = |at: &str, revision: u64| {
        let write = op(at, Mutation::Delete).on(Precondition::IfMatch(revision));
        store.try_do(write).map(|op| op.unwrap().store_seq)
    };
    store.set("l", "1");
    assert_eq!(delete("l", 9).unwrap_err().current_revision(), Some(1));
    assert_eq!(delete("l", 1), Ok(2));
    assert_eq!(delete("l", 1).unwrap_err().current_revision(), None);
    store.set("s", r#"{"a":1}"#);
    assert_eq!(delete("s", 3).unwrap_err().current_revision(), Some(3));
    // The leaf's revision is enough to remove what is below it.
    store.set("p", "1");
    store.set("p/q", "2");
    assert_eq!(delete("p", 4), Ok(6));
    assert_eq!(store.seen("p/q"), None);
}

#[test]
fn if_absent_looks_at_the_exact_leaf() {
    let store = Store::in_memory().unwrap();
    let absent = Precondition::IfLeafAbsent;
    assert_eq!(store.set_on("ab", "1", absent), Ok(1));
    let error = store.set_on("ab", "2", absent).unwrap_err();
    assert_eq!((error.name(), error.current_revision()), ("exists", Some(1)));
    let refused = |what| {
        let write = op("ab", what).on(absent);
        store.try_do(write).unwrap_err().name()
    };
    assert_eq!(refused(Mutation::Set(raw(r#"{"a":1}"#))), "if_absent_multi_leaf");
    assert_eq!(refused(Mutation::Delete), "if_absent_unsupported_op");
    assert_eq!(refused(Mutation::Merge(raw("{}"))), "if_absent_unsupported_op");
    // On a path with children only it succeeds and removes them, as on a server.
    store.set("m", r#"{"a":1}"#);
    assert_eq!(store.set_on("m", "1", absent), Ok(3));
    assert_eq!(paths(&store), ["ab", "m"]);
}

#[test]
fn if_vacant_looks_below_too() {
    let store = Store::in_memory().unwrap();
    let vacant = Precondition::IfSubtreeAbsent;
    let record = r#"{"title":"T","n":1}"#;
    assert_eq!(store.set_on("rec", record, vacant), Ok(1));
    for at in ["rec", "rec/title"] {
        let error = store.set_on(at, record, vacant).unwrap_err();
        assert_eq!((error.name(), error.current_revision()), ("exists", Some(1)));
    }
    // Leaves beside it, above it, or in another case do not matter.
    for at in ["rec-2", "rec/title/deep", "r", "REC/x"] {
        store.set_on(at, "1", vacant).unwrap();
    }
    store.delete("rec");
    assert_eq!(store.set_on("rec", "1", vacant), Ok(7));
    let delete = op("none", Mutation::Delete).on(vacant);
    assert_eq!(store.try_do(delete).unwrap_err().name(), "if_absent_unsupported_op");
}

#[test]
fn batch_is_all_or_nothing() {
    let store = Store::in_memory().unwrap();
    let set = |at: &str, value: &str| Op::set(path(at), raw(value));
    let on = Precondition::IfMatch;
    let seqs = |ops| store.try_batch(ops).unwrap().iter().map(|op| op.store_seq).collect::<Vec<_>>();
    assert_eq!(seqs(vec![set("r/a", "1"), set("r/b", "2")]), [1, 2]);
    assert_eq!(seqs(vec![set("r/a", "10").on(on(1)), set("r/b", "20").on(on(2))]), [3, 4]);

    let refused =
        store.try_batch(vec![set("r/c", "1"), set("r/a", "11").on(on(3)), set("r/b", "21").on(on(2))]).unwrap_err();
    assert_eq!((refused.name(), refused.op_index(), refused.path()), ("conflict", Some(2), Some(&path("r/b"))));
    assert_eq!(refused.current_revision(), Some(4));
    assert_eq!(refused.to_string(), "op 2: `r/b`: conflict: the revision is 4; read again and retry");
    assert_eq!((store.value("r/a"), store.value("r/c")), ("10".into(), "absent".into()));

    let refused = store.try_batch(vec![set("ok1", "1"), set("r", r#"{"a":1}"#).on(on(4))]).unwrap_err();
    assert_eq!((refused.name(), refused.op_index()), ("if_match_multi_leaf", Some(1)));
    let refused = store.try_batch(vec![set("ok1", "1"), set("x", r#"{"":1}"#)]).unwrap_err();
    assert_eq!((refused.name(), refused.op_index(), refused.path()), ("empty_segment", Some(1), Some(&path("x"))));
    assert_eq!(store.current_seq(), 4);

    // A precondition may name a revision that an earlier op of the batch makes.
    assert_eq!(seqs(vec![set("r/a", "5").on(on(3)), set("r/a", "6").on(on(5))]), [5, 6]);
    assert_eq!(seqs(vec![Op::delete(path("r/a")).on(on(6)), set("r/z", "1")]), [7, 8]);
    let refused = store.try_batch(vec![Op::delete(path("r")).on(on(4))]).unwrap_err();
    assert_eq!((refused.name(), refused.current_revision()), ("conflict", Some(8)));
    assert_eq!(seqs(vec![Op::delete(path("nothere"))]), [9]);
    assert_eq!(seqs(vec![set("m", r#"{"a":1,"b":{"c":2}}"#), set("m/a", "9")]), [10, 11]);
    assert_eq!(store.seen("m"), entry(r#"{"a":9,"b":{"c":2}}"#, "map", 11));
    assert_eq!(seqs(vec![set("x", "null"), set("x", "{}")]), [12, 13]);
    assert_eq!(store.seen("x"), None);
}

#[test]
fn if_absent_counts_in_a_batch() {
    let store = Store::in_memory().unwrap();
    store.set("r/b", "1");
    let set = |at: &str| Op::set(path(at), raw("2")).on(Precondition::IfLeafAbsent);
    let refused = store.try_batch(vec![set("r/a"), set("r/b")]).unwrap_err();
    assert_eq!((refused.name(), refused.op_index(), refused.current_revision()), ("exists", Some(1), Some(1)));
    let refused = store.try_batch(vec![set("r/a"), set("r/a")]).unwrap_err();
    assert_eq!((refused.name(), refused.op_index()), ("exists", Some(1)));
    assert_eq!(store.try_batch(vec![set("r/a"), set("r/c")]).unwrap().len(), 2);
}

#[test]
fn a_batch_holds_1_to_1000_ops() {
    let store = Store::in_memory().unwrap();
    let ops = |count: usize| (0..count).map(|i| Op::set(path(&format!("big/{i:04}")), raw("1"))).collect();
    assert_eq!(store.try_batch(ops(0)).unwrap_err().to_string(), "ops cannot be empty");
    assert_eq!(store.try_batch(ops(1001)).unwrap_err().to_string(), "maximum 1000 ops per batch, got 1001; split it");
    let mut with_merge: Vec<Op> = ops(2);
    with_merge.push(op("big", Mutation::Merge(raw("{}"))));
    let refused = store.try_batch(with_merge).unwrap_err();
    assert_eq!(refused.to_string(), "a batch takes only set and delete, and op 2 is merge; send it by itself");
    assert_eq!((refused.name(), store.current_seq()), ("invalid_params", 0));
    assert_eq!(store.try_batch(ops(1000)).unwrap().last().unwrap().store_seq, 1000);
    assert_eq!(store.entry_count().unwrap(), 1000);
}
