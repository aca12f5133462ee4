//! The connection to Dust.

use std::time::Duration;

use dust_emulator::Emulator;
use dust_orm::realtime::SyncClient;
use dust_orm::realtime::{StoreState, Timing};
use dust_orm::{DustErr, DustRepo};
use tokio::sync::watch;

/// A realtime client, and the emulator that it uses if the environment names no server.
pub struct Dust {
    client: SyncClient,
    store: String,
    emulator: Option<Emulator>,
}

impl Dust {
    /// The store that `DUST_STORE`, `DUST_TOKEN` and `DUST_BASE_URL` name, or one of an emulator in this process.
    pub async fn from_env_or_emulator() -> Result<Dust, Box<dyn std::error::Error>> {
        if std::env::var_os("DUST_STORE").is_some() {
            let client = SyncClient::builder().env().start().await?;
            return Ok(Dust::new(client, None));
        }
        Dust::on(Emulator::start().await?).await
    }

    /// The first store of an emulator.
    pub async fn on(emulator: Emulator) -> Result<Dust, Box<dyn std::error::Error>> {
        // The emulator is in this process, so that frequent attempts to connect load no other server.
        let mut timing = Timing::default();
        timing.max_pause = Duration::from_millis(500);
        let client = SyncClient::builder()
            .base_url(emulator.url())
            .store(emulator.store())
            .token(emulator.token())
            .timing(timing)
            .start()
            .await?;
        Ok(Dust::new(client, Some(emulator)))
    }

    fn new(client: SyncClient, emulator: Option<Emulator>) -> Dust {
        let store = client.status().into_iter().map(|status| status.store).next().unwrap_or_default();
        Dust { client, store, emulator }
    }

    pub(crate) fn repo(&self) -> Result<DustRepo, DustErr> {
        DustRepo::with_client(&self.client, &self.store)
    }

    /// The state of the connection to the store, as a watch channel.
    pub(crate) fn state(&self) -> Result<watch::Receiver<StoreState>, DustErr> {
        self.client.watch(&self.store)
    }

    pub fn describe(&self) -> String {
        match &self.emulator {
            Some(emulator) => format!("emulator on {} (which shows its store there)", emulator.url()),
            None => format!("store {}", self.store),
        }
    }

    /// The emulator, if there is one, for tests that inject faults.
    pub fn emulator(&mut self) -> Option<&mut Emulator> {
        self.emulator.as_mut()
    }

    pub async fn stop(self) {
        self.client.shutdown().await;
        if let Some(emulator) = self.emulator {
            emulator.stop().await;
        }
    }
}
