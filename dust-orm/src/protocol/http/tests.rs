//! Every recorded exchange is read; nothing a server may answer makes the reader panic.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::{DustErr, ErrKind};
use crate::protocol::{
    BatchOp, Glob, LeafPage, ListItem, ListRequest, Order, Page, Path, Precondition, RawJson, Select, Selector,
};
use url::Url;

mod arbitrary;
mod objects;
mod recordings;

use recordings::{decoded, recordings};

/// Reads a list; one of the leaves below a path both ways, which have to come to the same leaves or to an error.
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

/// Below which path a list looks, if it is one of all leaves there, in their order.
fn below(request: &ListRequest) -> Option<Path> {
    let Selector::Pattern(pattern) = &request.selector else { return None };
    let path = Path::parse(pattern.as_str().strip_suffix("/**")?).ok()?;
    let is_it = request.select == Select::Entries
        && request.order == Order::Ascending
        && Glob::below(&path).as_ref() == Some(pattern);
    is_it.then_some(path)
}

#[test]
fn every_recorded_success_is_read() {
    let mut read = 0;
    for exchange in recordings() {
        let Some(operation) = exchange.operation().filter(|_| exchange.status == 200 && !exchange.is_cut()) else {
            continue;
        };
        let body = exchange.body.as_bytes();
        let fails = |why: Unreadable| -> ! { panic!("{}: {}: {why}", exchange.file, exchange.command) };
        match operation {
            Operation::Get => {
                // What was asked for, as it is in the URL; the server has decoded it.
                let quoted = exchange.target().unwrap_or_default().replace("'\"'\"'", "'");
                let asked = decoded(quoted.trim_start_matches('/'));
                // A server takes two slashes for one, and one at the end for none.
                let asked = Path::parse(asked.replace("//", "/").trim_end_matches('/'))
                    .unwrap_or_else(|error| panic!("{asked}: {error}"));
                let entry = entry(body, &asked).unwrap_or_else(|why| fails(why));
                let value = format!(r#""value":{}}}"#, entry.value.as_str());
                assert!(exchange.body.ends_with(&value), "{}: {value}", exchange.command);
                assert_ne!(entry.kind.name(), "other", "{}", exchange.command);
            }
            Operation::List => {
                let request = exchange.list_request();
                let page = page_both_ways(body, &request).unwrap_or_else(|why| fails(why));
                let entries = page.items.iter().all(|item| matches!(item, ListItem::Entry(_)));
                assert!(page.items.is_empty() || entries == (request.select == Select::Entries));
            }
            Operation::GetMany => {
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
fn every_recorded_refusal_has_its_kind() {
    let mut seen = 0;
    for exchange in recordings() {
        if exchange.status == 200 || exchange.status == 201 || exchange.is_cut() || exchange.method() == "HEAD" {
            continue;
        }
        let writes = exchange.operation().is_some_and(Operation::writes);
        let expected = match (exchange.status, &*exchange.body) {
            (400 | 413 | 422, _) => ErrKind::InvalidParams,
            (401 | 403, _) => ErrKind::Unauthorized,
            (404, "Not Found") => ErrKind::NotImplemented,
            (404, r#"{"error":"not_found"}"#) => ErrKind::NotFound,
            (412, body) if body.contains("conflict") => ErrKind::Conflict,
            (412, body) if body.contains("exists") => ErrKind::Exists,
            (429, _) => ErrKind::RateLimited,
            (500, _) if writes => ErrKind::Timeout,
            (402 | 406 | 426 | 500, _) => ErrKind::Http,
            (status, body) => panic!("{}: {status} {body}", exchange.command),
        };
        let error = exchange.error();
        assert_eq!(error.kind(), expected, "{}: {error}", exchange.command);
        assert!(!error.to_string().is_empty());
        seen += 1;
    }
    assert!(seen > 100, "only {seen} refusals were found");
}

/// Wed, 21 Oct 2026 07:28:00 GMT
const NOW: Duration = Duration::from_secs(1_792_567_680);

fn call(operation: Operation, about: About<'_>) -> Call<'_> {
    Call { store: "acme/reading", operation, about }
}

fn refuse(operation: Operation, status: u16, body: &str) -> DustErr {
    let path = Path::parse("links/dust").unwrap();
    let refusal = Refusal { status, retry_after: None, location: None, body: body.as_bytes(), sent: 0, now: NOW };
    refusal.error(&call(operation, About::Path(&path)))
}

#[test]
fn a_conflict_tells_where_and_what_is_there() {
    let single = refuse(Operation::Set, 412, r#"{"current_revision":2,"error":"conflict"}"#);
    let DustErr::Conflict { path, current: Some(2), op_index: None } = &single else { panic!("{single:?}") };
    assert_eq!(path, "links/dust");
    let gone = refuse(Operation::Delete, 412, r#"{"current_revision":null,"error":"conflict"}"#);
    assert!(matches!(gone, DustErr::Conflict { current: None, .. }), "{gone:?}");
    let batch = r#"{"current_revision":4,"error":"conflict","op_index":2,"path":"r/b"}"#;
    let batch = refuse(Operation::BatchWrite, 412, batch);
    let DustErr::Conflict { path, current: Some(4), op_index: Some(2) } = &batch else { panic!("{batch:?}") };
    assert_eq!(path, "r/b");
    let exists = refuse(Operation::Set, 412, r#"{"current_revision":3,"error":"exists"}"#);
    let DustErr::Exists { path, current: Some(3) } = &exists else { panic!("{exists:?}") };
    assert_eq!(path, "links/dust");
}

#[test]
fn bad_input_says_which_op_and_why() {
    let body = r#"{"detail":"If-Match requires a leaf value","error":"if_match_multi_leaf","op_index":1,"path":"r"}"#;
    assert_eq!(
        refuse(Operation::BatchWrite, 400, body).to_string(),
        "batch_write of `links/dust`: op 1 (`r`): If-Match requires a leaf value (if_match_multi_leaf)"
    );
    assert_eq!(refuse(Operation::Set, 400, "Bad Request").to_string(), "set of `links/dust`: Bad Request");
}

#[test]
fn an_unavailable_writer_leaves_the_outcome_open() {
    let body = r#"{"error":"invalid_params","detail":"{:writer_unavailable, {:timeout, {GenServer, :call, []}}}"}"#;
    let error = refuse(Operation::BatchWrite, 400, body);
    assert_eq!(error.kind(), ErrKind::Timeout);
    assert!(!error.is_retryable());
    let other = r#"{"error":"invalid_params","detail":"{:writer_unavailable, :noproc}"}"#;
    assert_eq!(refuse(Operation::Set, 400, other).kind(), ErrKind::Timeout);
    assert_eq!(refuse(Operation::List, 400, other).kind(), ErrKind::InvalidParams);
}

#[test]
fn a_missing_scope_is_named() {
    let body = r#"{"error":"forbidden","scope":"entries:write","message":"needs entries:write"}"#;
    let error = refuse(Operation::Set, 403, body);
    let DustErr::Unauthorized { scope: Some(scope), message } = &error else { panic!("{error:?}") };
    assert_eq!((&**scope, &**message), ("entries:write", "set of `links/dust`: needs entries:write"));
    let bare = refuse(Operation::Set, 403, r#"{"error":"forbidden"}"#);
    assert!(matches!(bare, DustErr::Unauthorized { scope: None, .. }));
}

#[test]
fn a_route_that_is_missing_differs_from_a_store_that_is() {
    assert_eq!(refuse(Operation::BatchWrite, 404, "Not Found").kind(), ErrKind::NotImplemented);
    assert_eq!(refuse(Operation::BatchWrite, 405, "Method Not Allowed").kind(), ErrKind::NotImplemented);
    assert_eq!(refuse(Operation::BatchWrite, 404, "").kind(), ErrKind::NotImplemented);
    assert_eq!(
        refuse(Operation::List, 404, r#"{"error":"not_found"}"#).to_string(),
        "the store `acme/reading` was not found"
    );
}

#[test]
fn a_server_error_may_have_applied_a_write_but_not_a_read() {
    for status in [500, 502, 503, 504, 599] {
        let read = refuse(Operation::List, status, r#"{"errors":{"detail":"Internal Server Error"}}"#);
        assert!(matches!(read, DustErr::Http { .. }) && read.is_retryable(), "{read:?}");
        let write = refuse(Operation::Set, status, "<html>Bad Gateway</html>");
        assert_eq!(write.kind(), ErrKind::Timeout, "{write}");
        assert!(write.to_string().contains("an HTML page"), "{write}");
    }
}

#[test]
fn the_pause_after_a_429_is_at_least_a_second() {
    let path = Path::parse("a").unwrap();
    for (header, expected) in [
        (Some("56"), 56),
        (Some("0"), 1),
        (None, 1),
        (Some("Wed, 21 Oct 2026 07:28:00 GMT"), 1),
        (Some("Wed, 21 Oct 2026 07:28:07 GMT"), 7),
        (Some("Sun, 22 Oct 2026 07:28:00 GMT"), 86_400),
        (Some("Mon, 6 Nov 2026 08:49:37 GMT"), 86_400),
        (Some("Wed, 21 Oct 2026 07:28:07 CET"), 1),
        (Some("Wed, 31 Feb 2027 07:28:07 GMT"), 1),
        (Some("21 Oct 2026"), 1),
        (Some("-5"), 1),
        (Some("18446744073709551615"), 86_400),
    ] {
        let refusal = Refusal { status: 429, retry_after: header, location: None, body: b"", sent: 0, now: NOW };
        let error = refusal.error(&call(Operation::Set, About::Path(&path)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(expected)), "{header:?}");
    }
}

#[test]
fn what_is_not_understood_is_shown_short() {
    let long = "é\n".repeat(10_000);
    let error = refuse(Operation::List, 418, &long).to_string();
    assert!(error.len() < 1000 && !error.contains('\n'), "{error}");
    let DustErr::Http { message, .. } = refuse(Operation::Get, 302, "") else { panic!() };
    assert!(message.contains("redirect"), "{message}");
}

#[test]
fn an_html_page_in_the_place_of_an_answer_is_called_one() {
    let portal = b"\r\n<!DOCTYPE html><html><body>Please sign in</body></html>";
    let why = store_seq(portal).unwrap_err();
    let read = call(Operation::List, About::Ops(1)).unreadable(200, &why).to_string();
    assert!(read.contains("an HTML page") && read.contains("base URL"), "{read}");
    let write = call(Operation::BatchWrite, About::Ops(1)).unreadable(200, &why);
    assert_eq!(write.kind(), ErrKind::Timeout);
    assert!(write.to_string().contains("an HTML page"), "{write}");
}

#[test]
fn a_body_that_a_proxy_refuses_is_an_error_with_its_size() {
    let path = Path::parse("links/dust").unwrap();
    let body = b"<html>\r\n<head><title>413 Request Entity Too Large</title></head><hr><center>nginx</center>";
    let refusal = Refusal { status: 413, retry_after: None, location: None, body, sent: 1_200_000, now: NOW };
    let error = refusal.error(&call(Operation::Set, About::Path(&path)));
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    let text = error.to_string();
    assert!(text.contains("1200000 bytes") && text.contains("proxy") && !text.contains("8000000"), "{text}");
}

#[test]
fn an_error_does_not_quote_the_whole_of_a_path() {
    let path = Path::parse(&format!("links/{}", "x".repeat(100_000))).unwrap();
    for about in [About::Path(&path), About::Below(&path)] {
        assert!(call(Operation::List, about).invalid("no").to_string().len() < 500);
    }
}

#[test]
fn an_answer_that_cannot_be_read_leaves_a_write_open() {
    let why = store_seq(b"{\"revision\":1").unwrap_err();
    let ops = call(Operation::BatchWrite, About::Ops(3)).unreadable(200, &why);
    assert_eq!(ops.kind(), ErrKind::Timeout);
    let read = call(Operation::GetMany, About::Paths(2)).unreadable(200, &why);
    assert!(matches!(read, DustErr::Http { status: 200, .. }));
    assert!(read.to_string().contains("get_many of 2 paths"), "{read}");
}

#[test]
fn a_call_says_what_it_is_about() {
    let selector = Selector::Pattern(Glob::parse("links/**").unwrap());
    let error = call(Operation::List, About::Selection(&selector)).network("gone");
    assert_eq!(error.to_string(), "the Dust server was not reached: list of `links/**`: gone");
    let links = Path::parse("links").unwrap();
    let error = call(Operation::List, About::Below(&links)).network("gone");
    assert_eq!(error.to_string(), "the Dust server was not reached: list of `links/**`: gone");
    let (from, to) = (Path::parse("a").unwrap(), Path::parse("b").unwrap());
    let selector = Selector::Range { from, to };
    assert!(call(Operation::List, About::Selection(&selector)).invalid("x").to_string().contains("`a` to `b`"));
}

#[test]
fn bodies_are_what_the_recordings_show() {
    let path = |text: &str| Path::parse(text).unwrap();
    let json = |text: &str| RawJson::parse(text).unwrap();
    let ops = [
        BatchOp::set(path("w/a"), json("1")),
        BatchOp::set(path("w/b"), json("123456789012345678901234567890")).on(Precondition::IfMatch(7)),
        BatchOp::delete(path("items/05")),
        BatchOp::delete(path("r/b")).on(Precondition::IfMatch(1)),
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
        put_body(&path("a"), &json("{}"), Some(Condition::IfAbsent)),
        r#"{"path":"a","value":{},"if_absent":true}"#
    );
    assert_eq!(delete_body(&path("a"), None), r#"{"path":"a"}"#);
    assert_eq!(delete_body(&path("a"), Some(2)), r#"{"path":"a","if_match":2}"#);
}

#[test]
fn a_page_of_a_thousand_leaves_is_read_whole() {
    let items: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"path":"links/{n:04}/note","revision":{n},"type":"string","value":"text {n} é \" "}}"#))
        .collect();
    let body = format!(r#"{{"items":[{}],"next_cursor":"links/0999/note"}}"#, items.join(","));
    let page = page_both_ways(body.as_bytes(), &ListRequest::pattern(Glob::parse("links/**").unwrap())).unwrap();
    assert_eq!((page.items.len(), page.next_cursor.as_deref()), (1000, Some("links/0999/note")));
    let last = page.items.into_iter().next_back().and_then(ListItem::into_entry).unwrap();
    assert_eq!((last.revision, last.value.as_str()), (999, r#""text 999 é \" ""#));
}

#[test]
fn a_page_holds_what_was_asked_for_and_leads_on() {
    let request = |order, select, after: Option<&str>| ListRequest {
        order,
        select,
        after: after.map(str::to_owned),
        ..ListRequest::pattern(Glob::parse("links/*/title").unwrap())
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
    let below = ListRequest { select: Select::Prefixes, ..ListRequest::pattern(Glob::parse("links/**").unwrap()) };
    let below = ListRequest { after: Some("links/b/title".to_owned()), ..below };
    assert_eq!(read(&below, r#"["links/b","links/c"]"#, r#""links/c/note""#), Ok(()));
    assert!(read(&below, r#"["other"]"#, "null").is_err());
    assert!(read(&below, "[]", r#""links/b/title""#).is_err());
}
