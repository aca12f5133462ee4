//! The token is sent to trusted servers only, and is in no output.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dust_emulator::{Emulator, Token};
use dust_orm::entity::prelude::*;
use dust_orm::realtime::{StoreState, SyncClient, Timing};
use dust_orm::tests_cfg::link;
use dust_orm::transport::{HttpTransport, RealtimeTransport};
use dust_orm::{DustConfig, DustErr, DustRepo, ErrKind, RetryPolicy, Transport};
use dust_protocol::{Op, Path};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "dust_tok_0123456789abcdef";

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes to pass")
}

fn timing() -> Timing {
    let mut timing = Timing::default();
    (timing.max_pause, timing.refused) = (Duration::from_millis(20), Duration::from_millis(20));
    timing
}

fn config(url: &str, store: &str) -> DustConfig {
    let retry = RetryPolicy::none();
    DustConfig::builder().store(store).token(TOKEN).base_url(url).retry(retry).build().unwrap()
}

fn new_link(slug: &str) -> link::ActiveModel {
    let text = |text: &str| Set(text.to_owned());
    link::ActiveModel { slug: text(slug), title: text("T"), url: text("https://dust"), note: NotSet }
}

/// A server with an untrusted certificate; returns the bytes that it receives after the TLS handshake.
async fn unknown_server() -> (String, Arc<Mutex<Vec<u8>>>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/test-certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/test-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told: Arc<Mutex<Vec<u8>>> = Arc::default();
    let hears = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, hears) = (acceptor.clone(), Arc::clone(&hears));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    hears.lock().unwrap().extend_from_slice(&buffer[..count]);
                    let _ = stream.write_all(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (format!("https://{address}"), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let (url, told) = unknown_server().await;
    let http = DustRepo::connect(config(&url, "acme/main")).unwrap();
    for error in [
        http.get::<link::Entity>("dust").await.unwrap_err(),
        http.insert(new_link("dust")).await.unwrap_err(),
        http.delete_by_id::<link::Entity>("dust").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrKind::Network, "nothing was applied: {error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }

    let builder = SyncClient::builder().store("acme/main").token(TOKEN).base_url(&url).timing(timing());
    let client = soon(builder.start()).await.unwrap();
    let realtime = RealtimeTransport::new(&client, "acme/main").unwrap();
    let error = realtime.write(vec![Op::delete(Path::parse("links/dust").unwrap())], None).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(matches!(client.status()[0].state, StoreState::Offline));
    client.shutdown().await;
    assert!(told.lock().unwrap().is_empty(), "not even a request line, which has the token of a WebSocket");

    // A client that trusts the certificate connects: the server works.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(include_bytes!("tls/test-certificate.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusting = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(url.trim_start_matches("https://")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(trusting)).connect(name, stream).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    soon(async {
        while told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_while_a_client_runs_is_told_of() {
    let emulator = Emulator::builder().start().await.unwrap();
    emulator.add_token(Token::new(TOKEN));
    let builder = SyncClient::builder().store(emulator.store()).token(TOKEN).base_url(emulator.url()).timing(timing());
    let client = soon(builder.start()).await.unwrap();
    let repo = DustRepo::with_client(&client, &emulator.store()).unwrap();
    let repo = repo.wait_for_connection(Duration::from_secs(30));
    let mut states = client.watch(&emulator.store()).unwrap();
    repo.insert(new_link("before")).await.unwrap();

    assert!(emulator.revoke_token(TOKEN));
    emulator.disconnect_all();
    let state = soon(states.wait_for(|state| matches!(state, StoreState::Refused(_)))).await.unwrap().clone();
    let StoreState::Refused(error) = state else { unreachable!("it was waited for") };
    assert_eq!(error.kind(), ErrKind::Unauthorized);
    assert!(error.to_string().contains("revoked"), "{error}");
    let refused = soon(async { repo.insert(new_link("after")).await }).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrKind::Unauthorized | ErrKind::Network), "{refused}");
    assert_eq!(repo.all::<link::Entity>().await.unwrap().len(), 1, "the mirror is unchanged");

    emulator.add_token(Token::new(TOKEN));
    soon(states.wait_for(StoreState::is_live)).await.unwrap();
    repo.insert(new_link("again")).await.unwrap();
    client.shutdown().await;
}

/// Records every event and span of every crate and level as text.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl tracing::field::Visit for Everything {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), " {field}={value:?}");
    }
}

