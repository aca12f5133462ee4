//! The realtime client in JSON and in MessagePack frames: the same mirror, and what a server cannot send in the latter.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use dust_emulator::Emulator;
use dust_orm::sync::{Frames, StoreState, SyncClient, Timing};
use dust_orm::transport::RealtimeTransport;
use dust_orm::{DustErr, ErrKind, Transport};
use dust_protocol::{ListRequest, Op, Path, RawJson, Write};
use dust_store::{Origin, Store};
use futures_util::StreamExt;

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes to pass")
}

/// Writes as the server itself would: nobody is told over a socket.
fn commit(store: &Store, path: &str, json: &str) {
    let write = Write::new(Path::parse(path).unwrap(), Op::Set(RawJson::parse(json).unwrap()));
    store.write(write, &Origin::new("another", "op")).unwrap();
}

async fn start(emulator: &Emulator, frames: Frames) -> Result<SyncClient, DustErr> {
    let mut timing = Timing::default();
    timing.status = Duration::from_millis(50);
    let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url());
    soon(builder.frames(frames).timing(timing).start()).await
}

/// Every leaf of a client's mirror.
async fn leaves(client: &SyncClient, store: &str) -> Vec<(String, String)> {
    let transport = RealtimeTransport::new(client, store).unwrap();
    let page = transport.list(&ListRequest::pattern("**".parse().unwrap())).await.unwrap();
    let entries = page.items.into_iter().filter_map(|item| item.into_entry());
    entries.map(|entry| (entry.path.to_string(), format!("{} {}", entry.kind.name(), entry.value))).collect()
}

/// Waits until a client's mirror has every op.
async fn has(client: &SyncClient, store: &Store) {
    let hub = RealtimeTransport::new(client, &client.status()[0].store).unwrap().hub().await.unwrap();
    let mut ops = hub.subscribe(&"**".parse().unwrap(), 1000);
    while hub.seq() < store.current_seq() {
        soon(ops.next()).await.unwrap();
    }
}

const VALUES: [(&str, &str); 9] = [
    ("a/at", r#"{"_type":"datetime","_typed":"2026-01-02T03:04:05.5+02:00"}"#),
    ("a/moment", r#"{"_type":"datetime","_typed":"1969-12-31T23:59:59.000001Z"}"#),
    (
        "a/record",
        r#"{"at":{"_type":"datetime","_typed":"2026-01-02T03:04:05Z"},"price":{"_type":"decimal","_typed":"1.20"}}"#,
    ),
    ("b", r#"[1,-2,1.5,null,true,{"x":"é\u0000\"/"},18446744073709551615,-9223372036854775808]"#),
    ("c", "0.1"),
    ("d", "1.0"),
    ("e", "null"),
    ("f", r#""plain""#),
    ("g~1h", "-0.0"),
];

#[tokio::test]
async fn both_forms_make_the_same_mirror() {
    let emulator = Emulator::start().await.unwrap();
    let name = emulator.store();
    let store = emulator.store_handle(&name).unwrap();
    let (json, packed) =
        (start(&emulator, Frames::Json).await.unwrap(), start(&emulator, Frames::MessagePack).await.unwrap());
    // By a catch-up of each op.
    for (path, value) in VALUES {
        commit(&store, path, value);
    }
    // Pushed, as one of the two writes it.
    for (from, client) in [("json", &json), ("packed", &packed)] {
        let transport = RealtimeTransport::new(client, &name).unwrap();
        for (path, value) in VALUES {
            let path = Path::parse(&format!("{from}/{path}")).unwrap();
            transport.write(Write::new(path, Op::Set(RawJson::parse(value).unwrap()))).await.unwrap();
        }
        transport
            .write(Write::new(Path::parse("n").unwrap(), Op::Increment(RawJson::parse("1.5").unwrap())))
            .await
            .unwrap();
    }
    has(&json, &store).await;
    has(&packed, &store).await;
    let expected = leaves(&json, &name).await;
    assert_eq!(expected.len(), 3 * (VALUES.len() + 1) + 1);
    assert_eq!(leaves(&packed, &name).await, expected);
    // By a snapshot.
    store.compact().unwrap();
    let (json, packed) =
        (start(&emulator, Frames::Json).await.unwrap(), start(&emulator, Frames::MessagePack).await.unwrap());
    assert_eq!(leaves(&packed, &name).await, leaves(&json, &name).await);
}

#[tokio::test]
async fn what_a_server_cannot_send_in_messagepack_is_told_of_and_json_frames_are_the_way_out() {
    for (value, how) in [
        (r#"{"_type":"decimal","_typed":"1.20"}"#, "a decimal envelope"),
        ("[123456789012345678901234567890]", "an integer beyond 64 bits"),
    ] {
        let emulator = Emulator::start().await.unwrap();
        let name = emulator.store();
        let store = emulator.store_handle(&name).unwrap();
        commit(&store, "before", "1");
        let client = start(&emulator, Frames::MessagePack).await.unwrap();
        commit(&store, "poison", value);
        commit(&store, "after", "1");
        let mut states = client.watch(&name).unwrap();
        let state = soon(states.wait_for(|state| matches!(state, StoreState::Refused(_)))).await.unwrap().clone();
        let StoreState::Refused(error) = state else { unreachable!() };
        assert_eq!(error.kind(), ErrKind::NotSupported);
        let text = error.to_string();
        assert!(text.contains("follows the op 1 of"), "{text}");
        assert!(text.contains(how) && text.contains("use JSON frames"), "{text}");

        let transport: Arc<dyn Transport> = Arc::new(RealtimeTransport::new(&client, &name).unwrap());
        let error = transport.write(Write::new(Path::parse("x").unwrap(), Op::Delete)).await.unwrap_err();
        assert_eq!(error.kind(), ErrKind::NotSupported);
        assert_eq!(leaves(&client, &name).await.len(), 1, "the mirror stays readable");
        let error = start(&emulator, Frames::MessagePack).await.unwrap_err();
        assert!(error.to_string().contains("use JSON frames"), "{error}");

        let json = start(&emulator, Frames::Json).await.unwrap();
        assert_eq!(leaves(&json, &name).await.len(), 3);
        // A snapshot has what the log cannot be sent for, where the value fits.
        store.compact().unwrap();
        let again = start(&emulator, Frames::MessagePack).await;
        match again {
            Ok(client) => assert_eq!(leaves(&client, &name).await.len(), 3),
            Err(error) => assert!(how.contains("integer") && error.to_string().contains("use JSON frames")),
        }
    }
}
