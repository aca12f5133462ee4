//! Every recorded refusal is an error of its kind, and nothing that a server may answer makes a panic.

use dust_protocol::Pattern;
use dust_protocol::http::store_seq;
use dust_protocol::testing::objects_as_arrays;
use proptest::prelude::*;
use recordings::{Exchange, exchanges};

use super::*;
use crate::error::ErrKind;

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

fn operation(exchange: &Exchange) -> Operation {
    use recordings::Call;
    match exchange.call() {
        Some(Call::List) => Operation::List,
        Some(Call::GetMany) => Operation::GetMany,
        Some(Call::BatchWrite) => Operation::BatchWrite,
        Some(Call::Set) => Operation::Set,
        Some(Call::Delete) => Operation::Delete,
        Some(Call::Get) | None => Operation::Get,
    }
}

fn error(exchange: &Exchange) -> DustErr {
    let path = Path::parse("some/path").unwrap();
    let refusal = Refusal {
        status: exchange.status,
        retry_after: exchange.header("retry-after"),
        location: None,
        body: exchange.body.as_bytes(),
        sent: 0,
        now: NOW,
    };
    refusal.error(&call(operation(exchange), About::Path(&path)))
}

#[test]
fn every_recorded_refusal_has_its_kind() {
    let mut seen = 0;
    for exchange in exchanges() {
        if exchange.status == 200 || exchange.status == 201 || exchange.is_cut() || exchange.method() == "HEAD" {
            continue;
        }
        let writes = operation(&exchange).writes();
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
        let error = error(&exchange);
        assert_eq!(error.kind(), expected, "{}: {error}", exchange.command);
        assert!(!error.to_string().is_empty());
        seen += 1;
    }
    assert!(seen > 100, "only {seen} refusals were found");
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
fn refusal_by_other_program_is_not_blamed_on_token() {
    for (status, body, said) in [
        (403, "<html><center>cloudflare</center></html>", "an HTML page"),
        (401, "<!DOCTYPE html><h1>Sign in</h1>", "an HTML page"),
        (403, "RBAC: access denied", "RBAC: access denied"),
        (401, r#"{"code":16}"#, r#"{"code":16}"#),
    ] {
        let error = refuse(Operation::Set, status, body);
        assert_eq!(error.kind(), ErrKind::Unauthorized);
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("proxy") && !text.contains("token"), "{text}");
    }
    for (status, body) in [(401, ""), (403, ""), (401, r#"{"error":"unauthorized"}"#)] {
        assert!(refuse(Operation::Set, status, body).to_string().contains("token"));
    }
    let limited = |body| refuse(Operation::Set, 429, body).to_string();
    assert!(limited("<html>Too many requests</html>").contains("a proxy before the server"));
    assert!(limited(r#"{"error":"rate_limited"}"#).contains("the writes that a token may make"));
}

#[test]
fn a_route_that_is_missing_differs_from_a_store_that_is() {
    assert_eq!(refuse(Operation::BatchWrite, 404, "Not Found").kind(), ErrKind::NotImplemented);
    assert_eq!(refuse(Operation::BatchWrite, 405, "Method Not Allowed").kind(), ErrKind::NotImplemented);
    assert_eq!(refuse(Operation::BatchWrite, 404, "").kind(), ErrKind::NotImplemented);
    // The words of another server.
    for body in [r#"{"error":"Not Found"}"#, r#"{"error":{"code":404}}"#, r#"{"detail":"Not Found"}"#] {
        let error = refuse(Operation::Get, 404, body);
        assert_eq!(error.kind(), ErrKind::NotImplemented);
        assert!(error.to_string().contains("`base_url`, DUST_BASE_URL"), "{error}");
    }
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
        (Some("99999999999999999999999"), 86_400),
        (Some(" 7 "), 7),
        (Some("+7"), 1),
        (Some("7.5"), 1),
        (Some(""), 1),
        (Some("Wednesday, 21-Oct-26 07:28:07 GMT"), 7),
        (Some("Wed Oct 21 07:28:07 2026"), 7),
        (Some("Mon Oct  5 07:28:07 2026"), 1),
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), 1),
        (Some("Fri, 31 Dec 9999 23:59:59 GMT"), 86_400),
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
    for status in [301, 302, 304, 308] {
        let DustErr::Http { message, .. } = refuse(Operation::Get, status, "") else { panic!() };
        assert!(message.contains("a redirect without an address"), "{message}");
    }
    assert!(!refuse(Operation::Delete, 413, "").to_string().contains("0 bytes"));
}

#[test]
fn an_html_page_in_the_place_of_an_answer_is_called_one() {
    let portal = b"\r\n<!DOCTYPE html><html><body>Please sign in</body></html>";
    let why = store_seq(portal).unwrap_err();
    let read = call(Operation::List, About::Ops(1)).unreadable(200, why.clone()).to_string();
    assert!(read.contains("an HTML page") && read.contains("base URL"), "{read}");
    let write = call(Operation::BatchWrite, About::Ops(1)).unreadable(200, why.clone());
    assert_eq!(write.kind(), ErrKind::Timeout);
    assert!(write.to_string().contains("an HTML page"), "{write}");
}

#[test]
fn answer_that_is_no_json_is_named() {
    for (body, expected) in [
        (&b""[..], "it is empty"),
        (b" \r\n", "it is empty"),
        (b"{\"store_seq\":", "it is cut off"),
        (b"OK", "it is not JSON: expected value at line 1 column 1"),
        (b"\x1f\x8b\x08\x00", "it is compressed without `Content-Encoding: gzip`"),
        (b"<html>Gr\xfc\xdfe</html>", "it is an HTML page"),
        ("\u{feff}<html>".as_bytes(), "it is an HTML page"),
        (b"\xff", "invalid utf-8 sequence"),
    ] {
        let why = store_seq(body).unwrap_err().to_string();
        assert!(why.starts_with(expected), "{why}");
    }
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
    let ops = call(Operation::BatchWrite, About::Ops(3)).unreadable(200, why.clone());
    assert_eq!(ops.kind(), ErrKind::Timeout);
    let read = call(Operation::GetMany, About::Paths(2)).unreadable(200, why.clone());
    assert!(matches!(read, DustErr::Http { status: 200, .. }));
    assert!(read.to_string().contains("get_many of 2 paths"), "{read}");
}

#[test]
fn a_call_says_what_it_is_about() {
    let selector = Selector::Pattern(Pattern::parse("links/**").unwrap());
    let error = call(Operation::List, About::Selection(&selector)).network("gone");
    assert_eq!(error.to_string(), "the Dust server was not reached: list of `links/**`: gone");
    let links = Path::parse("links").unwrap();
    let error = call(Operation::List, About::Below(&links)).network("gone");
    assert_eq!(error.to_string(), "the Dust server was not reached: list of `links/**`: gone");
    let (from, to) = (Path::parse("a").unwrap(), Path::parse("b").unwrap());
    let selector = Selector::Range { from, to };
    assert!(call(Operation::List, About::Selection(&selector)).invalid("x").to_string().contains("`a` to `b`"));
}

/// Makes an error of bytes, as the answer to every kind of operation.
fn refuse_as_anything(status: u16, body: &[u8]) {
    let path = Path::parse("a/b").unwrap();
    let header = String::from_utf8_lossy(body);
    for operation in [Operation::Get, Operation::Set, Operation::BatchWrite] {
        let refusal = Refusal { status, retry_after: Some(&header), location: Some(&header), body, sent: 0, now: NOW };
        let error = refusal.error(&call(operation, About::Path(&path)));
        assert!(!(operation.writes() && status >= 500 && error.is_retryable()), "{error:?}");
        let text = error.to_string();
        assert!(text.len() <= 3_000 && !text.chars().any(char::is_control), "{text}");
    }
}

proptest! {
    #[test]
    fn any_answer_is_an_error_and_never_a_retryable_write(
        status in 0_u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        refuse_as_anything(status, &body);
    }
}

#[test]
fn mutated_recordings_are_errors_and_never_retryable_writes() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let exchanges = exchanges();
    let mutation = (0..exchanges.len(), any::<prop::sample::Index>(), any::<u8>(), 100..600_u16);
    let outcome = runner.run(&mutation, |(which, at, byte, status)| {
        let mut body = exchanges[which].body.clone().into_bytes();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        refuse_as_anything(status, &body);
        refuse_as_anything(exchanges[which].status, &body);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_error_that_is_an_array_says_nothing() {
    let conflict = |body: &str| refuse(Operation::Set, 412, body).kind() == ErrKind::Conflict;
    let body = r#"{"error":"conflict","detail":"d","message":"m","scope":"s"}"#;
    assert!(conflict(body));
    for array in objects_as_arrays(body) {
        assert!(!conflict(&array), "{array}");
    }
}