impl tracing::Subscriber for Everything {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::Id {
        span.record(&mut self.clone());
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let _ = write!(self.0.lock().unwrap(), "\n{}", event.metadata().target());
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

/// A server that repeats the whole request, with the token, in all of its answers.
async fn parrot() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let statuses = ["200 OK", "400 No", "401 No", "403 No", "404 No", "412 No", "500 No", "302 No", "101 Yes"];
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut request = vec![0; 8192];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let said = String::from_utf8_lossy(&request[..count]).replace(['\r', '\n', '"', '\\'], " ");
            let body = match number / statuses.len() % 3 {
                0 => format!(
                    r#"{{"error":"{said}","message":"{said}","detail":"{said}","scope":"{TOKEN}","path":"{TOKEN}"}}"#
                ),
                1 => format!(
                    r#"{{"path":"{TOKEN}//","value":1,"type":"x","revision":"{TOKEN}","items":[{{"path":"{TOKEN}~"}}]}}"#
                ),
                _ => said.clone(),
            };
            let head = format!(
                "HTTP/1.1 {}\r\nlocation: http://{TOKEN}/{TOKEN}\r\nx-said: {said}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                statuses[number % statuses.len()],
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    format!("http://{address}")
}

/// Runs the verbs of a repo, and returns the texts of their errors.
async fn use_it(repo: &DustRepo, said: &mut String) {
    let mut note = |error: Option<DustErr>| {
        if let Some(error) = error {
            let _ = write!(said, "\n{error} {error:?} {:?}", sea_orm::DbErr::from(error.clone()));
        }
    };
    note(repo.insert(new_link("dust")).await.err());
    note(repo.get::<link::Entity>("dust").await.err());
    note(repo.all::<link::Entity>().await.err());
    note(repo.exists::<link::Entity>("dust").await.err());
    note(repo.delete_by_id::<link::Entity>("dust").await.err());
    note(repo.increment("dust", dust_orm::tests_cfg::page::Column::Hits, 1).await.err());
}

/// One test, because there is one subscriber for the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_in_no_log_no_error_and_no_debug() {
    let logged = Everything::default();
    let _ = tracing::subscriber::set_global_default(logged.clone());
    let mut said = String::new();
    let emulator = Emulator::builder().start().await.unwrap();
    emulator.add_token(Token::new(TOKEN));
    let closed = "http://127.0.0.1:9".to_owned();
    let (unknown, _) = unknown_server().await;
    for url in [emulator.url(), parrot().await, closed, unknown] {
        let config = config(&url, &emulator.store());
        let http = HttpTransport::new(config.clone()).unwrap();
        let repo = DustRepo::connect(config.clone()).unwrap();
        let _ = write!(said, "\n{config:?} {http:?} {repo:?} {:?}", repo.transport());
        for _ in 0..9 {
            use_it(&repo, &mut said).await;
        }
        let builder = SyncClient::builder().store(emulator.store()).token(TOKEN).base_url(&url).timing(timing());
        let _ = write!(said, "\n{builder:?} {:?}", DustConfig::builder().token(TOKEN).store("acme/main"));
        match soon(builder.start()).await {
            Ok(client) => {
                let transport = RealtimeTransport::new(&client, &emulator.store()).unwrap();
                let repo = DustRepo::with_transport(Arc::new(transport.clone()));
                use_it(&repo, &mut said).await;
                let _ = write!(said, "\n{client:?} {transport:?} {repo:?} {:?}", client.status());
                client.shutdown().await;
            }
            Err(error) => {
                let _ = write!(said, "\n{error} {error:?}");
            }
        }
    }
    let logged = logged.0.lock().unwrap().clone();
    assert!(logged.contains("dust_orm::op") && logged.contains("dust_orm::realtime"), "{logged}");
    assert!(said.contains("[redacted]") && said.contains("[token]") && said.contains("Unauthorized"), "{said}");
    for (what, text) in [("errors", &said), ("logs", &logged)] {
        // Not the beginning of it either, which a shortened text could show.
        if let Some(at) = text.find(&TOKEN[..13]) {
            let context: String = text[at.saturating_sub(400)..].chars().take(600).collect();
            panic!("the token is in the {what}: …{context}…");
        }
    }
}

/// A server whose answers do not end; returns the maximum number of bytes sent on one connection.
async fn endless(head: &'static str, again: &'static str) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let most: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&most);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut sent = 0;
            let mut is_open = stream.write_all(head.as_bytes()).await.is_ok();
            while is_open && sent < 100 << 20 {
                is_open = stream.write_all(again.as_bytes()).await.is_ok();
                sent += again.len();
            }
            let mut most = counted.lock().unwrap();
            *most = sent.max(*most);
        }
    });
    (format!("http://{address}"), most)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_without_an_end_is_given_up() {
    let line = "x-more: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    for (head, again) in [
        ("HTTP/1.1 101 Switching Protocols\r\n", line),
        (
            "HTTP/1.1 101 Switching Protocols\r\nx-more: ",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        ("HTTP/1.1 403 No\r\n\r\n", line),
        ("", "\r\n\r\n\r\n\r\n"),
    ] {
        let (url, most) = endless(head, again).await;
        let builder = SyncClient::builder().store("acme/main").token(TOKEN).base_url(url).timing(timing());
        if let Ok(client) = soon(builder.start()).await {
            client.shutdown().await;
        }
        // Bytes in the buffers of the system count, too.
        assert!(*most.lock().unwrap() < 32 << 20, "{head:?}");
    }
}
