use super::*;

fn fresh() -> Store {
    Store::in_memory().unwrap()
}

fn error(text: &str) -> String {
    let store = fresh();
    let error = import(&store, text).unwrap_err().to_string();
    assert_eq!(store.current_seq(), 0, "a part of {text} was imported");
    error
}

#[test]
fn import_error_has_line_column_and_reason() {
    for (text, expected) in [
        (r#"{"a//b": 1}"#, "line 1, column 10: the path `a//b`"),
        ("{\n  \"a\": 1,\n  \"b\": tru\n}", "line 3, column 11: expected ident"),
        ("{\"a\": 1", "line 1, column 7: EOF while parsing an object"),
        ("[1]", "line 1, column 1: invalid type: sequence, expected an object"),
        ("{\"path\":\"ok\",\"value\":1}\n nonsense", "line 2, column 3: expected ident"),
        (
            "{\"path\":\"ok\",\"value\":1}\n{\"path\":\"a\"}",
            "line 2, column 1: a line of an export has a `path` and a `value`",
        ),
        (
            "{\"path\":\"ok\",\"value\":1}\n{\"path\":7}",
            "line 2, column 9: invalid type: integer `7`, expected a string",
        ),
        (
            "{\"path\":\"ok\",\"value\":1}\n[false,\"a\",1,null]",
            "line 2, column 1: invalid type: sequence, expected an object",
        ),
        ("{\"a\": {\"x\": {}}}", "line 1, column 7: `a/x` is an empty object"),
        ("{\"a\": {\"\": 1}}", "line 1, column 7: `a` has an empty key"),
        ("{\"a\": 1,\n\"a\": 2}", "line 2, column 6: `a` comes twice"),
        ("{\"Links/a\": 1,\n\"links/b\": 2}", "line 2, column 12: `links` and `Links` differ only in case"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn import_with_one_bad_entry_imports_nothing() {
    let mut members: Vec<String> = (0..2_500).map(|number| format!("\"r/{number:05}\": {number}")).collect();
    members.push(r#""z": {"_type":"file","hash":"x"}"#.to_owned());
    let fine = format!("{{{}}}", members.join(",\n"));
    let store = fresh();
    assert_eq!(import(&store, &fine).unwrap(), 2_501);
    members.push(r#""zz": {"_type":"datetime","_typed":"never"}"#.to_owned());
    assert!(error(&format!("{{{}}}", members.join(",\n"))).starts_with("line 2502, column 7: `zz`"));

    let lines: Vec<String> = (0..2_500).map(|n| format!(r#"{{"path":"r/{n}","type":"string","value":"x"}}"#)).collect();
    let bad = format!("{}\n{{\"path\":\"f\",\"type\":\"file\",\"value\":1}}\n", lines.join("\n"));
    let error = error(&bad);
    assert!(error.starts_with("line 2501, column 1: `f`") && error.contains("invalid_file"), "{error}");
}

#[test]
fn member_named_path_is_an_entry() {
    let store = fresh();
    assert_eq!(import(&store, r#"{"path":"a","value":2}"#).unwrap(), 2);
    assert_eq!(export::export_object(&store).unwrap(), "{\n  \"path\": \"a\",\n  \"value\": 2\n}\n");
    let header = r#"{"_header":true,"entry_count":0,"path_schema_version":3,"seq":0,"store":"a/b"}"#;
    assert_eq!(import(&fresh(), header).unwrap(), 0);
}

#[test]
fn byte_order_mark_is_skipped() {
    assert_eq!(import(&fresh(), "\u{feff}{\"a\": 1}").unwrap(), 1);
    assert_eq!(import(&fresh(), "\u{feff}{\"path\":\"a\",\"value\":1}\n{\"path\":\"b\",\"value\":1}\n").unwrap(), 2);
    assert_eq!(import(&fresh(), "\u{feff} \n").unwrap(), 0);
}

#[test]
fn import_in_other_case_than_the_store_is_refused() {
    let store = fresh();
    import(&store, r#"{"links/m1": {"title": "Dust"}}"#).unwrap();
    let error = import(&store, r#"{"Links": {"m2": 1}}"#).unwrap_err().to_string();
    assert!(error.contains("`Links` and `links` differ only in case"), "{error}");
    import(&store, r#"{"links/m1": {"title": "Rust"}, "links/m2": 1}"#).unwrap();
    assert_eq!(store.entry_count().unwrap(), 2);
}

#[test]
fn import_is_one_commit() {
    let store = fresh();
    let commits = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counting = std::sync::Arc::clone(&commits);
    let subscription = store.on_changes(
        |_| false,
        move |_, _| {
            counting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        },
    );
    let lines: String = (0..3_000).map(|n| format!("{{\"path\":\"r/{n}\",\"value\":1}}\n")).collect();
    assert_eq!(import(&store, &lines).unwrap(), 3_000);
    drop(subscription);
    assert_eq!(commits.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn bad_line_does_not_stop_others() {
    let store = fresh();
    let text = "{\"path\":\"a\",\"value\":1}\n{\"value\":2}\n{\"path\":\"b/\",\"value\":2}\n{\"path\":\"c\"}\n\
                {\"path\":\"d\",\"value\":{\"\":1}}\n{\"path\":\"n\",\"type\":\"counter\",\"value\":3}\n\
                {\"path\":\"n\",\"type\":\"counter\",\"value\":4}\n\
                [false,\"e\",1,null]\n";
    let done = import_lines(&store, text, "d");
    assert_eq!((done.imported, done.skipped, done.unparseable), (4, 1, 2));
    let failed: Vec<_> = done.failed.iter().map(|f| (f.line, f.path.as_deref(), &f.reason[..11])).collect();
    assert_eq!(
        failed,
        [
            (2, None, "unparseable"),
            (3, Some("b/"), "empty_segme"),
            (5, Some("d"), "`d`: empty_"),
            (8, None, "unparseable"),
        ]
    );
    let n = store.get(&Path::parse("n").unwrap()).unwrap().unwrap();
    assert_eq!((n.value.as_str(), n.kind.name()), ("4", "integer"));
}

#[test]
fn lines_in_any_order_lose_nothing() {
    let all = |text: &str| {
        let store = fresh();
        import(&store, text).unwrap();
        let leaves = export::leaves(&store).unwrap();
        leaves.iter().map(|leaf| format!("{}={}", leaf.path, leaf.value)).collect::<Vec<_>>()
    };
    assert_eq!(all("{\"path\":\"a/b\",\"value\":1}\n{\"path\":\"a\",\"value\":2}\n"), ["a=2", "a/b=1"]);
    assert_eq!(all("{\"path\":\"a/b\",\"value\":1}\n{\"path\":\"a\",\"value\":{\"c\":2}}\n"), ["a/b=1", "a/c=2"]);
    let null = "{\"path\":\"a\",\"type\":\"null\",\"value\":null}\n{\"path\":\"b\",\"value\":1}\n";
    assert_eq!(all(null), ["a=null", "b=1"]);
}

#[test]
fn entry_that_would_lose_a_part_of_another_is_refused() {
    for (text, expected) in [
        (r#"{"a": {"b": {"c": 1}}, "a/b": 2}"#, "column 31: `a/b` is in the entry `a` too"),
        (r#"{"a/b": {"d": 1}, "a": {"b": {"c": 1}}}"#, "column 9: `a/b` is in the entry `a` too"),
        (r#"{"a": {"b": 1}, "a/b": {"c": 2}}"#, "column 24: `a/b` is in the entry `a` too"),
        (r#"{"a": [{"x": 1, "x": 2}]}"#, "column 7: `a`: invalid_value: the key \"x\" comes twice"),
        (r#"{"a": {"_type": "file", "h": 1, "h": 2}}"#, "`a`: invalid_value: the key \"h\" comes twice"),
        (r#"{"a": {"_type": "decimal", "_typed": "1", "x": 2}}"#, "`a`: invalid_value: a store keeps nothing of \"x\""),
        (r#"{"a": {"_scalar": 1, "x": 2}}"#, "`a`: invalid_value: a server takes an object with the key `_scalar`"),
        (r#"{"a\u0000b": 1}"#, "`a\\0b`: invalid_value: a server loses leaves whose path has a NUL"),
        (r#"{"a": {"b\u0000": 1}}"#, "`a/b\\0`: invalid_value: a server loses leaves whose path has a NUL"),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    // An entry below another one, and not in its value, is accepted.
    assert_eq!(import(&fresh(), r#"{"a": {"b": 1}, "a/b/c": 2, "a/d": {"e": 1}}"#).unwrap(), 3);
    assert_eq!(import(&fresh(), r#"{"a": [{"_scalar": 1, "x": {}}]}"#).unwrap(), 1);
}
