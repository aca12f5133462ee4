use super::*;

/// The leaves of the recording: values count from 0 in the order of writing.
fn store() -> Store {
    let store = Store::in_memory().unwrap();
    let written = [
        "a",
        "a/x",
        "b/1",
        "b/2",
        "b/10",
        "b/c/d",
        "b/c/e/f",
        "B/1",
        "c",
        "c-1",
        "c.d",
        "c/1",
        "z/é",
        "z/e",
        "z/~0",
        "z/~1",
        "z/_",
        "z/%",
        "z/*",
        "z/**",
        "posts/p1/title",
        "posts/p1/body",
        "posts/p2/title",
        "posts/p2/body",
        "posts/p3/title",
    ];
    let ops = written.iter().enumerate().map(|(value, at)| Op::set(path(at), raw(&value.to_string())));
    store.try_batch(ops.collect()).unwrap();
    store
}

const ALL: &str = "B/1 a a/x b/1 b/10 b/2 b/c/d b/c/e/f c c-1 c.d c/1 posts/p1/body posts/p1/title posts/p2/body \
                   posts/p2/title posts/p3/title z/% z/* z/** z/_ z/e z/~0 z/~1 z/é";

fn keys(pattern: &str) -> ListRequest {
    ListRequest::pattern(Pattern::parse(pattern).unwrap()).select(Select::Keys)
}

fn range(from: &str, to: &str) -> ListRequest {
    ListRequest::new(Selector::Range { from: path(from), to: path(to) }).select(Select::Keys)
}

fn found(store: &Store, request: &ListRequest) -> (String, Option<String>) {
    let page = store.list(request).unwrap();
    let items: Vec<&str> = page.items.iter().map(|item| item.path().as_str()).collect();
    (items.join(" "), page.next_cursor)
}

fn list(store: &Store, request: &ListRequest) -> String {
    let (items, next) = found(store, request);
    assert_eq!(next, None);
    items
}

#[test]
fn list_by_pattern_equals_recording() {
    let store = store();
    let table = [
        ("**", ALL),
        ("*", "a c c-1 c.d"),
        ("b/*", "b/1 b/10 b/2"),
        ("b/**", "b/1 b/10 b/2 b/c/d b/c/e/f"),
        ("b/*/*", "b/c/d"),
        ("b/c/**", "b/c/d b/c/e/f"),
        ("posts/*/title", "posts/p1/title posts/p2/title posts/p3/title"),
        ("*/*/title", "posts/p1/title posts/p2/title posts/p3/title"),
        ("*/1", "B/1 b/1 c/1"),
        ("b", ""),
        ("b/1", ""),
        ("zzz/*", ""),
        ("z/\\*", "z/*"),
        ("z/\\**", "z/**"),
        ("z/*", "z/% z/* z/** z/_ z/e z/~0 z/~1 z/é"),
        ("z/~0", ""),
        ("b/1*", ""),
        ("B/*", "B/1"),
        ("b.*", ""),
    ];
    for (pattern, expected) in table {
        assert_eq!(list(&store, &keys(pattern)), expected, "{pattern}");
    }
}

#[test]
fn list_entry_has_value_type_and_revision() {
    let page = store().list(&ListRequest::pattern(Pattern::parse("posts/*/title").unwrap())).unwrap();
    let entries: Vec<Entry> = page.items.into_iter().filter_map(ListItem::into_entry).collect();
    let seen: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.value.as_str(), e.kind.name(), e.revision)).collect();
    assert_eq!(
        seen,
        [
            ("posts/p1/title", "20", "integer", 21),
            ("posts/p2/title", "22", "integer", 23),
            ("posts/p3/title", "24", "integer", 25)
        ]
    );
}

#[test]
fn list_of_prefixes_equals_recording() {
    let store = store();
    let prefixes = |pattern: &str| keys(pattern).select(Select::Prefixes);
    let table = [
        ("**", "B a b c c-1 c.d posts z"),
        ("posts/**", "posts/p1 posts/p2 posts/p3"),
        ("b/**", "b/1 b/10 b/2 b/c"),
        ("b/c/**", "b/c/d b/c/e"),
        ("nothing/**", ""),
        ("posts/*/**", ""),
        ("z/**", "z/% z/* z/** z/_ z/e z/~0 z/~1 z/é"),
    ];
    for (pattern, expected) in table {
        assert_eq!(list(&store, &prefixes(pattern)), expected, "{pattern}");
    }
    let descending = prefixes("**").order(Order::Descending);
    assert_eq!(list(&store, &descending), "z posts c.d c-1 c b a B");
    for pattern in ["posts/*", "posts"] {
        assert_eq!(store.list(&prefixes(pattern)).unwrap_err().name(), "invalid_pattern_for_prefixes");
    }
    // The limit counts leaves, and the cursor is the path of a leaf.
    let first = prefixes("**").limit(3);
    assert_eq!(found(&store, &first), ("B a".into(), Some("a/x".into())));
    let second = first.after(Some("a/x".to_owned()));
    assert_eq!(found(&store, &second), ("b".into(), Some("b/2".into())));
}

