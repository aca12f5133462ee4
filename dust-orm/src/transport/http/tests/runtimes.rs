//! A transport that is used on several runtimes.

use std::time::Duration;

use dust_protocol::{Mutation, Op};

use super::peer::{Step, json};
use super::*;
use crate::transport::Transport;

const WRITTEN: &str = r#"{"revision":7,"store_seq":7}"#;

/// Limit that ends only a test that fails: much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn a_transport_that_was_used_on_a_runtime_at_rest_works_on_another() {
    let multi = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let serving = multi();
    let (peer, transport, _) = serving.block_on(scripted([(); 3].map(|()| json(200, WRITTEN))));
    let write = |op: Mutation| transport.write(vec![Op::new(path("a"), op)], None);
    // This runtime keeps its connection, and nothing drives it after `block_on` returns.
    let at_rest = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    at_rest.block_on(write(Mutation::Delete)).unwrap();
    let other = multi();
    let limited = |op: Mutation| async { tokio::time::timeout(LIMIT, write(op)).await };
    other.block_on(limited(Mutation::Delete)).expect("the connection of another runtime was taken").unwrap();
    drop(at_rest);
    other.block_on(limited(Mutation::Set(value("1")))).unwrap().unwrap();
    assert_eq!(peer.received().len(), 3);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_delete_that_found_no_connection_was_not_sent() {
    let world = TestWorld::new();
    let stall = Step::StallUnread(Duration::from_secs(30));
    let peer = Peer::start(&world, [stall]).await;
    let https = peer.url().replace("http:", "https:");
    let retry = crate::config::RetryPolicy::none();
    let config = config(&https).deadline(Duration::from_secs(20)).retry(retry).build().unwrap();
    // A machine without any root certificate cannot use https at all.
    let Ok(transport) = HttpTransport::in_world(config, world.clone()) else { return };
    let error = transport.write(vec![Op::delete(path("a"))], None).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrKind::Network, "{error}");
    assert!(error.to_string().contains("no connection"), "{error}");
    assert!(peer.received()[0].line.starts_with("\u{16}\u{3}"), "a TLS handshake");
}

#[test]
fn call_without_runtime_names_the_way_out() {
    let world = TestWorld::new();
    let transport = HttpTransport::in_world(config("http://127.0.0.1:9").build().unwrap(), world).unwrap();
    let error = futures_util::FutureExt::now_or_never(transport.get(&path("a"))).unwrap().unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrKind::InvalidParams, "{error}");
    assert!(error.to_string().contains("#[tokio::main]") && !error.is_retryable(), "{error}");
}
