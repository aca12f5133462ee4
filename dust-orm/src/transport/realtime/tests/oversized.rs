//! A store whose snapshot is longer than a frame may be, beside an unrelated store.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;

/// A server of `acme/large`, whose snapshot has 2 MiB in several parts, and of `acme/small`; and the number of times
/// that the snapshot was sent.
async fn large_and_small() -> (SyncClientBuilder, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let snapshots = Arc::new(AtomicUsize::new(0));
    let sent = Arc::clone(&snapshots);
    tokio::spawn(async move {
        let mut seq = 0;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let frame: Vec<Value> = serde_json::from_str(text.as_str()).unwrap();
                let [join_ref, reference, topic, event, mut payload] = frame.try_into().unwrap();
                let is_write = event == "write";
                seq += u64::from(is_write);
                let response = json!({
                    "store_seq": seq, "current_seq": seq, "scopes": [], "permissions": {"read": true, "write": true},
                });
                let body = json!({"status": "ok", "response": response});
                let mut answers = vec![json!([join_ref, reference, topic, "phx_reply", body])];
                if is_write {
                    payload["store_seq"] = json!(seq);
                    payload["device_id"] = json!("d");
                    answers.push(json!([null, null, topic, "event", payload]));
                } else if event == "phx_join" && topic == "store:acme/large" {
                    sent.fetch_add(1, Ordering::SeqCst);
                    let entries = json!({"a": {"value": {"_scalar": "x".repeat(2 << 20)}, "type": "string"}});
                    answers.push(json!([join_ref, null, topic, "snapshot", {"snapshot_seq": 9, "entries": entries}]));
                } else if event == "phx_join" {
                    answers.push(json!([join_ref, null, topic, "catch_up_complete", {"through_seq": seq}]));
                }
                for answer in answers {
                    if socket.send(Message::text(answer.to_string())).await.is_err() {
                        break;
                    }
                }
            }
        }
    });
    let builder = SyncClient::builder().store("acme/small").token("dust_tok_test").url(url).max_frame(1 << 20);
    (builder.base_url("http://127.0.0.1:9"), snapshots)
}

#[tokio::test]
async fn a_store_with_too_long_a_snapshot_is_refused_and_another_of_the_client_goes_on() {
    let (builder, snapshots) = large_and_small().await;
    let client = builder.store("acme/large").start().await.expect("one of its stores is up to date");
    let mut small = client.watch("acme/small").unwrap();
    soon(small.wait_for(StoreState::is_live)).await.unwrap();
    let mut large = client.watch("acme/large").unwrap();
    let is_refused = |state: &StoreState| matches!(state, StoreState::Refused(DustErr::TooLarge { .. }));
    soon(large.wait_for(is_refused)).await.unwrap();
    soon(small.wait_for(StoreState::is_live)).await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/small").unwrap();
    for number in 0..20 {
        soon(transport.write(vec![Op::set(path("p"), raw(&number.to_string()))], None)).await.unwrap();
    }
    assert!(is_refused(&large.borrow()) && small.borrow().is_live());
    assert_eq!(snapshots.load(Ordering::SeqCst), 1);
    let transport = RealtimeTransport::new(&client, "acme/large").unwrap();
    let error = transport.write(vec![Op::delete(path("p"))], None).await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::TooLarge);
    client.shutdown().await;
}
