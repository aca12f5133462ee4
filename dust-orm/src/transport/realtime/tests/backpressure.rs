//! Servers that accept nothing more before their answers are read, and many concurrent callers.

use futures_core::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;

use super::*;

const TOPIC: &str = "store:acme/main";

/// A server that reads one frame, answers it with an event and a reply, and reads the next frame only when both are
/// received. The system buffers little for either side.
pub(super) async fn one_at_a_time() -> SyncClientBuilder {
    one_at_a_time_after(|| Box::pin(async {})).await
}

/// The same server, which awaits `gate` before it answers a write.
pub(super) async fn one_at_a_time_after(
    gate: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
) -> SyncClientBuilder {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.set_send_buffer_size(8 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            answer_all(socket, &gate).await;
        }
    });
    // Long enough for a slow machine: a client that cannot send and receive at the same time gets no answer at all.
    let long = Duration::from_secs(300);
    let timing = Timing { deadline: long, silence: long, answer: long, ..Timing::default() };
    let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").url(url).timing(timing);
    builder.base_url("http://127.0.0.1:9")
}

async fn answer_all(mut socket: WebSocketStream<TcpStream>, gate: &(impl Fn() -> BoxFuture<'static, ()> + Sync)) {
    let mut seq = 0;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let frame: Vec<Value> = serde_json::from_str(text.as_str()).unwrap();
        let [join_ref, reference, topic, event, payload] = frame.try_into().unwrap();
        let mut answers = Vec::new();
        let mut response = json!({"store_seq": seq, "current_seq": seq, "entry_count": seq});
        match event.as_str() {
            Some("phx_join") => {
                response["permissions"] = json!({"read": true, "write": true});
                response["scopes"] = json!([]);
                answers.push(json!([&join_ref, null, TOPIC, "catch_up_complete", {"through_seq": seq}]));
            }
            Some("write") => {
                gate().await;
                seq += 1;
                response["store_seq"] = json!(seq);
                let mut event = payload;
                event["store_seq"] = json!(seq);
                event["device_id"] = json!("d");
                answers.push(json!([null, null, TOPIC, "event", event]));
            }
            _ => {}
        }
        let reply = json!([join_ref, reference, topic, "phx_reply", {"status": "ok", "response": response}]);
        // A join is answered before its catch-up, a write after its event.
        let at = if seq == 0 { 0 } else { answers.len() };
        answers.insert(at, reply);
        for answer in answers {
            if socket.send(Message::text(answer.to_string())).await.is_err() {
                return;
            }
        }
    }
}

async fn write_all(client: &SyncClient, count: usize, bytes: usize) -> usize {
    let transport = RealtimeTransport::new(client, "acme/main").unwrap();
    let writes = (0..count).map(|number| {
        let transport = transport.clone();
        let value = raw(&format!("\"{}\"", "x".repeat(bytes)));
        tokio::spawn(async move {
            transport.write(vec![Op::set(path(&format!("links/{number}")), value)], None).await.map(drop)
        })
    });
    let mut written = 0;
    for write in writes.collect::<Vec<_>>() {
        written += usize::from(write.await.unwrap().is_ok());
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_large_writes_succeed_while_the_server_waits_for_its_answers_to_be_taken() {
    let client = one_at_a_time().await.start().await.unwrap();
    assert_eq!(write_all(&client, 80, 200_000).await, 80);
    assert_eq!(client.status()[0].seq, 80);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_concurrent_writes_succeed_while_the_server_waits_for_its_answers_to_be_taken() {
    let client = one_at_a_time().await.start().await.unwrap();
    assert_eq!(write_all(&client, 2_000, 50_000).await, 2_000);
    client.shutdown().await;
}
