//! Servers that send without end, but without content.

use tokio::sync::watch;

use super::*;

/// A server that writes `first` on every socket, and then `again`, thousands of times per second, until the client
/// closes the socket; and the number of sockets that were closed.
async fn endless(first: &'static [u8], again: &'static [u8]) -> (SyncClientBuilder, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (gave_up, given_up) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tokio_tungstenite::accept_async(stream).await.unwrap().into_inner();
            let many = again.repeat(1_000);
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            if stream.write_all(first).await.is_ok() {
                while stream.write_all(&many).await.is_ok() {
                    pace.tick().await;
                }
            }
            gave_up.send_modify(|times| *times += 1);
        }
    });
    let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").url(url);
    (builder.base_url("http://127.0.0.1:9"), given_up)
}

/// Asserts that the client gives up such a connection, and that a shutdown in the middle of the data ends.
async fn is_given_up(timing: Timing, first: &'static [u8], again: &'static [u8]) {
    let (builder, mut given_up) = endless(first, again).await;
    let client =
        soon(builder.timing(timing).start()).await.expect("a server that says nothing is one that is not reached");
    soon(given_up.wait_for(|times| *times >= 2)).await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let error = soon(transport.write(vec![Op::delete(path("p"))], None)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrKind::Network | ErrKind::Timeout), "{error}");
    soon(client.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_without_an_end_are_given_up() {
    let hour = Duration::from_secs(3_600);
    let timing = Timing { heartbeat: hour, deadline: Duration::from_millis(100), ..Timing::default() };
    is_given_up(timing, &[], &[0x89, 0x01, b'x']).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_message_without_an_end_are_given_up() {
    let short = Duration::from_millis(10);
    let timing = Timing { heartbeat: short, silence: short, deadline: 10 * short, ..Timing::default() };
    // Empty frames: they reach no limit of size.
    is_given_up(timing, &[0x01, 0x00], &[0x00, 0x00]).await;
}
