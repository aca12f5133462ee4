//! The requests that are repeated, those that are not, and the pauses between attempts.

use std::error::Error as _;

use dust_protocol::Op;

use super::peer::{Step, answer, bytes, json};
use super::*;
use crate::config::RetryPolicy;
use crate::error::{DustErr, ErrKind};
use crate::transport::Transport;

const WRITTEN: &str = r#"{"revision":7,"store_seq":7}"#;
const FOUND: &str = r#"{"path":"a","revision":1,"type":"integer","value":1}"#;

fn set() -> Op {
    Op::set(path("a"), value("1"))
}

fn delete() -> Op {
    Op::delete(path("a"))
}

fn limited(retry_after: &str) -> Step {
    let headers = [("retry-after", retry_after), ("x-ratelimit-remaining", "0")];
    answer(429, &headers, r#"{"error":"rate_limited"}"#)
}

/// An answer that ends before the end of its body.
fn truncated(body: &str) -> Step {
    let mut bytes = bytes(200, &[], body.as_bytes());
    bytes.truncate(bytes.len() - 5);
    Step::AnswerAndClose(bytes)
}

#[tokio::test]
async fn a_read_is_tried_again_whatever_happened_to_it() {
    let failures = [
        Step::CloseUnread,
        Step::CloseUnanswered,
        truncated(FOUND),
        json(500, r#"{"errors":{"detail":"Internal Server Error"}}"#),
        answer(503, &[], "<html>"),
        Step::Stall(Duration::from_secs(15)),
    ];
    for failure in failures {
        let (_, transport, world) = scripted([failure.clone(), json(200, FOUND)]).await;
        let entry = transport.get(&path("a")).await.unwrap_or_else(|error| panic!("{failure:?}: {error}"));
        assert_eq!(entry.unwrap().revision, 1);
        assert_eq!(world.pauses(), [50], "{failure:?}");
    }
}

#[tokio::test]
async fn every_kind_of_read_is_tried_again() {
    let page = r#"{"items":[],"next_cursor":null}"#;
    let (_, transport, _) = scripted([Step::CloseUnanswered, json(200, page)]).await;
    transport.exists(&path("a")).await.unwrap();
    let (_, transport, _) = scripted([Step::CloseUnanswered, json(200, r#"{"entries":{},"missing":["a"]}"#)]).await;
    transport.get_many(&[path("a")]).await.unwrap();
}

#[tokio::test]
async fn pauses_double_up_to_the_limits() {
    let failing = || (0..9).map(|_| Step::CloseUnanswered);
    let (peer, transport, world) = scripted(failing()).await;
    let error = transport.get(&path("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrKind::Network, true));
    assert_eq!(world.pauses(), [50, 100]);
    assert_eq!(peer.received().len(), 3);

    let patient = RetryPolicy { max_tries: 6, max_delay: Duration::from_millis(300), ..RetryPolicy::default() };
    let (peer, transport, world) = configured(failing(), |config| config.retry(patient)).await;
    transport.get(&path("a")).await.unwrap_err();
    assert_eq!(world.pauses(), [50, 100, 200, 300, 300]);
    assert_eq!(peer.received().len(), 6);
}

#[tokio::test]
async fn pauses_are_drawn_from_nothing_upwards() {
    let world = TestWorld::with_random(0);
    let peer = Peer::start(&world, [Step::CloseUnanswered, json(200, FOUND)]).await;
    let transport = HttpTransport::in_world(config(&peer.url()).build().unwrap(), world.clone()).unwrap();
    transport.get(&path("a")).await.unwrap();
    assert_eq!(world.pauses(), [0]);
}

#[tokio::test]
async fn one_try_means_one_try() {
    for step in [Step::CloseUnanswered, json(500, "{}"), limited("1")] {
        let (peer, transport, world) = configured([step], |config| config.retry(RetryPolicy::none())).await;
        assert!(transport.get(&path("a")).await.unwrap_err().is_retryable());
        assert_eq!(peer.received().len(), 1);
        assert!(world.pauses().is_empty());
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_tried_again() {
    let lost = [
        Step::CloseUnanswered,
        truncated(WRITTEN),
        Step::Stall(Duration::from_secs(15)),
        json(500, r#"{"errors":{"detail":"Internal Server Error"}}"#),
        answer(502, &[], "<html>"),
        json(400, r#"{"error":"invalid_params","detail":"{:writer_unavailable, {:timeout, 1}}"}"#),
    ];
    for step in lost {
        for write in [set(), delete()] {
            let (peer, transport, world) = scripted([step.clone(), json(200, WRITTEN)]).await;
            let error = transport.write(vec![write], None).await.unwrap_err();
            assert!(matches!(error, DustErr::Timeout { .. }) && !error.is_retryable(), "{step:?}: {error}");
            assert_eq!(peer.received().len(), 1, "{step:?}");
            assert!(world.pauses().is_empty());
        }
    }
}

#[tokio::test]
async fn lost_answer_keeps_the_error_of_the_client_as_cause() {
    let (_, transport, _) = configured([Step::CloseUnanswered], |config| config.retry(RetryPolicy::none())).await;
    let read = transport.get(&path("a")).await.unwrap_err();
    assert_eq!(read.kind(), ErrKind::Network);
    assert!(read.source().unwrap().is::<reqwest::Error>(), "{read:?}");
    let (_, transport, _) = scripted([truncated(WRITTEN)]).await;
    let write = transport.write(vec![set()], None).await.unwrap_err();
    assert_eq!(write.kind(), ErrKind::Timeout);
    let cause = write.source().unwrap().downcast_ref::<reqwest::Error>().unwrap();
    assert_eq!(cause.url(), None);
    let (_, transport, _) = scripted([json(200, "[]")]).await;
    let unreadable = transport.get(&path("a")).await.unwrap_err();
    assert!(unreadable.source().unwrap().is::<dust_protocol::http::Unreadable>(), "{unreadable:?}");
}

#[tokio::test]
async fn a_refusal_that_breaks_off_is_still_one() {
    let mut conflict = bytes(412, &[], br#"{"current_revision":2,"error":"conflict"}"#);
    conflict.truncate(conflict.len() - 3);
    let (_, transport, _) = scripted([Step::AnswerAndClose(conflict)]).await;
    let error = transport.write(vec![set()], None).await.unwrap_err();
    assert!(matches!(error, DustErr::Http { status: 412, .. }), "{error}");
}

#[tokio::test]
async fn a_write_that_found_no_server_is_tried_again() {
    let world = TestWorld::new();
    // No other process can listen on a port that is bound.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let transport =
        HttpTransport::in_world(config(&format!("http://{address}")).build().unwrap(), world.clone()).unwrap();
    for write in [set(), delete()] {
        let error = transport.write(vec![write], None).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrKind::Network, true), "{error}");
        assert!(!error.to_string().contains(TOKEN));
    }
    assert_eq!(world.pauses(), [50, 100, 50, 100]);
}

#[tokio::test]
async fn limits_without_end_are_fine() {
    let (_, transport, _) = configured([json(200, WRITTEN), json(200, FOUND)], |config| {
        let ever = Duration::MAX;
        config.connect_timeout(ever).request_timeout(ever).deadline(ever)
    })
    .await;
    transport.write(vec![set()], None).await.unwrap();
    transport.get(&path("a")).await.unwrap();
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_write_whose_connection_never_opened_is_tried_again() {
    let world = TestWorld::new();
    let stall = Step::StallUnread(Duration::from_secs(30));
    let peer = Peer::start(&world, [stall.clone(), stall.clone(), stall]).await;
    let https = peer.url().replace("http:", "https:");
    let config = config(&https).deadline(Duration::from_secs(100)).build().unwrap();
    // A machine without any root certificate cannot use https at all.
    let Ok(transport) = HttpTransport::in_world(config, world.clone()) else { return };
    let error = transport.write(vec![set()], None).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network, "{error}");
    assert!(error.to_string().contains("no connection within 30s"), "{error}");
    assert_eq!(peer.received().len(), 3);
    let hello = peer.received()[0].line.clone();
    assert!(hello.starts_with("\u{16}\u{3}"), "a TLS handshake");
    assert!(hello.contains("h2") && hello.contains("http/1.1"), "both protocols are offered");
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_made() {
    for (header, pause) in [("2", 2_500), ("0", 1_500), ("soon", 1_500)] {
        let (peer, transport, world) = scripted([limited(header), limited(header), json(200, WRITTEN)]).await;
        assert_eq!(transport.write(vec![set()], None).await.unwrap().store_seq, Some(7));
        assert_eq!(world.pauses(), [pause, pause], "{header}");
        assert_eq!(peer.received().len(), 3);
    }
    let (_, transport, world) = scripted([limited("3"), json(200, FOUND)]).await;
    transport.get(&path("a")).await.unwrap();
    assert_eq!(world.pauses(), [3_500]);
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_is_the_callers() {
    let (peer, transport, world) = scripted([limited("56")]).await;
    let error = transport.write(vec![set()], None).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(56)));
    assert!(error.is_retryable());
    assert_eq!(peer.received().len(), 1);
    assert!(world.pauses().is_empty());

    let two_minutes = |config: DustConfigBuilder| config.deadline(Duration::from_secs(120));
    let (_, transport, world) = configured([limited("56"), json(200, WRITTEN)], two_minutes).await;
    transport.write(vec![set()], None).await.unwrap();
    assert_eq!(world.pauses(), [56_500]);
}

#[tokio::test]
async fn waiting_for_the_rate_limit_takes_no_tries() {
    let steps = [limited("1"), limited("1"), limited("1"), Step::CloseUnanswered, limited("1"), json(200, FOUND)];
    let (_, transport, world) = scripted(steps).await;
    transport.get(&path("a")).await.unwrap();
    assert_eq!(world.pauses(), [1_500, 1_500, 1_500, 50, 1_500]);
}

#[tokio::test]
async fn the_deadline_covers_all_tries() {
    let stall = Step::Stall(Duration::from_secs(15));
    let (peer, transport, world) = configured((0..9).map(|_| stall.clone()), |config| {
        config.deadline(Duration::from_secs(40)).retry(RetryPolicy { max_tries: 9, ..RetryPolicy::default() })
    })
    .await;
    let error = transport.get(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Network);
    // Two full attempts, then one of the remaining 9.85 s.
    assert_eq!(peer.received().len(), 3);
    assert!(world.now() <= Duration::from_secs(46), "{:?}", world.now());
    assert!(error.to_string().contains("no answer within 9.85"), "{error}");
}

#[tokio::test]
async fn the_deadline_covers_all_requests_of_an_operation() {
    let found = r#"{"entries":{},"missing":[]}"#;
    let (peer, transport, world) =
        scripted([limited("20"), limited("20"), json(200, found), limited("20"), json(200, found)]).await;
    let paths: Vec<_> = (0..1001).map(|n| path(&n.to_string())).collect();
    let error = transport.get_many(&paths).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
    assert_eq!(world.pauses(), [20_500, 20_500]);
    assert_eq!(peer.received().len(), 4);
}

#[tokio::test]
async fn retries_end_when_the_budget_is_used_up() {
    let scarce = RetryPolicy { budget: 12, ..RetryPolicy::default() };
    let (peer, transport, world) =
        configured((0..9).map(|_| Step::CloseUnanswered), |config| config.retry(scarce)).await;
    for _ in 0..3 {
        transport.get(&path("a")).await.unwrap_err();
    }
    // The budget pays for two retries of 5 tokens each, over all calls.
    assert_eq!(world.pauses(), [50, 100]);
    assert_eq!(peer.received().len(), 5);
}

#[tokio::test]
async fn a_timeout_costs_the_budget_more() {
    let scarce = RetryPolicy { budget: 12, ..RetryPolicy::default() };
    let stall = Step::Stall(Duration::from_secs(15));
    let (peer, transport, _) = configured([stall.clone(), stall.clone(), stall], |config| config.retry(scarce)).await;
    transport.get(&path("a")).await.unwrap_err();
    assert_eq!(peer.received().len(), 2);
}

mod paced {
    use super::*;

    fn written(remaining: &str) -> Step {
        answer(200, &[("x-ratelimit-remaining", remaining)], WRITTEN)
    }

    #[tokio::test]
    async fn writes_wait_for_the_next_minute() {
        let (peer, transport, world) = configured([written("1"), written("0"), written("99")], |config| {
            config.pace_writes(true).deadline(Duration::from_secs(90))
        })
        .await;
        world.advance(Duration::from_secs(20));
        for _ in 0..3 {
            transport.write(vec![set()], None).await.unwrap();
        }
        assert_eq!(world.pauses(), [40_500]);
        assert_eq!(peer.received().len(), 3);
    }

    #[tokio::test]
    async fn a_write_that_cannot_wait_so_long_is_not_sent() {
        let (peer, transport, _) = configured([written("0")], |config| config.pace_writes(true)).await;
        transport.write(vec![set()], None).await.unwrap();
        let error = transport.write(vec![set()], None).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        assert_eq!(peer.received().len(), 1);
    }

    #[tokio::test]
    async fn reads_do_not_wait_for_writes_but_batches_of_reads_do() {
        let (_, transport, _) = configured([written("0"), json(200, FOUND)], |config| config.pace_writes(true)).await;
        transport.write(vec![set()], None).await.unwrap();
        transport.get(&path("a")).await.unwrap();
        assert_eq!(transport.get_many(&[path("a")]).await.unwrap_err().kind(), ErrKind::RateLimited);
    }

    #[tokio::test]
    async fn it_is_off_by_default() {
        let (_, transport, world) = scripted([written("0"), written("0")]).await;
        transport.write(vec![set()], None).await.unwrap();
        transport.write(vec![set()], None).await.unwrap();
        assert!(world.pauses().is_empty());
    }
}
