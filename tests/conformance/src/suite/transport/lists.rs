//! `list`: patterns, ranges, pages, orders and what is selected.

use dust_orm::ErrKind;
use dust_protocol::{ListItem, ListRequest, Order, Pattern, Select, Selector};
use serde_json::json;

use crate::context::{Context, path};

super::tests![
    patterns_match_segments,
    a_pattern_without_a_star_lists_nothing,
    literal_stars_are_escaped,
    entries_come_whole,
    keys_come_alone,
    descending_is_the_other_way_round,
    pages_follow_the_cursor,
    the_last_page_has_no_cursor,
    a_cursor_need_not_exist,
    ranges_include_their_start_and_not_their_end,
    ranges_have_pages_and_orders,
    prefixes_are_those_one_segment_below,
    prefixes_come_in_pages_of_leaves,
    prefixes_of_other_patterns_are_refused,
    limits_outside_of_1_to_1000_are_refused,
];

const LEAVES: [&str; 25] = [
    "B/1",
    "a",
    "a/x",
    "b/1",
    "b/10",
    "b/2",
    "b/c/d",
    "b/c/e/f",
    "c",
    "c-1",
    "c.d",
    "c/1",
    "posts/p1/body",
    "posts/p1/title",
    "posts/p2/body",
    "posts/p2/title",
    "posts/p3/title",
    "z/%",
    "z/*",
    "z/**",
    "z/_",
    "z/e",
    "z/~0",
    "z/~1",
    "z/é",
];

async fn fill(cx: &Context) {
    cx.set_all(LEAVES.iter().enumerate().map(|(n, at)| (*at, json!(n)))).await;
}

fn keys(pattern: &str) -> ListRequest {
    ListRequest::pattern(Pattern::parse(pattern).unwrap()).select(Select::Keys)
}

fn range(from: &str, to: &str) -> ListRequest {
    ListRequest::new(Selector::Range { from: path(from), to: path(to) }).select(Select::Keys)
}

/// The paths of one page, and its cursor.
async fn page(cx: &Context, request: &ListRequest) -> (Vec<String>, Option<String>) {
    let page = cx.transport.list(request).await.unwrap();
    (page.items.iter().map(|item| item.path().to_string()).collect(), page.next_cursor)
}

async fn patterns_match_segments(cx: &Context) {
    fill(cx).await;
    let table: [(&str, &[&str]); 9] = [
        ("**", &LEAVES),
        ("*", &["a", "c", "c-1", "c.d"]),
        ("b/*", &["b/1", "b/10", "b/2"]),
        ("b/**", &["b/1", "b/10", "b/2", "b/c/d", "b/c/e/f"]),
        ("b/*/*", &["b/c/d"]),
        ("*/1", &["B/1", "b/1", "c/1"]),
        ("posts/*/title", &["posts/p1/title", "posts/p2/title", "posts/p3/title"]),
        ("B/**", &["B/1"]),
        ("zzz/*", &[]),
    ];
    for (pattern, expected) in table {
        assert_eq!(
            page(cx, &keys(pattern)).await,
            (expected.iter().map(|p| (*p).to_owned()).collect(), None),
            "{pattern}"
        );
    }
}

async fn a_pattern_without_a_star_lists_nothing(cx: &Context) {
    fill(cx).await;
    for pattern in ["a", "b/1", "z/~0", "z/%"] {
        assert_eq!(page(cx, &keys(pattern)).await, (vec![], None), "{pattern}");
    }
}

async fn literal_stars_are_escaped(cx: &Context) {
    fill(cx).await;
    assert_eq!(page(cx, &keys("z/\\*")).await.0, ["z/*"]);
    assert_eq!(page(cx, &keys("z/\\**")).await.0, ["z/**"]);
    assert_eq!(page(cx, &keys("b/1*")).await.0, Vec::<String>::new());
}

async fn entries_come_whole(cx: &Context) {
    let first = cx.set("posts/p1/title", json!("one")).await;
    let second = cx.set("posts/p2/title", json!({"nested": 2})).await;
    let leaves = cx.entries("posts").await;
    let seen: Vec<_> = leaves.iter().map(|leaf| (leaf.path.as_str(), leaf.value.as_str(), leaf.revision)).collect();
    assert_eq!(seen, [("posts/p1/title", "\"one\"", first), ("posts/p2/title/nested", "2", second)]);
}

async fn keys_come_alone(cx: &Context) {
    fill(cx).await;
    let found = cx.transport.list(&keys("b/*")).await.unwrap();
    assert!(found.items.iter().all(|item| matches!(item, ListItem::Path(_))), "{found:?}");
}

