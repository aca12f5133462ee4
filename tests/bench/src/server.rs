//! An emulator on a thread of its own.

use dust_emulator::{Emulator, EmulatorBuilder};
use dust_orm::realtime::{SyncClient, SyncClientBuilder};
use dust_orm::{DustConfig, DustRepo};
use tokio::runtime::{Builder, Runtime};

use crate::Result;

/// The store that dust-orm works on.
pub const STORE: &str = "local/orm";
/// A store with the same initial content, for the peer.
pub const OTHER: &str = "local/peer";

/// An emulator that runs until it is dropped.
pub struct Server {
    /// The emulator.
    pub emulator: Emulator,
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts an emulator on another thread than the measuring one.
    pub async fn start(emulator: EmulatorBuilder) -> Result<Server> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let emulator = runtime.spawn(emulator.start()).await??;
        Ok(Server { emulator, runtime: Some(runtime) })
    }

    /// Starts an emulator whose two stores have the same content.
    pub async fn twins(seed: &str) -> Result<Server> {
        Server::start(Emulator::builder().seed(STORE, seed).seed(OTHER, seed)).await
    }

    /// A repo on one of its stores, over HTTP.
    pub fn repo(&self, store: &str) -> Result<DustRepo> {
        let config = DustConfig::builder().base_url(self.emulator.url()).store(store).token(self.emulator.token());
        Ok(DustRepo::connect(config.build()?)?)
    }

    /// The builder of a realtime client of one of its stores.
    pub fn client(&self, store: &str) -> SyncClientBuilder {
        let client = SyncClient::builder().store(store).token(self.emulator.token()).base_url(self.emulator.url());
        client.device_id("orm")
    }

    /// Fails unless both stores have the same content, so that the compared calls have done the same.
    pub fn check_twins(&self) -> Result<()> {
        if self.emulator.export(STORE)? != self.emulator.export(OTHER)? {
            return Err("dust-orm and its peer have not written the same".into());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A blocking wait is not possible inside of a runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
