//! Servers over HTTP: the emulator, and a real one that the environment names.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dust_emulator::Emulator;
use dust_orm::feed::Hub;
use dust_orm::protocol::{BatchOp, CommittedOp, Entry, Fence, LeafPage, ListRequest, Page, Path, Write};
use dust_orm::sync::{Frames, SyncClient};
use dust_orm::transport::{HttpTransport, RealtimeTransport, Receipt};
use dust_orm::{Capabilities, DustConfig, DustErr, DustRepo, Transport};

use crate::backend::Backend;

/// The emulator over HTTP.
pub struct EmulatorHttp;

#[async_trait]
impl Backend for EmulatorHttp {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn connect(&self) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let emulator = Emulator::start().await.unwrap();
        let config =
            DustConfig::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url()).build();
        (Arc::new(HttpTransport::new(config.unwrap()).unwrap()), Box::new(emulator))
    }
}

/// The emulator over its WebSocket.
pub struct EmulatorRealtime;

#[async_trait]
impl Backend for EmulatorRealtime {
    fn name(&self) -> &'static str {
        "realtime"
    }

    async fn connect(&self) -> (Arc<dyn Transport>, Box<dyn Send>) {
        realtime(Frames::Json).await
    }
}

async fn realtime(frames: Frames) -> (Arc<dyn Transport>, Box<dyn Send>) {
    let emulator = Emulator::start().await.unwrap();
    let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url());
    let client = builder.frames(frames).start().await.unwrap();
    (Arc::new(RealtimeTransport::new(&client, &emulator.store()).unwrap()), Box::new(emulator))
}

/// The emulator over its WebSocket, in MessagePack.
pub struct EmulatorMessagePack;

#[async_trait]
impl Backend for EmulatorMessagePack {
    fn name(&self) -> &'static str {
        "msgpack"
    }

    async fn connect(&self) -> (Arc<dyn Transport>, Box<dyn Send>) {
        realtime(Frames::MessagePack).await
    }
}

/// The emulator, by a repo that was opened over HTTP and found a realtime client.
pub struct EmulatorPromoted;

#[async_trait]
impl Backend for EmulatorPromoted {
    fn name(&self) -> &'static str {
        "promoted"
    }

    async fn connect(&self) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let emulator = Emulator::start().await.unwrap();
        let config =
            DustConfig::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url()).build();
        let repo = DustRepo::connect(config.unwrap()).unwrap();
        let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url());
        let client = builder.start().await.unwrap();
        let transport = repo.transport();
        assert_eq!(transport.name(), "realtime");
        (transport, Box::new((emulator, client)))
    }
}

/// A real server. What it says about its rate limit is waited out, however often it says so.
pub struct RealServer(DustConfig);

impl RealServer {
    /// The server of `DUST_CONFORMANCE_URL`, `DUST_CONFORMANCE_TOKEN` and `DUST_CONFORMANCE_STORE` (`org/name`); `None` when
    /// the first is not set.
    pub fn from_env() -> Option<RealServer> {
        let url = std::env::var("DUST_CONFORMANCE_URL").ok()?;
        let needed = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let config = DustConfig::builder()
            .base_url(url)
            .token(needed("DUST_CONFORMANCE_TOKEN"))
            .store(needed("DUST_CONFORMANCE_STORE"))
            .build();
        Some(RealServer(config.unwrap_or_else(|error| panic!("DUST_CONFORMANCE_*: {error}"))))
    }
}

#[async_trait]
impl Backend for RealServer {
    fn name(&self) -> &'static str {
        "real"
    }

    async fn connect(&self) -> (Arc<dyn Transport>, Box<dyn Send>) {
        (Arc::new(Patient(HttpTransport::new(self.0.clone()).unwrap())), Box::new(()))
    }
}

/// Waits out the rate limit.
#[derive(Debug)]
struct Patient(HttpTransport);

async fn patiently<T, F: Future<Output = Result<T, DustErr>>>(call: impl Fn() -> F) -> Result<T, DustErr> {
    loop {
        match call().await {
            Err(DustErr::RateLimited { retry_after, .. }) => {
                tokio::time::sleep(retry_after + Duration::from_millis(100)).await;
            }
            outcome => return outcome,
        }
    }
}

#[async_trait]
impl Transport for Patient {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn list(&self, request: &ListRequest) -> Result<Page, DustErr> {
        patiently(|| self.0.list(request)).await
    }

    async fn below(&self, path: &Path, after: Option<&str>) -> Result<LeafPage, DustErr> {
        patiently(|| self.0.below(path, after)).await
    }

    async fn get(&self, path: &Path) -> Result<Option<Entry>, DustErr> {
        patiently(|| self.0.get(path)).await
    }

    async fn get_many(&self, paths: &[Path]) -> Result<Vec<Option<Entry>>, DustErr> {
        patiently(|| self.0.get_many(paths)).await
    }

    async fn exists(&self, path: &Path) -> Result<bool, DustErr> {
        patiently(|| self.0.exists(path)).await
    }

    async fn write(&self, write: Write) -> Result<Receipt, DustErr> {
        patiently(|| self.0.write(write.clone())).await
    }

    async fn batch_write(&self, ops: Vec<BatchOp>, fence: Option<Fence>) -> Result<u64, DustErr> {
        patiently(|| self.0.batch_write(ops.clone(), fence.clone())).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        patiently(|| self.0.fetch_file(hash)).await
    }

    async fn hub(&self) -> Result<Arc<Hub>, DustErr> {
        self.0.hub().await
    }

    fn is_own(&self, op: &CommittedOp) -> bool {
        self.0.is_own(op)
    }
}