async fn descending_is_the_other_way_round(cx: &Context) {
    fill(cx).await;
    let request = keys("**").order(Order::Descending);
    let mut expected = LEAVES.map(str::to_owned);
    expected.reverse();
    assert_eq!(page(cx, &request).await.0, expected);
    let request = keys("b/**").order(Order::Descending).limit(2).after(Some("b/2".to_owned()));
    assert_eq!(page(cx, &request).await, (vec!["b/10".into(), "b/1".into()], None));
}

async fn pages_follow_the_cursor(cx: &Context) {
    fill(cx).await;
    let mut request = keys("**").limit(10);
    let mut found = Vec::new();
    for expected in [10, 10, 5] {
        let (paths, cursor) = page(cx, &request).await;
        assert_eq!(paths.len(), expected);
        assert_eq!(cursor, (expected == 10).then(|| paths[9].clone()));
        found.extend(paths);
        request.after = cursor;
    }
    assert_eq!(found, LEAVES);
}

async fn the_last_page_has_no_cursor(cx: &Context) {
    fill(cx).await;
    let request = keys("**").limit(LEAVES.len());
    assert_eq!(page(cx, &request).await.1, None);
    let request = keys("**").limit(LEAVES.len() - 1);
    assert_eq!(page(cx, &request).await.1.as_deref(), Some("z/~1"));
}

async fn a_cursor_need_not_exist(cx: &Context) {
    fill(cx).await;
    let after = |cursor: &str| keys("**").after(Some(cursor.to_owned()));
    assert_eq!(page(cx, &after("nosuch")).await.0, LEAVES[12..]);
    assert_eq!(page(cx, &after("")).await.0, LEAVES);
    assert_eq!(page(cx, &keys("b/*").after(Some("a".to_owned()))).await.0, ["b/1", "b/10", "b/2"]);
    assert_eq!(page(cx, &keys("b/*").after(Some("z".to_owned()))).await.0, Vec::<String>::new());
}

async fn ranges_include_their_start_and_not_their_end(cx: &Context) {
    fill(cx).await;
    assert_eq!(page(cx, &range("b", "c")).await.0, ["b/1", "b/10", "b/2", "b/c/d", "b/c/e/f"]);
    assert_eq!(page(cx, &range("b/1", "b/2")).await.0, ["b/1", "b/10"]);
    assert_eq!(page(cx, &range("b/1", "b/1")).await.0, Vec::<String>::new());
    assert_eq!(page(cx, &range("c", "b")).await.0, Vec::<String>::new());
}

async fn ranges_have_pages_and_orders(cx: &Context) {
    fill(cx).await;
    let request = range("a", "zz").limit(3);
    assert_eq!(page(cx, &request).await, (vec!["a".into(), "a/x".into(), "b/1".into()], Some("b/1".into())));
    let request = request.after(Some("b/1".to_owned()));
    assert_eq!(page(cx, &request).await.0, ["b/10", "b/2", "b/c/d"]);
    let request = range("a", "zz").limit(3).order(Order::Descending);
    assert_eq!(page(cx, &request).await.0, ["z/é", "z/~1", "z/~0"]);
}

fn prefixes(pattern: &str) -> ListRequest {
    keys(pattern).select(Select::Prefixes)
}

async fn prefixes_are_those_one_segment_below(cx: &Context) {
    fill(cx).await;
    assert_eq!(page(cx, &prefixes("**")).await.0, ["B", "a", "b", "c", "c-1", "c.d", "posts", "z"]);
    assert_eq!(page(cx, &prefixes("posts/**")).await.0, ["posts/p1", "posts/p2", "posts/p3"]);
    assert_eq!(page(cx, &prefixes("b/**")).await.0, ["b/1", "b/10", "b/2", "b/c"]);
    assert_eq!(page(cx, &prefixes("nothing/**")).await.0, Vec::<String>::new());
}

async fn prefixes_come_in_pages_of_leaves(cx: &Context) {
    fill(cx).await;
    let request = prefixes("**").limit(3);
    assert_eq!(page(cx, &request).await, (vec!["B".into(), "a".into()], Some("a/x".into())));
    let request = request.after(Some("a/x".to_owned()));
    assert_eq!(page(cx, &request).await, (vec!["b".into()], Some("b/2".into())));
}

async fn prefixes_of_other_patterns_are_refused(cx: &Context) {
    for request in [prefixes("posts/*"), range("a", "b").select(Select::Prefixes)] {
        let error = cx.transport.list(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
}

async fn limits_outside_of_1_to_1000_are_refused(cx: &Context) {
    for limit in [0, 1001] {
        let error = cx.transport.list(&keys("**").limit(limit)).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    assert_eq!(page(cx, &keys("**").limit(1)).await, (vec![], None));
}
