//! The emulator, over HTTP and over its WebSocket.

use std::sync::Arc;

use async_trait::async_trait;
use dust_emulator::Emulator;
use dust_orm::realtime::SyncClient;
use dust_orm::transport::{HttpTransport, RealtimeTransport};
use dust_orm::{DustConfig, DustRepo, Transport};

use crate::backend::Backend;

/// The emulator over HTTP.
pub struct EmulatorHttp;

#[async_trait]
impl Backend for EmulatorHttp {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
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

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
        let emulator = Emulator::start().await.unwrap();
        let builder = SyncClient::builder().store(emulator.store()).token(emulator.token()).base_url(emulator.url());
        let client = builder.start().await.unwrap();
        (Arc::new(RealtimeTransport::new(&client, &emulator.store()).unwrap()), Box::new(emulator))
    }
}

/// The emulator, by a repo that was opened over HTTP and promoted by a realtime client.
pub struct EmulatorPromoted;

#[async_trait]
impl Backend for EmulatorPromoted {
    fn name(&self) -> &'static str {
        "promoted"
    }

    async fn connect(&self, _module: &str) -> (Arc<dyn Transport>, Box<dyn Send>) {
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
