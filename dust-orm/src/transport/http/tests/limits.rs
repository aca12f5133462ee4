//! Servers that send without end, or whose answers concern other paths.

use std::time::Duration;

use dust_protocol::Op;

use super::peer::{answer, bytes, json};
use super::*;
use crate::entity::prelude::*;
use crate::error::{DustErr, ErrKind};
use crate::repo::DustRepo;
use crate::tests_cfg::link;
use crate::transport::Transport;

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn endless(status: u16, again: &[u8]) -> Step {
    let head = format!("HTTP/1.1 {status} Some Reason\r\ntransfer-encoding: chunked\r\n\r\n");
    Step::Endless(head.into_bytes(), chunk(again))
}

#[tokio::test]
async fn an_answer_without_an_end_is_read_up_to_the_limit() {
    let blank = [b' '; 100_000];
    let (peer, transport, _) = configured([endless(200, &blank)], |config| config.max_answer(5_000_000)).await;
    let error = transport.get(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::TooLarge);
    assert!(error.to_string().contains("get of `a`") && error.to_string().contains("5000000 bytes"), "{error}");
    assert_eq!(peer.received().len(), 1, "it is not tried again");

    let hash = format!("sha256:{}", "a".repeat(64));
    let (_, transport, _) = configured([endless(200, &blank)], |config| config.max_answer(5_000_000)).await;
    assert_eq!(transport.fetch_file(&hash).await.unwrap_err().kind(), ErrKind::TooLarge);
    let (_, transport, _) = configured([endless(200, &blank)], |config| config.max_answer(5_000_000)).await;
    let written = transport.write(vec![Op::delete(path("a"))], None).await;
    assert_eq!(written.unwrap_err().kind(), ErrKind::Timeout, "a write may have been applied");
}

#[tokio::test]
async fn a_refusal_without_an_end_is_read_to_its_beginning() {
    for status in [400, 401, 403, 404, 409, 412, 413, 422, 499, 503] {
        let (peer, transport, _) = configured([endless(status, &[b'x'; 100_000])], |config| {
            config.retry(crate::config::RetryPolicy { max_tries: 1, ..Default::default() })
        })
        .await;
        let error = transport.get(&path("a")).await.err();
        assert!(error.is_none_or(|error| error.to_string().len() < 1_000));
        drop(transport);
        assert!(peer.sent_in_vain() < 32 << 20, "{status}");
    }
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked_whole() {
    // A block of deflate that repeats a blank: 258 blanks for each 13 bits.
    let mut packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff".to_vec();
    packed.extend(dense_blanks(400_000));
    let step = Step::AnswerAndClose(bytes(200, &[("content-encoding", "gzip")], &packed));
    assert!(packed.len() < 1 << 20);
    let (_, transport, _) = configured([step], |config| config.max_answer(10_000_000)).await;
    assert_eq!(transport.get(&path("a")).await.unwrap_err().kind(), ErrKind::TooLarge);
}

/// A fixed Huffman block: one blank, and then `repeats` times 258 more.
fn dense_blanks(repeats: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let mut low_first = |value: u32, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
    low_first(0b011, 3);
    // Codes are written from their highest bit: the code of a blank is 0x30 + 32 in eight bits.
    let high_first = |value: u32, count: u32| (0..count).rev().map(move |bit| value >> bit & 1 == 1);
    bits.extend(high_first(0x30 + 32, 8));
    for _ in 0..repeats {
        // Length 258 is code 285 (0b11000101), distance 1 is code 0 of five bits.
        bits.extend(high_first(0b1100_0101, 8));
        bits.extend(high_first(0, 5));
    }
    bits.extend(high_first(0, 7));
    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | u8::from(*bit) << at)).collect()
}

#[tokio::test]
async fn headers_without_an_end_are_no_answer() {
    for (head, again) in [
        ("HTTP/1.1 200 OK\r\n", format!("x-more: {}\r\n", "x".repeat(1_000))),
        ("HTTP/1.1 200 OK\r\nx-more: ", "x".repeat(10_000)),
        ("HTTP/1.1 ", "2".repeat(10_000)),
    ] {
        let steps = [(); 3].map(|()| Step::Endless(head.into(), again.clone().into_bytes()));
        let (peer, transport, _) = scripted(steps).await;
        assert_eq!(transport.get(&path("a")).await.unwrap_err().kind(), ErrKind::Network);
        assert!(peer.sent_in_vain() < 32 << 20);
    }
}

