//! The client and its transport against servers on the loopback.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dust_protocol::{OpKind, Pattern, Selector};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::entity::{Revision, StoredRecord};
use crate::error::ErrKind;
use crate::feed::Delivery;
use crate::realtime::session::StoreState;
use crate::realtime::session::tests::server::{Connection, Server};
use crate::realtime::{SyncClientBuilder, Timing};

mod backpressure;
mod endless;
#[cfg(feature = "macros")]
mod fairness;
#[cfg(feature = "macros")]
mod lifetime;
mod oversized;
#[cfg(feature = "macros")]
mod subscriptions;
#[cfg(feature = "macros")]
mod undriven;

/// The model server behind a real socket.
#[derive(Clone, Default)]
struct Remote {
    server: Arc<Mutex<Server>>,
    /// Signals that frames must be sent (`changed`), or that the connection must be cut (`cut`).
    changed: Arc<Notify>,
    cut: Arc<Notify>,
}

impl Remote {
    async fn start() -> (Remote, SyncClientBuilder) {
        let remote = Remote::default();
        remote.server.lock().unwrap().event_first = true;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(remote.clone().serve(listener));
        let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").url(url);
        (remote, builder.base_url("http://127.0.0.1:9"))
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            self.server.lock().unwrap().connection = Some(Connection::default());
            loop {
                tokio::select! {
                    message = socket.next() => match message {
                        Some(Ok(Message::Text(text))) => {
                            let mut server = self.server.lock().unwrap();
                            if let Some(connection) = &mut server.connection {
                                connection.to_server.push_back(text.to_string());
                            }
                            server.read();
                        }
                        Some(Ok(_)) => {}
                        None | Some(Err(_)) => break,
                    },
                    () = self.changed.notified() => {}
                    () = self.cut.notified() => break,
                }
                let frames: Vec<String> = {
                    let mut server = self.server.lock().unwrap();
                    while server.is_catching_up() {
                        server.catch_up();
                    }
                    server
                        .connection
                        .as_mut()
                        .map(|connection| connection.to_client.drain(..).collect())
                        .unwrap_or_default()
                };
                for frame in frames {
                    socket.send(Message::text(frame)).await.unwrap();
                }
            }
            self.server.lock().unwrap().connection = None;
        }
    }

    /// Writes as another client; `push` is true if the write is over a WebSocket.
    fn other_writes(&self, at: &str, value: &str, push: bool) -> u64 {
        let mut server = self.server.lock().unwrap();
        let seq = server.commit(&path(at), &Mutation::Set(raw(value)), None, "other").unwrap();
        if push {
            server.push_last();
            self.changed.notify_one();
        }
        seq
    }

    fn last_op(&self) -> (OpKind, String, String) {
        let server = self.server.lock().unwrap();
        let op = server.log.last().unwrap();
        (op.op, op.path.to_string(), op.value.to_string())
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

fn set(at: &str, value: &str) -> Op {
    Op::set(path(at), raw(value))
}

fn glob(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

/// Waits for an event that is certain to come, however busy the machine is.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(300), what).await.expect("it comes to pass")
}

/// Waits until the mirror has a change that is certain to arrive.
async fn until(transport: &RealtimeTransport, what: impl AsyncFn() -> bool) {
    let mut changes = transport.op_hub().await.unwrap().subscribe(&glob("**"), 1);
    soon(async {
        while !what().await {
            changes.next().await.unwrap();
        }
    })
    .await;
}

async fn value(transport: &RealtimeTransport, at: &str) -> Option<String> {
    transport.get(&path(at)).await.unwrap().map(|entry| entry.value.to_string())
}

#[tokio::test]
async fn reads_are_local_and_writes_are_readable_when_they_return() {
    let (remote, builder) = Remote::start().await;
    remote.other_writes("links/a", r#"{"title":"A","n":1}"#, false);
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    assert_eq!(value(&transport, "links/a").await.unwrap(), r#"{"n":1,"title":"A"}"#);

    let mut changes = transport.op_hub().await.unwrap().subscribe(&glob("links/**"), 10);
    let receipt = transport.write(vec![Op::set(path("links/b"), raw(r#"{"title":"B"}"#))], None).await.unwrap();
    assert_eq!(receipt.store_seq, Some(2));
    assert_eq!(value(&transport, "links/b/title").await.unwrap(), "\"B\"");
    assert!(transport.exists(&path("links/b")).await.unwrap());
    let keys = ListRequest::pattern(glob("**")).select(dust_protocol::Select::Keys);
    assert_eq!(transport.list(&keys).await.unwrap().items.len(), 3);
    assert_eq!(transport.get_many(&[path("links/b/title"), path("x")]).await.unwrap().iter().flatten().count(), 1);

    remote.other_writes("elsewhere", "1", true);
    let third = remote.other_writes("links/c", "true", true);
    for expected in [2, third] {
        let Some(Delivery::Op(op)) = soon(changes.next()).await else { panic!("an op is heard") };
        assert_eq!(op.store_seq, expected);
        assert!(transport.get(&op.path).await.unwrap().is_some(), "what is heard of can be read");
    }

    let status = client.status();
    assert_eq!((status[0].store.as_str(), status[0].seq, status[0].leaves), ("acme/main", third, 5));
    assert!(matches!(status[0].state, StoreState::Live { permissions } if permissions.write));
    client.shutdown().await;
    assert!(changes.next().await.is_none());
    assert_eq!(value(&transport, "links/c").await.unwrap(), "true");
    let late = transport.write(vec![Op::delete(path("p"))], None).await.unwrap_err();
    assert_eq!(late.kind(), ErrKind::Network);
    client.shutdown().await;
}

#[tokio::test]
async fn the_fields_of_a_record_are_one_merge() {
    let (remote, builder) = Remote::start().await;
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let ops = vec![set("links/a/title", "\"A\""), set("links/a/a~1b", "1.50"), set("links/a/tags", "[1]")];
    assert_eq!(transport.write(ops, None).await.unwrap(), Receipt::new(Some(1)).with_revisions(vec![1; 3]));
    let merged = r#"{"a/b":1.5,"tags":[1],"title":"A"}"#;
    assert_eq!(remote.last_op(), (OpKind::Merge, "links/a".to_owned(), merged.to_owned()));
    assert_eq!(value(&transport, "links/a/a~1b").await.unwrap(), "1.5");

    let conflict = Op::set(path("links/a/title"), raw("1")).on(Precondition::IfMatch(99));
    let error = transport.write(vec![conflict], None).await.unwrap_err();
    assert!(matches!(error, DustErr::Conflict { current: Some(1), .. }), "{error:?}");
}

#[test]
fn a_batch_is_a_merge_only_where_that_is_the_same() {
    let mut mirror = Mirror::default();
    let op = |seq, at: &str, value: &str| {
        dust_protocol::CommittedOp::new(seq, OpKind::Set, path(at), raw(value)).written_by("d".into(), "c".into())
    };
    mirror.apply(&op(1, "r/deep/X", "1"));
    mirror.apply(&op(2, "r/flat", "1"));
    let merged = |ops: &[Op]| {
        as_merge(ops, &mirror).map(|op| {
            assert_eq!(op.kind(), OpKind::Merge);
            (op.path.to_string(), op.value().unwrap().to_string())
        })
    };
    let yes = |object: &str| Some(("r".to_owned(), object.to_owned()));
    assert_eq!(merged(&[set("r/flat", "2"), set("r/new", "null")]), yes(r#"{"flat":2,"new":null}"#));
    let record = [set("r/deep", r#"{"y":1}"#), set("r/flat", "2")];
    assert_eq!(merged(&record), yes(r#"{"deep":{"y":1},"flat":2}"#), "an object replaces what is below");
    assert_eq!(merged(&record[..1]), None, "objects alone may be records");
    assert_eq!(merged(&[set("r/deep", "1")]), None, "what is below would stay");
    assert_eq!(merged(&[set("r/DEEP", "1")]), None, "whatever its case");
    assert_eq!(merged(&[set("r/deep", r#"{"_type":"file"}"#)]), None, "an envelope is one leaf");
    assert_eq!(merged(&[set("r/a", "1"), set("s/b", "1")]), None);
    assert_eq!(merged(&[set("r/a", "1"), set("r/a", "2")]), None, "the last of two wins");
    assert_eq!(merged(&[set("r/a", "1"), Op::delete(path("r/b"))]), None);
    assert_eq!(merged(&[set("r/a", "1").on(Precondition::IfMatch(3))]), None);
    assert_eq!(merged(&[set("r", "1")]), None, "it has no parent");
    assert_eq!(merged(&[]), None);
}

#[tokio::test]
async fn a_broken_connection_heals_and_what_was_missed_comes() {
    let (remote, builder) = Remote::start().await;
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    for round in 0..3_u64 {
        remote.cut.notify_one();
        remote.other_writes("missed", &round.to_string(), false);
        until(&transport, async || value(&transport, "missed").await == Some(round.to_string())).await;
    }
    let mut states = client.watch("acme/main").unwrap();
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    transport.write(vec![Op::set(path("p"), raw("1"))], None).await.unwrap();
    assert_eq!(value(&transport, "p").await.unwrap(), "1");
}

#[tokio::test]
async fn a_store_that_is_larger_than_its_mirror_may_be_is_not_followed_any_further() {
    let (remote, builder) = Remote::start().await;
    let timing = Timing { refused: Duration::from_millis(10), ..Timing::default() };
    let client = builder.timing(timing).max_mirror(100).start().await.unwrap();
    let mut states = client.watch("acme/main").unwrap();
    let text = format!("{:?}", "x".repeat(100));
    remote.other_writes("a", &text, true);
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    until(&transport, async || value(&transport, "a").await.is_some()).await;
    assert!(client.status()[0].state.is_live(), "what there is has come");

    for next in ["b", "c"] {
        remote.other_writes(next, &text, true);
        let refused = |state: &StoreState| matches!(state, StoreState::Refused(DustErr::TooLarge { .. }));
        soon(states.wait_for(refused)).await.unwrap();
        soon(states.wait_for(|state| matches!(state, StoreState::CatchingUp))).await.unwrap();
    }
    let status = client.status();
    assert_eq!((status[0].seq, status[0].leaves), (1, 1), "and no more, however often it is tried again");
    assert_eq!(value(&transport, "a").await.unwrap(), text);
}

#[tokio::test]
async fn what_is_not_pushed_is_found_by_asking() {
    let (remote, builder) = Remote::start().await;
    let timing = Timing { status: Duration::from_millis(20), grace: Duration::from_millis(5), ..Timing::default() };
    let client = builder.timing(timing).start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    remote.other_writes("quiet", "1", false);
    until(&transport, async || value(&transport, "quiet").await.is_some()).await;
}

/// A server that answers every request by `answer`, and records the requests.
async fn http(answer: impl Fn(&str) -> String + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (String::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                let length = head
                    .to_ascii_lowercase()
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if read == 0 || body.len() >= length.unwrap_or(0_usize) {
                    break;
                }
            }
            let answer = answer(&request);
            seen.lock().unwrap().push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n\
         {body}"
    )
}

#[tokio::test]
async fn a_batch_goes_over_http_and_is_caught_up_with() {
    let (remote, builder) = Remote::start().await;
    let writer = remote.clone();
    let (url, asked) = http(move |_| {
        let seq = writer.other_writes("a", "1", false);
        ok(&format!(r#"{{"ops":[],"store_seq":{seq}}}"#))
    })
    .await;
    let client = builder.base_url(url).start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let ops = vec![set("a", "1"), Op::delete(path("b/c"))];
    assert_eq!(transport.write(ops, None).await.unwrap(), Receipt::new(Some(1)));
    assert_eq!(value(&transport, "a").await.unwrap(), "1");
    assert!(asked.lock().unwrap()[0].starts_with("POST /api/stores/acme/main/entries/batch_write "));
    let fence = Fence { key: path("lock"), token: 1 };
    let fenced = transport.write(vec![set("a", "1"), set("b/c", "1")], Some(fence)).await.unwrap_err();
    assert_eq!(fenced.kind(), ErrKind::NotSupported);
}

#[tokio::test]
async fn a_guard_on_a_leaf_of_a_snapshot_asks_for_its_revision() {
    let (remote, builder) = Remote::start().await;
    remote.other_writes("p", "1", false);
    remote.other_writes("q", "1", false);
    remote.other_writes("r", "1", false);
    remote.server.lock().unwrap().compact();
    let leaves = remote.clone();
    let (url, asked) = http(move |request| {
        let at = if request.contains("\"p\"") { "p" } else { "q" };
        let revision = leaves.server.lock().unwrap().leaves.revision(&path(at)).unwrap();
        ok(&format!(r#"{{"entries":{{"{at}":{{"value":1,"type":"integer","revision":{revision}}}}},"missing":[]}}"#))
    })
    .await;
    let client = builder.base_url(url).start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let read = transport.get(&path("p")).await.unwrap().unwrap();
    assert_eq!(read.revision, 3, "the most it can be");
    let guarded = |at: &str, revision| set(at, "2").on(Precondition::IfMatch(revision));
    assert_eq!(transport.write(vec![guarded("p", read.revision)], None).await.unwrap().store_seq, Some(4));
    assert_eq!(asked.lock().unwrap().len(), 1);
    // The revision of the leaf is exact now, and no request is necessary.
    assert_eq!(transport.write(vec![guarded("p", 4)], None).await.unwrap().store_seq, Some(5));
    assert_eq!(asked.lock().unwrap().len(), 1);
    remote.other_writes("q", "9", false);
    let conflict = transport.write(vec![guarded("q", 3)], None).await.unwrap_err();
    assert!(matches!(conflict, DustErr::Conflict { current: Some(6), op_index: None, .. }), "{conflict:?}");
    assert_eq!(value(&transport, "q").await.unwrap(), "9", "whoever lost can read what won");
}

#[tokio::test]
async fn etag_after_a_snapshot_is_that_after_the_ops() {
    let record = path("r");
    let mut etags = Vec::new();
    for is_compacted in [false, true] {
        let (remote, builder) = Remote::start().await;
        remote.other_writes("r/price", r#"{"_type":"decimal","_typed":"1E+3"}"#, false);
        remote.other_writes("r/list", r#"[{"b":1,"a":2.50}]"#, false);
        remote.other_writes("r/none", "null", false);
        if is_compacted {
            remote.server.lock().unwrap().compact();
        }
        let client = builder.start().await.unwrap();
        let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
        let leaves = transport.list_subtree(&record, None).await.unwrap().leaves;
        let revisions: Vec<u64> = leaves.iter().map(|leaf| leaf.revision).collect();
        assert_eq!(revisions, if is_compacted { [3, 3, 3] } else { [2, 3, 1] });
        etags.push(Revision::of(&StoredRecord { path: record.clone(), leaves }).etag());
        client.shutdown().await;
    }
    assert_eq!(etags[0], etags[1]);
}

#[tokio::test]
async fn a_refused_token_is_an_error_at_the_start() {
    let (url, _) =
        http(|_| "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()).await;
    let builder = || SyncClient::builder().store("acme/main").base_url(url.clone());
    let error = builder().token("dust_tok_wrong").start().await.unwrap_err();
    assert_eq!(error.kind(), ErrKind::Unauthorized);
    assert!(!error.to_string().contains("dust_tok_wrong"));
    let (url, _) = http(|_| ok("{}")).await;
    let client = SyncClient::builder().store("acme/main").token("dust_tok_test").base_url(url).start().await.unwrap();
    assert!(matches!(client.status()[0].state, StoreState::Offline), "a server that speaks no WebSocket is not there");
}

#[tokio::test]
async fn settings_that_cannot_be_are_errors_at_the_start() {
    let builder = || SyncClient::builder().store("acme/main").token("dust_tok_test");
    let text = |error: DustErr| error.to_string();
    assert!(text(builder().url("nonsense").start().await.unwrap_err()).contains("DUST_WS_URL"));
    assert!(text(builder().store("no-org").start().await.unwrap_err()).contains("org/name"));
    assert!(text(SyncClient::builder().start().await.unwrap_err()).contains("store"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    // The port of a dropped listener accepts no connections.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let builder = SyncClient::builder().store("acme/main").token("dust_tok_test").base_url(format!("http://{address}"));
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let error = transport.get(&path("p")).await.unwrap_err();
    assert!(error.kind() == ErrKind::Network && error.to_string().contains("nothing to read yet"), "{error}");
    let is_refused = |error: &DustErr| {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    assert!(is_refused(&error), "{error:?}");
    let error = transport.write(vec![Op::delete(path("p"))], None).await.unwrap_err();
    assert!(error.kind() == ErrKind::Network && is_refused(&error), "{error:?}");
    let unknown = RealtimeTransport::new(&client, "acme/other").unwrap_err();
    assert!(unknown.to_string().contains("only `acme/main`"), "{unknown}");

    let remote = Remote::default();
    remote.other_writes("p", "1", false);
    let Ok(listener) = TcpListener::bind(address).await else { return };
    tokio::spawn(remote.clone().serve(listener));
    let mut states = client.watch("acme/main").unwrap();
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    assert_eq!(value(&transport, "p").await.unwrap(), "1");
    let range = Selector::Range { from: path("a"), to: path("z") };
    let request = ListRequest::new(range);
    assert_eq!(transport.list(&request).await.unwrap().items.len(), 1);
}

#[cfg(feature = "macros")]
#[tokio::test]
async fn a_repo_reads_and_writes_records_through_the_mirror() {
    use crate::entity::prelude::*;
    use crate::tests_cfg::link;

    let (remote, builder) = Remote::start().await;
    let client = builder.start().await.unwrap();
    let transport = RealtimeTransport::new(&client, "acme/main").unwrap();
    let repo = crate::DustRepo::with_transport(Arc::new(transport.clone()));
    let link =
        link::Model { slug: "dust".into(), title: "Dust".into(), url: "https://dustlayer.io".into(), note: None };
    let inserted = repo.insert(link.clone().into_active_model()).await.unwrap();
    assert_eq!((&inserted, remote.last_op().0), (&link, OpKind::Merge), "one op for the whole record");

    let mut edit = inserted.into_active_model();
    edit.note = Set(Some("read me".into()));
    repo.update(edit).await.unwrap();
    assert_eq!(remote.last_op(), (OpKind::Set, "links/dust/note".to_owned(), "\"read me\"".to_owned()));
    remote.other_writes("links/other", r#"{"title":"Other","url":"u"}"#, true);
    until(&transport, async || repo.all::<link::Entity>().await.unwrap().len() == 2).await;
    let found = repo.find_by_id::<link::Entity>("dust").await.unwrap().unwrap();
    assert_eq!(found.note.as_deref(), Some("read me"));
    repo.delete_by_id::<link::Entity>("dust").await.unwrap();
    assert_eq!(repo.find_by_id::<link::Entity>("dust").await.unwrap(), None);
}