#[test]
fn list_by_range_equals_recording() {
    let store = store();
    let table = [
        ("b", "c", "b/1 b/10 b/2 b/c/d b/c/e/f"),
        ("b/1", "b/2", "b/1 b/10"),
        ("b/1", "b/1", ""),
        ("c", "b", ""),
        ("b", "b0", "b/1 b/10 b/2 b/c/d b/c/e/f"),
        ("z", "\u{10ffff}", "z/% z/* z/** z/_ z/e z/~0 z/~1 z/é"),
    ];
    for (from, to, expected) in table {
        assert_eq!(list(&store, &range(from, to)), expected, "{from}..{to}");
    }
    let first = range("a", "zz").limit(3);
    assert_eq!(found(&store, &first), ("a a/x b/1".into(), Some("b/1".into())));
    let second = first.clone().after(Some("b/1".to_owned()));
    assert_eq!(found(&store, &second), ("b/10 b/2 b/c/d".into(), Some("b/c/d".into())));
    let first = first.order(Order::Descending);
    assert_eq!(found(&store, &first), ("z/é z/~1 z/~0".into(), Some("z/~0".into())));
    let second = first.after(Some("z/~0".to_owned()));
    assert_eq!(found(&store, &second), ("z/e z/_ z/**".into(), Some("z/**".into())));
    let prefixes = range("a", "b").select(Select::Prefixes);
    assert_eq!(store.list(&prefixes).unwrap_err().name(), "unsupported_select");
}

#[test]
fn list_follows_limit_and_cursor() {
    let store = store();
    for limit in [0, 1001, usize::MAX] {
        let error = store.list(&keys("**").limit(limit)).unwrap_err();
        assert_eq!(error.to_string(), format!("limit must be 1..1000, got {limit}"));
    }
    assert_eq!(found(&store, &keys("**").limit(1)), ("B/1".into(), Some("B/1".into())));
    assert_eq!(found(&store, &keys("**").limit(25)), (ALL.into(), None));
    let ten = keys("**").limit(10);
    let first = "B/1 a a/x b/1 b/10 b/2 b/c/d b/c/e/f c c-1";
    assert_eq!(found(&store, &ten), (first.into(), Some("c-1".into())));
    let after = |after: &str, request: ListRequest| request.after(Some(after.to_owned()));
    let second = "c.d c/1 posts/p1/body posts/p1/title posts/p2/body posts/p2/title posts/p3/title z/% z/* z/**";
    assert_eq!(found(&store, &after("c-1", ten.clone())), (second.into(), Some("z/**".into())));
    let down = ten.order(Order::Descending);
    let first = "z/é z/~1 z/~0 z/e z/_ z/** z/* z/% posts/p3/title posts/p2/title";
    assert_eq!(found(&store, &down), (first.into(), Some("posts/p2/title".into())));
    let second = "posts/p2/body posts/p1/title posts/p1/body c/1 c.d c-1 c b/c/e/f b/c/d b/2";
    assert_eq!(found(&store, &after("posts/p2/title", down)), (second.into(), Some("b/2".into())));

    // Any string is a cursor.
    assert!(list(&store, &after("nosuch", keys("**"))).starts_with("posts/p1/body posts/p1/title"));
    assert_eq!(list(&store, &after("", keys("**"))), ALL);
    assert_eq!(list(&store, &after("a", keys("b/*"))), "b/1 b/10 b/2");
    assert_eq!(list(&store, &after("z", keys("b/*"))), "");
    assert_eq!(list(&store, &after("b/", keys("b/*"))), "b/1 b/10 b/2");
    assert_eq!(list(&store, &after("b/1", range("b/1", "b/2"))), "b/10");
    assert_eq!(list(&store, &after("b/2", range("b/1", "b/2"))), "");
    assert_eq!(list(&store, &after("z/~01", keys("**"))), "z/~1 z/é");
    let down = keys("b/*").order(Order::Descending);
    assert_eq!(list(&store, &after("a", down.clone())), "");
    assert_eq!(list(&store, &after("z", down)), "b/2 b/10 b/1");
    let down = range("b/1", "b/2").order(Order::Descending);
    assert_eq!(list(&store, &after("b/2", down.clone())), "b/10 b/1");
    assert_eq!(list(&store, &after("b/1", down)), "");
}

#[test]
fn page_ends_at_the_last_match() {
    let store = store();
    // The next leaf in order does not match, so there is no next page.
    let request = keys("b/*").limit(3);
    assert_eq!(found(&store, &request), ("b/1 b/10 b/2".into(), None));
    let request = keys("posts/*/title").limit(2);
    assert_eq!(found(&store, &request), ("posts/p1/title posts/p2/title".into(), Some("posts/p2/title".into())));
}
