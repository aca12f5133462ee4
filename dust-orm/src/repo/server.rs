//! Constructors of a repo on a Dust server.

use std::sync::Arc;
#[cfg(feature = "realtime")]
use std::time::Duration;

use super::DustRepo;
#[cfg(feature = "realtime")]
use super::TransportSource;
use crate::config::DustConfig;
use crate::error::DustErr;
#[cfg(not(feature = "realtime"))]
use crate::transport::HttpTransport;
#[cfg(feature = "realtime")]
use crate::{realtime::SyncClient, transport::Failover};

impl DustRepo {
    /// Makes a repo on the store that the environment names: `DUST_STORE` (`org/name`), `DUST_TOKEN`, `DUST_BASE_URL`
    /// (default: `https://dustlayer.io`).
    ///
    /// It uses HTTP, or the realtime client for the same store and token while one
    /// [runs in this process](crate::realtime::SyncClient). This call sends nothing.
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) with the name of a missing or malformed variable and an example.
    ///
    /// ```no_run
    /// let repo = dust_orm::DustRepo::from_env()?;
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn from_env() -> Result<DustRepo, DustErr> {
        DustRepo::connect(DustConfig::from_env()?)
    }

    /// Makes a repo on the store of a configuration; otherwise as [`from_env`](DustRepo::from_env).
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) if no HTTP client can be made with the configuration.
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
        return Ok(DustRepo::with_failover(Failover::new(config)?));
        #[cfg(not(feature = "realtime"))]
        return Ok(DustRepo::with_transport(Arc::new(HttpTransport::new(config)?)));
    }

    /// Makes a repo on one of the stores of a realtime client, `org/name`.
    ///
    /// The repo uses this client only: without a connection reads come from the mirror, and writes fail or
    /// [wait](DustRepo::wait_for_connection). While the client is
    /// [not enabled](crate::realtime::SyncClientBuilder::enabled), the repo uses HTTP.
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) if the client does not have the store.
    ///
    /// ```no_run
    /// use dust_orm::{DustRepo, realtime::SyncClient};
    ///
    /// # async fn example() -> Result<(), dust_orm::DustErr> {
    /// let client = SyncClient::builder().store("acme/reading").token("dust_tok_…").start().await?;
    /// let repo = DustRepo::with_client(&client, "acme/reading")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "realtime")]
    pub fn with_client(client: &SyncClient, store: &str) -> Result<DustRepo, DustErr> {
        Ok(DustRepo::with_failover(Failover::with_client(client, store)?))
    }

    /// Sets the time for which a write waits for a connection of the client with which the repo was
    /// [made](DustRepo::with_client) (default: 0, a write without a connection fails with
    /// [`Network`](DustErr::Network)). A write takes at most 30 s in all. Writes that use HTTP, such as a batch of
    /// several records, do not wait. A repo without a client of its own does not change.
    ///
    /// ```no_run
    /// # use dust_orm::{DustRepo, realtime::SyncClient};
    /// # fn example(client: SyncClient) -> Result<(), dust_orm::DustErr> {
    /// use std::time::Duration;
    ///
    /// let repo = DustRepo::with_client(&client, "acme/reading")?.wait_for_connection(Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "realtime")]
    #[must_use]
    pub fn wait_for_connection(self, wait: Duration) -> DustRepo {
        match self.source {
            TransportSource::Failover(failover) => {
                let source = TransportSource::Failover(Arc::new(failover.waiting(wait)));
                DustRepo { source, prefixes: self.prefixes }
            }
            TransportSource::Given(_) => self,
        }
    }

    #[cfg(feature = "realtime")]
    fn with_failover(failover: Failover) -> DustRepo {
        DustRepo::from_source(TransportSource::Failover(Arc::new(failover)))
    }
}
