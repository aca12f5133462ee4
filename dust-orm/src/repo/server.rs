//! Opening a repo on a Dust server.

#[cfg(not(feature = "realtime"))]
use std::sync::Arc;

use super::DustRepo;
use crate::config::DustConfig;
use crate::error::DustErr;
#[cfg(not(feature = "realtime"))]
use crate::transport::HttpTransport;
#[cfg(feature = "realtime")]
use crate::{realtime::SyncClient, transport::Failover};

impl DustRepo {
    /// A repo on the store that the environment names: `DUST_STORE` (`org/name`), `DUST_TOKEN` and, unless it is
    /// `https://dustlayer.io`, `DUST_BASE_URL`.
    ///
    /// It goes over HTTP, or by the realtime client for the same store and token while one
    /// [runs in this process](crate::realtime::SyncClient). Nothing is sent yet. A variable that is missing or malformed is an
    /// [`InvalidParams`](DustErr::InvalidParams) that names it and shows an example.
    ///
    /// ```no_run
    /// let repo = dust_orm::DustRepo::from_env()?;
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn from_env() -> Result<DustRepo, DustErr> {
        DustRepo::connect(DustConfig::from_env()?)
    }

    /// A repo on a Dust server, by a configuration of one's own; otherwise like [`from_env`](DustRepo::from_env).
    ///
    /// ```
    /// use dust_orm::{DustConfig, DustRepo};
    ///
    /// let config = DustConfig::builder().store("acme/reading").token("t").base_url("http://127.0.0.1:7755").build()?;
    /// let repo = DustRepo::connect(config)?;
    /// assert_eq!(repo.transport().name(), "http");
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn connect(config: DustConfig) -> Result<DustRepo, DustErr> {
        #[cfg(feature = "realtime")]
        return Ok(DustRepo::picked(Failover::new(config)?));
        #[cfg(not(feature = "realtime"))]
        return Ok(DustRepo::with_transport(Arc::new(HttpTransport::new(config)?)));
    }

    /// A repo on one of the stores of a realtime client, `org/name`.
    ///
    /// Unlike a repo that finds the client by itself, it stays with it: without a connection reads come from the mirror and
    /// writes fail, or [wait](super::DustRepoBuilder::wait_for_connection). Only while the client is
    /// [not enabled](crate::realtime::SyncClientBuilder::enabled) it goes over HTTP.
    ///
    /// ```no_run
    /// use dust_orm::{DustRepo, sync::SyncClient};
    ///
    /// # async fn example() -> Result<(), dust_orm::DustErr> {
    /// let client = SyncClient::builder().store("acme/reading").token("dust_tok_…").start().await?;
    /// let repo = DustRepo::with_client(&client, "acme/reading")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "realtime")]
    pub fn with_client(client: &SyncClient, store: &str) -> Result<DustRepo, DustErr> {
        DustRepo::builder().client(client, store).build()
    }

    #[cfg(feature = "realtime")]
    pub(super) fn picked(pick: Failover) -> DustRepo {
        DustRepo { way: super::TransportSource::Picked(std::sync::Arc::new(pick)) }
    }
}