/// A page of an endless record.
fn page_of_one_record(page: usize) -> Step {
    let at = |number: usize| format!("links/dust/f{:09}", page * 1000 + number);
    let items: Vec<String> = (0..1000)
        .map(|number| format!(r#"{{"path":"{}","value":1,"type":"integer","revision":1}}"#, at(number)))
        .collect();
    json(200, &format!(r#"{{"items":[{}],"next_cursor":"{}"}}"#, items.join(","), at(999)))
}

#[tokio::test]
async fn a_record_without_an_end_is_refused() {
    let (peer, transport, _) = scripted((0..200).map(page_of_one_record)).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    let error = repo.find_by_id::<link::Entity>("dust").await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::TooLarge);
    assert!(error.to_string().contains("`links/dust`"), "{error}");
    assert_eq!(peer.received().len(), 101);

    // A list omits the record and continues after it.
    let leaf = |at: &str| format!(r#"{{"path":"links/{at}","value":"x","type":"string","revision":1}}"#);
    let last = format!(r#"{{"items":[{},{}],"next_cursor":null}}"#, leaf("e/title"), leaf("e/url"));
    let (peer, transport, _) = scripted((0..101).map(page_of_one_record).chain([json(200, &last)])).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    let slugs: Vec<String> = repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.slug).collect();
    assert_eq!(slugs, ["e"]);
    assert!(peer.lines()[101].contains("&after=links/dust0 "), "{}", peer.lines()[101]);
}

#[tokio::test]
async fn a_leaf_larger_than_any_answer_is_left_out_of_a_list() {
    let leaf =
        |at: &str, text: &str| format!(r#"{{"path":"links/{at}","value":"{text}","type":"string","revision":1}}"#);
    let large = format!(r#"{{"items":[{}],"next_cursor":"links/b/title"}}"#, leaf("b/title", &"x".repeat(2_000)));
    let page = |leaves: &[String], cursor: &str| {
        json(200, &format!(r#"{{"items":[{}],"next_cursor":{cursor}}}"#, leaves.join(",")))
    };
    let steps = [
        page(&[leaf("a/title", "A"), leaf("a/url", "u")], r#""links/a/url""#),
        // Requests for pages of 1000 leaves, of 125, of 16, of 2 and of 1.
        json(200, &large),
        json(200, &large),
        json(200, &large),
        json(200, &large),
        json(200, &large),
        json(200, r#"{"items":["links/b/title"],"next_cursor":"links/b/title"}"#),
        page(&[leaf("c/title", "C"), leaf("c/url", "u")], "null"),
    ];
    let (peer, transport, _) = configured(steps, |config| config.max_answer(1_500)).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    let slugs: Vec<String> = repo.all::<link::Entity>().await.unwrap().into_iter().map(|link| link.slug).collect();
    assert_eq!(slugs, ["a", "c"]);
    let lines = peer.lines();
    let limits = [1000, 1000, 125, 16, 2, 1, 1].map(|limit| format!("&limit={limit}&"));
    assert!(lines.iter().zip(&limits).all(|(line, limit)| line.replace(' ', "&").contains(limit)), "{lines:#?}");
    assert!(lines[7].contains("&after=links/b0 "), "{}", lines[7]);
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let leaf = |at: &str| format!(r#"{{"path":"a/{at}","value":"{}","type":"string","revision":1}}"#, "x".repeat(600));
    let large = json(200, &format!(r#"{{"items":[{},{}],"next_cursor":null}}"#, leaf("b"), leaf("c")));
    let one = |at: &str, cursor: &str| json(200, &format!(r#"{{"items":[{}],"next_cursor":{cursor}}}"#, leaf(at)));
    let steps = [large.clone(), large.clone(), large.clone(), large, one("b", r#""a/b""#), one("c", "null")];
    let (peer, transport, _) = configured(steps, |config| config.max_answer(1_000)).await;
    let first = transport.list_subtree(&path("a"), None).await.unwrap();
    assert_eq!((first.leaves.len(), first.next_cursor.as_deref()), (1, Some("a/b")));
    let second = transport.list_subtree(&path("a"), Some("a/b")).await.unwrap();
    assert_eq!((second.leaves.len(), second.next_cursor), (1, None));
    assert_eq!(peer.received().len(), 6, "the size is remembered");
    assert!(peer.lines()[5].contains("&limit=1&after=a/b "), "{:?}", peer.lines());
}

#[tokio::test]
async fn a_batch_of_reads_that_is_too_large_is_divided() {
    let leaves = |at: &[u8]| {
        let leaf = |n: &u8| format!(r#""p{n}":{{"revision":1,"type":"string","value":"{}"}}"#, "x".repeat(300));
        json(200, &format!(r#"{{"entries":{{{}}},"missing":[]}}"#, at.iter().map(leaf).collect::<Vec<_>>().join(",")))
    };
    let (peer, transport, _) =
        configured([leaves(&[1, 2, 3]), leaves(&[1]), leaves(&[2]), leaves(&[3])], |config| config.max_answer(500))
            .await;
    let found = transport.get_many(&[path("p1"), path("p2"), path("p3")]).await.unwrap();
    assert_eq!(found.iter().flatten().map(|leaf| leaf.path.as_str()).collect::<Vec<_>>(), ["p1", "p2", "p3"]);
    assert_eq!(peer.received()[3].body, r#"{"paths":["p3"]}"#);
}

#[tokio::test]
async fn a_list_of_empty_pages_without_end_is_an_error() {
    let empty = |n: usize| json(200, &format!(r#"{{"items":[],"next_cursor":"links/p{n:05}/title"}}"#));
    let leaf = r#"{"path":"links/z/title","value":"x","type":"string","revision":1}"#;
    let found = json(200, &format!(r#"{{"items":[{leaf},{}],"next_cursor":null}}"#, leaf.replace("title", "url")));
    let (_, transport, _) = scripted((0..99).map(empty).chain([found])).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 1);

    let (peer, transport, _) = scripted((0..500).map(empty)).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    let error = repo.all::<link::Entity>().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrKind::Http, false), "{error}");
    // One page is requested ahead.
    assert!((100..=101).contains(&peer.received().len()), "{}", peer.received().len());
    let empty = |n: usize| json(200, &format!(r#"{{"items":[],"next_cursor":"links/dust/f{n:05}"}}"#));
    let (_, transport, _) = scripted((0..500).map(empty)).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap_err().kind(), ErrKind::Http);
    let (_, transport, _) = scripted((0..500).map(empty)).await;
    assert_eq!(transport.exists(&path("links/dust")).await.unwrap_err().kind(), ErrKind::Http);
}

#[tokio::test]
async fn a_redirect_takes_the_token_nowhere() {
    let (elsewhere, _, _) = scripted([json(200, r#"{"store_seq":1}"#)]).await;
    let location = format!("{}/api/stores/acme/reading/entries/a", elsewhere.url());
    for status in [301, 302, 303, 307, 308, 300, 304] {
        let redirect = answer(status, &[("location", &location), ("refresh", &format!("0; url={location}"))], "");
        let (peer, transport, _) = scripted([redirect.clone(), redirect]).await;
        let written = transport.write(vec![Op::delete(path("a"))], None).await.unwrap_err();
        assert_eq!(written.kind(), ErrKind::Http, "{status}");
        assert_eq!(transport.get(&path("a")).await.unwrap_err().kind(), ErrKind::Http, "{status}");
        assert_eq!(peer.received().len(), 2);
    }
    assert!(elsewhere.received().is_empty(), "nobody went there");
}

#[tokio::test]
async fn a_pause_that_is_absurd_is_neither_made_nor_handed_on() {
    for said in ["18446744073709551615", "99999999999999999999999", "-1", "Fri, 31 Dec 9999 23:59:59 GMT", ""] {
        let limited = answer(429, &[("retry-after", said), ("x-ratelimit-remaining", "-5")], "{}");
        let (_, transport, world) = configured(vec![limited; 200], |config| config.pace_writes(true)).await;
        let error = transport.write(vec![Op::delete(path("a"))], None).await.unwrap_err();
        let retry_after = error.retry_after().unwrap();
        assert!(
            (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&retry_after),
            "{said}: {retry_after:?}"
        );
        assert!(world.now() <= Duration::from_secs(46), "{said}");
        assert!(world.pauses().iter().all(|pause| *pause >= 1_000), "{said}: it does not spin");
    }
}

#[tokio::test]
async fn answers_about_other_paths_are_errors_or_change_nothing() {
    // A read of one leaf.
    let other = r#"{"path":"elsewhere","value":"stolen","type":"string","revision":7}"#;
    let (_, transport, _) = scripted([json(200, other)]).await;
    let read = transport.get(&path("links/dust/title")).await;
    assert_eq!(read.unwrap_err().kind(), ErrKind::Http);
    // A read of many leaves.
    let body = r#"{"entries":{"elsewhere":{"value":1,"type":"integer","revision":1}},"missing":[]}"#;
    let (_, transport, _) = scripted([json(200, body)]).await;
    assert_eq!(transport.get_many(&[path("a"), path("b")]).await.unwrap(), [None, None]);
    // A write goes to its own path independent of the answer, and is not sent again.
    let conflict = r#"{"error":"conflict","path":"elsewhere","current_revision":9}"#;
    let (peer, transport, _) = scripted([json(412, conflict)]).await;
    let ops = vec![Op::set(path("a"), value("1")), Op::delete(path("b"))];
    let error = transport.write(ops, None).await.unwrap_err();
    assert!(matches!(error, DustErr::Conflict { .. }));
    assert_eq!(peer.lines(), ["POST /api/stores/acme/reading/entries/batch_write HTTP/1.1"]);
}

#[tokio::test]
async fn a_record_that_came_under_another_name_is_not_shown() {
    let items = r#"[{"path":"links/other/title","value":"x","type":"string","revision":1}]"#;
    let other = json(200, &format!(r#"{{"items":{items},"next_cursor":null}}"#));
    let (_, transport, _) = scripted([other.clone(), other]).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap_err().kind(), ErrKind::Http);
}

#[tokio::test]
async fn a_file_that_is_another_is_damaged() {
    let hash = format!("sha256:{}", "a".repeat(64));
    let (_, transport, _) = scripted([answer(200, &[], "something else")]).await;
    let repo = DustRepo::with_transport(Arc::new(transport));
    let file = serde_json::from_value::<FileRef>(serde_json::json!({
        "_type": "file", "hash": hash, "size": 3, "content_type": "a/b", "filename": null,
        "uploaded_at": "2026-01-01T00:00:00Z",
    }));
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("file");
    assert_eq!(repo.download(&file.unwrap(), &to).await.unwrap_err().kind(), ErrKind::ChecksumMismatch);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}
