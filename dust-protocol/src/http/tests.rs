//! Tests that every recorded exchange is parsed.

use proptest::prelude::*;

use super::*;
use crate::{LeafPage, ListItem, ListRequest, Op, Order, Page, Path, Pattern, Precondition, RawJson, Select, Selector};
use url::Url;

mod arbitrary;
mod objects;

use recordings::{Call, Exchange, exchanges};

/// Parses a list. For a list of the leaves below a path both parsers must return the same leaves or an error.
fn page_both_ways(body: &[u8], request: &ListRequest) -> Result<Page, Unreadable> {
    let page = page(body, request);
    if let Some(path) = below(request) {
        let packed = page.clone().map(|Page { items, next_cursor }| LeafPage {
            leaves: items.into_iter().filter_map(ListItem::into_entry).collect(),
            next_cursor,
        });
        let read = leaf_page(body, &path, request.after.as_deref());
        assert_eq!(read.ok(), packed.ok(), "{}", String::from_utf8_lossy(body));
    }
    page
}

/// The path of a list, if it lists all leaves below one in their order.
fn below(request: &ListRequest) -> Option<Path> {
    let Selector::Pattern(pattern) = &request.selector else { return None };
    let path = Path::parse(pattern.as_str().strip_suffix("/**")?).ok()?;
    let is_it = request.select == Select::Entries
        && request.order == Order::Ascending
        && Pattern::below(&path).as_ref() == Some(pattern);
    is_it.then_some(path)
}

