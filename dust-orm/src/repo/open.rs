//! Constructors and builder of a repo.

use std::sync::Arc;

#[cfg(feature = "embedded")]
use dust_store::Store;

use super::{DustRepo, TransportSource};
#[cfg(feature = "http")]
use crate::config::DustConfig;
use crate::error::DustErr;
#[cfg(feature = "embedded")]
use crate::transport::EmbeddedTransport;
use crate::transport::Transport;
#[cfg(feature = "realtime")]
use crate::{realtime::SyncClient, transport::Failover};

/// A builder of a [`DustRepo`]. [`DustRepo::builder`] makes it.
///
/// If several of them are set, a transport prevails over a client, and a client over a configuration.
#[derive(Debug, Default)]
pub struct DustRepoBuilder {
    transport: Option<Arc<dyn Transport>>,
    #[cfg(feature = "realtime")]
    client: Option<(SyncClient, String)>,
    #[cfg(feature = "realtime")]
    wait: std::time::Duration,
    #[cfg(feature = "http")]
    config: Option<DustConfig>,
}

impl DustRepo {
    /// Makes a repo on a new, empty store in the memory of this process, for tests and examples.
    ///
    /// ```
    /// use dust_orm::DustRepo;
    ///
    /// let repo = DustRepo::embedded();
    /// assert_eq!(repo.transport().name(), "embedded");
    /// ```
    #[cfg(feature = "embedded")]
    #[expect(clippy::expect_used, reason = "an empty store in memory does no I/O that could fail")]
    pub fn embedded() -> DustRepo {
        DustRepo::with_store(Store::in_memory().expect("a store in memory can be made"))
    }

    /// Makes a repo on a store in one file, which is created if it does not exist. One process at a time can open it.
    ///
    /// # Errors
    /// [`Storage`](DustErr::Storage) if the file cannot be opened, or another process has opened it.
    ///
    /// ```
    /// # fn main() -> Result<(), dust_orm::DustErr> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("dev.redb");
    /// let repo = dust_orm::DustRepo::open(path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "embedded")]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<DustRepo, DustErr> {
        Ok(DustRepo::with_store(Store::open(path.as_ref())?))
    }

    /// Makes a repo on an embedded store that the caller has built, for example to share it or to set its clock.
    ///
    /// ```
    /// use dust_orm::{DustRepo, store::Store};
    ///
    /// let store = Store::in_memory()?;
    /// let repo = DustRepo::with_store(store.clone());
    /// assert_eq!(store.current_seq(), 0);
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    #[cfg(feature = "embedded")]
    pub fn with_store(store: Store) -> DustRepo {
        DustRepo::with_transport(Arc::new(EmbeddedTransport::new(store)))
    }

    /// Makes a repo on any transport.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dust_orm::{DustRepo, store::Store, transport::EmbeddedTransport};
    ///
    /// let transport = EmbeddedTransport::new(Store::in_memory()?);
    /// let repo = DustRepo::with_transport(Arc::new(transport));
    /// assert_eq!(repo.transport().name(), "embedded");
    /// # Ok::<(), dust_orm::DustErr>(())
    /// ```
    pub fn with_transport(transport: Arc<dyn Transport>) -> DustRepo {
        DustRepo { source: TransportSource::Given(transport) }
    }

    /// Makes a builder, to which a store, a transport, a client or a configuration is given.
    ///
    /// ```
    /// # fn main() -> Result<(), dust_orm::DustErr> {
    /// use dust_orm::{DustRepo, store::Store};
    ///
    /// let repo = DustRepo::builder().store(Store::in_memory()?).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> DustRepoBuilder {
        DustRepoBuilder::default()
    }
}

impl DustRepoBuilder {
    /// Uses an embedded store.
    #[cfg(feature = "embedded")]
    #[must_use]
    pub fn store(self, store: Store) -> DustRepoBuilder {
        self.transport(Arc::new(EmbeddedTransport::new(store)))
    }

    /// Uses this transport.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> DustRepoBuilder {
        self.transport = Some(transport);
        self
    }

    /// Uses the store on the server of this configuration, as [`DustRepo::connect`] does.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn config(mut self, config: DustConfig) -> DustRepoBuilder {
        self.config = Some(config);
        self
    }

    /// Uses the store `store` (`org/name`) of a realtime client, as [`DustRepo::with_client`] does.
    #[cfg(feature = "realtime")]
    #[must_use]
    pub fn client(mut self, client: &SyncClient, store: impl Into<String>) -> DustRepoBuilder {
        self.client = Some((client.clone(), store.into()));
        self
    }

    /// Sets the time for which a write waits for a connection of the [`client`](DustRepoBuilder::client) (default: 0, a
    /// write without a connection fails with [`Network`](DustErr::Network)). A write takes at most 30 s in all. Writes
    /// that use HTTP, such as a batch of several records, do not wait.
    ///
    /// ```no_run
    /// # use dust_orm::{DustRepo, realtime::SyncClient};
    /// # fn example(client: SyncClient) -> Result<(), dust_orm::DustErr> {
    /// use std::time::Duration;
    ///
    /// let repo =
    ///     DustRepo::builder().client(&client, "acme/reading").wait_for_connection(Duration::from_secs(5)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "realtime")]
    #[must_use]
    pub fn wait_for_connection(mut self, wait: std::time::Duration) -> DustRepoBuilder {
        self.wait = wait;
        self
    }

    /// Makes the repo.
    ///
    /// # Errors
    /// [`InvalidParams`](DustErr::InvalidParams) if nothing was set, or if the client does not have the store.
    pub fn build(self) -> Result<DustRepo, DustErr> {
        if let Some(transport) = self.transport {
            return Ok(DustRepo::with_transport(transport));
        }
        #[cfg(feature = "realtime")]
        if let Some((client, store)) = &self.client {
            return Ok(DustRepo::with_failover(Failover::with_client(client, store, self.wait)?));
        }
        #[cfg(feature = "http")]
        if let Some(config) = self.config {
            return DustRepo::connect(config);
        }
        Err(DustErr::invalid_params(
            "the builder has no store: call `store` for an embedded one, `config` for one on a server, or `transport`",
        ))
    }
}
