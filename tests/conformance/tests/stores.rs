//! The stores of a real server that the suite runs in: one for each module where the token may create them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use conformance::{Backend, RealServerRealtime, Server};
use dust_emulator::{Emulator, Fault, Route, Token};
use dust_protocol::{Op, Path, RawJson};

fn server(emulator: &Emulator, token: &str) -> RealServerRealtime {
    RealServerRealtime::new(Server { url: emulator.url(), token: token.to_owned(), store: emulator.store() })
}

#[tokio::test]
async fn each_module_has_a_store_of_its_own() {
    let emulator = Emulator::start().await.unwrap();
    let server = server(&emulator, emulator.token());
    let stores = futures_util::future::join3(server.store("crud"), server.store("keys"), server.store("crud")).await;
    assert_eq!(stores.0, stores.2);
    assert!(stores.0 != stores.1 && stores.0 != emulator.store(), "{stores:?}");
    assert_eq!(emulator.stores().len(), 3);

    let (transport, _client) = server.connect("crud").await;
    let path = Path::parse("conformance-1/a").unwrap();
    transport.write(vec![Op::set(path, RawJson::parse("1").unwrap())], None).await.unwrap();
    let filled = |name: &str| emulator.store_handle(name).unwrap().entry_count().unwrap();
    assert_eq!((filled(&stores.0), filled(&stores.1), filled(&emulator.store())), (1, 0, 0));
}

#[tokio::test]
async fn a_server_that_creates_no_store_is_tested_in_the_configured_one() {
    let emulator = Emulator::start().await.unwrap();
    let scopes = ["entries:read", "entries:write", "stores:create"];
    emulator.add_token(Token::new("writer").scopes(scopes[..2].iter().copied()));
    // It may create a store, and not join it.
    emulator.add_token(Token::new("selected").scopes(scopes).only(&emulator.store()));
    for token in ["writer", "selected"] {
        let server = server(&emulator, token);
        assert_eq!(server.store("crud").await, emulator.store(), "{token}");
        server.connect("crud").await;
    }
    for fault in [Fault::status(402), Fault::status(404), Fault::close(), Fault::status(201).body("<html>")] {
        emulator.faults().add(fault.clone().route(Route::Stores));
        assert_eq!(server(&emulator, emulator.token()).store("crud").await, emulator.store(), "{fault:?}");
    }
}

#[test]
fn the_trials_of_a_store_share_one_client() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let emulating = runtime();
    for (scopes, clients) in
        [(&["entries:read", "entries:write"][..], 1), (&["entries:read", "entries:write", "stores:create"], 2)]
    {
        let emulator = emulating.block_on(Emulator::start()).unwrap();
        emulator.add_token(Token::new("tester").scopes(scopes.iter().copied()));
        let server = server(&emulator, "tester");
        // Each trial has a runtime of its own.
        for module in ["crud", "keys", "crud"] {
            runtime().block_on(async {
                let (transport, _keep) = server.connect(module).await;
                let path = Path::parse("conformance-1/a").unwrap();
                transport.write(vec![Op::set(path.clone(), RawJson::parse("1").unwrap())], None).await.unwrap();
                transport.write(vec![Op::delete(path.clone())], None).await.unwrap();
                assert_eq!(transport.get(&path).await.unwrap(), None);
            });
        }
        let sockets = emulator.requests().iter().filter(|request| request.route == Route::Socket).count();
        assert_eq!(sockets, clients, "{scopes:?}");
    }
}