#[test]
fn recorded_success_is_parsed() {
    let mut read = 0;
    for exchange in exchanges() {
        let Some(call) = exchange.call().filter(|_| exchange.status == 200 && !exchange.is_cut()) else {
            continue;
        };
        let body = exchange.body.as_bytes();
        let fails = |why: Unreadable| -> ! { panic!("{}: {}: {why}", exchange.file, exchange.command) };
        match call {
            Call::Get => {
                // The path of the URL, which the server has decoded.
                let quoted = exchange.target().unwrap_or_default().replace("'\"'\"'", "'");
                let asked = decoded(quoted.trim_start_matches('/'));
                // A server treats two slashes as one and ignores one at the end.
                let asked = Path::parse(asked.replace("//", "/").trim_end_matches('/'))
                    .unwrap_or_else(|error| panic!("{asked}: {error}"));
                let entry = entry(body, &asked).unwrap_or_else(|why| fails(why));
                let value = format!(r#""value":{}}}"#, entry.value.as_str());
                assert!(exchange.body.ends_with(&value), "{}: {value}", exchange.command);
                assert_ne!(entry.kind.name(), "other", "{}", exchange.command);
            }
            Call::List => {
                let request = list_request(&exchange);
                let page = page_both_ways(body, &request).unwrap_or_else(|why| fails(why));
                let entries = page.items.iter().all(|item| matches!(item, ListItem::Entry(_)));
                assert!(page.items.is_empty() || entries == (request.select == Select::Entries));
            }
            Call::GetMany => {
                let paths = ["items/01", "nope", "items/02", "items/01"].map(|path| Path::parse(path).unwrap());
                let leaves = leaves(body, &paths).unwrap_or_else(|why| fails(why));
                assert_eq!(leaves.len(), 4);
                assert_eq!(leaves[0], leaves[3]);
                assert!(leaves[1].is_none());
            }
            _ => assert!(store_seq(body).unwrap_or_else(|why| fails(why)) > 0),
        }
        read += 1;
    }
    assert!(read > 250, "only {read} were read");
}

#[test]
fn request_body_equals_recorded_one() {
    let path = |text: &str| Path::parse(text).unwrap();
    let json = |text: &str| RawJson::parse(text).unwrap();
    let ops = [
        Op::set(path("w/a"), json("1")),
        Op::set(path("w/b"), json("123456789012345678901234567890")).on(Precondition::IfMatch(7)),
        Op::delete(path("items/05")),
        Op::delete(path("r/b")).on(Precondition::IfMatch(1)),
    ];
    assert_eq!(
        batch_write_body(&ops),
        r#"{"ops":[{"op":"set","path":"w/a","value":1},{"op":"set","path":"w/b","value":123456789012345678901234567890,"if_match":7},{"op":"delete","path":"items/05"},{"op":"delete","path":"r/b","if_match":1}]}"#
    );
    assert_eq!(batch_body(&[path("a"), path("b/c")]), r#"{"paths":["a","b/c"]}"#);
    assert_eq!(
        put_body(&path("body/one"), &json("43"), Some(Condition::IfMatch(1))),
        r#"{"path":"body/one","value":43,"if_match":1}"#
    );
    assert_eq!(
        put_body(&path("a"), &json("{}"), Some(Condition::IfLeafAbsent)),
        r#"{"path":"a","value":{},"if_absent":true}"#
    );
    assert_eq!(delete_body(&path("a"), None), r#"{"path":"a"}"#);
    assert_eq!(delete_body(&path("a"), Some(2)), r#"{"path":"a","if_match":2}"#);
}

#[test]
fn page_of_1000_leaves_is_parsed() {
    let items: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"path":"links/{n:04}/note","revision":{n},"type":"string","value":"text {n} é \" "}}"#))
        .collect();
    let body = format!(r#"{{"items":[{}],"next_cursor":"links/0999/note"}}"#, items.join(","));
    let page = page_both_ways(body.as_bytes(), &ListRequest::pattern(Pattern::parse("links/**").unwrap())).unwrap();
    assert_eq!((page.items.len(), page.next_cursor.as_deref()), (1000, Some("links/0999/note")));
    let last = page.items.into_iter().next_back().and_then(ListItem::into_entry).unwrap();
    assert_eq!((last.revision, last.value.as_str()), (999, r#""text 999 é \" ""#));
}

#[test]
fn page_outside_its_request_is_refused() {
    let request = |order, select, after: Option<&str>| ListRequest {
        order,
        select,
        after: after.map(str::to_owned),
        ..ListRequest::pattern(Pattern::parse("links/*/title").unwrap())
    };
    let read = |request: &ListRequest, items: &str, cursor: &str| {
        let body = format!(r#"{{"items":{items},"next_cursor":{cursor}}}"#);
        page(body.as_bytes(), request).map(drop).map_err(|why| why.to_string())
    };
    let up = request(Order::Ascending, Select::Keys, Some("links/b/title"));
    let down = request(Order::Descending, Select::Keys, Some("links/e/title"));
    assert_eq!(read(&up, r#"["links/c/title","links/d/title"]"#, "null"), Ok(()));
    assert_eq!(read(&up, r#"["links/c/title","links/d/title"]"#, r#""links/d/title""#), Ok(()));
    assert_eq!(read(&down, r#"["links/d/title","links/c/title"]"#, r#""links/c/title""#), Ok(()));
    let refused = [
        (&up, r#"["links/c/note"]"#, "null", "`links/c/note` was not asked for"),
        (&up, r#"["other/c/title"]"#, "null", "`other/c/title` was not asked for"),
        (&up, r#"["links/b/title"]"#, "null", "`links/b/title` was not asked for"),
        (&up, r#"["links/d/title","links/c/title"]"#, "null", "`links/c/title` comes after `links/d/title`"),
        (&up, r#"["links/c/title","links/c/title"]"#, "null", "`links/c/title` comes after `links/c/title`"),
        (&up, r#"["links/c/title"]"#, r#""links/b/title""#, "the cursor `links/b/title` does not lead on"),
        (&up, "[]", r#""links/b/title""#, "the cursor `links/b/title` does not lead on"),
        (&up, "[]", r#""zzz""#, "the cursor `zzz` does not lead on"),
        (&down, r#"["links/c/title","links/d/title"]"#, "null", "`links/d/title` comes after `links/c/title`"),
        (&down, r#"["links/d/title"]"#, r#""links/e/title""#, "the cursor `links/e/title` does not lead on"),
    ];
    for (request, items, cursor, why) in refused {
        assert_eq!(read(request, items, cursor), Err(why.to_owned()));
    }
    let below = ListRequest { select: Select::Prefixes, ..ListRequest::pattern(Pattern::parse("links/**").unwrap()) };
    let below = ListRequest { after: Some("links/b/title".to_owned()), ..below };
    assert_eq!(read(&below, r#"["links/b","links/c"]"#, r#""links/c/note""#), Ok(()));
    assert!(read(&below, r#"["other"]"#, "null").is_err());
    assert!(read(&below, "[]", r#""links/b/title""#).is_err());
}

/// The request of a recorded list.
fn list_request(exchange: &Exchange) -> ListRequest {
    let url = Url::parse(&format!("http://dust{}", exchange.target().unwrap_or_default())).unwrap();
    let find = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let selector = match (find("from"), find("to")) {
        (Some(from), Some(to)) => Selector::Range { from: from.parse().unwrap(), to: to.parse().unwrap() },
        _ => Selector::Pattern(Pattern::parse(find("pattern").as_deref().unwrap_or("**")).unwrap()),
    };
    ListRequest {
        selector,
        limit: find("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50),
        order: if find("order").as_deref() == Some("desc") { Order::Descending } else { Order::Ascending },
        select: match find("select").as_deref() {
            Some("keys") => Select::Keys,
            Some("prefixes") => Select::Prefixes,
            _ => Select::Entries,
        },
        after: find("after"),
    }
}

/// Decodes `%xx`; a single `%` stays.
fn decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let code = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(decoded).unwrap()
}
