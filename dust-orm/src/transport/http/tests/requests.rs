//! Requests as they are sent, and the reading of answers.

use dust_protocol::{
    Fence, LeafPage, ListItem, ListRequest, Mutation, Op, Order, Pattern, Precondition, Select, Selector,
};

use super::peer::{Step, answer, bytes, json};
use super::*;
use crate::error::{DustErr, ErrKind};
use crate::transport::Transport;

const WRITTEN: &str = r#"{"revision":7,"store_seq":7}"#;
const EMPTY_PAGE: &str = r#"{"items":[],"next_cursor":null}"#;

fn set(at: &str, text: &str) -> Op {
    Op::set(path(at), value(text))
}

#[tokio::test]
async fn every_odd_path_is_asked_for_as_it_is() {
    // (segments, the part of the request line after `entries/`): the paths of the recording e-paths.
    let odd: &[(&[&str], &str)] = &[
        (&["a/b"], "a~1b"),
        (&["a~b"], "a~0b"),
        (&["a~1"], "a~01"),
        (&["sp ace"], "sp%20ace"),
        (&["plus+plus"], "plus%2Bplus"),
        (&["été"], "%C3%A9t%C3%A9"),
        (&["😀"], "%F0%9F%98%80"),
        (&["e\u{301}"], "e%CC%81"),
        (&["x", "y"], "x/y"),
        (&["example.com"], "example.com"),
        (&["v1.2", "a.b"], "v1.2/a.b"),
        (&["...", ".a", "a."], ".../.a/a."),
        (&["*"], "%2A"),
        (&["a", "*", "b"], "a/%2A/b"),
        (&["**"], "%2A%2A"),
        (&[" "], "%20"),
        (&["\n"], "%0A"),
        (&["\t.\r"], "%09.%0D"),
        (&["a?b"], "a%3Fb"),
        (&["a#b"], "a%23b"),
        (&["a%b"], "a%25b"),
        (&["%2E%2E"], "%252E%252E"),
        (&["a\\b"], "a%5Cb"),
        (&["q\"q"], "q%22q"),
        (&["a:b@c,d;e=f&g!h$i'j(k)"], "a%3Ab%40c%2Cd%3Be%3Df%26g%21h%24i%27j%28k%29"),
        (&["batch"], "batch"),
        (&["batch_write"], "batch_write"),
        (&["__proto__"], "__proto__"),
        (&["C:", "|", "^`{}"], "C%3A/%7C/%5E%60%7B%7D"),
        (&["http:", "evil.example"], "http%3A/evil.example"),
    ];
    for (segments, target) in odd {
        let odd = Path::from_segments(*segments).unwrap();
        let (peer, transport, _) =
            scripted([json(404, r#"{"error":"not_found"}"#), json(200, WRITTEN), json(200, WRITTEN)]).await;
        assert_eq!(transport.get(&odd).await.unwrap(), None);
        transport.write(vec![Op::set(odd.clone(), value("1"))], None).await.unwrap();
        transport.write(vec![Op::delete(odd)], None).await.unwrap();
        let expected = ["GET", "PUT", "DELETE"]
            .map(|method| format!("{method} /api/stores/acme/reading/entries/{target} HTTP/1.1"));
        assert_eq!(peer.lines(), expected, "{segments:?}");
    }
}

#[tokio::test]
async fn a_path_that_no_url_can_hold_goes_another_way() {
    let long = "é".repeat(2000);
    let paths: [&[&str]; 6] = [&["."], &[".."], &["a", "..", "b"], &["a", ".", "b"], &["..", "x"], &["long", &long]];
    for segments in paths {
        let odd = Path::from_segments(segments).unwrap();
        let leaf = format!(r#"{{"entries":{{"{odd}":{{"revision":3,"type":"integer","value":1}}}},"missing":[]}}"#);
        let (peer, transport, _) = scripted([json(200, &leaf), json(200, WRITTEN), json(200, WRITTEN)]).await;
        assert_eq!(transport.get(&odd).await.unwrap().unwrap().revision, 3);
        let if_absent = Op::set(odd.clone(), value("1")).on(Precondition::IfLeafAbsent);
        transport.write(vec![if_absent], None).await.unwrap();
        let if_match = Op::delete(odd.clone()).on(Precondition::IfMatch(7));
        transport.write(vec![if_match], None).await.unwrap();
        let expected = ["POST /entries/batch", "POST /entries", "DELETE /entries"]
            .map(|line| line.replace("/entries", "/api/stores/acme/reading/entries") + " HTTP/1.1");
        assert_eq!(peer.lines(), expected);
        let bodies: Vec<String> = peer.received().into_iter().map(|request| request.body).collect();
        assert_eq!(
            bodies,
            [
                format!(r#"{{"paths":["{odd}"]}}"#),
                format!(r#"{{"path":"{odd}","value":1,"if_absent":true}}"#),
                format!(r#"{{"path":"{odd}","if_match":7}}"#),
            ]
        );
    }
}

#[tokio::test]
async fn an_object_at_such_a_path_is_put_together_from_its_leaves() {
    let (peer, transport, _) = scripted([
        json(200, r#"{"entries":{},"missing":["a/.."]}"#),
        json(200, r#"{"items":[{"path":"a/../x","revision":2,"type":"integer","value":1}],"next_cursor":"a/../x"}"#),
        json(200, r#"{"items":[{"path":"a/../y/z","revision":5,"type":"null","value":null}],"next_cursor":null}"#),
    ])
    .await;
    let entry = transport.get(&path("a/..")).await.unwrap().unwrap();
    assert_eq!((entry.value.as_str(), entry.revision), (r#"{"x":1,"y":{"z":null}}"#, 5));
    assert!(peer.lines()[1].contains("entries?from=a/../%01&to=a/..0&limit=1000 "), "{:?}", peer.lines());
    assert!(peer.lines()[2].contains("&after=a/../x "), "{:?}", peer.lines());

    let (_, transport, _) = scripted([json(200, r#"{"entries":{},"missing":["."]}"#), json(200, EMPTY_PAGE)]).await;
    assert_eq!(transport.get(&path(".")).await.unwrap(), None);
}

#[tokio::test]
async fn headers_say_who_asks_and_on_what_condition() {
    let (peer, transport, _) =
        scripted([json(200, WRITTEN), json(200, WRITTEN), json(200, WRITTEN), json(200, EMPTY_PAGE)]).await;
    transport.write(vec![set("a", "1.50").on(Precondition::IfMatch(41))], None).await.unwrap();
    transport.write(vec![set("a", "[]").on(Precondition::IfLeafAbsent)], None).await.unwrap();
    let delete = Op::delete(path("a"));
    transport.write(vec![delete.on(Precondition::IfMatch(42))], None).await.unwrap();
    transport.list(&ListRequest::pattern(Pattern::parse("**").unwrap())).await.unwrap();

    let received = peer.received();
    assert_eq!(received[0].header("if-match"), Some("41"));
    assert_eq!(received[0].header("content-type"), Some("application/json"));
    assert_eq!(received[0].body, "1.50");
    assert_eq!(received[1].header("if-none-match"), Some("*"));
    assert_eq!(received[1].header("if-match"), None);
    assert_eq!(received[2].header("if-match"), Some("42"));
    for request in &received {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert!(request.header("user-agent").unwrap().starts_with("dust-orm/"));
        let id = request.header("x-request-id").unwrap();
        assert!(id.starts_with("dust-orm-") && id.len() == 36, "{id}: as long as a UUID");
    }
}

#[tokio::test]
async fn every_call_has_its_own_request_id() {
    let world = crate::runtime::SystemRuntime::new();
    let one = (world.random(), world.random());
    assert_ne!(one, (world.random(), world.random()));
    assert_ne!(one.0, crate::runtime::SystemRuntime::new().random());
}

#[tokio::test]
async fn lists_are_asked_for_by_pattern_or_range() {
    let keys = r#"{"items":["a b/*/d","a b/*/c+d"],"next_cursor":"a b/*/c+d"}"#;
    let (peer, transport, _) = scripted([json(200, keys), json(200, keys), json(200, EMPTY_PAGE)]).await;
    let mut request = ListRequest::pattern(Pattern::parse("a b/\\*/*").unwrap());
    request.select = Select::Keys;
    request.order = Order::Descending;
    request.after = Some("a b/*/e+f".to_owned());
    let page = transport.list(&request).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.path().as_str()).collect::<Vec<_>>(), ["a b/*/d", "a b/*/c+d"]);
    assert_eq!(page.next_cursor.as_deref(), Some("a b/*/c+d"));
    request.selector = Selector::Range { from: path("a"), to: path("b~1") };
    (request.select, request.order, request.after, request.limit) = (Select::Prefixes, Order::Ascending, None, 3);
    transport.list(&request).await.unwrap();
    request.select = Select::Entries;
    transport.list(&request).await.unwrap();
    assert_eq!(
        peer.lines(),
        [
            "pattern=a%20b/%5C%2A/%2A&limit=1000&order=desc&select=keys&after=a%20b/%2A/e%2Bf",
            "from=a&to=b~1&limit=3&select=prefixes",
            "from=a&to=b~1&limit=3",
        ]
        .map(|query| format!("GET /api/stores/acme/reading/entries?{query} HTTP/1.1"))
    );
}

#[tokio::test]
async fn what_is_below_a_path_is_asked_for_and_checked_as_a_list_is() {
    let first = r#"{"items":[{"path":"links/*/a","value":1.50,"type":"float","revision":1},{"path":"links/*/b/c","value":{"x": 1},"type":"new","revision":2}],"next_cursor":"links/*/b/c"}"#;
    let unsorted = first.replace("links/*/a", "links/*/d");
    let bodies = [(None, first), (Some("links/*/b/c"), EMPTY_PAGE), (None, &unsorted), (None, "{")];
    for (after, body) in bodies {
        let (peer, transport, _) = scripted([json(200, body), json(200, body)]).await;
        let mut request = ListRequest::pattern(Pattern::parse("links/\\*/**").unwrap());
        request.after = after.map(str::to_owned);
        let listed = transport.list(&request).await.map(|page| {
            LeafPage::new(page.items.into_iter().filter_map(ListItem::into_entry).collect(), page.next_cursor)
        });
        let subtree = transport.list_subtree(&path("links/*"), after).await;
        assert_eq!(subtree.as_ref().ok(), listed.as_ref().ok(), "{body}");
        assert_eq!(subtree.is_ok(), (after.is_none() && body == first) || body == EMPTY_PAGE, "{body}");
        let lines = peer.lines();
        assert!(lines[0].contains("entries?from=links/%2A/%01&to=links/%2A0&limit=1000"), "{lines:?}");
        assert_eq!((lines.len(), &lines[0]), (2, &lines[1]));
    }
    let (peer, transport, _) = scripted([json(200, EMPTY_PAGE)]).await;
    transport.list_subtree(&path("links/\\*"), None).await.unwrap();
    assert!(peer.lines()[0].contains("entries?from=links/%5C%2A/%01&to=links/%5C%2A0&"), "{:?}", peer.lines());
}

#[tokio::test]
async fn existence_is_a_list_of_two_keys() {
    let (peer, transport, _) = scripted([
        json(200, r#"{"items":["links/dust/title","links/dust/url"],"next_cursor":"links/dust/url"}"#),
        json(200, EMPTY_PAGE),
        json(200, EMPTY_PAGE),
    ])
    .await;
    assert!(transport.exists(&path("links/dust")).await.unwrap());
    assert!(!transport.exists(&path("links/*")).await.unwrap());
    assert!(!transport.exists(&path("links/\\*")).await.unwrap());
    assert_eq!(
        peer.lines(),
        [
            "from=links/dust/%01&to=links/dust0&limit=2&select=keys",
            "from=links/%2A/%01&to=links/%2A0&limit=2&select=keys",
            "from=links/%5C%2A/%01&to=links/%5C%2A0&limit=2&select=keys",
        ]
        .map(|query| format!("GET /api/stores/acme/reading/entries?{query} HTTP/1.1"))
    );
}

#[tokio::test]
async fn a_single_leaf_exists_unless_it_is_a_claim() {
    for (value, exists) in [("\"Dust\"", true), (r#"["$claim"]"#, false), (r#"["$json",["$claim"]]"#, true)] {
        let leaf = format!(r#"{{"path":"links/dust/title","revision":3,"type":"string","value":{value}}}"#);
        let keys = r#"{"items":["links/dust/title"],"next_cursor":null}"#;
        let (peer, transport, _) = scripted([json(200, keys), json(200, &leaf)]).await;
        assert_eq!(transport.exists(&path("links/dust")).await.unwrap(), exists, "{value}");
        assert_eq!(peer.lines()[1], "GET /api/stores/acme/reading/entries/links/dust/title HTTP/1.1");
    }
}

#[tokio::test]
async fn many_leaves_are_read_a_thousand_at_a_time_in_order() {
    let paths: Vec<Path> = (0..1001).map(|n| path(&format!("p{n}"))).collect();
    let first = r#"{"entries":{"p7":{"revision":1,"type":"string","value":"seven"}},"missing":[]}"#;
    let second =
        r#"{"entries":{"p1000":{"revision":2,"type":"integer","value":12345678901234567890123}},"missing":[]}"#;
    let (peer, transport, _) = scripted([json(200, first), json(200, second)]).await;
    let entries = transport.get_many(&paths).await.unwrap();
    assert_eq!(entries.len(), 1001);
    assert_eq!(entries[7].as_ref().unwrap().value.as_str(), r#""seven""#);
    assert_eq!(entries[1000].as_ref().unwrap().value.as_str(), "12345678901234567890123");
    assert_eq!(entries.iter().flatten().count(), 2);
    assert_eq!(peer.received()[1].body, r#"{"paths":["p1000"]}"#);
    assert!(transport.get_many(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_empty_object_is_set_by_a_batch() {
    let (peer, transport, _) = scripted([json(200, r#"{"ops":[],"store_seq":9}"#)]).await;
    let receipt = transport.write(vec![set("a", "{ }")], None).await.unwrap();
    assert_eq!(receipt.store_seq, Some(9));
    assert!(peer.lines()[0].contains("/entries/batch_write "), "{:?}", peer.lines());
    assert_eq!(peer.received()[0].body, r#"{"ops":[{"op":"set","path":"a","value":{ }}]}"#);
    let if_absent = Op { precondition: Some(Precondition::IfLeafAbsent), ..set("a", "{}") };
    assert_eq!(transport.write(vec![if_absent], None).await.unwrap_err().kind(), ErrKind::InvalidParams);
}

#[tokio::test]
async fn what_http_cannot_do_is_refused_before_it_is_sent() {
    let (peer, transport, _) = scripted([]).await;
    let fence = Fence { key: path("locks/a"), token: 1 };
    let refused = [
        transport.write(vec![set("a", "1")], Some(fence.clone())).await.unwrap_err(),
        transport.write(vec![Op::new(path("a"), Mutation::Increment(value("1")))], None).await.unwrap_err(),
        transport.write(vec![Op::new(path("a"), Mutation::Release { token: 1 })], None).await.unwrap_err(),
        transport.write(vec![set("a", "1"), set("b", "1")], Some(fence)).await.unwrap_err(),
        transport.write(vec![set("a", "1").on(Precondition::IfSubtreeAbsent)], None).await.unwrap_err(),
        transport.write(vec![set("b", "1"), set("a", "1").on(Precondition::IfLeafAbsent)], None).await.unwrap_err(),
        transport.write(vec![set("b", "1"), set("a", "1").on(Precondition::IfSubtreeAbsent)], None).await.unwrap_err(),
        transport.op_hub().await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrKind::NotSupported, "{error}");
    }
    let absent = Op::delete(path("a")).on(Precondition::IfLeafAbsent);
    let too_many = (0..1001).map(|n| Op::delete(path(&n.to_string()))).collect();
    let with_merge = vec![set("a", "1"), Op::new(path("b"), Mutation::Merge(value("{}")))];
    let wrong = [
        transport.write(vec![absent], None).await.unwrap_err(),
        transport.write(Vec::new(), None).await.unwrap_err(),
        transport.write(too_many, None).await.unwrap_err(),
        transport.write(with_merge, None).await.unwrap_err(),
    ];
    for error in wrong {
        assert_eq!(error.kind(), ErrKind::InvalidParams, "{error}");
    }
    assert!(peer.received().is_empty());
}

#[tokio::test]
async fn a_body_over_the_servers_limit_is_refused_with_its_size() {
    let (peer, transport, _) = scripted([json(200, WRITTEN)]).await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let error = transport.write(vec![set("a", &text(8_000_001))], None).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::InvalidParams);
    assert!(error.to_string().contains("8000001 bytes"), "{error}");
    assert!(peer.received().is_empty());
    transport.write(vec![set("a", &text(8_000_000))], None).await.unwrap();
    assert_eq!(peer.received()[0].body.len(), 8_000_000);
}

#[tokio::test]
async fn compressed_answers_are_read() {
    // The gzip stream contains the page without compression.
    let page = br#"{"items":["a/b","a/c"],"next_cursor":null}"#;
    let length = u16::try_from(page.len()).unwrap();
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    gzip.extend(length.to_le_bytes());
    gzip.extend((!length).to_le_bytes());
    gzip.extend(page);
    gzip.extend(crc32(page).to_le_bytes());
    gzip.extend(u32::from(length).to_le_bytes());
    let (_, transport, _) = scripted([Step::Response(bytes(200, &[("content-encoding", "gzip")], &gzip))]).await;
    assert!(transport.exists(&path("a")).await.unwrap());
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[tokio::test]
async fn a_missing_leaf_is_none_and_a_missing_route_an_error() {
    let (_, transport, _) = scripted([
        json(404, r#"{"error":"not_found"}"#),
        answer(404, &[], "Not Found"),
        json(404, r#"{"error":"not_found"}"#),
    ])
    .await;
    assert_eq!(transport.get(&path("a")).await.unwrap(), None);
    assert_eq!(transport.get(&path("a")).await.unwrap_err().kind(), ErrKind::NotImplemented);
    assert_eq!(transport.exists(&path("a")).await.unwrap_err().to_string(), "the store `acme/reading` was not found");
}

#[tokio::test]
async fn a_server_that_answers_the_same_page_for_ever_is_not_followed() {
    let page =
        r#"{"items":[{"path":"links/a/title","value":1,"type":"integer","revision":1}],"next_cursor":"links/a/title"}"#;
    let (peer, transport, _) = scripted([json(200, page), json(200, page), json(200, page)]).await;
    let mut request = ListRequest::pattern(Pattern::parse("links/**").unwrap());
    request.after = transport.list(&request).await.unwrap().next_cursor;
    let error = transport.list(&request).await.unwrap_err();
    assert!(matches!(error, DustErr::Http { status: 200, .. }), "{error:?}");
    assert!(error.to_string().contains("links/a/title"), "{error}");
    // By range, and by pattern because the server may not support ranges.
    assert_eq!(peer.received().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_an_error_and_not_followed() {
    let (peer, transport, _) = scripted([answer(301, &[("location", "https://elsewhere.example/x")], "")]).await;
    let error = transport.get(&path("a")).await.unwrap_err();
    assert!(matches!(error, DustErr::Http { status: 301, .. }), "{error}");
    assert!(error.to_string().contains("https://elsewhere.example/x"), "{error}");
    assert_eq!(peer.received().len(), 1);
}

#[tokio::test]
async fn a_token_that_the_server_repeats_is_not_in_the_error() {
    let echo = format!("you sent Bearer {TOKEN}");
    let location = format!("https://elsewhere.example/?token={TOKEN}");
    let (_, transport, _) = scripted([
        answer(418, &[], &echo),
        answer(302, &[("location", &location)], ""),
        json(400, &format!(r#"{{"error":"invalid_params","detail":"{echo}"}}"#)),
        json(403, &format!(r#"{{"error":"forbidden","message":"{echo}","scope":"{TOKEN}"}}"#)),
        Step::CloseUnanswered,
    ])
    .await;
    for _ in 0..5 {
        let error = transport.write(vec![set("a", "1")], None).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
    assert!(!format!("{transport:?}").contains(TOKEN));
}

#[tokio::test]
async fn answers_that_are_no_http_are_errors() {
    for garbage in [
        &b"\0\xff\xfe\r\n\r\n"[..],
        b"HTTP/1.1 99999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"{}",
    ] {
        let (_, transport, _) = scripted([Step::AnswerAndClose(garbage.to_vec())]).await;
        assert_eq!(transport.write(vec![set("a", "1")], None).await.unwrap_err().kind(), ErrKind::Timeout);
    }
    for (status, body) in [(200, "<html>"), (200, ""), (204, ""), (201, "[]"), (200, r#"{"store_seq":-1}"#)] {
        let (_, transport, _) = scripted([answer(status, &[], body), answer(status, &[], body)]).await;
        assert_eq!(transport.write(vec![set("a", "1")], None).await.unwrap_err().kind(), ErrKind::Timeout, "{body}");
        assert_eq!(transport.get(&path("a")).await.unwrap_err().kind(), ErrKind::Http, "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_for_ever() {
    let page = bytes(200, &[], &[b' '; 1001]);
    let (peer, transport, _) = configured([Step::AnswerAndClose(page)], |config| config.max_answer(1000)).await;
    let error = transport.get(&path("a")).await.unwrap_err();
    assert!(error.to_string().contains("larger than the 1000 bytes of `max_answer`"), "{error}");
    assert_eq!(peer.received().len(), 1, "not tried again");
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let steps = (0..20).map(|_| json(200, EMPTY_PAGE));
    let (peer, transport, _) = scripted(steps).await;
    let (a, b) = (path("a"), path("b"));
    let calls = (0..20).map(|n| transport.exists(if n % 2 == 0 { &a } else { &b }));
    for found in futures_util::future::join_all(calls).await {
        assert!(!found.unwrap());
    }
    assert_eq!(peer.received().len(), 20);
}

#[tokio::test]
async fn a_base_url_keeps_its_path() {
    let world = TestWorld::new();
    let peer = Peer::start(&world, [json(200, EMPTY_PAGE)]).await;
    let config = config(&format!("{}/dust/", peer.url())).build().unwrap();
    HttpTransport::new(config).unwrap().exists(&path("a")).await.unwrap();
    assert!(peer.lines()[0].starts_with("GET /dust/api/stores/acme/reading/entries?"), "{:?}", peer.lines());
}

#[tokio::test]
async fn an_object_that_a_server_would_misread_is_sent_inside_another() {
    for text in [r#"{"_json":5}"#, r#"{"a":1,"\u005fjson":2}"#] {
        let (peer, transport, _) = scripted([json(200, WRITTEN)]).await;
        transport.write(vec![set("mm", text)], None).await.unwrap();
        assert_eq!(peer.lines(), ["POST /api/stores/acme/reading/entries HTTP/1.1"]);
        assert_eq!(peer.received()[0].body, format!(r#"{{"path":"mm","value":{text}}}"#));
    }
}

mod without_batch_write {
    use super::*;

    fn fields() -> Vec<Op> {
        vec![
            Op::set(path("links/dust/title"), value(r#""Dust""#)),
            Op::delete(path("links/dust/note")),
            Op::set(path("links/dust/more"), value("{}")),
        ]
    }

    #[tokio::test]
    async fn a_record_is_written_field_by_field_from_then_on() {
        let missing = answer(404, &[], "Not Found");
        let written = |seq: u64| json(200, &format!(r#"{{"revision":{seq},"store_seq":{seq}}}"#));
        let (peer, transport, _) = scripted([missing].into_iter().chain((1..=6).map(written))).await;
        assert_eq!(transport.write(fields(), None).await.unwrap().store_seq, Some(3));
        assert_eq!(transport.clone().write(fields(), None).await.unwrap().store_seq, Some(6));
        let fields = ["PUT title", "DELETE note", "DELETE more"]
            .map(|line| line.replace(' ', " /api/stores/acme/reading/entries/links/dust/") + " HTTP/1.1");
        assert_eq!(peer.lines()[1..], [&fields[..], &fields[..]].concat());
        assert!(peer.lines()[0].starts_with("POST "));
    }

    #[tokio::test]
    async fn other_batches_are_not_implemented() {
        let guarded = vec![Op::delete(path("a/c")), Op::set(path("a/b"), value("1")).on(Precondition::IfMatch(1))];
        let two_records = vec![Op::delete(path("a/b")), Op::delete(path("c/d"))];
        let same_path = vec![Op::delete(path("a/b")), Op::set(path("a/b"), value("1"))];
        let (peer, transport, _) = scripted([answer(405, &[], "Method Not Allowed")]).await;
        for ops in [guarded, two_records, same_path] {
            let error = transport.write(ops, None).await.unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("this Dust server does not implement batch_write: "), "{text}");
            assert!(text.contains("the path of its address (`base_url`, DUST_BASE_URL) is wrong"), "{text}");
        }
        assert_eq!(peer.received().len(), 1, "it is remembered");
    }

    #[tokio::test]
    async fn a_write_that_stops_half_way_has_an_unknown_outcome() {
        let (peer, transport, _) =
            scripted([answer(404, &[], "Not Found"), json(200, WRITTEN), json(403, r#"{"error":"forbidden"}"#)]).await;
        let error = transport.write(fields(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::Timeout);
        assert!(error.to_string().contains("1 of 3 ops were applied"), "{error}");
        assert_eq!(peer.received().len(), 3);
        let (_, transport, _) = scripted([answer(404, &[], "Not Found"), json(403, r#"{"error":"forbidden"}"#)]).await;
        assert_eq!(transport.write(fields(), None).await.unwrap_err().kind(), ErrKind::Unauthorized);
    }

    #[tokio::test]
    async fn a_store_that_is_missing_is_something_else() {
        let missing = json(404, r#"{"error":"not_found"}"#);
        let (_, transport, _) = scripted([missing.clone(), missing]).await;
        for _ in 0..2 {
            assert_eq!(transport.write(fields(), None).await.unwrap_err().kind(), ErrKind::NotFound);
        }
    }
}

#[tokio::test]
async fn files_are_fetched_by_their_hash() {
    let (peer, transport, _) = scripted([
        answer(200, &[("content-type", "text/plain; charset=utf-8")], "hello"),
        json(403, r#"{"error":"forbidden"}"#),
        json(404, r#"{"error":"not_found"}"#),
    ])
    .await;
    let hash = dust_protocol::content_hash(b"hello");
    assert_eq!(transport.fetch_file(&hash).await.unwrap(), b"hello");
    assert_eq!(peer.lines(), [format!("GET /api/files/{hash} HTTP/1.1")]);
    let forbidden = transport.fetch_file(&hash).await.unwrap_err();
    assert_eq!(forbidden.kind(), ErrKind::Unauthorized);
    assert!(forbidden.to_string().contains(&hash), "{forbidden}");
    let missing = transport.fetch_file(&hash).await.unwrap_err();
    assert!(matches!(&missing, DustErr::NotFound { what } if what.contains(&hash)), "{missing}");
    for other in ["", "sha256:", "sha256:../stores", &hash[7..], &hash.to_uppercase(), &format!("{hash}/..")] {
        assert_eq!(transport.fetch_file(other).await.unwrap_err().kind(), ErrKind::InvalidParams, "{other}");
    }
    assert_eq!(peer.lines().len(), 3);
}
