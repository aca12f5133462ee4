//! Ways to open a repo.

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

/// Builds a [`DustRepo`]; made by [`DustRepo::builder`].
///
/// Of several ways to the store the most particular counts: a transport, then a client, then a configuration.
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
    /// A repo over a new, empty store in this process's memory: for tests, examples and trying things out.
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

    /// A repo over a store in one file, which is made when it is not there. One process at a time can open it.
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

    /// A repo over an embedded store that the caller has built, to share it or to give it a clock.
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

    /// A repo over a transport of one's own choice.
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
        DustRepo { way: TransportSource::Given(transport) }
    }

    /// Chooses how the store is reached, step by step.
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

    /// Uses this store of a realtime client, as [`DustRepo::with_client`] does.
    #[cfg(feature = "realtime")]
    #[must_use]
    pub fn client(mut self, client: &SyncClient, store: impl Into<String>) -> DustRepoBuilder {
        self.client = Some((client.clone(), store.into()));
        self
    }

    /// With a [`client`](DustRepoBuilder::client): lets writes wait so long for a connection where there is none, instead
    /// of failing at once with [`Network`](DustErr::Network). At most the 30 s that any write may take. What has to go over
    /// HTTP, such as a batch over several records, does not wait.
    ///
    /// ```no_run
    /// # use dust_orm::{DustRepo, sync::SyncClient};
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

    /// The repo, or an error that says what was not chosen.
    pub fn build(self) -> Result<DustRepo, DustErr> {
        if let Some(transport) = self.transport {
            return Ok(DustRepo::with_transport(transport));
        }
        #[cfg(feature = "realtime")]
        if let Some((client, store)) = &self.client {
            return Ok(DustRepo::picked(Failover::with_client(client, store, self.wait)?));
        }
        #[cfg(feature = "http")]
        if let Some(config) = self.config {
            return DustRepo::connect(config);
        }
        Err(DustErr::invalid_params(
            "the builder has no store: call `store` for an embedded one, `config` for one on a server, \
             or `transport`",
        ))
    }
}
